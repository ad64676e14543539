//! A graph with its secrets resolved and its connections: runs operations and actions of jobs.

use super::operation::Operation;
use super::operators;
use super::server::Servers;
use super::{action, build, request};
use crate::connector::databases::json::Json;
use crate::connector::{Call, Connector, Failure};
use crate::error::ErrorCode;
use crate::model::Namespace;
use crate::resources::Graph;
use crate::text::spelling::truncated;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// The result of a creation that left what was there.
const NOTHING_CREATED: &str = "{\"created\":false}";
/// What servers' codes end with where something else has the name, of indexes and constraints.
const NAME_IS_TAKEN: &str = "WithNameAlreadyExists";
/// The same where what is asked for is there.
const IS_THERE: &str = "AlreadyExists";

/// The connector of one graph.
pub(super) struct GraphConnector {
    graph: Arc<Graph>,
    servers: Servers,
}

impl GraphConnector {
    /// Does not connect yet.
    pub(super) fn new(graph: Arc<Graph>, servers: Servers) -> Self {
        Self { graph, servers }
    }

    /// Runs one operation and returns its result as JSON text.
    pub(super) async fn run_operation(&self, operation: &Operation, timeout: Duration) -> Result<String, Failure> {
        let plan = build::plan(operation, self.servers.kind())?;
        let result = self.servers.run(&plan, timeout).await;
        let result = match result {
            Ok(result) if result == NOTHING_CREATED => self.is_there(operation, result, timeout).await,
            other => other,
        };
        result.map_err(|failure| operators::named(operation, name_taken(operation, failure)))
    }

    /// The result of a creation that left what was there: a failure, if that only has the name.
    async fn is_there(&self, operation: &Operation, result: String, timeout: Duration) -> Result<String, Failure> {
        let Some(plan) = build::plan_of_name(operation, self.servers.kind())? else {
            return Ok(result);
        };
        match self.servers.run(&plan, timeout).await {
            Err(failure) if failure.message.contains(NAME_IS_TAKEN) => Err(failure),
            Err(failure) if failure.message.contains(IS_THERE) => Ok(result),
            // It has gone in between, or cannot be made.
            created => created,
        }
    }
}

/// The failure of a creation, as a conflict if something else has the name.
fn name_taken(operation: &Operation, failure: Failure) -> Failure {
    let name = match operation {
        Operation::CreateIndex(schema) => &schema.name,
        Operation::CreateConstraint(schema) => &schema.name,
        _ => return failure,
    };
    match name {
        Some(name) if failure.message.contains(NAME_IS_TAKEN) => Failure::new(
            ErrorCode::Conflict,
            format!(
                "input.name: another index or constraint has the name '{}', and what was asked for is not there; choose \
                 another name, or drop that one first",
                truncated(name.as_str())
            ),
        ),
        _ => failure,
    }
}

#[async_trait]
impl Connector for GraphConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let input = Json::of_call(call)?;
        let operation = match call.attempt.route.namespace {
            Namespace::GraphActions => {
                let wanted = call.event();
                let action = self.graph.actions.iter().find(|action| *action.tag == *wanted);
                let action = action.ok_or_else(|| Failure::not_found(format!("there is no action '{wanted}'")))?;
                let templates = action::Templates::reveal(action, call.expressions).await?;
                action::operation(action, &templates, &input)?
            }
            _ => request::read(call.event(), &input, self.graph.raw)?,
        };
        let result = self.run_operation(&operation, call.timeout()).await?;
        Ok(Some(result.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        self.servers.check().await
    }

    async fn close(&self) {
        self.servers.close().await;
    }
}
