//! Databases: operations and actions on PostgreSQL, MySQL and SQLite, with bound parameters.
//!
//! A job's input is read into an [`operation`] of plain data, [`build`] turns it into SQL of the dialect, and a [`backend`]
//! runs that. Invariants: names are checked and quoted, values are bound, and nothing else of an input reaches SQL except
//! the text of `raw`; each operation is one statement or one transaction; a connection that may be in the middle of one is
//! never reused; no error contains a value, password or address.

mod action;
mod backend;
mod build;
mod connector;
mod dates;
mod dialect;
mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod json;
#[cfg(feature = "mysql")]
mod mysql;
mod name;
mod operation;
mod plan;
mod pool;
mod postgres;
mod request;
mod rows;
mod sqlite;
#[cfg(test)]
mod tests;
mod value;

use self::backend::Backend;
use self::connector::DatabaseConnector;
use super::limits::DEFAULT_DATABASE_CONNECTIONS;
use super::{Connector, Definition, Failure, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::Namespace;
use crate::resources::{Database, DatabaseEnv, DatabaseKind, Resources};
use async_trait::async_trait;
use std::sync::Arc;

/// One definition for each database and environment in `resources`.
pub(super) fn definitions(resources: &Resources) -> Vec<Arc<dyn Definition>> {
    let mut all: Vec<Arc<dyn Definition>> = Vec::new();
    for (product, database) in resources.databases.iter() {
        all.extend(database.envs.iter().map(|env| {
            Arc::new(DatabaseDefinition {
                product: product.into(),
                database: Arc::clone(database),
                env: env.clone(),
            }) as Arc<dyn Definition>
        }));
    }
    all
}

/// A database in one environment.
struct DatabaseDefinition {
    product: Box<str>,
    database: Arc<Database>,
    env: DatabaseEnv,
}

#[async_trait]
impl Definition for DatabaseDefinition {
    fn name(&self) -> ResourceName {
        ResourceName {
            product: self.product.clone(),
            kind: "database",
            tag: self.database.tag.clone(),
            env: self.env.slug.clone(),
        }
    }

    fn targets(&self) -> Vec<ServedTarget> {
        if !self.database.kind.is_built_in() {
            // Left to a process with a handler.
            return Vec::new();
        }
        let target = |namespace, event| ServedTarget {
            pattern: Pattern {
                namespace,
                product: Some(self.product.clone()),
                env: Some(self.env.slug.clone()),
                target: vec![Some(self.database.tag.clone()), event],
            },
            timeout: None,
        };
        let actions = self.database.actions.iter();
        let mut targets: Vec<_> = actions
            .map(|action| target(Namespace::DatabaseActions, Some(action.tag.clone())))
            .collect();
        targets.push(target(Namespace::Databases, None));
        targets
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        let url = expressions.reveal(self.env.connection_url.as_written()).await?;
        let ca = match &self.env.ca {
            Some(ca) => Some(expressions.reveal(ca.as_written()).await?),
            None => None,
        };
        let connections = self.env.max_connections.unwrap_or(DEFAULT_DATABASE_CONNECTIONS);
        let backend = open_backend(self.database.kind, &url, ca.as_deref(), connections)?;
        Ok(Arc::new(DatabaseConnector::new(Arc::clone(&self.database), backend)))
    }
}

/// The backend for a kind of database; does not connect yet.
fn open_backend(
    kind: DatabaseKind,
    url: &str,
    ca: Option<&str>,
    connections: usize,
) -> Result<Arc<dyn Backend>, Failure> {
    Ok(match kind {
        DatabaseKind::Postgresql => Arc::new(postgres::Postgres::new(url, ca, connections)?),
        DatabaseKind::Sqlite => Arc::new(sqlite::Sqlite::new(url, connections)?),
        #[cfg(feature = "mysql")]
        DatabaseKind::Mysql => Arc::new(mysql::MySql::new(url, ca, connections)?),
        #[cfg(not(feature = "mysql"))]
        DatabaseKind::Mysql => {
            return Err(Failure::invalid(
                "this build of the package has no MySQL; register a handler for its jobs",
            ));
        }
        DatabaseKind::Mongodb => {
            return Err(Failure::invalid(
                "databases of type mongodb are not supported yet; register a handler for its jobs",
            ));
        }
    })
}
