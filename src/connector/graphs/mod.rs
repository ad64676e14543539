//! Graphs: operations and actions on Neo4j, and on servers that speak its protocol and its language.
//!
//! A job's input is read into an [`operation`] of plain data, [`build`] turns it into Cypher, and [`server`] has that done in
//! a transaction. Invariants: names are checked and quoted, values are parameters, and nothing else of an input reaches
//! Cypher except the text of `query`; a connection that may be in the middle of a conversation is never used again; no error
//! contains a value, password or address.

mod action;
mod address;
mod answer;
mod bolt;
mod build;
mod connector;
mod failure;
mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod json;
mod name;
mod operation;
mod operators;
mod plan;
mod request;
mod routing;
mod server;
mod steps;
mod temporal;
#[cfg(test)]
mod tests;
mod transaction;
mod value;

use self::address::{Address, Credentials};
use self::connector::GraphConnector;
use self::server::Servers;
use super::limits::DEFAULT_DATABASE_CONNECTIONS;
use super::{Connector, Failure};
use crate::engine::inputs::ExpressionResolver;
use crate::error::Problem;
use crate::resources::{Graph, GraphEnv, Resources, Text};
use std::sync::Arc;

/// What is wrong with actions, as far as it shows without a job.
pub(super) fn problems(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, graph) in resources.graphs.iter() {
        if !graph.kind.is_built_in() {
            continue;
        }
        for action in &graph.actions {
            let found = action::check(action, graph.kind).into_iter();
            problems.extend(found.map(|(place, why)| Problem::of_member(&action.path, &place, why)));
        }
    }
    problems
}

/// The connector of a graph in one environment; does not connect yet.
pub(super) async fn open(
    graph: &Arc<Graph>,
    env: &GraphEnv,
    expressions: &ExpressionResolver,
) -> Result<Arc<dyn Connector>, Failure> {
    let reveal = async |text: &Option<Text>| match text {
        Some(text) => Ok::<_, Failure>(Some(expressions.reveal(text.as_written()).await?)),
        None => Ok(None),
    };
    let url = expressions.reveal(env.connection_url.as_written()).await?;
    let (username, password) = (reveal(&env.username).await?, reveal(&env.password).await?);
    let (ca, database) = (reveal(&env.ca).await?, reveal(&env.database).await?);
    let credentials = Credentials {
        username: username.as_deref(),
        password: password.as_deref(),
        ca: ca.as_deref(),
    };
    let address = Address::read(&url, &credentials)?;
    let connections = env.max_connections.unwrap_or(DEFAULT_DATABASE_CONNECTIONS);
    let servers = Servers::new(graph.kind, address, database.as_deref(), connections);
    Ok(Arc::new(GraphConnector::new(Arc::clone(graph), servers)))
}
