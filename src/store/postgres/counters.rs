//! Statistics: jobs by state and runs by outcome from the counters, due runs from the queues.
//!
//! Every transaction appends its changes to counters; from time to time these are compacted into sums. Invariant: no number
//! costs a scan of the jobs, and transactions never wait for each other to update a counter.

use super::failure::DbResult;
use super::param::rows;
use super::session::Session;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::rules::counters;
use crate::store::{RouteId, Stats};
use tokio_postgres::Row;

const SELECT_COUNTER_SUMS: &str = include_str!("sql/select_counter_sums.sql");
const SELECT_COUNTERS_BY_ROUTE: &str = include_str!("sql/select_counters_by_route.sql");
const SELECT_ROUTES_IN_STATES: &str = include_str!("sql/select_routes_in_states.sql");
const SELECT_COUNTERS_OF_LIST: &str = include_str!("sql/select_counters_of_list.sql");
const COMPACT_COUNTERS: &str = include_str!("sql/compact_counters.sql");
const COUNT_BLOCKED: &str = include_str!("sql/count_blocked.sql");
const COUNT_DUE: &str = include_str!("sql/count_due.sql");

/// Statistics of these routes, or of all.
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

/// What a list asks of the counters.
pub(super) struct CountersOfList {
    /// Of all routes.
    pub(super) all: Stats,
    /// Of the routes of the list.
    pub(super) of_routes: Stats,
    /// Those of them that have jobs in the wanted states, at most one more than were wanted.
    pub(super) routes_in_states: Vec<RouteId>,
}

/// Statistics for a list of jobs in these states of these routes, or of all, and at most `most` and one routes that have such jobs.
pub(super) async fn of_list(
    session: &Session,
    routes: Option<&[RouteId]>,
    statuses: &[Status],
    most: usize,
) -> DbResult<CountersOfList> {
    let mut found = CountersOfList {
        all: Stats::default(),
        of_routes: Stats::default(),
        routes_in_states: Vec::new(),
    };
    let routes = routes.map(<[RouteId]>::to_vec);
    let kinds: Vec<i32> = statuses.iter().map(|status| *status as i32).collect();
    let rows = session
        .query(SELECT_COUNTERS_OF_LIST, &[&routes, &kinds, &rows(most + 1)])
        .await?;
    for row in &rows {
        let kind = i64::from(row.try_get::<_, i32>(0)?);
        for (stats, column) in [(&mut found.all, 1), (&mut found.of_routes, 2)] {
            if let Some(counter) = counters::of_kind(stats, kind) {
                *counter += row.try_get::<_, i64>(column)?;
            }
        }
        found.routes_in_states = row.try_get(3)?;
    }
    Ok(found)
}

/// Statistics of each route.
pub(super) async fn stats_by_route(session: &Session) -> DbResult<Vec<(RouteId, Stats)>> {
    let found = session.query(SELECT_COUNTERS_BY_ROUTE, &[]).await?;
    let count = |row: &Row| -> DbResult<_> {
        let kind: i32 = row.try_get(1)?;
        Ok((row.try_get(0)?, i64::from(kind), row.try_get(2)?))
    };
    Ok(counters::by_route(
        &found.iter().map(count).collect::<DbResult<Vec<_>>>()?,
    ))
}

/// Routes that have jobs in these states.
pub(super) async fn routes_in(session: &Session, statuses: &[Status]) -> DbResult<Vec<RouteId>> {
    let kinds: Vec<i32> = statuses.iter().map(|status| *status as i32).collect();
    let found = session.query(SELECT_ROUTES_IN_STATES, &[&kinds]).await?;
    found.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Compacts changes that no other process is compacting; returns how many.
pub(super) async fn compact(session: &Session) -> DbResult<i64> {
    let row = session.query_opt(COMPACT_COUNTERS, &[]).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get(0))?)
}

/// How many runs of these routes are due or ready, up to `limit`.
pub(super) async fn due(session: &Session, routes: &[RouteId], now: Millis, limit: usize) -> DbResult<usize> {
    let row = session
        .query_opt(COUNT_DUE, &[&routes.to_vec(), &now, &rows(limit)])
        .await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(count).unwrap_or(0).min(limit))
}

/// How many runs of these routes are blocked, up to `limit`.
pub(super) async fn blocked(session: &Session, routes: &[RouteId], limit: usize) -> DbResult<usize> {
    let row = session
        .query_opt(COUNT_BLOCKED, &[&routes.to_vec(), &rows(limit)])
        .await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}
