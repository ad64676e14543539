//! Manual retry: runs a failed or cancelled job again, as a new run.
//!
//! Invariant: history stays; the new run starts at its first attempt, with all retries available, and keeps the finished
//! steps.

use super::old_runs;
use super::param::params;
use super::queue;
use super::run_rows::{NewOccurrence, Waiting};
use super::state::{RunState, StoredJob};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::store::rules::retry::{self, SeriesRetry};
use crate::store::rules::{placement, replacement};
use crate::store::{ChangeOutcome, JobSeq};

const UPDATE_JOB_RUN: &str = include_str!("sql/update_job_run.sql");
const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");

/// Runs the job again at `due`; of a series, its last failed run.
pub(super) fn apply(tx: &mut Tx<'_>, stored_job: StoredJob, due: Millis, now: Millis) -> ChangeOutcome {
    let job = stored_job.job.seq;
    if let Some(series) = &stored_job.series {
        let before = series.status();
        let mut series = series.clone();
        match retry::retry_series(&mut series.state) {
            SeriesRetry::Forbidden => return ChangeOutcome::Forbidden(before),
            SeriesRetry::NoRun => return ChangeOutcome::NoRun(before),
            SeriesRetry::Run { run, scheduled_at } => {
                let place = placement::of(due, now);
                series.state.run_changed_phase(None, place.phase());
                tx.count_transition(stored_job.job.route, Some(before), Some(series.status()));
                series.save(tx, job);
                write_rerun(tx, job, run, scheduled_at, due, now);
                queue::put(tx, place, stored_job.rank(due), Waiting::first(job, run, true));
            }
        }
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
    let run = replacement::next_run(job.run, true);
    tx.write_later(UPDATE_JOB_RUN, params![job.seq, run, due, now]);
    old_runs::delete(tx, job.seq, run);
    steps::rerun(tx, job.seq, job.run);
    let after = queue::enqueue_first(tx, stored_job.rank(due), job.seq, run, now);
    tx.count_transition(job.route, Some(before), Some(after));
}

/// Writes a new run for the occurrence of a failed one, and transfers its steps.
fn write_rerun(tx: &mut Tx<'_>, job: JobSeq, run: i64, scheduled_at: Millis, due: Millis, now: Millis) {
    tx.write_later(UPDATE_JOB_UPDATED, params![job, now]);
    steps::rerun_failed(tx, job, run);
    tx.inserts.occurrences.push(NewOccurrence {
        job,
        run,
        scheduled_at,
        due,
        missed: 0,
    });
}
