//! A database with its secrets resolved and its connections: runs operations and actions of jobs.
//!
//! Invariant: the columns of a table are read again after a statement on it has failed, since it may have changed.

use super::backend::Backend;
use super::dialect::Dialect;
use super::json::Json;
use super::name::Table;
use super::operation::Operation;
use super::plan::Plan;
use super::request::{self, ReadContext};
use super::value::Kinds;
use super::{action, build};
use crate::connector::limits::{MAX_CACHED_TABLES, TABLE_CACHE_TTL};
use crate::connector::{Call, Connector, Failure};
use crate::model::Namespace;
use crate::resources::Database;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Columns of tables, and when they were read.
type TableCache = HashMap<Table, (Kinds, Instant)>;

/// The connector of one database.
pub(super) struct DatabaseConnector {
    database: Arc<Database>,
    backend: Arc<dyn Backend>,
    table_cache: Mutex<TableCache>,
}

impl DatabaseConnector {
    /// Does not connect yet.
    pub(super) fn new(database: Arc<Database>, backend: Arc<dyn Backend>) -> Self {
        Self {
            database,
            backend,
            table_cache: Mutex::default(),
        }
    }

    fn table_cache(&self) -> MutexGuard<'_, TableCache> {
        self.table_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns of a table, and whether they came from the cache.
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
            // The cached columns may be out of date.
            Err(_) if cached => {
                self.table_cache().remove(table);
                let (kinds, _) = self.kinds(table).await?;
                build::plan(operation, dialect, &kinds)
            }
            built => built,
        }
    }

    /// Runs one operation and returns its result as JSON text.
    pub(super) async fn run_operation(&self, operation: &Operation, timeout: Duration) -> Result<String, Failure> {
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

    pub(super) fn context(&self) -> ReadContext<'_> {
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
        let input = if call.attempt.options.plain {
            Json::read(call.input())?
        } else {
            Json::read_marked(call.input())?.with_marked_fields()
        };
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
