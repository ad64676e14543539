//! A database with SQL: its connections, and the columns of its tables.
//!
//! Invariant: the columns of a table are read again after a statement on it has failed, since it may have changed.

use super::backend::Backend;
use super::build::{self, Builder};
use super::dialect::Dialect;
use super::include::Relations;
use super::json::Json;
use super::name::Table;
use super::operation::{Change, Include, Operation, Select};
use super::plan::{Plan, Shape};
use super::rows::Outcome;
use super::value::Kinds;
use crate::connector::Failure;
use crate::connector::limits::{MAX_CACHED_TABLES, MAX_INCLUDED_ROWS, TABLE_CACHE_TTL};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Columns of tables, and when they were read.
type TableCache = HashMap<Table, (Kinds, Instant)>;

/// A database with SQL.
pub(super) struct SqlDatabase {
    backend: Arc<dyn Backend>,
    table_cache: Mutex<TableCache>,
}

impl SqlDatabase {
    /// Does not connect yet.
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            table_cache: Mutex::default(),
        }
    }

    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    fn table_cache(&self) -> MutexGuard<'_, TableCache> {
        self.table_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns of a table, and whether they came from the cache.
    async fn kinds(&self, table: &Table) -> Result<(Kinds, bool), Failure> {
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

    /// Builds something of a table's columns; again, if it fails with columns that may be out of date.
    pub(super) async fn with_kinds<T>(
        &self,
        table: &Table,
        build: impl Fn(&Kinds) -> Result<T, Failure> + Send + Sync,
    ) -> Result<T, Failure> {
        let (kinds, cached) = self.kinds(table).await?;
        match build(&kinds) {
            Err(_) if cached => {
                self.table_cache().remove(table);
                let (kinds, _) = self.kinds(table).await?;
                build(&kinds)
            }
            built => built,
        }
    }

    /// The statements of an operation.
    pub(super) async fn plan(&self, operation: &Operation) -> Result<Plan, Failure> {
        let dialect = self.backend.dialect();
        let build = |kinds: &Kinds| build::plan(operation, dialect, kinds);
        match operation.table() {
            // PostgreSQL tells the types of parameters itself; only operators of updates depend on those of columns.
            Some(table) if dialect != Dialect::Postgres || computes(operation) => self.with_kinds(table, build).await,
            _ => build(&Kinds::default()),
        }
    }

    /// Runs a plan. The columns of its table are read again after a failure.
    pub(super) async fn run_plan(
        &self,
        table: Option<&Table>,
        plan: Plan,
        timeout: Duration,
    ) -> Result<Outcome, Failure> {
        let outcome = self.backend.run(plan, timeout).await;
        if outcome.is_err()
            && let Some(table) = table
        {
            self.table_cache().remove(table);
        }
        outcome
    }
}

#[async_trait]
impl Relations for SqlDatabase {
    async fn rows(&self, select: &Select, one: bool, timeout: Duration) -> Result<Outcome, Failure> {
        let operation = if one {
            Operation::FindOne(select.clone())
        } else {
            Operation::Find(select.clone())
        };
        let plan = self.plan(&operation).await?;
        self.run_plan(Some(&select.table), plan, timeout).await
    }

    async fn related(&self, include: &Include, keys: &[Json], timeout: Duration) -> Result<Outcome, Failure> {
        let dialect = self.backend.dialect();
        let build = |kinds: &Kinds| {
            let plan = Plan {
                statements: vec![Builder::new(dialect, kinds).related(include, keys)?],
                shape: Shape::Rows(MAX_INCLUDED_ROWS),
                kinds: kinds.clone(),
                raw: false,
                given: None,
            };
            build::check_parameters(&plan, dialect)?;
            Ok(plan)
        };
        let table = &include.select.table;
        let plan = if dialect == Dialect::Postgres {
            build(&Kinds::default())?
        } else {
            self.with_kinds(table, build).await?
        };
        self.run_plan(Some(table), plan, timeout).await
    }

    /// A number and a text of its digits are the same, since tables may differ in that.
    fn comparable(&self, _column: &str, json: &str) -> Result<String, Failure> {
        Ok(match Json::read(json) {
            Ok(Json::Text(text)) => text.into(),
            _ => json.to_owned(),
        })
    }

    fn has_documents(&self) -> bool {
        false
    }
}

/// Whether an update changes lists or computes with numbers.
fn computes(operation: &Operation) -> bool {
    let needs_types = |change: &Change| change.is_of_list() || change.is_arithmetic();
    matches!(operation, Operation::Update(update) if update.changes.iter().any(|(_, change)| needs_types(change)))
}
