//! Databases: operations and actions on PostgreSQL, MySQL and SQLite, by bound parameters.
//!
//! A job's input is read into an [`Operation`] of plain data, [`build`] makes SQL of it by dialect, and
//! a [`Backend`] runs that. Invariants: names are checked and quoted, values are bound, and nothing else of an input reaches
//! SQL but the text of `raw`; each operation is one statement or one transaction; a connection that may be in the middle of
//! one is never used again; no value, password or address is in an error.

mod action;
mod build;
mod dates;
mod filter;
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

use self::json::Json;
use self::name::Table;
use self::operation::Operation;
use self::plan::Plan;
use self::request::ReadContext;
use self::rows::Outcome;
use self::value::Kinds;
use super::{Call, Connector, Definition, Failure, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::Namespace;
use crate::resources::{Database, DatabaseEnv, DatabaseKind, Resources};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections to one database when nothing else is said.
const DEFAULT_MAX_CONNECTIONS: usize = 10;
/// Tables whose columns are remembered, and for how long.
const MAX_CACHED_TABLES: usize = 256;
const TABLE_CACHE_TTL: Duration = Duration::from_secs(60);
/// How long a server may take to let a connection in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which SQL is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Postgres,
    #[cfg_attr(
        not(feature = "mysql"),
        allow(dead_code, reason = "known to all, and used by its own feature")
    )]
    MySql,
    Sqlite,
}

/// A database that runs plans.
#[async_trait]
trait Backend: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// The columns of a table; none where the database tells the types of parameters itself.
    async fn kinds(&self, table: &Table) -> Result<Kinds, Failure>;

    /// Runs all statements or none, each for at most so long.
    async fn run(&self, plan: Plan, timeout: Duration) -> Result<Outcome, Failure>;

    /// Connects, authenticates, and changes nothing.
    async fn check(&self) -> Result<(), Failure>;

    /// Ends all connections.
    async fn close(&self);
}

/// What `resources` define of it.
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
            // Left for a process that has a handler.
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
        let connections = self.env.max_connections.unwrap_or(DEFAULT_MAX_CONNECTIONS);
        let backend = backend(self.database.kind, &url, ca.as_deref(), connections)?;
        Ok(Arc::new(DatabaseConnector {
            database: Arc::clone(&self.database),
            backend,
            table_cache: Mutex::default(),
        }))
    }
}

/// What runs plans for a database of this kind; connects to nothing yet.
fn backend(kind: DatabaseKind, url: &str, ca: Option<&str>, connections: usize) -> Result<Arc<dyn Backend>, Failure> {
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

/// Columns of tables, and when they were read.
type TableCache = HashMap<Table, (Kinds, Instant)>;

/// A database that can be used.
struct DatabaseConnector {
    database: Arc<Database>,
    backend: Arc<dyn Backend>,
    table_cache: Mutex<TableCache>,
}

impl DatabaseConnector {
    fn table_cache(&self) -> MutexGuard<'_, TableCache> {
        self.table_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns of a table, and whether they were remembered.
    async fn kinds(&self, table: &Table) -> Result<(Kinds, bool), Failure> {
        if self.backend.dialect() == Dialect::Postgres {
            return Ok((Kinds::default(), false));
        }
        let cached = self
            .table_cache()
            .get(table)
            .filter(|(_, since)| since.elapsed() < TABLE_CACHE_TTL)
            .cloned();
        if let Some((kinds, _)) = cached {
            return Ok((kinds, true));
        }
        let kinds = self.backend.kinds(table).await?;
        let mut table_cache = self.table_cache();
        if table_cache.len() >= MAX_CACHED_TABLES {
            table_cache.clear();
        }
        table_cache.insert(table.clone(), (kinds.clone(), Instant::now()));
        Ok((kinds, false))
    }

    async fn plan(&self, operation: &Operation) -> Result<Plan, Failure> {
        let dialect = self.backend.dialect();
        let Some(table) = operation.table() else {
            return build::plan(operation, dialect, &Kinds::default());
        };
        let (kinds, cached) = self.kinds(table).await?;
        match build::plan(operation, dialect, &kinds) {
            // The table may have another column by now.
            Err(_) if cached => {
                self.table_cache().remove(table);
                let (kinds, _) = self.kinds(table).await?;
                build::plan(operation, dialect, &kinds)
            }
            built => built,
        }
    }

    /// Runs one operation: JSON text of its result.
    async fn run_operation(&self, operation: &Operation, timeout: Duration) -> Result<String, Failure> {
        let plan = self.plan(operation).await?;
        let (shape, given) = (plan.shape, plan.given);
        let outcome = self.backend.run(plan, timeout).await;
        if outcome.is_err()
            && let Some(table) = operation.table()
        {
            self.table_cache().remove(table);
        }
        outcome?.result(shape, given)
    }

    fn context(&self) -> ReadContext<'_> {
        ReadContext {
            dialect: self.backend.dialect(),
            table: self.database.table.as_deref(),
            raw: self.database.raw,
        }
    }
}

#[async_trait]
impl Connector for DatabaseConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let input = Json::read(call.input())?;
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
        let timeout = call.attempt.options.timeout.unwrap_or(call.limits.timeout).max(1);
        let result = self
            .run_operation(&operation, Duration::from_millis(timeout.unsigned_abs()))
            .await?;
        Ok(Some(result.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        self.backend.check().await
    }

    async fn close(&self) {
        self.backend.close().await;
    }
}

/// Whether what a statement does ends with it: others may leave their mark on the connection.
fn leaves_session_unchanged(sql: &str) -> bool {
    const ENDING: [&str; 8] = [
        "select", "insert", "update", "delete", "with", "values", "merge", "replace",
    ];
    let word: String = sql
        .trim_start()
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .flat_map(char::to_lowercase)
        .collect();
    ENDING.contains(&&*word)
}
