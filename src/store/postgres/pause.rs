//! Pausing and resuming: waiting runs go to a table of their own, and a series makes no new ones.
//!
//! Invariant: while a job is paused none of its runs is where it could be claimed or fall due. A run that is going is
//! left alone; if it is to go on afterwards, it waits with the others.

use super::failure::DbResult;
use super::queue;
use super::series_changes;
use super::state::{Run, RunState, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::rules::placement::Place;
use crate::store::{ChangeOutcome, NextOccurrence};

/// Pauses a job that goes on.
pub(super) fn pause(tx: &mut Tx<'_>, stored_job: StoredJob) -> ChangeOutcome {
    let (job, before) = (stored_job.job.clone(), stored_job.status());
    let mut series = stored_job.series.clone();
    for run in &stored_job.runs {
        if pause_run(tx, &stored_job, run)
            && let Some(series) = &mut series
        {
            series
                .state
                .run_changed_phase(run.run_state.phase(), Place::Paused.phase());
        }
    }
    if let Some(mut series) = series {
        series.state.pause();
        series.save(tx, job.seq);
    }
    tx.count_transition(job.route, Some(before), Some(Status::Paused));
    ChangeOutcome::done(job.seq)
}

/// Moves a run out of the way, if it waits.
fn pause_run(tx: &mut Tx<'_>, stored_job: &StoredJob, run: &Run) -> bool {
    let Some((due, waiting)) = stored_job.waiting(run) else {
        return false;
    };
    queue::remove(tx, stored_job, run);
    tx.inserts.paused.push((due, waiting));
    true
}

/// Lets a paused job go on; `next` says where a series does.
pub(super) fn resume(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    next: &NextOccurrence,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let job = stored_job.job.clone();
    let mut series = stored_job.series.clone();
    let mut after = Status::Paused;
    for run in &stored_job.runs {
        let RunState::Paused(due, waiting) = run.run_state else {
            continue;
        };
        queue::remove(tx, &stored_job, run);
        let phase = queue::enqueue(tx, stored_job.rank(due), waiting, now);
        after = phase.status();
        if let Some(series) = &mut series {
            series.state.run_changed_phase(Some(Place::Paused.phase()), phase);
        }
    }
    if let Some(mut series) = series {
        // What had no run to come when it was paused has none now.
        let next_at = match series.state.next_at {
            Some(_) => (next.0)(&series.spec, series.state.counted_runs())?,
            None => None,
        };
        series.state.resume(next_at, now);
        after = series.status();
        series.save(tx, job.seq);
    }
    series_changes::count(tx, (job.route, Status::Paused), (job.route, after));
    tx.wake();
    Ok(ChangeOutcome::done(job.seq))
}
