//! Candidates for a page of jobs: all jobs, newest first, or those of some states.
//!
//! Writes nothing. Invariant: no job in a wanted state is missing; jobs in other states may be included.

use super::jobs::JobKey;
use super::run_rows::rows;
use crate::error::Result;
use crate::model::Status;
use crate::store::{JobSeq, ListFilter, RouteId};
use rusqlite::Connection;

/// Most routes whose indexes are merged; for more, all jobs are scanned.
const MAX_MERGED_ROUTES: usize = 32;

const SELECT_NEWEST: &str = include_str!("sql/select_newest.sql");
const SELECT_NEWEST_OF_ROUTE: &str = include_str!("sql/select_newest_of_route.sql");
const SELECT_RUNNING: &str = include_str!("sql/select_running.sql");
const SELECT_QUEUED: &str = include_str!("sql/select_queued.sql");
const SELECT_SCHEDULED: &str = include_str!("sql/select_scheduled.sql");
const SELECT_PAUSED: &str = include_str!("sql/select_paused.sql");
const SELECT_ENDED: &str = include_str!("sql/select_ended.sql");

/// The next jobs below `below`, newest first: of these routes if they are few, of all routes if they are many.
pub(super) fn newest(
    connection: &Connection,
    routes: Option<&[RouteId]>,
    below: JobSeq,
    count: usize,
) -> Result<Vec<JobKey>> {
    let Some(routes) = routes.filter(|routes| routes.len() <= MAX_MERGED_ROUTES) else {
        let mut select = connection.prepare_cached(SELECT_NEWEST)?;
        let jobs = select.query_map((below, rows(count)), JobKey::read)?;
        return Ok(jobs.collect::<rusqlite::Result<_>>()?);
    };
    let mut jobs = Vec::new();
    for route in routes {
        let mut select = connection.prepare_cached(SELECT_NEWEST_OF_ROUTE)?;
        let of_route = select.query_map((below, rows(count), route), JobKey::read)?;
        jobs.extend(of_route.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    // The newest of all routes are among the newest of each.
    jobs.sort_unstable_by_key(|job| std::cmp::Reverse(job.seq));
    jobs.dedup_by_key(|job| job.seq);
    jobs.truncate(count);
    Ok(jobs)
}

/// Numbers of jobs that may be in one of these states, ascending, without duplicates.
pub(super) fn in_states(connection: &Connection, statuses: &[Status]) -> Result<Vec<JobSeq>> {
    let mut jobs = Vec::new();
    for status in statuses {
        match status {
            Status::Running => collect(connection, SELECT_RUNNING, [], &mut jobs)?,
            Status::Queued => collect(connection, SELECT_QUEUED, [], &mut jobs)?,
            Status::Scheduled => collect(connection, SELECT_SCHEDULED, [], &mut jobs)?,
            Status::Completed | Status::Failed | Status::Cancelled => {
                collect(connection, SELECT_ENDED, [*status as i64], &mut jobs)?;
            }
            Status::Paused => collect(connection, SELECT_PAUSED, [], &mut jobs)?,
        }
    }
    jobs.sort_unstable();
    jobs.dedup();
    Ok(jobs)
}

/// Numbers of the recurring jobs whose last run may be what the filter asks for, ascending.
pub(super) fn recurring(connection: &Connection, filter: &ListFilter) -> Result<Vec<JobSeq>> {
    let query = if filter.admits_only_failing() {
        "SELECT job FROM series WHERE failing_runs > 0 ORDER BY job"
    } else {
        "SELECT job FROM series ORDER BY job"
    };
    let mut jobs = Vec::new();
    collect(connection, query, [], &mut jobs)?;
    Ok(jobs)
}

fn collect(connection: &Connection, query: &str, params: impl rusqlite::Params, jobs: &mut Vec<JobSeq>) -> Result<()> {
    let mut select = connection.prepare_cached(query)?;
    let mut found = select.query(params)?;
    while let Some(row) = found.next()? {
        jobs.push(row.get(0)?);
    }
    Ok(())
}
