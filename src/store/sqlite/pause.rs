//! Pausing and resuming: waiting runs go to a table of their own, and a series makes no new ones.
//!
//! Invariant: while a job is paused none of its runs is where it could be claimed or fall due. A run that is going is
//! left alone; if it is to go on afterwards, it waits with the others.

use super::change::ChangeTarget;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::series::{self, JobRef, Series};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::phase::Phase;
use crate::store::{ChangeOutcome, NextOccurrence};

const UPDATE_SERIES_PAUSE: &str = include_str!("sql/update_series_pause.sql");
const UPDATE_SERIES_RESUME: &str = include_str!("sql/update_series_resume.sql");

/// Pauses a job that goes on.
pub(super) fn pause(tx: &mut Tx<'_>, job: &JobKey, target: &ChangeTarget) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            pause_run(tx, key, run_state)?;
            tx.count_transition(job.route, Some(run_state.status()), Some(Status::Paused));
        }
        ChangeTarget::Series(series) => {
            tx.connection.prepare_cached(UPDATE_SERIES_PAUSE)?.execute([job.seq])?;
            tx.count_transition(job.route, Some(series.status()), Some(Status::Paused));
            for run in series::live_runs(tx.connection, job.seq)? {
                let key = RunKey::of_series(job, run);
                let run_state = locate::run(tx.connection, &key)?;
                if pause_run(tx, &key, &run_state)? {
                    series::run_changed_phase(tx, JobRef::of(job), run_state.phase(), Phase::Waiting)?;
                }
            }
        }
    }
    Ok(ChangeOutcome::done(job.seq))
}

/// Moves a run out of the way, if it waits.
fn pause_run(tx: &mut Tx<'_>, key: &RunKey, run_state: &RunState) -> Result<bool> {
    let Some((due, waiting)) = run_state.waiting(key) else {
        return Ok(false);
    };
    locate::remove(tx, key, run_state)?;
    queue::insert_paused(tx.connection, due, waiting)?;
    Ok(true)
}

/// Lets a paused job go on; `next` says where a series does.
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
    let job_ref = JobRef::of(job);
    for run in series::live_runs(tx.connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let run_state = locate::run(tx.connection, &key)?;
        if let Some(phase) = resume_run(tx, &key, &run_state, now)? {
            series::run_changed_phase(tx, job_ref, Some(Phase::Waiting), phase)?;
        }
    }
    // What had no run to come when it was paused has none now.
    let next_at = match series.next_at {
        Some(_) => (next.0)(&series.spec, series.counted_runs())?,
        None => None,
    };
    tx.connection
        .prepare_cached(UPDATE_SERIES_RESUME)?
        .execute((job.seq, next_at))?;
    let resumed = series::expect(tx.connection, job.seq)?;
    let after = resumed.status();
    tx.count_transition(job.route, Some(Status::Paused), Some(after));
    if next_at.is_none() && resumed.live.total() == 0 {
        series::end(tx, job_ref, after, Status::Completed, None, now)?;
    }
    Ok(())
}

/// Puts a paused run back where its due time belongs; `None`: it is none.
fn resume_run(tx: &mut Tx<'_>, key: &RunKey, run_state: &RunState, now: Millis) -> Result<Option<Phase>> {
    let RunState::Paused(due, waiting) = run_state else {
        return Ok(None);
    };
    locate::remove(tx, key, run_state)?;
    queue::enqueue(tx, key.rank(*due), *waiting, now).map(Some)
}
