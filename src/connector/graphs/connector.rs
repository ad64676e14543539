//! A graph with its secrets resolved and its connections: runs operations and actions of jobs.

use super::operation::Operation;
use super::operators;
use super::server::Servers;
use super::{action, build, request};
use crate::connector::databases::json::Json;
use crate::connector::{Call, Connector, Failure};
use crate::model::Namespace;
use crate::resources::Graph;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

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
        result.map_err(|failure| operators::named(operation, failure))
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
