//! Figures over time.
//!
//! Invariant: rows are locked in the order of their keys.

use super::PostgresStore;
use super::counters;
use super::failure::DbResult;
use super::param::{params, rows};
use super::pool::{WriteOptions, with_session};
use super::session::Session;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Figures;
use crate::store::figures::{FigureAdder, MAX_ROWS_PER_TRANSACTION, RowKey, from_text, rows_of, to_text};
use crate::store::{FigureQuery, FigureSpan, FigureStore, FigureSums, RouteFigures, RouteId, Stats, TransactionCounts};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Rows that are read at once.
const PAGE_ROWS: usize = 20_000;

const INSERT_FIGURES_ROWS: &str = include_str!("sql/insert_figures_rows.sql");
const LOCK_FIGURES_ROWS: &str = include_str!("sql/lock_figures_rows.sql");
const UPDATE_FIGURES_ROWS: &str = include_str!("sql/update_figures_rows.sql");
const SELECT_FIGURES: &str = include_str!("sql/select_figures.sql");
const DELETE_FIGURES: &str = include_str!("sql/delete_figures.sql");

#[async_trait]
impl FigureStore for PostgresStore {
    async fn stats_by_route(&self) -> Result<Vec<(RouteId, Stats)>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            counters::stats_by_route(session)
        }))
    }

    async fn add_figures(&self, minutes: Vec<RouteFigures>) -> Result<()> {
        let inner = self.inner_if_open()?;
        for rows in rows_of(&minutes).chunks(MAX_ROWS_PER_TRANSACTION) {
            // Sent again they would count twice.
            with_session!(inner.general, WriteOptions::NO_RESEND, |session| add(session, rows));
        }
        Ok(())
    }

    async fn figures(&self, query: FigureQuery) -> Result<FigureSums> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| {
            sums(session, &query)
        }))
    }

    async fn sweep_figures(&self, minutes_before: Millis, hours_before: Millis) -> Result<usize> {
        let before = [(FigureSpan::Minute, minutes_before), (FigureSpan::Hour, hours_before)];
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::ENGINE, |session| sweep(
            session, before
        )))
    }

    fn transactions(&self) -> &TransactionCounts {
        &self.inner.connector.transactions
    }
}

/// Keys as parameters.
fn columns(keys: impl Iterator<Item = RowKey>) -> (Vec<i32>, Vec<Millis>, Vec<RouteId>) {
    let (mut spans, mut times, mut routes) = (Vec::new(), Vec::new(), Vec::new());
    for (span, at, route) in keys {
        spans.push(span);
        times.push(at);
        routes.push(route);
    }
    (spans, times, routes)
}

/// Adds figures to their rows, which are in the order of their keys.
async fn add(session: &Session, added: &[(RowKey, Figures)]) -> DbResult<()> {
    let (spans, times, routes) = columns(added.iter().map(|(key, _)| *key));
    let mut tx = Tx::begin(session).await?;
    session.execute(INSERT_FIGURES_ROWS, &[&spans, &times, &routes]).await?;
    let mut sums: BTreeMap<RowKey, Figures> = added.iter().cloned().collect();
    for row in session.query(LOCK_FIGURES_ROWS, &[&spans, &times, &routes]).await? {
        let key = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if let Some(sum) = sums.get_mut(&key) {
            sum.add(&from_text(row.try_get(3)?));
        }
    }
    let (spans, times, routes) = columns(sums.keys().copied());
    let texts: Vec<String> = sums.values().map(to_text).collect();
    tx.write_later(UPDATE_FIGURES_ROWS, params![spans, times, routes, texts]);
    tx.commit().await?;
    Ok(())
}

/// What is kept of this, added up.
async fn sums(session: &Session, query: &FigureQuery) -> DbResult<FigureSums> {
    let mut sums = FigureAdder::default();
    let mut after = (query.from.saturating_sub(1), RouteId::new(i64::MAX));
    loop {
        let span = query.span as i32;
        let page = session
            .query(
                SELECT_FIGURES,
                &[&span, &after.0, &after.1, &query.to, &query.routes, &rows(PAGE_ROWS)],
            )
            .await?;
        for row in &page {
            after = (row.try_get(0)?, row.try_get(1)?);
            sums.add(after.0, after.1, row.try_get(2)?);
        }
        if page.len() < PAGE_ROWS {
            return Ok(sums.sums());
        }
    }
}

/// Deletes rows of these spans that began before; returns how many.
async fn sweep(session: &Session, before: [(FigureSpan, Millis); 2]) -> DbResult<usize> {
    let mut deleted = 0;
    for (span, before) in before {
        let span = span as i32;
        deleted += session
            .execute(DELETE_FIGURES, &[&span, &before, &rows(MAX_ROWS_PER_TRANSACTION)])
            .await?;
    }
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}
