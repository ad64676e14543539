//! Runs again what failed or was cancelled, as a run of its own.
//!
//! Invariant: history stays; the new run begins at its first attempt, with all its retries before it and the steps that
//! were finished behind it.

use super::queue::{self, NewOccurrence, Waiting};
use super::replace;
use super::series;
use super::state::{Place, Subject};
use super::steps;
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::store::Changed;

const NEXT_RUN: &str = "UPDATE ductape.jobs SET run = $2, due = $3, updated = $4 WHERE seq = $1";
const TOUCH: &str = "UPDATE ductape.jobs SET updated = $2 WHERE seq = $1";

/// Runs the job again at `due`; of a series its last run that failed.
pub(super) fn apply(tx: &mut Tx<'_>, subject: Subject, due: Millis, now: Millis) -> Changed {
    let job = subject.job.seq;
    if let Some(series) = &subject.series {
        if series.live.total() > 0 {
            return Changed::Forbidden(series.status());
        }
        let Some(failed_at) = series.failed_at else {
            return Changed::NoRun(series.status());
        };
        failed_run(tx, &subject, failed_at, due, now);
    } else {
        one_off(tx, &subject, due, now);
    }
    tx.wake();
    Changed::done(job)
}

fn one_off(tx: &mut Tx<'_>, subject: &Subject, due: Millis, now: Millis) {
    let (job, before) = (&subject.job, subject.status());
    if let Some(Place::Ended(last)) = subject.runs.first().map(|run| run.place) {
        queue::take_ended(tx, before, last.ended, job.seq);
    }
    let run = job.run + 1;
    tx.later(NEXT_RUN, params![job.seq, run, due, now]);
    replace::forget_old_runs(tx, job.seq, run);
    steps::rerun(tx, job.seq, job.run);
    let after = queue::put_first(tx, subject.rank(due), job.seq, run, now);
    tx.shift(job.route, Some(before), Some(after));
}

/// A new run for the grid point of one that failed. A series that has ended goes on until that run has.
fn failed_run(tx: &mut Tx<'_>, subject: &Subject, failed_at: Millis, due: Millis, now: Millis) {
    let (job, before) = (&subject.job, subject.status());
    let Some(mut series) = subject.series.clone() else {
        return;
    };
    if let Some(ended_at) = series.ended_at {
        queue::take_ended(tx, before, ended_at, job.seq);
    }
    series.reopen();
    series.failed_at = None;
    series.runs += 1;
    series.reruns += 1;
    let run = series.runs;
    tx.later(TOUCH, params![job.seq, now]);
    steps::rerun_failed(tx, job.seq, run);
    tx.puts.occurrences.push(NewOccurrence {
        job: job.seq,
        run,
        scheduled_at: failed_at,
        due,
        missed: 0,
    });
    let phase = queue::put_waiting(tx, subject.rank(due), Waiting::first(job.seq, run, true), now);
    series.run_moved(None, phase);
    series::count(tx, (job.route, before), (job.route, series.status()));
    series.save(tx, job.seq);
}
