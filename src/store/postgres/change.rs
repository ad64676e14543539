//! Changes of stored jobs on request: locks them, asks the table of states, hands over to the verb.
//!
//! Invariant: no verb touches a job in a state that the table forbids it in.

use super::failure::Attempt;
use super::outbox::Event;
use super::session::Session;
use super::state::{self, Subject};
use super::tx::{After, Tx};
use super::{cancel, delete, pause, reschedule, retry};
use crate::clock::Millis;
use crate::model::{JobId, Status};
use crate::store::{Change, Changed, ChangedSome, JobSeq};
use futures_util::future::try_join;

/// Changes the job with this id. Also says whether something may be claimable now.
pub(super) async fn by_id(session: &Session, id: &JobId, change: &Change, now: Millis) -> Attempt<(Changed, After)> {
    let (mut tx, seq) = try_join(Tx::begin(session), state::lock(session, id)).await?;
    let Some(seq) = seq else {
        tx.roll_back().await?;
        return Ok((Changed::NotFound, After::default()));
    };
    let subject = state::lock_series(session, &vec![seq]).await?.pop();
    let Some(subject) = subject else {
        tx.roll_back().await?;
        return Ok((Changed::NotFound, After::default()));
    };
    let changed = one(&mut tx, subject, &[], change, now).await?;
    if !matches!(changed, Changed::Done { .. }) {
        tx.roll_back().await?;
        return Ok((changed, After::default()));
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
) -> Attempt<(ChangedSome, After)> {
    let mut tx = Tx::begin(session).await?;
    let jobs = state::lock_all(session, &jobs.to_vec()).await?;
    let mut changed = ChangedSome::default();
    for subject in state::lock_series(session, &jobs).await? {
        let id = subject.job.id.clone();
        if let Changed::Done { job, running, .. } = one(&mut tx, subject, statuses, change, now).await? {
            changed.jobs.push(job);
            changed.ids.push(id);
            changed.running.extend(running);
        }
    }
    let after = tx.commit().await?;
    Ok((changed, after))
}

async fn one(tx: &mut Tx<'_>, subject: Subject, statuses: &[Status], change: &Change, now: Millis) -> Attempt<Changed> {
    let status = subject.status();
    let wanted = statuses.is_empty() || statuses.contains(&status);
    if !wanted || !status.allows(change.action(), subject.kind()) {
        return Ok(Changed::Forbidden(status));
    }
    let job = subject.job.seq;
    let changed = match change {
        Change::Cancel { reason } => cancel::job(tx, subject, reason.as_deref(), now),
        Change::CancelRun { reason } => cancel::run(tx, subject, reason.as_deref(), now),
        Change::Pause => Ok(pause::pause(tx, subject)),
        Change::Resume(next) => pause::resume(tx, subject, next, now),
        Change::Reschedule(timing) => reschedule::apply(tx, subject, timing, now),
        Change::Retry { due } => Ok(retry::apply(tx, subject, *due, now)),
        Change::Delete => Ok(delete::apply(tx, &subject)),
    }?;
    if let (Changed::Done { .. }, Some(kind)) = (&changed, change.event()) {
        tx.tell(Event::new(kind, job, now));
    }
    Ok(changed)
}
