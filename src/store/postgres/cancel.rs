//! Ends a job on request with every run of it that has not ended, or one run only.
//!
//! Invariant: a cancelled run is in no queue and nobody's; whoever had it can neither complete nor release it.

use super::complete::error_text;
use super::failure::DbResult;
use super::queue::Ended;
use super::series::{self, EndedRun};
use super::state::{Run, RunState, StoredJob};
use super::steps;
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::model::{RunError, RunStatus, Status};
use crate::store::{ChangeOutcome, RevokedClaim};

const DELETE_OCCURRENCES: &str = include_str!("sql/delete_occurrences.sql");

/// Cancels the job.
pub(super) fn job(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    reason: Option<&str>,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let mut running = Vec::new();
    for run in &stored_job.runs {
        running.extend(cancel_run(tx, &stored_job, run, reason, now)?);
    }
    let (job, before) = (stored_job.job.clone(), stored_job.status());
    match stored_job.series {
        Some(mut series) => {
            tx.write_later(DELETE_OCCURRENCES, params![job.seq]);
            series.ended += series.live.total();
            series.live = crate::store::phase::LiveRuns::default();
            series.end(tx, job.seq, Status::Cancelled, reason, now);
            series.save(tx, job.seq);
        }
        None => tx.inserts.ended.push((Status::Cancelled, now, job.seq)),
    }
    tx.count_transition(job.route, Some(before), Some(Status::Cancelled));
    Ok(done(job.seq, running))
}

/// Cancels the run of a one-off, and the job with it; of a series the run that stands for its state.
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
    let revoked = cancel_run(tx, &stored_job, &run, reason, now)?;
    let job = &stored_job.job;
    let ended = EndedRun {
        job: job.seq,
        run: run.run,
        scheduled_at: run.scheduled_at,
    };
    series.run_ended(tx, ended, phase, RunStatus::Cancelled, now);
    series::count(tx, (job.route, before), (job.route, series.status()));
    series.save(tx, job.seq);
    Ok(done(job.seq, revoked.into_iter().collect()))
}

fn done(job: i64, running: Vec<RevokedClaim>) -> ChangeOutcome {
    ChangeOutcome::Done {
        job,
        running,
        summary: None,
    }
}

/// Takes a run from where it is and writes its last attempt; returns who had it.
fn cancel_run(
    tx: &mut Tx<'_>,
    stored_job: &StoredJob,
    run: &Run,
    reason: Option<&str>,
    now: Millis,
) -> DbResult<Option<RevokedClaim>> {
    stored_job.remove(tx, run);
    if stored_job.job.recurring {
        // Only a run that failed is run again.
        steps::delete_steps_of_run(tx, stored_job.job.seq, run.run);
    }
    let revoked = match run.run_state {
        RunState::Running(running) => Some(running),
        _ => None,
    };
    let error = reason
        .map(|reason| error_text(&RunError::new("CANCELLED", reason, None)))
        .transpose()?;
    tx.inserts.attempts.push(Ended {
        job: stored_job.job.seq,
        run: run.run,
        attempt: run.run_state.attempt().0,
        status: RunStatus::Cancelled,
        started: revoked.map(|running| running.started),
        ended: now,
        next_due: None,
        error,
        result: None,
    });
    Ok(revoked.map(|running| (run.run, running.owner, running.token)))
}
