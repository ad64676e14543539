//! Gives a job another time or schedule.
//!
//! Invariant: history, counts and a run that is going stay. A new due time is written where [`super::locate`] finds it:
//! in the history of a run that has some, else in the job.

use super::change::Subject;
use super::insert::spec_text;
use super::jobs::{self, JobKey};
use super::locate::{self, Place, RunKey};
use super::queue::{self, Waiting};
use super::read;
use super::replace;
use super::series::{self, Owner, Series};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Kind, Recurrence, Status};
use crate::store::{Changed, Timing};

const DUE: &str = "UPDATE jobs SET due = ?2, updated = ?3 WHERE seq = ?1";
const TOUCH: &str = "UPDATE jobs SET updated = ?2 WHERE seq = ?1";
const NEXT_DUE: &str = "UPDATE runs SET next_due = ?4 WHERE job = ?1 AND run = ?2 AND attempt = ?3";

/// Applies a new timing of the job's own kind.
pub(super) fn apply(tx: &mut Tx<'_>, job: &JobKey, subject: &Subject, timing: &Timing, now: Millis) -> Result<Changed> {
    match (subject, &timing.recurrence) {
        (Subject::OneOff(key, place), None) => one_off(tx, job, key, place, timing.due.unwrap_or(now), now)?,
        (Subject::Series(series), Some(recurrence)) => {
            let due = timing.due.filter(|_| replace::has_runs_left(recurrence, series));
            whole_series(tx, job, series, recurrence, due, now)?;
        }
        _ => return Ok(Changed::OtherKind(Kind::of(job.recurring))),
    }
    tx.wake();
    let changed = jobs::expect(tx.connection, job.seq)?;
    Ok(Changed::Done {
        job: job.seq,
        running: Vec::new(),
        standing: Some(read::standing(tx.connection, &changed)?),
    })
}

fn one_off(tx: &mut Tx<'_>, job: &JobKey, key: &RunKey, place: &Place, due: Millis, now: Millis) -> Result<()> {
    let Some((_, waiting)) = place.waiting(key) else {
        return Ok(());
    };
    locate::remove(tx, key, place)?;
    let last = locate::last_attempt(tx.connection, key.job, key.run)?;
    match last {
        Some(last) => {
            let row = (key.job, key.run, last.attempt, due);
            tx.connection.prepare_cached(NEXT_DUE)?.execute(row)?;
            tx.connection.prepare_cached(TOUCH)?.execute((job.seq, now))?;
        }
        None => {
            tx.connection.prepare_cached(DUE)?.execute((job.seq, due, now))?;
        }
    }
    let after = put(tx, key, place, waiting, last.is_none(), due, now)?;
    tx.shift(job.route, Some(place.status()), Some(after));
    Ok(())
}

fn put(
    tx: &mut Tx<'_>,
    key: &RunKey,
    place: &Place,
    waiting: Waiting,
    fresh: bool,
    due: Millis,
    now: Millis,
) -> Result<Status> {
    if matches!(place, Place::Paused(..)) {
        queue::put_paused(tx.connection, due, waiting)?;
        return Ok(Status::Paused);
    }
    if fresh {
        return queue::put_first(tx, key.rank(due), key.job, key.run, now);
    }
    Ok(queue::put_waiting(tx, key.rank(due), waiting, now)?.status())
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
        .prepare_cached(replace::REPLACE_SERIES)?
        .execute((job.seq, spec_text(recurrence)?, due))?;
    tx.connection.prepare_cached(DUE)?.execute((job.seq, due, now))?;
    if due.is_none() && series.live.total() == 0 {
        series::end(tx, Owner::of(job), series.status(), Status::Completed, None, now)?;
    }
    Ok(())
}
