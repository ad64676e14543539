//! One operation of a job: what it asks, of whom, and until when.

use super::client::{Deadline, Dynamo, Repeat};
use super::failure::Trouble;
use super::schema::{Table, Tables};
use super::value::Item;
use crate::connector::Failure;
use crate::text::hex::hex;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Length of the token of a transaction; DynamoDB takes 36 characters.
const TOKEN_LENGTH: usize = 32;

/// The tables of one region.
pub(super) struct Region {
    client: Dynamo,
    tables: Tables,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Region {
    pub(super) fn new(client: Dynamo, warn: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        Self {
            client,
            tables: Tables::default(),
            warn,
        }
    }

    /// An operation that may take so long. `key` is the same for every attempt of a run.
    pub(super) fn job<'a>(&'a self, timeout: Duration, key: &'a str) -> Job<'a> {
        Job {
            region: self,
            deadline: Deadline::after(timeout),
            key,
        }
    }
}

/// One operation: where, and when it must be done.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    region: &'a Region,
    deadline: Deadline,
    key: &'a str,
}

impl<'a> Job<'a> {
    /// A table's keys and indexes.
    pub(super) async fn table(self, name: &str) -> Result<Arc<Table>, Failure> {
        if let Some(table) = self.region.tables.get(name) {
            return Ok(table);
        }
        let mut request = Item::new();
        request.insert("TableName".into(), json!(name));
        let answer = self.call("DescribeTable", request, Repeat::Safe).await?;
        let table = Table::read(name, &answer).ok_or_else(|| {
            Failure::invalid("DynamoDB: the table's description cannot be read; its key has at most two attributes")
        })?;
        let table = Arc::new(table);
        self.region.tables.remember(&table);
        Ok(table)
    }

    /// By which the server knows this request of this run when it is sent again, also by a later attempt. A later attempt may
    /// ask for something else, since expressions are computed again: that is another request.
    pub(super) fn token(self, request: &Value) -> String {
        let text = format!("{}\n{request}", self.key);
        let mut token = hex(digest(&SHA256, text.as_bytes()).as_ref());
        token.truncate(TOKEN_LENGTH);
        token
    }

    pub(super) async fn call(self, operation: &str, request: Item, repeat: Repeat) -> Result<Value, Trouble> {
        let client: &'a Dynamo = &self.region.client;
        client.call(operation, request, repeat, self.deadline).await
    }

    /// Says once for each table that it is read as a whole.
    pub(super) fn warn_of_scan(self, table: &Table) {
        if self.region.tables.warns_of(&table.name) {
            (self.region.warn)(&format!(
                "an operation reads all of the table '{}' (Scan), since its filter gives no hash key of the table or of an index by equality; that is slow and costs what reading the whole table costs. This is said once for each table",
                table.name
            ));
        }
    }

    /// The same with a request that is JSON text.
    pub(super) async fn call_text(self, operation: &str, request: String, repeat: Repeat) -> Result<Value, Trouble> {
        let client = &self.region.client;
        client.call_text(operation, request, repeat, self.deadline).await
    }

    /// A table may be another one by now.
    pub(super) fn forget(self, table: &str) {
        self.region.tables.forget(table);
    }

    /// Nobody asks anything for a while.
    pub(super) fn pause(self, pause: Duration) {
        self.region.client.pause(pause);
    }
}
