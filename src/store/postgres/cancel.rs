//! Cancels a job with all its live runs, or a single run.
//!
//! Invariant: a cancelled run is in no queue and has no claim; its former holder can neither complete nor release it.

use super::error_text::error_text;
use super::failure::DbResult;
use super::param::{params, storable};
use super::queue;
use super::run_rows::Ended;
use super::series_changes;
use super::state::{Run, RunState, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::store::rules::cancellation::{self, CancelledRun};
use crate::store::rules::series::RunEnd;
use crate::store::{ChangeOutcome, JobSeq, RevokedClaim};

const DELETE_OCCURRENCES: &str = include_str!("sql/delete_occurrences.sql");

/// Cancels the job.
pub(super) fn job(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    reason: Option<&str>,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let mut running = Vec::new();
    let cancelled = cancellation::cancel_run(stored_job.job.recurring, reason);
    for run in &stored_job.runs {
        running.extend(cancel_run(tx, &stored_job, run, &cancelled, now)?);
    }
    let (job, before) = (stored_job.job.clone(), stored_job.status());
    match stored_job.series {
        Some(mut series) => {
            tx.write_later(DELETE_OCCURRENCES, params![job.seq]);
            cancellation::cancel_series(&mut series.state, now);
            series.reason = reason.map(|text| storable(text).into());
            series.save(tx, job.seq);
        }
        None => tx.inserts.ended.push((cancelled.job, now, job.seq)),
    }
    tx.count_transition(job.route, Some(before), Some(cancelled.job));
    Ok(done(job.seq, running))
}

/// Cancels the run of a one-off, and with it the job; of a series only its current run.
pub(super) fn run(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    reason: Option<&str>,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let before = stored_job.status();
    let Some(mut series) = stored_job.series.clone() else {
        return job(tx, stored_job, reason, now);
    };
    let current = stored_job.current().copied();
    let Some((run, phase)) = current.and_then(|run| Some((run, run.run_state.phase()?))) else {
        return Ok(ChangeOutcome::NoRun(before));
    };
    let cancelled = cancellation::cancel_run(true, reason);
    let revoked = cancel_run(tx, &stored_job, &run, &cancelled, now)?;
    let job = &stored_job.job;
    let ended = RunEnd {
        run: run.run,
        status: cancelled.history.status,
        ended_at: now,
    };
    series.run_ended(tx, (job.seq, ended, run.scheduled_at), phase, now);
    series_changes::count(tx, (job.route, before), (job.route, series.status()));
    series.save(tx, job.seq);
    Ok(done(job.seq, revoked.into_iter().collect()))
}

fn done(job: JobSeq, running: Vec<RevokedClaim>) -> ChangeOutcome {
    ChangeOutcome::Done {
        job,
        running,
        summary: None,
    }
}

/// Removes a run from its table and writes its last attempt; returns the claim that was on it.
fn cancel_run(
    tx: &mut Tx<'_>,
    stored_job: &StoredJob,
    run: &Run,
    cancelled: &CancelledRun,
    now: Millis,
) -> DbResult<Option<RevokedClaim>> {
    let job = stored_job.job.seq;
    queue::remove(tx, stored_job, run);
    tx.inserts.steps_after_run.add(job, run.run, cancelled.steps);
    let revoked = match run.run_state {
        RunState::Running(running) => Some(running),
        _ => None,
    };
    let row = &cancelled.history;
    tx.inserts.attempts.push(Ended {
        job,
        run: run.run,
        attempt: run.run_state.attempt().0,
        status: row.status,
        started: revoked.map(|running| running.started),
        ended: now,
        next_due: row.next_due,
        error: row.error.as_deref().map(error_text).transpose()?,
        result: row.result.map(Into::into),
    });
    Ok(revoked.map(|running| (run.run, running.owner, running.token)))
}
