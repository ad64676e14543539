//! MongoDB, and servers that speak its protocol: operations by the driver, without SQL.
//!
//! Invariants: operators reach the server only from what this module writes, or by `raw`; what is read is bounded in rows and
//! bytes; reads, and changes of many documents, have a time limit on the server; no error contains a value or an address.

mod address;
mod change;
pub(super) mod definition;
mod documents;
mod extremes;
mod failure;
mod filter;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod group;
mod pipeline;
mod query;
mod related;
mod update;
mod value;

use self::address::Address;
use self::failure::{INVALID_PATTERN, failure, waited};
use super::backend::Documents;
use super::definition::filter_of;
use super::dialect::Dialect;
use super::include;
use super::operation::{Operation, Raw};
use crate::connector::Failure;
use crate::text::spelling::truncated;
use async_trait::async_trait;
use mongodb::bson::doc;
use mongodb::{Client, Database};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A MongoDB database.
pub(super) struct MongoDb {
    address: Address,
    /// Made by the first operation, since a client connects at once. It owns the pool.
    client: OnceCell<Client>,
}

impl MongoDb {
    pub(super) fn new(url: &str, ca: Option<&str>, connections: usize) -> Result<Self, Failure> {
        Ok(Self {
            address: Address::read(url, ca, connections)?,
            client: OnceCell::new(),
        })
    }

    async fn database(&self) -> Result<Database, Failure> {
        let connect = || async {
            // The file is read while the client is made.
            let (options, _file) = self.address.options().await?;
            Client::with_options(options)
        };
        let client = self.client.get_or_try_init(connect).await;
        let client = client.map_err(|error: mongodb::error::Error| failure(&error))?;
        Ok(client.database(&self.address.database))
    }
}

#[async_trait]
impl Documents for MongoDb {
    fn dialect(&self) -> Dialect {
        Dialect::Mongo
    }

    async fn run(&self, operation: &Operation, timeout: Duration, _key: &str) -> Result<String, Failure> {
        let database = &self.database().await?;
        let answer = run(database, operation, timeout).await;
        answer.map_err(|failure| waited(of_patterns(failure, operation), self.address.patience()))
    }

    async fn check(&self) -> Result<(), Failure> {
        let pong = self.database().await?.run_command(doc! { "ping": 1 }).await;
        pong.map(|_| ())
            .map_err(|error| waited(failure(&error), self.address.patience()))
    }

    async fn close(&self) {
        if let Some(client) = self.client.get() {
            // Without waiting: attempts that still hold a cursor are over.
            client.clone().shutdown().immediate(true).await;
        }
    }
}

/// The failure of an operation; of a pattern that cannot be read with the fields that are compared with some.
fn of_patterns(failure: Failure, operation: &Operation) -> Failure {
    let mut fields: Vec<&str> = Vec::new();
    if failure.message.contains(INVALID_PATTERN)
        && let Some(filter) = filter_of(operation)
    {
        filter::fields_with_regex(filter, &mut fields);
    }
    if fields.is_empty() {
        return failure;
    }
    fields.dedup();
    let named: Vec<String> = fields.iter().map(|field| format!("'{}'", truncated(field))).collect();
    Failure {
        message: format!("the filter of {}: $regex: {}", named.join(", or "), failure.message),
        ..failure
    }
}

async fn run(database: &Database, operation: &Operation, timeout: Duration) -> Result<String, Failure> {
    match operation {
        Operation::Find(select) if !select.include.is_empty() => {
            include::find(&related::Related(database), select, false, timeout).await
        }
        Operation::FindOne(select) if !select.include.is_empty() => {
            include::find(&related::Related(database), select, true, timeout).await
        }
        Operation::Find(select) => query::find(database, select, false, timeout).await,
        Operation::FindOne(select) => query::find(database, select, true, timeout).await,
        Operation::Count(count) => query::count(database, count, timeout).await,
        Operation::Compute {
            table,
            filter,
            function,
            column,
        } => query::compute(database, table, group::compute(filter, function, column)?, timeout).await,
        Operation::Aggregate(aggregate) => query::aggregate(database, aggregate, timeout).await,
        Operation::Pipeline { table, stages } => {
            query::pipeline(database, table, pipeline::read(stages)?, timeout).await
        }
        Operation::Insert(insert) => match &insert.conflict {
            None => change::insert(database, insert).await,
            Some(conflict) => change::upsert(database, insert, conflict, timeout).await,
        },
        Operation::Update(update) => change::update(database, update, timeout).await,
        Operation::Delete(delete) => change::delete(database, delete, timeout).await,
        Operation::Raw(Raw::Command {
            collection: Some(table),
            command,
        }) => query::raw_find(database, table, command, timeout).await,
        Operation::Raw(Raw::Command {
            collection: None,
            command,
        }) => query::raw_command(database, command, timeout).await,
        Operation::Raw(Raw::Statement { .. } | Raw::Request { .. }) => Err(Failure::invalid(
            "MongoDB takes no SQL; give `raw` an object, as in { command: { ping: 1 } }",
        )),
    }
}
