//! Figures over time.

use super::SqliteStore;
use super::counters;
use super::failure::file_error;
use super::file_path::companion;
use super::run_rows::rows;
use super::tx::Tx;
use super::write_operation::WriteOptions;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Figures;
use crate::store::figures::{FigureAdder, MAX_ROWS_PER_TRANSACTION, RowKey, from_text, rows_of, to_text};
use crate::store::{
    FigureQuery, FigureSpan, FigureStore, FigureSums, FileSizes, RouteFigures, RouteId, Stats, TransactionCounts,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashSet;

const SELECT_FIGURES_ROW: &str = include_str!("sql/select_figures_row.sql");
const UPSERT_FIGURES_ROW: &str = include_str!("sql/upsert_figures_row.sql");
const SELECT_FIGURES: &str = include_str!("sql/select_figures.sql");
const DELETE_FIGURES: &str = include_str!("sql/delete_figures.sql");

#[async_trait]
impl FigureStore for SqliteStore {
    async fn stats_by_route(&self) -> Result<Vec<(RouteId, Stats)>> {
        self.read(counters::stats_by_route).await
    }

    async fn add_figures(&self, minutes: Vec<RouteFigures>) -> Result<()> {
        for rows in rows_of(&minutes).chunks(MAX_ROWS_PER_TRANSACTION) {
            let rows = rows.to_vec();
            self.write(WriteOptions::plain(rows.len()), move |tx| add(tx, &rows))
                .await?;
        }
        Ok(())
    }

    async fn figures(&self, query: FigureQuery) -> Result<FigureSums> {
        self.read(move |connection| sums(connection, &query)).await
    }

    async fn sweep_figures(&self, minutes_before: Millis, hours_before: Millis) -> Result<usize> {
        let before = [(FigureSpan::Minute, minutes_before), (FigureSpan::Hour, hours_before)];
        self.write(WriteOptions::alone(), move |tx| sweep(tx, before)).await
    }

    fn transactions(&self) -> &TransactionCounts {
        &self.shared.transactions
    }

    async fn file_sizes(&self) -> Result<Option<FileSizes>> {
        let Some(path) = self.readers.as_ref().map(|readers| readers.path().to_owned()) else {
            return Ok(None);
        };
        // Not on the runtime's thread: the disk may take its time.
        self.read(move |_| {
            let file = std::fs::metadata(&path).map_err(|e| file_error("read the store", &path, e))?;
            let log = std::fs::metadata(companion(&path, "-wal")).map_or(0, |log| log.len());
            Ok(Some(FileSizes { file: file.len(), log }))
        })
        .await
    }
}

/// Adds figures to their rows.
fn add(tx: &mut Tx<'_>, added: &[(RowKey, Figures)]) -> Result<()> {
    let mut select = tx.connection.prepare_cached(SELECT_FIGURES_ROW)?;
    let mut upsert = tx.connection.prepare_cached(UPSERT_FIGURES_ROW)?;
    for (key, figures) in added {
        let known: Option<Box<str>> = select.query_row(*key, |row| row.get(0)).optional()?;
        let mut sum = known.as_deref().map(from_text).unwrap_or_default();
        sum.add(figures);
        let (span, at, route) = *key;
        upsert.execute((span, at, route, to_text(&sum)))?;
    }
    Ok(())
}

/// What is kept of this, added up.
fn sums(connection: &Connection, query: &FigureQuery) -> Result<FigureSums> {
    let mut select = connection.prepare_cached(SELECT_FIGURES)?;
    let mut found = select.query((query.span as i32, query.from, query.to))?;
    let routes: Option<HashSet<&RouteId>> = query.routes.as_ref().map(|routes| routes.iter().collect());
    let mut sums = FigureAdder::default();
    while let Some(row) = found.next()? {
        let route = row.get(1)?;
        if routes.as_ref().is_none_or(|routes| routes.contains(&route)) {
            sums.add(row.get(0)?, route, row.get_ref(2)?.as_str().unwrap_or_default());
        }
    }
    Ok(sums.sums())
}

/// Deletes rows of these spans that began before; returns how many.
fn sweep(tx: &mut Tx<'_>, before: [(FigureSpan, Millis); 2]) -> Result<usize> {
    let mut deleted = 0;
    for (span, before) in before {
        let mut delete = tx.connection.prepare_cached(DELETE_FIGURES)?;
        deleted += delete.execute((span as i32, before, rows(MAX_ROWS_PER_TRANSACTION)))?;
    }
    Ok(deleted)
}
