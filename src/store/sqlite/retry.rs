//! Runs again what failed or was cancelled, as a run of its own.
//!
//! Invariant: history stays; the new run begins at its first attempt, with all its retries before it and the steps that
//! were finished behind it.

use super::change::Subject;
use super::jobs::JobKey;
use super::locate::Place;
use super::queue::{self, Waiting};
use super::replace;
use super::series::{self, Owner, Series};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::Changed;
use crate::store::phase::Phase;

const NEXT_RUN: &str = "UPDATE jobs SET run = ?2, due = ?3, updated = ?4 WHERE seq = ?1";
const TOUCH: &str = "UPDATE jobs SET updated = ?2 WHERE seq = ?1";
const RERUN: &str = "UPDATE series SET state = 0, ended_at = NULL, reason = NULL, failed_at = NULL, \
                     runs = runs + 1, reruns = reruns + 1, version = version + 1 WHERE job = ?1";
const PUT_OCCURRENCE: &str = "INSERT INTO occurrences (job, run, scheduled_at, due, missed) VALUES (?1, ?2, ?3, ?4, 0)";

/// Runs the job again at `due`; of a series its last run that failed.
pub(super) fn apply(tx: &mut Tx<'_>, job: &JobKey, subject: &Subject, due: Millis, now: Millis) -> Result<Changed> {
    match subject {
        Subject::OneOff(_, place) => one_off(tx, job, place, due, now)?,
        Subject::Series(series) => {
            if series.live.total() > 0 {
                return Ok(Changed::Forbidden(series.status()));
            }
            let Some(failed_at) = series.failed_at else {
                return Ok(Changed::NoRun(series.status()));
            };
            failed_run(tx, job, series, failed_at, due, now)?;
        }
    }
    tx.wake();
    Ok(Changed::done(job.seq))
}

fn one_off(tx: &mut Tx<'_>, job: &JobKey, place: &Place, due: Millis, now: Millis) -> Result<()> {
    let before = place.status();
    if let Place::Ended(last) = place {
        queue::take_ended(tx.connection, before, last.ended, job.seq)?;
    }
    let run = job.run + 1;
    tx.connection
        .prepare_cached(NEXT_RUN)?
        .execute((job.seq, run, due, now))?;
    replace::forget_old_runs(tx, job.seq, run)?;
    steps::rerun(tx, job.seq, job.run)?;
    let rank = job.rank(due);
    let after = queue::put_first(tx, rank, job.seq, run, now)?;
    tx.shift(job.route, Some(before), Some(after));
    Ok(())
}

/// A new run for the grid point of one that failed. A series that has ended goes on until that run has.
fn failed_run(
    tx: &mut Tx<'_>,
    job: &JobKey,
    series: &Series,
    failed_at: Millis,
    due: Millis,
    now: Millis,
) -> Result<()> {
    let before = series.status();
    if let Some(ended_at) = series.ended_at {
        queue::take_ended(tx.connection, before, ended_at, job.seq)?;
    }
    let run = series.runs + 1;
    tx.connection.prepare_cached(RERUN)?.execute([job.seq])?;
    tx.connection.prepare_cached(TOUCH)?.execute((job.seq, now))?;
    tx.shift(job.route, Some(before), Some(Status::Scheduled));
    tx.connection
        .prepare_cached(PUT_OCCURRENCE)?
        .execute((job.seq, run, failed_at, due))?;
    steps::rerun_failed(tx, job.seq, run)?;
    let rank = job.rank(due);
    let phase: Phase = queue::put_waiting(tx, rank, Waiting::first(job.seq, run), now)?;
    series::run_moved(tx, Owner::of(job), None, phase)
}
