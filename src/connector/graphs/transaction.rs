//! A transaction on a connection, as those see it who run statements in it.

use super::bolt::{Connection, Summary, Value};
use super::failure::Trouble;
use super::plan::Statement;

/// Records that are asked for at once.
const BATCH: i64 = 1_000;

/// A transaction that runs.
pub(super) struct Transaction<'c> {
    connection: &'c mut Connection,
    /// What each statement is begun with, if it is a transaction of its own.
    extra: Vec<(Box<str>, Value)>,
}

impl<'c> Transaction<'c> {
    /// Begins with the first statement. Whoever has the connection commits.
    pub(super) fn begin(connection: &'c mut Connection, extra: Vec<(Box<str>, Value)>) -> Self {
        connection.begin(extra);
        Self {
            connection,
            extra: Vec::new(),
        }
    }

    /// Each statement is a transaction of its own, or several.
    pub(super) fn committing_itself(connection: &'c mut Connection, extra: Vec<(Box<str>, Value)>) -> Self {
        Self { connection, extra }
    }

    /// Runs one statement. `sink` gets the columns and each record, and says whether it wants more.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        sink: &mut (dyn FnMut(&[Value], Vec<Value>) -> bool + Send),
    ) -> Result<Summary, Trouble> {
        let params = Value::Map(statement.params.clone());
        let ran = self
            .connection
            .run(&statement.text, params, self.extra.clone(), BATCH, sink);
        Ok(ran.await?)
    }
}
