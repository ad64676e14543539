//! Pause and resume: waiting runs move to the table `paused`, and a series makes no new ones.
//!
//! Invariant: while a job is paused, none of its runs is in a table from which it could be claimed or promoted. A running
//! run is not interrupted; its next attempt waits with the others.

use super::change_target::ChangeTarget;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::series::{self, Series, SeriesDetails};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::rules::phase::Phase;
use crate::store::rules::placement::Place;
use crate::store::rules::series::SeriesState;
use crate::store::{ChangeOutcome, NextOccurrence};

/// Pauses a job that has not ended.
pub(super) fn pause(tx: &mut Tx<'_>, job: &JobKey, target: &ChangeTarget) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            pause_run(tx, key, run_state)?;
            tx.count_transition(job.route, Some(run_state.status()), Some(Status::Paused));
        }
        ChangeTarget::Series(series) => {
            let mut after = series.state;
            after.pause();
            for run in series::live_runs(tx.connection, job.seq)? {
                let key = RunKey::of_series(job, run);
                let run_state = locate::run(tx.connection, &key)?;
                if pause_run(tx, &key, &run_state)? {
                    after.run_changed_phase(run_state.phase(), Place::Paused.phase());
                }
            }
            write_series(tx, job, &series.state, &after)?;
        }
    }
    Ok(ChangeOutcome::done(job.seq))
}

fn write_series(tx: &mut Tx<'_>, job: &JobKey, before: &SeriesState, after: &SeriesState) -> Result<()> {
    series::save(tx, job.seq, before, after, SeriesDetails::default())?;
    tx.count_transition(job.route, Some(before.status()), Some(after.status()));
    Ok(())
}

/// Moves a waiting run to `paused`.
fn pause_run(tx: &mut Tx<'_>, key: &RunKey, run_state: &RunState) -> Result<bool> {
    let Some((due, waiting)) = run_state.waiting(key) else {
        return Ok(false);
    };
    locate::remove(tx, key, run_state)?;
    queue::insert_paused(tx.connection, due, waiting)?;
    Ok(true)
}

/// Resumes a paused job, a series at `next`.
pub(super) fn resume(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    next: &NextOccurrence,
    now: Millis,
) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            if let Some(phase) = resume_run(tx, key, run_state, now)? {
                tx.count_transition(job.route, Some(Status::Paused), Some(phase.status()));
            }
        }
        ChangeTarget::Series(series) => resume_series(tx, job, series, next, now)?,
    }
    tx.wake();
    Ok(ChangeOutcome::done(job.seq))
}

fn resume_series(tx: &mut Tx<'_>, job: &JobKey, series: &Series, next: &NextOccurrence, now: Millis) -> Result<()> {
    let mut after = series.state;
    for run in series::live_runs(tx.connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let run_state = locate::run(tx.connection, &key)?;
        if let Some(phase) = resume_run(tx, &key, &run_state, now)? {
            after.run_changed_phase(Some(Place::Paused.phase()), phase);
        }
    }
    // A series without a next occurrence when paused has none now.
    let next_at = match after.next_at {
        Some(_) => (next.0)(&series.spec, after.counted_runs())?,
        None => None,
    };
    after.resume(next_at, now);
    write_series(tx, job, &series.state, &after)
}

/// Puts a paused run back into the queue for its due time; `None`: the run is not paused.
fn resume_run(tx: &mut Tx<'_>, key: &RunKey, run_state: &RunState, now: Millis) -> Result<Option<Phase>> {
    let RunState::Paused(due, waiting) = run_state else {
        return Ok(None);
    };
    locate::remove(tx, key, run_state)?;
    queue::enqueue(tx, key.rank(*due), *waiting, now).map(Some)
}
