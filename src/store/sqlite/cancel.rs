//! Ends a job on request, with every run of it that has not ended.
//!
//! Invariant: a cancelled run is in no queue and nobody's; whoever had it can neither complete nor release it.

use super::complete::error_text;
use super::jobs::{self, JobKey};
use super::locate::{self, Place, RunKey};
use super::queue::{self, Ended};
use super::series::{self, Owner};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Action, JobId, RunError, RunStatus, Status};
use crate::store::{Cancelled, InstanceId, Token};

const NO_LIVE_RUNS: &str =
    "UPDATE series SET ended = ended + ?2, live_queued = 0, live_running = 0, live_waiting = 0 WHERE job = ?1";
const DROP_OCCURRENCES: &str = "DELETE FROM occurrences WHERE job = ?1";

type Held = (i64, InstanceId, Token);

/// Cancels the job.
pub(super) fn apply(tx: &mut Tx<'_>, id: &JobId, reason: Option<&str>, now: Millis) -> Result<Cancelled> {
    let Some(job) = jobs::by_id(tx.connection, id)? else {
        return Ok(Cancelled::NotFound);
    };
    if job.recurring {
        cancel_series(tx, &job, reason, now)
    } else {
        cancel_one_off(tx, &job, reason, now)
    }
}

fn cancel_one_off(tx: &mut Tx<'_>, job: &JobKey, reason: Option<&str>, now: Millis) -> Result<Cancelled> {
    let key = RunKey::of_one_off(job);
    let place = locate::run(tx.connection, &key)?;
    let before = place.status();
    if !before.allows(Action::Cancel) {
        return Ok(Cancelled::Forbidden(before));
    }
    let held = cancel_run(tx, &key, &place, reason, now)?;
    queue::put_ended(tx.connection, Status::Cancelled, now, job.seq)?;
    tx.shift(job.route, Some(before), Some(Status::Cancelled));
    Ok(Cancelled::Done {
        job: job.seq,
        running: held.into_iter().collect(),
    })
}

fn cancel_series(tx: &mut Tx<'_>, job: &JobKey, reason: Option<&str>, now: Millis) -> Result<Cancelled> {
    let connection = tx.connection;
    let series = series::expect(connection, job.seq)?;
    let before = series.status();
    if !before.allows(Action::Cancel) {
        return Ok(Cancelled::Forbidden(before));
    }
    let mut running = Vec::new();
    let live = series::live_runs(connection, job.seq)?;
    for run in &live {
        let key = RunKey::of_series(job, run.run, run.scheduled_at);
        let place = locate::run(connection, &key)?;
        running.extend(cancel_run(tx, &key, &place, reason, now)?);
    }
    connection.prepare_cached(DROP_OCCURRENCES)?.execute([job.seq])?;
    connection
        .prepare_cached(NO_LIVE_RUNS)?
        .execute((job.seq, queue::rows(live.len())))?;
    let owner = Owner {
        job: job.seq,
        route: job.route,
        recurring: true,
    };
    series::end(tx, owner, before, Status::Cancelled, reason, now)?;
    Ok(Cancelled::Done { job: job.seq, running })
}

/// Takes a run from where it is and writes its last attempt; returns who had it.
fn cancel_run(tx: &Tx<'_>, key: &RunKey, place: &Place, reason: Option<&str>, now: Millis) -> Result<Option<Held>> {
    locate::remove(tx.connection, key, place)?;
    let held = match place {
        Place::Running(running) => Some(running),
        _ => None,
    };
    let error = reason
        .map(|reason| error_text(&RunError::new("CANCELLED", reason, None)))
        .transpose()?;
    queue::put_attempt(
        tx.connection,
        Ended {
            job: key.job,
            run: key.run,
            attempt: place.attempt().0,
            status: RunStatus::Cancelled,
            started: held.map(|running| running.started),
            ended: now,
            next_due: None,
            error: error.as_deref(),
            result: None,
        },
    )?;
    Ok(held.map(|running| (key.run, running.owner, running.token)))
}
