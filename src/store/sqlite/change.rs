//! Changes of stored jobs on request: finds the job's state, checks the table of allowed changes, and calls the verb.
//!
//! Invariant: no verb changes a job in a state for which the table forbids it.

use super::change_target::ChangeTarget;
use super::jobs::{self, JobKey};
use super::outbox::{self, Event};
use super::time_slice::TimeSlice;
use super::tx::Tx;
use super::{cancel, delete, pause, reschedule, retry, series_moves};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, Kind, Status};
use crate::store::{BulkChangeOutcome, Change, ChangeOutcome, JobSeq};

/// Changes the job with this id.
pub(super) fn by_id(tx: &mut Tx<'_>, id: &JobId, change: &Change, now: Millis) -> Result<ChangeOutcome> {
    match jobs::by_id(tx.connection, id)? {
        Some(job) => one(tx, &job, &[], change, now),
        None => Ok(ChangeOutcome::NotFound),
    }
}

/// Changes those of the jobs that are in one of these states and may be changed, in order, until the time slice is over.
/// Also returns how many were examined, at least one.
pub(super) fn some(
    tx: &mut Tx<'_>,
    jobs: &[JobSeq],
    statuses: &[Status],
    change: &Change,
    now: Millis,
) -> Result<(BulkChangeOutcome, usize)> {
    let mut changed = BulkChangeOutcome::default();
    let time_slice = TimeSlice::begin();
    for (seen, seq) in jobs.iter().enumerate() {
        if seen > 0 && time_slice.is_over() {
            return Ok((changed, seen));
        }
        let Some(job) = jobs::by_seq(tx.connection, *seq)? else {
            continue;
        };
        // Read before the change, which may delete the job.
        let id = jobs::id_of(tx.connection, *seq)?;
        if let ChangeOutcome::Done { job, running, .. } = one(tx, &job, statuses, change, now)? {
            changed.jobs.push(job);
            changed.ids.push(id);
            changed.running.extend(running);
        }
    }
    Ok((changed, jobs.len()))
}

fn one(tx: &mut Tx<'_>, job: &JobKey, statuses: &[Status], change: &Change, now: Millis) -> Result<ChangeOutcome> {
    let target = ChangeTarget::of(tx, job)?;
    let status = target.status();
    let wanted = statuses.is_empty() || statuses.contains(&status);
    if !wanted || !status.allows(change.action(), Kind::of(job.recurring)) {
        return Ok(ChangeOutcome::Forbidden(status));
    }
    let changed = match change {
        Change::Cancel { reason } => cancel::job(tx, job, &target, reason.as_deref(), now),
        Change::CancelRun { reason } => cancel::run(tx, job, &target, reason.as_deref(), now),
        Change::Pause(compute) => pause::pause(tx, job, &target, compute, now),
        Change::Resume(compute) => pause::resume(tx, job, &target, compute, now),
        Change::Reschedule(timing) => reschedule::apply(tx, job, &target, timing, now),
        Change::Retry { due } => retry::apply(tx, job, &target, *due, now),
        Change::RunNow(compute) => series_moves::run_now(tx, job, &target, compute, now),
        Change::SkipNext(compute) => series_moves::skip_next(tx, job, &target, compute, now),
        Change::Delete => delete::apply(tx, job, &target),
    }?;
    if let (ChangeOutcome::Done { .. }, Some(kind)) = (&changed, change.event()) {
        outbox::append(tx, Event::new(kind, job.seq, now))?;
    }
    Ok(changed)
}
