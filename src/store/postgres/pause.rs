//! Pause and resume: waiting runs move to the table `paused`, and a series makes no new ones.
//!
//! Invariant: while a job is paused, none of its runs is in a table from which it could be claimed or promoted. A running
//! run is not interrupted; its next attempt waits with the others.

use super::failure::DbResult;
use super::queue;
use super::series_changes;
use super::state::{Run, RunState, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::rules::placement::Place;
use crate::store::{ChangeOutcome, NextOccurrence};

/// Pauses a job that has not ended.
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

/// Moves a waiting run to `paused`.
fn pause_run(tx: &mut Tx<'_>, stored_job: &StoredJob, run: &Run) -> bool {
    let Some((due, waiting)) = stored_job.waiting(run) else {
        return false;
    };
    queue::remove(tx, stored_job, run);
    tx.inserts.paused.push((due, waiting));
    true
}

/// Resumes a paused job, a series at `next`.
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
        // A series without a next occurrence when paused has none now.
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
