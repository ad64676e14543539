//! Manual retry: runs a failed or cancelled job again, as a new run.
//!
//! Invariant: history stays; the new run starts at its first attempt, with all retries available, and keeps the finished
//! steps.

use super::change_target::ChangeTarget;
use super::jobs::JobKey;
use super::locate::RunState;
use super::old_runs;
use super::queue;
use super::run_rows::Waiting;
use super::series::{self, SeriesDetails};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::ChangeOutcome;
use crate::store::rules::retry::{self, SeriesRetry};
use crate::store::rules::{placement, replacement};

const UPDATE_JOB_RUN: &str = include_str!("sql/update_job_run.sql");
const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");
const INSERT_OCCURRENCE: &str = include_str!("sql/retry_insert_occurrence.sql");

/// Runs the job again at `due`; of a series, its last failed run.
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
            let before = series.state;
            let mut after = before;
            match retry::retry_series(&mut after) {
                SeriesRetry::Forbidden => return Ok(ChangeOutcome::Forbidden(before.status())),
                SeriesRetry::NoRun => return Ok(ChangeOutcome::NoRun(before.status())),
                SeriesRetry::Run { run, scheduled_at } => {
                    let place = placement::of(due, now);
                    after.run_changed_phase(None, place.phase());
                    series::save(tx, job.seq, &before, &after, SeriesDetails::default())?;
                    tx.count_transition(job.route, Some(before.status()), Some(after.status()));
                    write_rerun(tx, job, run, scheduled_at, due, now)?;
                    queue::put(tx, place, job.rank(due), Waiting::first(job.seq, run))?;
                }
            }
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
    let run = replacement::next_run(job.run, true);
    tx.connection
        .prepare_cached(UPDATE_JOB_RUN)?
        .execute((job.seq, run, due, now))?;
    old_runs::delete(tx, job.seq, run)?;
    steps::rerun(tx, job.seq, job.run)?;
    let rank = job.rank(due);
    let after = queue::enqueue_first(tx, rank, job.seq, run, now)?;
    tx.count_transition(job.route, Some(before), Some(after));
    Ok(())
}

/// Writes a new run for the occurrence of a failed one, and transfers its steps.
fn write_rerun(tx: &mut Tx<'_>, job: &JobKey, run: i64, scheduled_at: Millis, due: Millis, now: Millis) -> Result<()> {
    tx.connection
        .prepare_cached(UPDATE_JOB_UPDATED)?
        .execute((job.seq, now))?;
    tx.connection
        .prepare_cached(INSERT_OCCURRENCE)?
        .execute((job.seq, run, scheduled_at, due))?;
    steps::rerun_failed(tx, job.seq, run)
}
