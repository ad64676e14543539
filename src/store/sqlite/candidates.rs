//! Where a list finds jobs that may match: all jobs from the newest on, or those of some states.
//!
//! Writes nothing. Invariant: no job of a wanted state is missing; some of another state may be among them.

use super::jobs::JobKey;
use super::queue::rows;
use crate::error::Result;
use crate::model::Status;
use crate::store::{JobSeq, RouteId};
use rusqlite::Connection;

/// More routes than this are not looked up one by one.
const MAX_MERGED_ROUTES: usize = 32;

const SELECT_NEWEST: &str = "SELECT seq, route, priority, due, recurring, run, created, key FROM jobs WHERE seq < ?1 \
                      ORDER BY seq DESC LIMIT ?2";
const SELECT_NEWEST_OF_ROUTE: &str = "SELECT seq, route, priority, due, recurring, run, created, key FROM jobs \
                               WHERE route = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2";
const SELECT_RUNNING: &str = "SELECT DISTINCT job FROM running";
const SELECT_QUEUED: &str = "SELECT job FROM ready UNION ALL SELECT job FROM held";
const SELECT_SCHEDULED: &str =
    "SELECT job FROM scheduled UNION ALL SELECT job FROM far UNION ALL SELECT job FROM series WHERE state = 0";
const SELECT_PAUSED: &str = "SELECT job FROM paused UNION ALL SELECT job FROM series WHERE paused = 1";
const SELECT_ENDED: &str = "SELECT job FROM ended WHERE status = ?1";

/// The next jobs below `below`, newest first; of these routes when they are few, of all when they are many.
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
    // The newest of all are among the newest of each.
    jobs.sort_unstable_by_key(|job| std::cmp::Reverse(job.seq));
    jobs.dedup_by_key(|job| job.seq);
    jobs.truncate(count);
    Ok(jobs)
}

/// Numbers of jobs that may be in one of these states, ascending, each once.
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

fn collect(connection: &Connection, query: &str, params: impl rusqlite::Params, jobs: &mut Vec<JobSeq>) -> Result<()> {
    let mut select = connection.prepare_cached(query)?;
    let mut found = select.query(params)?;
    while let Some(row) = found.next()? {
        jobs.push(row.get(0)?);
    }
    Ok(())
}
