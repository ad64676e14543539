//! Location of a job's current run, to explain why the job has not run.
//!
//! Writes nothing. Invariant: record and location are from one snapshot.

use super::jobs::{self, JobKey};
use super::keys;
use super::locate::{self, RunState};
use super::read::{self, JobState};
use super::run_rows::rows;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::JobId;
use crate::store::{RunLocation, RunPosition};
use rusqlite::Connection;

const COUNT_READY_AHEAD: &str = include_str!("sql/count_ready_ahead.sql");

/// Location of the job with this id; runs ahead of it are counted up to `count_up_to`.
pub(super) fn of(connection: &Connection, id: &JobId, count_up_to: usize) -> Result<Option<RunLocation>> {
    let Some(job) = jobs::by_id(connection, id)? else {
        return Ok(None);
    };
    let state = JobState::of(connection, &job)?;
    let ahead = |due: Millis| -> Result<usize> {
        let bounds = (job.route, job.priority, due, job.seq, state.run, rows(count_up_to));
        let count = connection
            .prepare_cached(COUNT_READY_AHEAD)?
            .query_row(bounds, |row| row.get::<_, i64>(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    };
    let run_state = match state.run_state() {
        None | Some(RunState::Ended(_)) => RunPosition::Idle,
        Some(RunState::Scheduled(due, _) | RunState::ScheduledByDay(due) | RunState::Paused(due, _)) => {
            RunPosition::Waiting { due: *due }
        }
        Some(RunState::Ready(due, _) | RunState::Blocked(due, _)) => match usage_if_full(connection, &job)? {
            Some((running, limit)) => RunPosition::Blocked {
                due: *due,
                running,
                limit,
            },
            None => RunPosition::Ready {
                due: *due,
                ahead: ahead(*due)?,
            },
        },
        Some(RunState::Running(running)) => RunPosition::Running {
            instance: running.owner,
            since: running.started,
        },
    };
    let last = locate::last_attempt(connection, job.seq, state.run)?;
    Ok(Some(RunLocation {
        record: read::record(connection, &job, &state)?,
        position: run_state,
        last_attempt: last.map(|last| last.status),
    }))
}

/// Running runs and limit of the job's concurrency key, if it is full.
fn usage_if_full(connection: &Connection, job: &JobKey) -> Result<Option<(i64, i64)>> {
    let Some(key) = job.key else { return Ok(None) };
    let (running, limit) = keys::usage(connection, key)?;
    Ok((running >= limit).then_some((running, limit)))
}
