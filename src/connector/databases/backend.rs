//! The interface that each kind of database implements.

use super::dialect::Dialect;
use super::name::Table;
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

/// Whether a statement, by its first word, leaves the session's state unchanged; others, such as `SET`, may not.
pub(super) fn leaves_session_unchanged(sql: &str) -> bool {
    const ENDING: [&str; 8] = [
        "select", "insert", "update", "delete", "with", "values", "merge", "replace",
    ];
    let word: String = sql
        .trim_start()
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .flat_map(char::to_lowercase)
        .collect();
    ENDING.contains(&&*word)
}
