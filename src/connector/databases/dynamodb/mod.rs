//! DynamoDB, by its HTTP API, without Amazon's SDK.
//!
//! Invariants: every name and value of an input is behind a placeholder; what is read is bounded in pages, rows and bytes;
//! nothing is overwritten but by `upsert`; no error contains a value, a credential or an address.

mod access;
mod address;
mod batch;
mod change;
mod client;
pub(super) mod definition;
mod expression;
mod failure;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod insert;
mod job;
mod moment;
mod range;
mod raw;
mod read;
mod row;
mod schema;
mod update;
mod value;

use self::address::Address;
use self::client::{Dynamo, Repeat};
use self::failure::Trouble;
use self::job::Region;
use self::read::not_computed;
use self::value::Item;
use super::backend::Documents;
use super::dialect::Dialect;
use super::operation::{Operation, Raw};
use super::settings::Settings;
use crate::connector::Failure;
use crate::connector::limits::{DATABASE_CONNECT_TIMEOUT, MAX_PEM_FILE_BYTES};
use async_trait::async_trait;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The tables of one region.
pub(super) struct DynamoDb(Region);

impl DynamoDb {
    /// Does not connect yet.
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, Failure> {
        let address = Address::read(settings.url, settings.endpoint)?;
        let authorities = settings.ca.map(certificates).transpose()?;
        let client = Dynamo::new(address, authorities, settings.outbound.clone(), settings.connections);
        Ok(Self(Region::new(client, Arc::clone(&settings.warn))))
    }
}

/// The text of certificates, or of the file that holds them.
fn certificates(ca: &str) -> Result<String, Failure> {
    if ca.contains("-----BEGIN") {
        return Ok(ca.to_owned());
    }
    crate::text_file::read_text_file(Path::new(ca), MAX_PEM_FILE_BYTES)
        .map_err(|_| Failure::invalid("ca: must be certificates in PEM, or the path of a file with them"))
}

/// Refuses operations that DynamoDB does not have.
fn not_served(operation: &Operation) -> Result<(), Failure> {
    match operation {
        Operation::Compute { .. } => Err(not_computed("sum, avg, min and max")),
        Operation::Aggregate(aggregate) if aggregate.groups.is_empty() => Err(not_computed("aggregate")),
        Operation::Aggregate(_) => Err(not_computed("groupBy")),
        Operation::Pipeline { .. } => Err(Failure::invalid("input.pipeline: belongs to MongoDB")),
        Operation::Raw(Raw::Command { .. }) => Err(Failure::invalid("input.command: belongs to MongoDB")),
        _ => Ok(()),
    }
}

#[async_trait]
impl Documents for DynamoDb {
    fn dialect(&self) -> Dialect {
        Dialect::Dynamo
    }

    async fn run(&self, operation: &Operation, timeout: Duration, key: &str) -> Result<String, Failure> {
        let job = self.0.job(timeout, key);
        not_served(operation)?;
        let done = match operation {
            Operation::Find(select) => read::find(job, select).await,
            Operation::FindOne(select) => read::find_one(job, select).await,
            Operation::Count(count) => read::count(job, count).await,
            Operation::Insert(insert) => match &insert.conflict {
                None => insert::insert(job, insert).await,
                Some(conflict) => insert::upsert(job, insert, conflict).await,
            },
            Operation::Update(update) => change::update(job, update).await,
            Operation::Delete(delete) => change::delete(job, delete).await,
            Operation::Raw(Raw::Statement { text, params }) => raw::statement(job, text, params).await,
            Operation::Raw(Raw::Request { operation, params }) => raw::request(job, operation, params).await,
            // Refused above.
            Operation::Compute { .. }
            | Operation::Aggregate(_)
            | Operation::Pipeline { .. }
            | Operation::Raw(Raw::Command { .. }) => Err(not_computed("this").into()),
        };
        done.map_err(|trouble: Trouble| {
            if trouble.doubts_table()
                && let Some(table) = operation.table()
            {
                job.forget(&table.name);
            }
            trouble.into()
        })
    }

    async fn check(&self) -> Result<(), Failure> {
        let job = self.0.job(DATABASE_CONNECT_TIMEOUT, "");
        let mut request = Item::new();
        request.insert("Limit".into(), json!(1));
        match job.call("ListTables", request, Repeat::Safe).await {
            Ok(_) => Ok(()),
            Err(trouble) => match Failure::from(trouble) {
                // Who may not list tables may well use one, and was recognised.
                failure if &*failure.code == "FORBIDDEN" && failure.message.contains("AccessDenied") => Ok(()),
                failure => Err(failure),
            },
        }
    }

    async fn close(&self) {}
}
