//! A database with its secrets resolved and its connections: runs operations and actions of jobs.

use super::json::Json;
use super::open::Opened;
use super::operation::Operation;
use super::request::{self, ReadContext};
use super::{action, include};
use crate::connector::{Call, Connector, Failure};
use crate::model::Namespace;
use crate::resources::Database;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// The connector of one database.
pub(super) struct DatabaseConnector {
    database: Arc<Database>,
    opened: Opened,
}

impl DatabaseConnector {
    /// Does not connect yet.
    pub(super) fn new(database: Arc<Database>, opened: Opened) -> Self {
        Self { database, opened }
    }

    /// Runs one operation and returns its result as JSON text. `key` is the same for every attempt of a run.
    pub(super) async fn run_operation(
        &self,
        operation: &Operation,
        timeout: Duration,
        key: &str,
    ) -> Result<String, Failure> {
        let database = match &self.opened {
            Opened::Sql(database) => database,
            Opened::Documents(documents) => return documents.run(operation, timeout, key).await,
        };
        match operation {
            Operation::Find(select) if !select.include.is_empty() => {
                return include::find(database, select, false, timeout).await;
            }
            Operation::FindOne(select) if !select.include.is_empty() => {
                return include::find(database, select, true, timeout).await;
            }
            _ => {}
        }
        let plan = database.plan(operation).await?;
        let (shape, given) = (plan.shape, plan.given);
        let outcome = database.run_plan(operation.table(), plan, timeout).await?;
        outcome.result(shape, given)
    }

    pub(super) fn context(&self) -> ReadContext<'_> {
        ReadContext {
            dialect: match &self.opened {
                Opened::Sql(database) => database.backend().dialect(),
                Opened::Documents(documents) => documents.dialect(),
            },
            table: self.database.table.as_deref(),
            raw: self.database.raw,
        }
    }
}

#[async_trait]
impl Connector for DatabaseConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let input = Json::of_call(call)?;
        let operation = match call.attempt.route.namespace {
            Namespace::DatabaseActions => {
                let wanted = call.event();
                let action = self.database.actions.iter().find(|action| *action.tag == *wanted);
                let action = action.ok_or_else(|| Failure::not_found(format!("there is no action '{wanted}'")))?;
                let templates = action::Templates::reveal(action, call.expressions).await?;
                action::operation(action, &templates, &input, self.context())?
            }
            _ => request::read(call.event(), &input, self.context())?,
        };
        let key = call.idempotency_key();
        let result = self.run_operation(&operation, call.timeout(), &key).await?;
        Ok(Some(result.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        match &self.opened {
            Opened::Sql(database) => database.backend().check().await,
            Opened::Documents(documents) => documents.check().await,
        }
    }

    async fn close(&self) {
        match &self.opened {
            Opened::Sql(database) => database.backend().close().await,
            Opened::Documents(documents) => documents.close().await,
        }
    }
}
