//! Databases, on real ones: SQLite always; PostgreSQL and MySQL where `DUCTAPE_TEST_POSTGRES` and `DUCTAPE_TEST_MYSQL` name
//! a server, else each test says that it is skipped there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
mod faults;
mod filters;
mod injection;
mod operations;
mod secured;
mod support;
mod types;
