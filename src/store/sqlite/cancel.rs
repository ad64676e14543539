//! Ends a job on request with every run of it that has not ended, or one run only.
//!
//! Invariant: a cancelled run is in no queue and nobody's; whoever had it can neither complete nor release it.

use super::change::Subject;
use super::complete::error_text;
use super::jobs::JobKey;
use super::locate::{self, Place, RunKey};
use super::queue::{self, Ended};
use super::series::{self, Owner, Series};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{RunError, RunStatus, Status};
use crate::store::{Changed, HeldRun};

const NO_LIVE_RUNS: &str =
    "UPDATE series SET ended = ended + ?2, live_queued = 0, live_running = 0, live_waiting = 0 WHERE job = ?1";
const DROP_OCCURRENCES: &str = "DELETE FROM occurrences WHERE job = ?1";

/// Cancels the job.
pub(super) fn job(
    tx: &mut Tx<'_>,
    job: &JobKey,
    subject: &Subject,
    reason: Option<&str>,
    now: Millis,
) -> Result<Changed> {
    match subject {
        Subject::OneOff(key, place) => one_off(tx, job, key, place, reason, now),
        Subject::Series(series) => whole_series(tx, job, series, reason, now),
    }
}

/// Cancels the run of a one-off, and the job with it; of a series the run that stands for its state.
pub(super) fn run(
    tx: &mut Tx<'_>,
    job: &JobKey,
    subject: &Subject,
    reason: Option<&str>,
    now: Millis,
) -> Result<Changed> {
    let series = match subject {
        Subject::OneOff(key, place) => return one_off(tx, job, key, place, reason, now),
        Subject::Series(series) => series,
    };
    let Some(live) = series::current_run(tx.connection, job.seq)? else {
        return Ok(Changed::NoRun(series.status()));
    };
    let key = RunKey::of_series(job, live);
    let place = locate::run(tx.connection, &key)?;
    let Some(phase) = place.phase() else {
        return Ok(Changed::NoRun(series.status()));
    };
    let held = cancel_run(tx, &key, &place, reason, now)?;
    series::run_ended(tx, Owner::of(job), live.run, phase, RunStatus::Cancelled, now)?;
    steps::run_ended(tx, job.seq, live.run, true, RunStatus::Cancelled)?;
    Ok(done(job, held.into_iter().collect()))
}

fn one_off(
    tx: &mut Tx<'_>,
    job: &JobKey,
    key: &RunKey,
    place: &Place,
    reason: Option<&str>,
    now: Millis,
) -> Result<Changed> {
    let held = cancel_run(tx, key, place, reason, now)?;
    queue::put_ended(tx.connection, Status::Cancelled, now, job.seq)?;
    tx.shift(job.route, Some(place.status()), Some(Status::Cancelled));
    Ok(done(job, held.into_iter().collect()))
}

fn whole_series(tx: &mut Tx<'_>, job: &JobKey, series: &Series, reason: Option<&str>, now: Millis) -> Result<Changed> {
    let connection = tx.connection;
    let mut running = Vec::new();
    let live = series::live_runs(connection, job.seq)?;
    for run in &live {
        let key = RunKey::of_series(job, *run);
        let place = locate::run(connection, &key)?;
        running.extend(cancel_run(tx, &key, &place, reason, now)?);
        steps::run_ended(tx, job.seq, run.run, true, RunStatus::Cancelled)?;
    }
    connection.prepare_cached(DROP_OCCURRENCES)?.execute([job.seq])?;
    connection
        .prepare_cached(NO_LIVE_RUNS)?
        .execute((job.seq, queue::rows(live.len())))?;
    series::end(tx, Owner::of(job), series.status(), Status::Cancelled, reason, now)?;
    Ok(done(job, running))
}

fn done(job: &JobKey, running: Vec<HeldRun>) -> Changed {
    Changed::Done {
        job: job.seq,
        running,
        standing: None,
    }
}

/// Takes a run from where it is and writes its last attempt; returns who had it.
fn cancel_run(
    tx: &mut Tx<'_>,
    key: &RunKey,
    place: &Place,
    reason: Option<&str>,
    now: Millis,
) -> Result<Option<HeldRun>> {
    locate::remove(tx, key, place)?;
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
