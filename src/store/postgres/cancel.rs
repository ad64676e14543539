//! Ends a job on request with every run of it that has not ended, or one run only.
//!
//! Invariant: a cancelled run is in no queue and nobody's; whoever had it can neither complete nor release it.

use super::complete::error_text;
use super::failure::Attempt;
use super::queue::Ended;
use super::series::{self, EndedRun};
use super::state::{Place, Run, Subject};
use super::steps;
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::model::{RunError, RunStatus, Status};
use crate::store::{Changed, HeldRun};

const DROP_OCCURRENCES: &str = "DELETE FROM ductape.occurrences WHERE job = $1";

/// Cancels the job.
pub(super) fn job(tx: &mut Tx<'_>, subject: Subject, reason: Option<&str>, now: Millis) -> Attempt<Changed> {
    let mut running = Vec::new();
    for run in &subject.runs {
        running.extend(cancel_run(tx, &subject, run, reason, now)?);
    }
    let (job, before) = (subject.job.clone(), subject.status());
    match subject.series {
        Some(mut series) => {
            tx.later(DROP_OCCURRENCES, params![job.seq]);
            series.ended += series.live.total();
            series.live = crate::store::phase::LiveRuns::default();
            series.end(tx, job.seq, Status::Cancelled, reason, now);
            series.save(tx, job.seq);
        }
        None => tx.puts.ended.push((Status::Cancelled, now, job.seq)),
    }
    tx.shift(job.route, Some(before), Some(Status::Cancelled));
    Ok(done(job.seq, running))
}

/// Cancels the run of a one-off, and the job with it; of a series the run that stands for its state.
pub(super) fn run(tx: &mut Tx<'_>, subject: Subject, reason: Option<&str>, now: Millis) -> Attempt<Changed> {
    let before = subject.status();
    let Some(mut series) = subject.series.clone() else {
        return job(tx, subject, reason, now);
    };
    let current = subject.current().copied();
    let Some((run, phase)) = current.and_then(|run| Some((run, run.place.phase()?))) else {
        return Ok(Changed::NoRun(before));
    };
    let held = cancel_run(tx, &subject, &run, reason, now)?;
    let job = &subject.job;
    let ended = EndedRun {
        job: job.seq,
        run: run.run,
        scheduled_at: run.scheduled_at,
    };
    series.run_ended(tx, ended, phase, RunStatus::Cancelled, now);
    series::count(tx, (job.route, before), (job.route, series.status()));
    series.save(tx, job.seq);
    Ok(done(job.seq, held.into_iter().collect()))
}

fn done(job: i64, running: Vec<HeldRun>) -> Changed {
    Changed::Done {
        job,
        running,
        standing: None,
    }
}

/// Takes a run from where it is and writes its last attempt; returns who had it.
fn cancel_run(
    tx: &mut Tx<'_>,
    subject: &Subject,
    run: &Run,
    reason: Option<&str>,
    now: Millis,
) -> Attempt<Option<HeldRun>> {
    subject.remove(tx, run);
    if subject.job.recurring {
        // Only a run that failed is run again.
        steps::drop_run(tx, subject.job.seq, run.run);
    }
    let held = match run.place {
        Place::Running(running) => Some(running),
        _ => None,
    };
    let error = reason
        .map(|reason| error_text(&RunError::new("CANCELLED", reason, None)))
        .transpose()?;
    tx.puts.attempts.push(Ended {
        job: subject.job.seq,
        run: run.run,
        attempt: run.place.attempt().0,
        status: RunStatus::Cancelled,
        started: held.map(|running| running.started),
        ended: now,
        next_due: None,
        error,
        result: None,
    });
    Ok(held.map(|running| (run.run, running.owner, running.token)))
}
