//! Pause and resume: waiting runs move to the table `paused`, and a series makes no new ones.
//!
//! Invariant: while a job is paused, none of its runs is in a table from which it could be claimed or promoted. A running
//! run is not interrupted; its next attempt waits with the others.

use super::change_target::ChangeTarget;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::run_rows::Waiting;
use super::series::{self, Series};
use super::series_moves;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::rules::phase::Phase;
use crate::store::rules::placement::Place;
use crate::store::rules::waits;
use crate::store::{ChangeOutcome, ComputeMove};

const UPDATE_NEXT_DUE: &str = include_str!("sql/update_next_due.sql");
const UPDATE_OCCURRENCE_DUE: &str = include_str!("sql/update_occurrence_due.sql");

/// Pauses a job that has not ended, a series as `compute` says.
pub(super) fn pause(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    compute: &ComputeMove,
    now: Millis,
) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            pause_run(tx, key, run_state)?;
            tx.count_transition(job.route, Some(run_state.status()), Some(Status::Paused));
        }
        ChangeTarget::Series(series) => {
            let Some((moved, mut after)) = series_moves::begin(tx, job, series, compute, now)? else {
                return Ok(ChangeOutcome::Forbidden(series.state.status()));
            };
            after.pause();
            for run in series::live_runs(tx.connection, job.seq)? {
                let key = RunKey::of_series(job, run);
                let run_state = locate::run(tx.connection, &key)?;
                if pause_run(tx, &key, &run_state)? {
                    after.run_changed_phase(run_state.phase(), Place::Paused.phase());
                }
            }
            series_moves::save(tx, job, &series.state, &after, &moved)?;
        }
    }
    Ok(ChangeOutcome::done(job.seq))
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

/// Resumes a paused job, a series as `compute` says.
pub(super) fn resume(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    compute: &ComputeMove,
    now: Millis,
) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            if let Some(phase) = resume_run(tx, key, run_state, false, now)? {
                tx.count_transition(job.route, Some(Status::Paused), Some(phase.status()));
            }
        }
        ChangeTarget::Series(series) => {
            if !resume_series(tx, job, series, compute, now)? {
                return Ok(ChangeOutcome::Forbidden(series.state.status()));
            }
        }
    }
    tx.wake();
    Ok(ChangeOutcome::done(job.seq))
}

fn resume_series(tx: &mut Tx<'_>, job: &JobKey, series: &Series, compute: &ComputeMove, now: Millis) -> Result<bool> {
    let Some((moved, mut after)) = series_moves::begin(tx, job, series, compute, now)? else {
        return Ok(false);
    };
    for run in series::live_runs(tx.connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let run_state = locate::run(tx.connection, &key)?;
        if let Some(phase) = resume_run(tx, &key, &run_state, true, now)? {
            after.run_changed_phase(Some(Place::Paused.phase()), phase);
        }
    }
    after.resume(now);
    series_moves::save(tx, job, &series.state, &after, &moved)?;
    Ok(true)
}

/// Puts a paused run back into the queue for its due time; `None`: the run is not paused.
fn resume_run(
    tx: &mut Tx<'_>,
    key: &RunKey,
    run_state: &RunState,
    recurring: bool,
    now: Millis,
) -> Result<Option<Phase>> {
    let RunState::Paused(due, waiting) = run_state else {
        return Ok(None);
    };
    locate::remove(tx, key, run_state)?;
    let due = due_by_clock(tx, key, *due, *waiting, recurring, now)?;
    queue::enqueue(tx, key.rank(due), *waiting, now).map(Some)
}

/// When a run is due whose wait may have begun by a clock that was ahead.
fn due_by_clock(
    tx: &Tx<'_>,
    key: &RunKey,
    due: Millis,
    waiting: Waiting,
    recurring: bool,
    now: Millis,
) -> Result<Millis> {
    if due <= now {
        return Ok(due);
    }
    let last = locate::last_attempt(tx.connection, key.job, key.run)?;
    let made_when_due = recurring
        && tx
            .connection
            .prepare_cached("SELECT 1 FROM occurrences WHERE job = ?1 AND run = ?2 AND due = scheduled_at")?
            .exists((key.job, key.run))?;
    let excess = waits::excess(due, waiting.crashes, last, made_when_due, now);
    let earlier = due.saturating_sub(excess);
    if excess > 0 {
        match last.filter(|last| last.next_due.is_some()) {
            Some(last) => {
                tx.connection
                    .prepare_cached(UPDATE_NEXT_DUE)?
                    .execute((key.job, key.run, last.attempt, earlier))?
            }
            None => tx
                .connection
                .prepare_cached(UPDATE_OCCURRENCE_DUE)?
                .execute((key.job, key.run, earlier))?,
        };
    }
    Ok(earlier)
}
