//! Databases: operations and actions on PostgreSQL, MySQL, SQLite, MongoDB and DynamoDB, with bound parameters.
//!
//! A job's input is read into an [`operation`] of plain data. [`build`] turns it into SQL of the dialect, and a [`backend`]
//! runs that; databases without SQL run the operation itself. Invariants: names are checked and quoted, values are bound, and nothing else of an input reaches SQL except
//! the text of `raw`; each operation is one statement or one transaction; a connection that may be in the middle of one is
//! never reused; no error contains a value, password or address.

mod action;
mod backend;
mod build;
mod connector;
pub(in crate::connector) mod dates;
mod definition;
mod dialect;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod exact;
mod extended;
pub(in crate::connector) mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guards;
mod include;
pub(in crate::connector) mod json;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
mod name;
mod open;
mod operation;
mod operators;
mod plan;
pub(in crate::connector) mod pool;
mod postgres;
mod request;
mod rows;
mod settings;
mod sql;
mod sqlite;
mod surrogates;
#[cfg(test)]
mod tests;
mod value;

use self::connector::DatabaseConnector;
use self::dialect::Dialect;
use self::request::ReadContext;
use super::limits::DEFAULT_DATABASE_CONNECTIONS;
use super::{Connector, Definition, Failure, LeftToHandlers, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::error::Problem;
use crate::model::{Namespace, Route};
use crate::resources::{Database, DatabaseEnv, DatabaseKind, OutboundRules, Resources};
use async_trait::async_trait;
use std::sync::Arc;

/// One definition for each database and environment in `resources`. `warn` takes what is worth a word in the log.
pub(super) fn definitions(
    resources: &Resources,
    outbound: &OutboundRules,
    warn: &Arc<dyn Fn(&str) + Send + Sync>,
) -> Vec<Arc<dyn Definition>> {
    let mut all: Vec<Arc<dyn Definition>> = Vec::new();
    for (product, database) in resources.databases.iter() {
        all.extend(database.envs.iter().map(|env| {
            Arc::new(DatabaseDefinition {
                product: product.into(),
                database: Arc::clone(database),
                env: env.clone(),
                outbound: outbound.clone(),
                warn: Arc::clone(warn),
            }) as Arc<dyn Definition>
        }));
    }
    all
}

/// What is wrong with actions, as far as it shows without a job.
pub(super) fn problems(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, database) in resources.databases.iter() {
        let Some(dialect) = dialect(database.kind) else {
            continue;
        };
        let context = ReadContext {
            dialect,
            table: database.table.as_deref(),
            raw: true,
        };
        for action in &database.actions {
            let found = action::check(action, context).into_iter();
            problems.extend(found.map(|(place, why)| Problem::of_member(&action.path, &place, why)));
        }
    }
    problems
}

/// How inputs of a kind of database are read; `None`: by handlers alone.
fn dialect(kind: DatabaseKind) -> Option<Dialect> {
    match kind {
        DatabaseKind::Postgresql => Some(Dialect::Postgres),
        DatabaseKind::Mysql => Some(Dialect::MySql),
        DatabaseKind::Sqlite => Some(Dialect::Sqlite),
        DatabaseKind::Mongodb => Some(Dialect::Mongo),
        DatabaseKind::Dynamodb => Some(Dialect::Dynamo),
        DatabaseKind::Cassandra | DatabaseKind::Mssql | DatabaseKind::Oracle => None,
    }
}

/// A database in one environment.
struct DatabaseDefinition {
    product: Box<str>,
    database: Arc<Database>,
    env: DatabaseEnv,
    outbound: OutboundRules,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
}

impl DatabaseDefinition {
    fn pattern(&self, namespace: Namespace, event: Option<Box<str>>) -> Pattern {
        Pattern {
            namespace,
            product: Some(self.product.clone()),
            env: Some(self.env.slug.clone()),
            target: vec![Some(self.database.tag.clone()), event],
        }
    }
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

    fn span_attributes(&self, route: &Route) -> Vec<(&'static str, Box<str>)> {
        let system = match self.database.kind {
            DatabaseKind::Dynamodb => "aws.dynamodb",
            kind => kind.name(),
        };
        let operation = route.target.last().cloned();
        let operation = operation.filter(|_| route.namespace == Namespace::Databases);
        let system = [("db.system.name", system.into())].into_iter();
        system
            .chain(operation.map(|operation| ("db.operation.name", operation)))
            .collect()
    }

    fn targets(&self) -> Vec<ServedTarget> {
        if !self.database.kind.is_built_in() {
            return Vec::new();
        }
        let actions = self.database.actions.iter();
        let patterns = actions
            .map(|action| self.pattern(Namespace::DatabaseActions, Some(action.tag.clone())))
            .chain([self.pattern(Namespace::Databases, None)]);
        patterns
            .map(|pattern| ServedTarget { pattern, timeout: None })
            .collect()
    }

    fn left_to_handlers(&self) -> Vec<LeftToHandlers> {
        if self.database.kind.is_built_in() {
            return Vec::new();
        }
        let left = |namespace| LeftToHandlers {
            pattern: self.pattern(namespace, None),
            type_name: self.database.kind.name(),
        };
        vec![left(Namespace::Databases), left(Namespace::DatabaseActions)]
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        let url = expressions.reveal(self.env.connection_url.as_written()).await?;
        let (mut ca, mut endpoint) = (None, None);
        for (text, revealed) in [(&self.env.ca, &mut ca), (&self.env.endpoint, &mut endpoint)] {
            if let Some(text) = text {
                *revealed = Some(expressions.reveal(text.as_written()).await?);
            }
        }
        let (name, warn) = (self.name(), Arc::clone(&self.warn));
        let settings = settings::Settings {
            url: &url,
            ca: ca.as_deref(),
            endpoint: endpoint.as_deref(),
            connections: self.env.max_connections.unwrap_or(DEFAULT_DATABASE_CONNECTIONS),
            outbound: &self.outbound,
            warn: Arc::new(move |warning| warn(&format!("{name}: {warning}"))),
        };
        let opened = open::open(self.database.kind, &settings)?;
        Ok(Arc::new(DatabaseConnector::new(Arc::clone(&self.database), opened)))
    }
}
