//! Changes the due time or schedule of a job.
//!
//! Invariant: history, counts and a running run stay. A new due time is written where [`super::locate`] looks for it: in
//! the history of a run that has some, else in the job.

use super::change_target::ChangeTarget;
use super::job_text::spec_text;
use super::jobs::{self, JobKey};
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::read;
use super::run_rows::Waiting;
use super::series::{self, Series, SeriesDetails};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Kind, Recurrence, Status};
use crate::store::{ChangeOutcome, Timing};

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
    match (target, &timing.recurrence) {
        (ChangeTarget::OneOff(key, run_state), None) => {
            one_off(tx, job, key, run_state, timing.due.unwrap_or(now), now)?
        }
        (ChangeTarget::Series(series), Some(recurrence)) => {
            whole_series(tx, job, series, recurrence, timing.due, now)?;
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
    let before = series.state;
    let mut after = before;
    after.reschedule(due, recurrence.limit, now);
    let spec = spec_text(recurrence)?;
    let details = SeriesDetails {
        spec: Some(&spec),
        ..SeriesDetails::default()
    };
    series::save(tx, job.seq, &before, &after, details)?;
    tx.connection
        .prepare_cached(UPDATE_JOB_DUE)?
        .execute((job.seq, after.next_at, now))?;
    tx.count_transition(job.route, Some(before.status()), Some(after.status()));
    Ok(())
}
