//! Runs again what failed or was cancelled, as a run of its own.
//!
//! Invariant: history stays; the new run begins at its first attempt, with all its retries before it and the steps that
//! were finished behind it.

use super::queue::{self, NewOccurrence, Waiting};
use super::replace;
use super::series;
use super::state::{RunState, StoredJob};
use super::steps;
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::store::ChangeOutcome;

const UPDATE_JOB_RUN: &str = include_str!("sql/update_job_run.sql");
const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");

/// Runs the job again at `due`; of a series its last run that failed.
pub(super) fn apply(tx: &mut Tx<'_>, stored_job: StoredJob, due: Millis, now: Millis) -> ChangeOutcome {
    let job = stored_job.job.seq;
    if let Some(series) = &stored_job.series {
        if series.live.total() > 0 {
            return ChangeOutcome::Forbidden(series.status());
        }
        let Some(failed_at) = series.failed_at else {
            return ChangeOutcome::NoRun(series.status());
        };
        retry_failed_run(tx, &stored_job, failed_at, due, now);
    } else {
        one_off(tx, &stored_job, due, now);
    }
    tx.wake();
    ChangeOutcome::done(job)
}

fn one_off(tx: &mut Tx<'_>, stored_job: &StoredJob, due: Millis, now: Millis) {
    let (job, before) = (&stored_job.job, stored_job.status());
    if let Some(RunState::Ended(last)) = stored_job.runs.first().map(|run| run.run_state) {
        queue::delete_ended(tx, before, last.ended, job.seq);
    }
    let run = job.run + 1;
    tx.write_later(UPDATE_JOB_RUN, params![job.seq, run, due, now]);
    replace::delete_old_runs(tx, job.seq, run);
    steps::rerun(tx, job.seq, job.run);
    let after = queue::enqueue_first(tx, stored_job.rank(due), job.seq, run, now);
    tx.count_transition(job.route, Some(before), Some(after));
}

/// A new run for the grid point of one that failed. A series that has ended goes on until that run has.
fn retry_failed_run(tx: &mut Tx<'_>, stored_job: &StoredJob, failed_at: Millis, due: Millis, now: Millis) {
    let (job, before) = (&stored_job.job, stored_job.status());
    let Some(mut series) = stored_job.series.clone() else {
        return;
    };
    if let Some(ended_at) = series.ended_at {
        queue::delete_ended(tx, before, ended_at, job.seq);
    }
    series.reopen();
    series.failed_at = None;
    series.runs += 1;
    series.reruns += 1;
    let run = series.runs;
    tx.write_later(UPDATE_JOB_UPDATED, params![job.seq, now]);
    steps::rerun_failed(tx, job.seq, run);
    tx.inserts.occurrences.push(NewOccurrence {
        job: job.seq,
        run,
        scheduled_at: failed_at,
        due,
        missed: 0,
    });
    let phase = queue::enqueue(tx, stored_job.rank(due), Waiting::first(job.seq, run, true), now);
    series.run_changed_phase(None, phase);
    series::count(tx, (job.route, before), (job.route, series.status()));
    series.save(tx, job.seq);
}
