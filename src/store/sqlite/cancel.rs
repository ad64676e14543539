//! Ends a job on request with every run of it that has not ended, or one run only.
//!
//! Invariant: a cancelled run is in no queue and nobody's; whoever had it can neither complete nor release it.

use super::change::ChangeTarget;
use super::complete::error_text;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue::{self, Ended};
use super::series::{self, JobRef, Series};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{RunError, RunStatus, Status};
use crate::store::{ChangeOutcome, RevokedClaim};

const UPDATE_SERIES_CLEAR_LIVE_RUNS: &str = include_str!("sql/update_series_clear_live_runs.sql");
const DELETE_OCCURRENCES: &str = include_str!("sql/delete_occurrences.sql");

/// Cancels the job.
pub(super) fn job(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    reason: Option<&str>,
    now: Millis,
) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => one_off(tx, job, key, run_state, reason, now),
        ChangeTarget::Series(series) => whole_series(tx, job, series, reason, now),
    }
}

/// Cancels the run of a one-off, and the job with it; of a series the run that stands for its state.
pub(super) fn run(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    reason: Option<&str>,
    now: Millis,
) -> Result<ChangeOutcome> {
    let series = match target {
        ChangeTarget::OneOff(key, run_state) => return one_off(tx, job, key, run_state, reason, now),
        ChangeTarget::Series(series) => series,
    };
    let Some(live) = series::current_run(tx.connection, job.seq)? else {
        return Ok(ChangeOutcome::NoRun(series.status()));
    };
    let key = RunKey::of_series(job, live);
    let run_state = locate::run(tx.connection, &key)?;
    let Some(phase) = run_state.phase() else {
        return Ok(ChangeOutcome::NoRun(series.status()));
    };
    let revoked = cancel_run(tx, &key, &run_state, reason, now)?;
    series::run_ended(tx, JobRef::of(job), live.run, phase, RunStatus::Cancelled, now)?;
    steps::run_ended(tx, job.seq, live.run, true, RunStatus::Cancelled)?;
    Ok(done(job, revoked.into_iter().collect()))
}

fn one_off(
    tx: &mut Tx<'_>,
    job: &JobKey,
    key: &RunKey,
    run_state: &RunState,
    reason: Option<&str>,
    now: Millis,
) -> Result<ChangeOutcome> {
    let revoked = cancel_run(tx, key, run_state, reason, now)?;
    queue::insert_ended(tx.connection, Status::Cancelled, now, job.seq)?;
    tx.count_transition(job.route, Some(run_state.status()), Some(Status::Cancelled));
    Ok(done(job, revoked.into_iter().collect()))
}

fn whole_series(
    tx: &mut Tx<'_>,
    job: &JobKey,
    series: &Series,
    reason: Option<&str>,
    now: Millis,
) -> Result<ChangeOutcome> {
    let connection = tx.connection;
    let mut running = Vec::new();
    let live = series::live_runs(connection, job.seq)?;
    for run in &live {
        let key = RunKey::of_series(job, *run);
        let run_state = locate::run(connection, &key)?;
        running.extend(cancel_run(tx, &key, &run_state, reason, now)?);
        steps::run_ended(tx, job.seq, run.run, true, RunStatus::Cancelled)?;
    }
    connection.prepare_cached(DELETE_OCCURRENCES)?.execute([job.seq])?;
    connection
        .prepare_cached(UPDATE_SERIES_CLEAR_LIVE_RUNS)?
        .execute((job.seq, queue::rows(live.len())))?;
    series::end(tx, JobRef::of(job), series.status(), Status::Cancelled, reason, now)?;
    Ok(done(job, running))
}

fn done(job: &JobKey, running: Vec<RevokedClaim>) -> ChangeOutcome {
    ChangeOutcome::Done {
        job: job.seq,
        running,
        summary: None,
    }
}

/// Takes a run from where it is and writes its last attempt; returns who had it.
fn cancel_run(
    tx: &mut Tx<'_>,
    key: &RunKey,
    run_state: &RunState,
    reason: Option<&str>,
    now: Millis,
) -> Result<Option<RevokedClaim>> {
    locate::remove(tx, key, run_state)?;
    let revoked = match run_state {
        RunState::Running(running) => Some(running),
        _ => None,
    };
    let error = reason
        .map(|reason| error_text(&RunError::new("CANCELLED", reason, None)))
        .transpose()?;
    queue::insert_attempt(
        tx.connection,
        Ended {
            job: key.job,
            run: key.run,
            attempt: run_state.attempt().0,
            status: RunStatus::Cancelled,
            started: revoked.map(|running| running.started),
            ended: now,
            next_due: None,
            error: error.as_deref(),
            result: None,
        },
    )?;
    Ok(revoked.map(|running| (key.run, running.owner, running.token)))
}
