//! Tests on a real Neo4j, if `DUCTAPE_TEST_NEO4J` names one; otherwise each reports that it is skipped. `@L` in inputs is a
//! label that no other test has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod actions;
mod faults;
mod injection;
mod operations;
mod paths;
mod relationships;
mod schema;
mod secured;
mod support;
mod updates;
mod values;
