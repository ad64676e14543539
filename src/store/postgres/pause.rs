//! Pausing and resuming: waiting runs go to a table of their own, and a series makes no new ones.
//!
//! Invariant: while a job is paused none of its runs is where it could be claimed or fall due. A run that is going is
//! left alone; if it is to go on afterwards, it waits with the others.

use super::failure::Attempt;
use super::queue;
use super::series;
use super::state::{Place, Run, Subject};
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::phase::Phase;
use crate::store::{Changed, NextOccurrence};

/// Pauses a job that goes on.
pub(super) fn pause(tx: &mut Tx<'_>, subject: Subject) -> Changed {
    let (job, before) = (subject.job.clone(), subject.status());
    let mut series = subject.series.clone();
    for run in &subject.runs {
        if hold(tx, &subject, run)
            && let Some(series) = &mut series
        {
            series.run_moved(run.place.phase(), Phase::Waiting);
        }
    }
    if let Some(mut series) = series {
        series.paused = true;
        series.version += 1;
        series.save(tx, job.seq);
    }
    tx.shift(job.route, Some(before), Some(Status::Paused));
    Changed::done(job.seq)
}

/// Moves a run out of the way, if it waits.
fn hold(tx: &mut Tx<'_>, subject: &Subject, run: &Run) -> bool {
    let Some((due, waiting)) = subject.waiting(run) else {
        return false;
    };
    subject.remove(tx, run);
    tx.puts.paused.push((due, waiting));
    true
}

/// Lets a paused job go on; `next` says where a series does.
pub(super) fn resume(tx: &mut Tx<'_>, subject: Subject, next: &NextOccurrence, now: Millis) -> Attempt<Changed> {
    let job = subject.job.clone();
    let mut series = subject.series.clone();
    let mut after = Status::Paused;
    for run in &subject.runs {
        let Place::Paused(due, waiting) = run.place else {
            continue;
        };
        subject.remove(tx, run);
        let phase = queue::put_waiting(tx, subject.rank(due), waiting, now);
        after = phase.status();
        if let Some(series) = &mut series {
            series.run_moved(Some(Phase::Waiting), phase);
        }
    }
    if let Some(mut series) = series {
        // What had no run to come when it was paused has none now.
        series.next_at = match series.next_at {
            Some(_) => (next.0)(&series.spec, series.counted_runs())?,
            None => None,
        };
        series.paused = false;
        series.held = false;
        series.version += 1;
        series.end_if_over(tx, job.seq, now);
        after = series.status();
        series.save(tx, job.seq);
    }
    series::count(tx, (job.route, Status::Paused), (job.route, after));
    tx.wake();
    Ok(Changed::done(job.seq))
}
