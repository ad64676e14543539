//! Cancels a job with all its live runs, or a single run.
//!
//! Invariant: a cancelled run is in no queue and has no claim; its former holder can neither complete nor release it.

use super::change_target::ChangeTarget;
use super::error_text::error_text;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::run_rows::Ended;
use super::series::{self, JobRef, Series, SeriesDetails};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::rules::cancellation::{self, CancelledRun};
use crate::store::rules::series::RunEnd;
use crate::store::{ChangeOutcome, RevokedClaim};

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

/// Cancels the run of a one-off, and with it the job; of a series only its current run.
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
        return Ok(ChangeOutcome::NoRun(series.state.status()));
    };
    let key = RunKey::of_series(job, live);
    let run_state = locate::run(tx.connection, &key)?;
    let Some(phase) = run_state.phase() else {
        return Ok(ChangeOutcome::NoRun(series.state.status()));
    };
    let cancelled = cancellation::cancel_run(true, reason);
    let revoked = cancel_run(tx, &key, &run_state, &cancelled, now)?;
    let run = RunEnd {
        run: live.run,
        status: cancelled.history.status,
        ended_at: now,
    };
    series::run_ended(tx, JobRef::of(job), run, phase, now)?;
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
    let cancelled = cancellation::cancel_run(false, reason);
    let revoked = cancel_run(tx, key, run_state, &cancelled, now)?;
    queue::insert_ended(tx.connection, cancelled.job, now, job.seq)?;
    tx.count_transition(job.route, Some(run_state.status()), Some(cancelled.job));
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
    let cancelled = cancellation::cancel_run(true, reason);
    for run in series::live_runs(connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let run_state = locate::run(connection, &key)?;
        running.extend(cancel_run(tx, &key, &run_state, &cancelled, now)?);
    }
    connection.prepare_cached(DELETE_OCCURRENCES)?.execute([job.seq])?;
    let before = series.state;
    let mut after = before;
    cancellation::cancel_series(&mut after, now);
    series::save(
        tx,
        job.seq,
        &before,
        &after,
        SeriesDetails {
            reason,
            ..SeriesDetails::default()
        },
    )?;
    tx.count_transition(job.route, Some(before.status()), Some(after.status()));
    Ok(done(job, running))
}

fn done(job: &JobKey, running: Vec<RevokedClaim>) -> ChangeOutcome {
    ChangeOutcome::Done {
        job: job.seq,
        running,
        summary: None,
    }
}

/// Removes a run from its table and writes its last attempt; returns the claim that was on it.
fn cancel_run(
    tx: &mut Tx<'_>,
    key: &RunKey,
    run_state: &RunState,
    cancelled: &CancelledRun,
    now: Millis,
) -> Result<Option<RevokedClaim>> {
    locate::remove(tx, key, run_state)?;
    let revoked = match run_state {
        RunState::Running(running) => Some(running),
        _ => None,
    };
    let row = &cancelled.history;
    let error = row.error.as_deref().map(error_text).transpose()?;
    queue::insert_attempt(
        tx.connection,
        Ended {
            job: key.job,
            run: key.run,
            attempt: run_state.attempt().0,
            status: row.status,
            started: revoked.map(|running| running.started),
            ended: now,
            next_due: row.next_due,
            error: error.as_deref(),
            result: row.result,
        },
    )?;
    steps::run_ended(tx, key.job, key.run, cancelled.steps)?;
    Ok(revoked.map(|running| (key.run, running.owner, running.token)))
}
