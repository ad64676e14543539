//! Takes jobs away with everything they have left behind.
//!
//! Invariant: of a deleted job no table holds a row; a run that a process has is never taken from under it.

use super::change::Subject;
use super::jobs::JobKey;
use super::locate::{self, Place, RunKey};
use super::queue;
use super::series::{self, Series};
use super::traces::Traces;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::{Changed, JobSeq};
use rusqlite::Connection;

/// Everything a job that is in no queue has left behind, by its number; [`traces`](super::traces) go first, as they are
/// found by its row.
const DROP_JOB: [&str; 5] = [
    "DELETE FROM jobs WHERE seq = ?1",
    "DELETE FROM runs WHERE job = ?1",
    "DELETE FROM progress WHERE job = ?1",
    "DELETE FROM logs WHERE job = ?1",
    "DELETE FROM steps WHERE job = ?1",
];
/// What only a series leaves behind.
const DROP_SERIES: [&str; 3] = [
    "DELETE FROM series WHERE job = ?1",
    "DELETE FROM occurrences WHERE job = ?1",
    "DELETE FROM gaps WHERE job = ?1",
];

/// Deletes a job that is not running.
pub(super) fn apply(tx: &mut Tx<'_>, job: &JobKey, subject: &Subject) -> Result<Changed> {
    match subject {
        Subject::OneOff(key, place) => {
            locate::remove(tx, key, place)?;
            if let Place::Ended(last) = place {
                queue::take_ended(tx.connection, place.status(), last.ended, job.seq)?;
            }
            tx.shift(job.route, Some(place.status()), None);
        }
        Subject::Series(series) => {
            // Paused, and its last run is still going.
            if series.live.running > 0 {
                return Ok(Changed::Forbidden(Status::Running));
            }
            unqueue(tx, job, series)?;
        }
    }
    forget(tx.connection, job.seq, job.recurring)?;
    Ok(Changed::done(job.seq))
}

fn unqueue(tx: &mut Tx<'_>, job: &JobKey, series: &Series) -> Result<()> {
    for run in series::live_runs(tx.connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let place = locate::run(tx.connection, &key)?;
        locate::remove(tx, &key, &place)?;
    }
    let status = series.status();
    if let Some(ended_at) = series.ended_at {
        queue::take_ended(tx.connection, status, ended_at, job.seq)?;
    }
    tx.shift(job.route, Some(status), None);
    Ok(())
}

/// Deletes all rows of a job that is in no queue.
pub(super) fn forget(connection: &Connection, job: JobSeq, recurring: bool) -> Result<()> {
    Traces::of(connection, job)?.remove(connection, job)?;
    drop_rows(connection, job, recurring)
}

/// Deletes all rows of a job that retention does not keep and that is in no queue.
pub(super) fn sweep(connection: &Connection, job: JobSeq, recurring: bool, now: Millis) -> Result<()> {
    Traces::of(connection, job)?.sweep(connection, job, now)?;
    drop_rows(connection, job, recurring)
}

fn drop_rows(connection: &Connection, job: JobSeq, recurring: bool) -> Result<()> {
    let of_series: &[&str] = if recurring { &DROP_SERIES } else { &[] };
    for statement in DROP_JOB.iter().chain(of_series) {
        connection.prepare_cached(statement)?.execute([job])?;
    }
    Ok(())
}
