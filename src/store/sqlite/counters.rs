//! Statistics: jobs by state and runs by outcome from the counters, due runs from the queues.
//!
//! Writes nothing; [`super::tx`] maintains the counters. Invariant: no number costs a scan of the jobs.

use super::run_rows::rows;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::rules::counters;
use crate::store::{RouteId, Stats};
use rusqlite::{Connection, Statement};
use std::collections::HashSet;

const SELECT_COUNTERS: &str = include_str!("sql/select_counters.sql");
const SELECT_COUNTERS_OF_ROUTE: &str = include_str!("sql/select_counters_of_route.sql");
const SELECT_COUNTERS_BY_ROUTE: &str = include_str!("sql/select_counters_by_route.sql");
const COUNT_READY_OF_ROUTE: &str = include_str!("sql/count_ready_of_route.sql");
const SELECT_ROUTES_OF_BLOCKED: &str = include_str!("sql/select_routes_of_blocked.sql");
const SELECT_ROUTES_OF_DUE_SCHEDULED: &str = include_str!("sql/select_routes_of_due_scheduled.sql");
const SELECT_ROUTES_OF_DUE_BY_DAY: &str = include_str!("sql/select_routes_of_due_by_day.sql");
const SELECT_ROUTES_OF_DUE_SERIES: &str = include_str!("sql/select_routes_of_due_series.sql");

/// Statistics of these routes, or of all.
pub(super) fn stats(connection: &Connection, routes: Option<&[RouteId]>) -> Result<Stats> {
    let mut stats = Stats::default();
    match routes {
        None => add(&mut stats, &mut *connection.prepare_cached(SELECT_COUNTERS)?, [])?,
        Some(routes) => {
            let mut select = connection.prepare_cached(SELECT_COUNTERS_OF_ROUTE)?;
            for route in routes.iter().collect::<HashSet<_>>() {
                add(&mut stats, &mut select, [route])?;
            }
        }
    }
    Ok(stats)
}

/// Statistics of each route.
pub(super) fn stats_by_route(connection: &Connection) -> Result<Vec<(RouteId, Stats)>> {
    let mut select = connection.prepare_cached(SELECT_COUNTERS_BY_ROUTE)?;
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(counters::by_route(&found.collect::<rusqlite::Result<Vec<_>>>()?))
}

fn add(stats: &mut Stats, select: &mut Statement<'_>, params: impl rusqlite::Params) -> Result<()> {
    let mut found = select.query(params)?;
    while let Some(row) = found.next()? {
        let (kind, n): (i64, i64) = (row.get(0)?, row.get(1)?);
        if let Some(counter) = counters::of_kind(stats, kind) {
            *counter += n;
        }
    }
    Ok(())
}

/// How many jobs are in a state.
pub(super) fn count_in_state(connection: &Connection, status: Status) -> Result<i64> {
    let stats = stats(connection, None)?;
    Ok(stats.by_status.get(status as usize).copied().unwrap_or(0))
}

/// How many runs of these routes are blocked, up to `limit`.
pub(super) fn blocked(connection: &Connection, routes: &[RouteId], limit: usize) -> Result<usize> {
    let wanted: HashSet<RouteId> = routes.iter().copied().collect();
    let mut select = connection.prepare_cached(SELECT_ROUTES_OF_BLOCKED)?;
    let mut found = select.query([])?;
    let mut count = 0;
    while count < limit
        && let Some(row) = found.next()?
    {
        count += usize::from(wanted.contains(&row.get(0)?));
    }
    Ok(count)
}

/// How many runs of these routes are due or ready, up to `limit`.
pub(super) fn due(connection: &Connection, routes: &[RouteId], now: Millis, limit: usize) -> Result<usize> {
    let wanted: HashSet<RouteId> = routes.iter().copied().collect();
    let limit = rows(limit);
    let mut count: i64 = 0;
    let mut ready = connection.prepare_cached(COUNT_READY_OF_ROUTE)?;
    for route in &wanted {
        if count >= limit {
            break;
        }
        count += ready.query_row((route, limit - count), |row| row.get::<_, i64>(0))?;
    }
    for query in [
        SELECT_ROUTES_OF_DUE_SCHEDULED,
        SELECT_ROUTES_OF_DUE_BY_DAY,
        SELECT_ROUTES_OF_DUE_SERIES,
    ] {
        let mut select = connection.prepare_cached(query)?;
        let mut found = select.query([now])?;
        while count < limit
            && let Some(row) = found.next()?
        {
            count += i64::from(wanted.contains(&row.get(0)?));
        }
    }
    Ok(usize::try_from(count.min(limit)).unwrap_or(0))
}
