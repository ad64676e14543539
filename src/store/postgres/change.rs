//! Changes of stored jobs on request: locks them, checks the table of allowed changes, and calls the verb.
//!
//! Invariant: no verb changes a job in a state for which the table forbids it.

use super::failure::DbResult;
use super::outbox::Event;
use super::session::Session;
use super::state::{self, StoredJob};
use super::tx::{Effects, Tx};
use super::{cancel, delete, pause, reschedule, retry, series_moves};
use crate::clock::Millis;
use crate::model::{JobId, Status};
use crate::store::{BulkChangeOutcome, Change, ChangeOutcome, JobSeq};
use futures_util::future::try_join;

/// Changes the job with this id. Also returns whether something may have become claimable.
pub(super) async fn by_id(
    session: &Session,
    id: &JobId,
    change: &Change,
    now: Millis,
) -> DbResult<(ChangeOutcome, Effects)> {
    let (mut tx, seq) = try_join(Tx::begin(session), state::lock(session, id)).await?;
    let Some(seq) = seq else {
        tx.roll_back().await?;
        return Ok((ChangeOutcome::NotFound, Effects::default()));
    };
    let stored_job = state::lock_series(session, &vec![seq]).await?.pop();
    let Some(stored_job) = stored_job else {
        tx.roll_back().await?;
        return Ok((ChangeOutcome::NotFound, Effects::default()));
    };
    let changed = one(&mut tx, stored_job, &[], change, now).await?;
    if !matches!(changed, ChangeOutcome::Done { .. }) {
        tx.roll_back().await?;
        return Ok((changed, Effects::default()));
    }
    let after = tx.commit().await?;
    Ok((changed, after))
}

/// Changes those of the jobs that are in one of these states and may be changed.
pub(super) async fn some(
    session: &Session,
    jobs: &[JobSeq],
    statuses: &[Status],
    change: &Change,
    now: Millis,
) -> DbResult<(BulkChangeOutcome, Effects)> {
    let mut tx = Tx::begin(session).await?;
    let jobs = state::lock_all(session, &jobs.to_vec()).await?;
    let mut changed = BulkChangeOutcome::default();
    for stored_job in state::lock_series(session, &jobs).await? {
        let id = stored_job.job.id.clone();
        if let ChangeOutcome::Done { job, running, .. } = one(&mut tx, stored_job, statuses, change, now).await? {
            changed.jobs.push(job);
            changed.ids.push(id);
            changed.running.extend(running);
        }
    }
    let after = tx.commit().await?;
    Ok((changed, after))
}

async fn one(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    statuses: &[Status],
    change: &Change,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let status = stored_job.status();
    let wanted = statuses.is_empty() || statuses.contains(&status);
    if !wanted || !status.allows(change.action(), stored_job.kind()) {
        return Ok(ChangeOutcome::Forbidden(status));
    }
    let job = stored_job.job.seq;
    let changed = match change {
        Change::Cancel { reason } => cancel::job(tx, stored_job, reason.as_deref(), now),
        Change::CancelRun { reason } => cancel::run(tx, stored_job, reason.as_deref(), now),
        Change::Pause(compute) => pause::pause(tx, stored_job, compute, now).await,
        Change::Resume(compute) => pause::resume(tx, stored_job, compute, now).await,
        Change::Reschedule(timing) => reschedule::apply(tx, stored_job, timing, now).await,
        Change::Retry { due } => Ok(retry::apply(tx, stored_job, *due, now)),
        Change::RunNow(compute) => series_moves::run_now(tx, stored_job, compute, now).await,
        Change::SkipNext(compute) => series_moves::skip_next(tx, stored_job, compute, now).await,
        Change::Delete => Ok(delete::apply(tx, &stored_job)),
    }?;
    if let (ChangeOutcome::Done { .. }, Some(kind)) = (&changed, change.event()) {
        tx.add_event(Event::new(kind, job, now));
    }
    Ok(changed)
}
