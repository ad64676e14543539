//! Gives a job another time or schedule.
//!
//! Invariant: history, counts and a run that is going stay. A new due time is written where [`super::locate`] finds it:
//! in the history of a run that has some, else in the job.

use super::change::ChangeTarget;
use super::insert::spec_text;
use super::jobs::{self, JobKey};
use super::locate::{self, RunKey, RunState};
use super::queue::{self, Waiting};
use super::read;
use super::replace;
use super::series::{self, JobRef, Series};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Kind, Recurrence, Status};
use crate::store::{ChangeOutcome, Timing};

const UPDATE_JOB_DUE: &str = include_str!("sql/update_job_due.sql");
const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");
const UPDATE_NEXT_DUE: &str = include_str!("sql/update_next_due.sql");

/// Applies a new timing of the job's own kind.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    timing: &Timing,
    now: Millis,
) -> Result<ChangeOutcome> {
    match (target, &timing.recurrence) {
        (ChangeTarget::OneOff(key, run_state), None) => {
            one_off(tx, job, key, run_state, timing.due.unwrap_or(now), now)?
        }
        (ChangeTarget::Series(series), Some(recurrence)) => {
            let due = timing.due.filter(|_| replace::has_runs_left(recurrence, series));
            whole_series(tx, job, series, recurrence, due, now)?;
        }
        _ => return Ok(ChangeOutcome::OtherKind(Kind::of(job.recurring))),
    }
    tx.wake();
    let changed = jobs::expect(tx.connection, job.seq)?;
    Ok(ChangeOutcome::Done {
        job: job.seq,
        running: Vec::new(),
        summary: Some(read::summary(tx.connection, &changed)?),
    })
}

fn one_off(tx: &mut Tx<'_>, job: &JobKey, key: &RunKey, run_state: &RunState, due: Millis, now: Millis) -> Result<()> {
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

fn whole_series(
    tx: &mut Tx<'_>,
    job: &JobKey,
    series: &Series,
    recurrence: &Recurrence,
    due: Option<Millis>,
    now: Millis,
) -> Result<()> {
    tx.connection
        .prepare_cached(replace::UPDATE_SERIES_SCHEDULE)?
        .execute((job.seq, spec_text(recurrence)?, due))?;
    tx.connection
        .prepare_cached(UPDATE_JOB_DUE)?
        .execute((job.seq, due, now))?;
    if due.is_none() && series.live.total() == 0 {
        series::end(tx, JobRef::of(job), series.status(), Status::Completed, None, now)?;
    }
    Ok(())
}
