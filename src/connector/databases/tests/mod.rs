//! Tests on real databases: always on SQLite, and on PostgreSQL and MySQL if `DUCTAPE_TEST_POSTGRES` and
//! `DUCTAPE_TEST_MYSQL` name a server; otherwise each test reports that these are skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
mod changes;
mod contradictions;
mod definitions;
mod definitions_in_vain;
mod documented;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod exactness;
mod faults;
mod filters;
mod given;
mod includes;
mod injection;
#[cfg(feature = "mongodb")]
mod mongodb;
mod operations;
mod places;
mod pooler;
mod secured;
mod sessions;
mod sums;
mod support;
mod types;
