//! Changes of stored jobs on request: finds where the job stands, asks the table of states, hands over to the verb.
//!
//! Invariant: no verb touches a job in a state that the table forbids it in.

use super::jobs::{self, JobKey};
use super::locate::{self, Place, RunKey};
use super::outbox::{self, Event};
use super::series::{self, Series};
use super::slice::Slice;
use super::tx::Tx;
use super::{cancel, delete, pause, reschedule, retry};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, Kind, Status};
use crate::store::{Change, Changed, ChangedSome, JobSeq};

/// A job to change, as it stands.
pub(super) enum Subject {
    /// A one-off with its current run.
    OneOff(RunKey, Place),
    /// A recurring job.
    Series(Box<Series>),
}

impl Subject {
    fn of(tx: &Tx<'_>, job: &JobKey) -> Result<Self> {
        if job.recurring {
            return Ok(Self::Series(Box::new(series::expect(tx.connection, job.seq)?)));
        }
        let key = RunKey::of_one_off(job);
        let place = locate::run(tx.connection, &key)?;
        Ok(Self::OneOff(key, place))
    }

    fn status(&self) -> Status {
        match self {
            Self::OneOff(_, place) => place.status(),
            Self::Series(series) => series.status(),
        }
    }
}

/// Changes the job with this id.
pub(super) fn by_id(tx: &mut Tx<'_>, id: &JobId, change: &Change, now: Millis) -> Result<Changed> {
    match jobs::by_id(tx.connection, id)? {
        Some(job) => one(tx, &job, &[], change, now),
        None => Ok(Changed::NotFound),
    }
}

/// Changes those of the jobs that are in one of these states and may be changed, from the first on for as long as a
/// slice may take. Returns also how many it has looked at, at least one.
pub(super) fn some(
    tx: &mut Tx<'_>,
    jobs: &[JobSeq],
    statuses: &[Status],
    change: &Change,
    now: Millis,
) -> Result<(ChangedSome, usize)> {
    let mut changed = ChangedSome::default();
    let slice = Slice::begin();
    for (seen, seq) in jobs.iter().enumerate() {
        if seen > 0 && slice.is_over() {
            return Ok((changed, seen));
        }
        let Some(job) = jobs::by_seq(tx.connection, *seq)? else {
            continue;
        };
        // Asked for before the change, which may delete the job.
        let id = jobs::id_of(tx.connection, *seq)?;
        if let Changed::Done { job, running, .. } = one(tx, &job, statuses, change, now)? {
            changed.jobs.push(job);
            changed.ids.push(id);
            changed.running.extend(running);
        }
    }
    Ok((changed, jobs.len()))
}

fn one(tx: &mut Tx<'_>, job: &JobKey, statuses: &[Status], change: &Change, now: Millis) -> Result<Changed> {
    let subject = Subject::of(tx, job)?;
    let status = subject.status();
    let wanted = statuses.is_empty() || statuses.contains(&status);
    if !wanted || !status.allows(change.action(), Kind::of(job.recurring)) {
        return Ok(Changed::Forbidden(status));
    }
    let changed = match change {
        Change::Cancel { reason } => cancel::job(tx, job, &subject, reason.as_deref(), now),
        Change::CancelRun { reason } => cancel::run(tx, job, &subject, reason.as_deref(), now),
        Change::Pause => pause::pause(tx, job, &subject),
        Change::Resume(next) => pause::resume(tx, job, &subject, next, now),
        Change::Reschedule(timing) => reschedule::apply(tx, job, &subject, timing, now),
        Change::Retry { due } => retry::apply(tx, job, &subject, *due, now),
        Change::Delete => delete::apply(tx, job, &subject),
    }?;
    if let (Changed::Done { .. }, Some(kind)) = (&changed, change.event()) {
        outbox::tell(tx, Event::new(kind, job.seq, now))?;
    }
    Ok(changed)
}
