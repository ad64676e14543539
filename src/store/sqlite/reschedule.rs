//! Changes the due time or schedule of a job.
//!
//! Invariant: history, counts and a running run stay. A new due time is written where [`super::locate`] looks for it: in
//! the history of a run that has some, else in the job.

use super::change_target::ChangeTarget;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::run_rows::Waiting;
use super::series::Series;
use super::series_moves;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Kind, Status};
use crate::store::{ChangeOutcome, ComputeMove, Timing};

const UPDATE_JOB_DUE: &str = include_str!("sql/update_job_due.sql");
const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");
const UPDATE_NEXT_DUE: &str = include_str!("sql/update_next_due.sql");

/// Applies a new timing of the same kind as the job.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    timing: &Timing,
    now: Millis,
) -> Result<ChangeOutcome> {
    match (target, &timing.series) {
        (ChangeTarget::OneOff(key, run_state), None) => {
            one_off(tx, job, key, run_state, timing.due.unwrap_or(now), now)?
        }
        (ChangeTarget::Series(series), Some(compute)) => {
            if !whole_series(tx, job, series, compute, now)? {
                return Ok(ChangeOutcome::Forbidden(series.state.status()));
            }
        }
        _ => return Ok(ChangeOutcome::OtherKind(Kind::of(job.recurring))),
    }
    series_moves::done(tx, job)
}

pub(super) fn one_off(
    tx: &mut Tx<'_>,
    job: &JobKey,
    key: &RunKey,
    run_state: &RunState,
    due: Millis,
    now: Millis,
) -> Result<()> {
    let Some((_, waiting)) = run_state.waiting(key) else {
        return Ok(());
    };
    locate::remove(tx, key, run_state)?;
    let last = locate::last_attempt(tx.connection, key.job, key.run)?;
    match last {
        Some(last) => {
            let row = (key.job, key.run, last.attempt, due);
            tx.connection.prepare_cached(UPDATE_NEXT_DUE)?.execute(row)?;
            tx.connection
                .prepare_cached(UPDATE_JOB_UPDATED)?
                .execute((job.seq, now))?;
        }
        None => {
            tx.connection
                .prepare_cached(UPDATE_JOB_DUE)?
                .execute((job.seq, due, now))?;
        }
    }
    let after = put(tx, key, run_state, waiting, last.is_none(), due, now)?;
    tx.count_transition(job.route, Some(run_state.status()), Some(after));
    Ok(())
}

fn put(
    tx: &mut Tx<'_>,
    key: &RunKey,
    run_state: &RunState,
    waiting: Waiting,
    fresh: bool,
    due: Millis,
    now: Millis,
) -> Result<Status> {
    if matches!(run_state, RunState::Paused(..)) {
        queue::insert_paused(tx.connection, due, waiting)?;
        return Ok(Status::Paused);
    }
    if fresh {
        return queue::enqueue_first(tx, key.rank(due), key.job, key.run, now);
    }
    Ok(queue::enqueue(tx, key.rank(due), waiting, now)?.status())
}

fn whole_series(tx: &mut Tx<'_>, job: &JobKey, series: &Series, compute: &ComputeMove, now: Millis) -> Result<bool> {
    let Some((moved, mut after)) = series_moves::begin(tx, job, series, compute, now)? else {
        return Ok(false);
    };
    after.reschedule(moved.recurrence.as_ref().and_then(|new| new.limit), now);
    series_moves::save(tx, job, &series.state, &after, &moved)?;
    tx.connection
        .prepare_cached(UPDATE_JOB_DUE)?
        .execute((job.seq, after.next_at, now))?;
    Ok(true)
}
