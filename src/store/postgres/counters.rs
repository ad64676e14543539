//! Numbers: of jobs by state and runs by outcome from the counters, of due runs from the queues.
//!
//! Every transaction appends by how much it changed a number; now and then the changes are summed up. Invariant: no
//! number costs a scan of the jobs, and no two transactions wait for each other to count.

use super::failure::DbResult;
use super::param::rows;
use super::session::Session;
use crate::clock::Millis;
use crate::store::rules::counters;
use crate::store::{RouteId, Stats};

const SELECT_COUNTER_SUMS: &str = include_str!("sql/select_counter_sums.sql");
const COMPACT_COUNTERS: &str = include_str!("sql/compact_counters.sql");
const COUNT_BLOCKED: &str = include_str!("sql/count_blocked.sql");
const COUNT_DUE: &str = include_str!("sql/count_due.sql");

/// Numbers of these routes, or of all.
pub(super) async fn stats(session: &Session, routes: Option<&[RouteId]>) -> DbResult<Stats> {
    let mut stats = Stats::default();
    let routes = routes.map(<[RouteId]>::to_vec);
    for row in session.query(SELECT_COUNTER_SUMS, &[&routes]).await? {
        let (kind, n): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(counter) = counters::of_kind(&mut stats, i64::from(kind)) {
            *counter += n;
        }
    }
    Ok(stats)
}

/// Sums up changes that nobody else is summing up; returns how many there were.
pub(super) async fn compact(session: &Session) -> DbResult<i64> {
    let row = session.query_opt(COMPACT_COUNTERS, &[]).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get(0))?)
}

/// How many runs of these routes are due or waiting to be claimed, up to `limit`.
pub(super) async fn due(session: &Session, routes: &[RouteId], now: Millis, limit: usize) -> DbResult<usize> {
    let row = session
        .query_opt(COUNT_DUE, &[&routes.to_vec(), &now, &rows(limit)])
        .await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(count).unwrap_or(0).min(limit))
}

/// How many due runs of these routes wait for their concurrency key, up to `limit`.
pub(super) async fn blocked(session: &Session, routes: &[RouteId], limit: usize) -> DbResult<usize> {
    let row = session
        .query_opt(COUNT_BLOCKED, &[&routes.to_vec(), &rows(limit)])
        .await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}
