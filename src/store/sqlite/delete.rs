//! Takes jobs away with everything they have left behind.
//!
//! Invariant: of a deleted job no table holds a row; a run that a process has is never taken from under it.

use super::change::ChangeTarget;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::series::{self, Series};
use super::side_rows::SideRows;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::{ChangeOutcome, JobSeq};
use rusqlite::Connection;

/// Everything a job that is in no queue has left behind, by its number; [`side_rows`](super::traces) go first, as they are
/// found by its row.
const DELETE_JOB_ROWS: [&str; 5] = [
    "DELETE FROM jobs WHERE seq = ?1",
    "DELETE FROM runs WHERE job = ?1",
    "DELETE FROM progress WHERE job = ?1",
    "DELETE FROM logs WHERE job = ?1",
    "DELETE FROM steps WHERE job = ?1",
];
/// What only a series leaves behind.
const DELETE_SERIES_ROWS: [&str; 3] = [
    "DELETE FROM series WHERE job = ?1",
    "DELETE FROM occurrences WHERE job = ?1",
    "DELETE FROM gaps WHERE job = ?1",
];

/// Deletes a job that is not running.
pub(super) fn apply(tx: &mut Tx<'_>, job: &JobKey, target: &ChangeTarget) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            locate::remove(tx, key, run_state)?;
            if let RunState::Ended(last) = run_state {
                queue::delete_ended(tx.connection, run_state.status(), last.ended, job.seq)?;
            }
            tx.count_transition(job.route, Some(run_state.status()), None);
        }
        ChangeTarget::Series(series) => {
            // Paused, and its last run is still going.
            if series.live.running > 0 {
                return Ok(ChangeOutcome::Forbidden(Status::Running));
            }
            remove_live_runs(tx, job, series)?;
        }
    }
    delete_job(tx.connection, job.seq, job.recurring)?;
    Ok(ChangeOutcome::done(job.seq))
}

fn remove_live_runs(tx: &mut Tx<'_>, job: &JobKey, series: &Series) -> Result<()> {
    for run in series::live_runs(tx.connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let run_state = locate::run(tx.connection, &key)?;
        locate::remove(tx, &key, &run_state)?;
    }
    let status = series.status();
    if let Some(ended_at) = series.ended_at {
        queue::delete_ended(tx.connection, status, ended_at, job.seq)?;
    }
    tx.count_transition(job.route, Some(status), None);
    Ok(())
}

/// Deletes all rows of a job that is in no queue.
pub(super) fn delete_job(connection: &Connection, job: JobSeq, recurring: bool) -> Result<()> {
    SideRows::of(connection, job)?.remove(connection, job)?;
    delete_rows(connection, job, recurring)
}

/// Deletes all rows of a job that retention does not keep and that is in no queue.
pub(super) fn sweep(connection: &Connection, job: JobSeq, recurring: bool, now: Millis) -> Result<()> {
    SideRows::of(connection, job)?.sweep(connection, job, now)?;
    delete_rows(connection, job, recurring)
}

fn delete_rows(connection: &Connection, job: JobSeq, recurring: bool) -> Result<()> {
    let of_series: &[&str] = if recurring { &DELETE_SERIES_ROWS } else { &[] };
    for statement in DELETE_JOB_ROWS.iter().chain(of_series) {
        connection.prepare_cached(statement)?.execute([job])?;
    }
    Ok(())
}
