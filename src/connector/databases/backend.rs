//! The interface that each kind of database implements.

use super::dialect::Dialect;
use super::name::Table;
use super::operation::Operation;
use super::plan::Plan;
use super::rows::Outcome;
use super::value::Kinds;
use crate::connector::Failure;
use async_trait::async_trait;
use std::time::Duration;

/// A database that can execute plans.
#[async_trait]
pub(super) trait Backend: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// The columns of a table; empty where the database infers the types of parameters itself.
    async fn kinds(&self, table: &Table) -> Result<Kinds, Failure>;

    /// Runs all statements or none, each within `timeout`.
    async fn run(&self, plan: Plan, timeout: Duration) -> Result<Outcome, Failure>;

    /// Connects and authenticates; changes nothing.
    async fn check(&self) -> Result<(), Failure>;

    /// Closes all connections.
    async fn close(&self);
}

/// A database without SQL, which runs operations itself. It applies the limits of [`super::super::limits`] to what it
/// returns, in the form of the other databases' results.
#[async_trait]
pub(super) trait Documents: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// Runs an operation and returns its result as JSON text. `key` is the same for every attempt of a run, so that a server
    /// may know a repetition. May be dropped at any `await`.
    async fn run(&self, operation: &Operation, timeout: Duration, key: &str) -> Result<String, Failure>;

    /// Connects and authenticates; changes nothing.
    async fn check(&self) -> Result<(), Failure>;

    /// Closes all connections.
    async fn close(&self);
}

/// Whether a statement, by its first word, leaves the session's state unchanged; others, such as `SET`, may not.
pub(super) fn leaves_session_unchanged(sql: &str) -> bool {
    const ENDING: [&str; 8] = [
        "select", "insert", "update", "delete", "with", "values", "merge", "replace",
    ];
    ENDING.contains(&&*first_word(sql))
}

/// The first word of a statement, in lower case.
pub(super) fn first_word(sql: &str) -> String {
    sql.trim_start()
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .flat_map(char::to_lowercase)
        .collect()
}
