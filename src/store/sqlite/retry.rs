//! Runs again what failed or was cancelled, as a run of its own.
//!
//! Invariant: history stays; the new run begins at its first attempt, with all its retries before it and the steps that
//! were finished behind it.

use super::change::ChangeTarget;
use super::jobs::JobKey;
use super::locate::RunState;
use super::queue::{self, Waiting};
use super::replace;
use super::series::{self, JobRef, Series};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::ChangeOutcome;
use crate::store::phase::Phase;

const UPDATE_JOB_RUN: &str = include_str!("sql/update_job_run.sql");
const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");
const UPDATE_SERIES_RERUN: &str = include_str!("sql/update_series_rerun.sql");
const INSERT_OCCURRENCE: &str = include_str!("sql/retry_insert_occurrence.sql");

/// Runs the job again at `due`; of a series its last run that failed.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    due: Millis,
    now: Millis,
) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(_, run_state) => one_off(tx, job, run_state, due, now)?,
        ChangeTarget::Series(series) => {
            if series.live.total() > 0 {
                return Ok(ChangeOutcome::Forbidden(series.status()));
            }
            let Some(failed_at) = series.failed_at else {
                return Ok(ChangeOutcome::NoRun(series.status()));
            };
            retry_failed_run(tx, job, series, failed_at, due, now)?;
        }
    }
    tx.wake();
    Ok(ChangeOutcome::done(job.seq))
}

fn one_off(tx: &mut Tx<'_>, job: &JobKey, run_state: &RunState, due: Millis, now: Millis) -> Result<()> {
    let before = run_state.status();
    if let RunState::Ended(last) = run_state {
        queue::delete_ended(tx.connection, before, last.ended, job.seq)?;
    }
    let run = job.run + 1;
    tx.connection
        .prepare_cached(UPDATE_JOB_RUN)?
        .execute((job.seq, run, due, now))?;
    replace::delete_old_runs(tx, job.seq, run)?;
    steps::rerun(tx, job.seq, job.run)?;
    let rank = job.rank(due);
    let after = queue::enqueue_first(tx, rank, job.seq, run, now)?;
    tx.count_transition(job.route, Some(before), Some(after));
    Ok(())
}

/// A new run for the grid point of one that failed. A series that has ended goes on until that run has.
fn retry_failed_run(
    tx: &mut Tx<'_>,
    job: &JobKey,
    series: &Series,
    failed_at: Millis,
    due: Millis,
    now: Millis,
) -> Result<()> {
    let before = series.status();
    if let Some(ended_at) = series.ended_at {
        queue::delete_ended(tx.connection, before, ended_at, job.seq)?;
    }
    let run = series.runs + 1;
    tx.connection.prepare_cached(UPDATE_SERIES_RERUN)?.execute([job.seq])?;
    tx.connection
        .prepare_cached(UPDATE_JOB_UPDATED)?
        .execute((job.seq, now))?;
    tx.count_transition(job.route, Some(before), Some(Status::Scheduled));
    tx.connection
        .prepare_cached(INSERT_OCCURRENCE)?
        .execute((job.seq, run, failed_at, due))?;
    steps::rerun_failed(tx, job.seq, run)?;
    let rank = job.rank(due);
    let phase: Phase = queue::enqueue(tx, rank, Waiting::first(job.seq, run), now)?;
    series::run_changed_phase(tx, JobRef::of(job), None, phase)
}
