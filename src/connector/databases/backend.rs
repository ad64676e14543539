//! What each kind of database does for the connector.

use super::dialect::Dialect;
use super::name::Table;
use super::plan::Plan;
use super::rows::Outcome;
use super::value::Kinds;
use crate::connector::Failure;
use async_trait::async_trait;
use std::time::Duration;

/// A database that runs plans.
#[async_trait]
pub(super) trait Backend: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// The columns of a table; none where the database tells the types of parameters itself.
    async fn kinds(&self, table: &Table) -> Result<Kinds, Failure>;

    /// Runs all statements or none, each for at most so long.
    async fn run(&self, plan: Plan, timeout: Duration) -> Result<Outcome, Failure>;

    /// Connects, authenticates, and changes nothing.
    async fn check(&self) -> Result<(), Failure>;

    /// Ends all connections.
    async fn close(&self);
}

/// Whether what a statement does ends with it: others may leave their mark on the connection.
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
