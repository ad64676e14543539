//! Unique keys: which job keeps which key of which route.
//!
//! Nothing is written when a job ends: whether the one that has a key still keeps it is found out when it is asked for.
//! Invariants: a key of a route has one row; whoever asks for a key has locked it; a row goes with its job, unless
//! retention deletes the job before the key's period is over: then the row says what a dispatch answers.

use super::failure::{Attempt, damaged};
use super::insert::Routed;
use super::param::storable;
use super::session::Session;
use super::state;
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::model::schedule::{FNV_OFFSET, fnv};
use crate::model::{JobId, Status};
use crate::store::{JobSeq, Standing};
use uuid::Uuid;

const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(lock) FROM unnest($1::bigint[]) AS locks (lock)";
const FIND: &str =
    "SELECT job, until, id, name, status, due, recurring FROM ductape.uniques WHERE route = $1 AND key = $2";
const TAKE: &str = include_str!("sql/uniques_take.sql");
/// Takes the unique key from a job whose row is as it was when it got it.
pub(super) const RELEASE: &str = include_str!("sql/uniques_release.sql");
const EXPIRE: &str = include_str!("sql/uniques_expire.sql");

/// The job that keeps a unique key.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    /// Never given again, even if the job has been deleted.
    pub(super) job: JobSeq,
    pub(super) id: JobId,
    pub(super) standing: Standing,
}

/// Lets nobody else ask for the unique keys of these jobs before this transaction ends.
pub(super) async fn lock(session: &Session, jobs: &[Routed<'_>]) -> Attempt<()> {
    let mut locks: Vec<i64> = jobs
        .iter()
        .filter_map(|routed| {
            let unique = routed.job.options.unique.as_ref()?;
            let hash = fnv(fnv(FNV_OFFSET, &format!("{} ", routed.route)), &unique.key);
            Some(i64::from_ne_bytes(hash.to_ne_bytes()))
        })
        .collect();
    if locks.is_empty() {
        return Ok(());
    }
    locks.sort_unstable();
    locks.dedup();
    session.query(LOCK, &[&locks]).await?;
    Ok(())
}

/// Who keeps the unique key of this dispatch at `now`: a job that has not ended, or one whose period is not over.
pub(super) async fn holder(session: &Session, routed: Routed<'_>, now: Millis) -> Attempt<Option<Holder>> {
    let Some(unique) = &routed.job.options.unique else {
        return Ok(None);
    };
    let key = storable(&unique.key).into_owned();
    let Some(row) = session.query_opt(FIND, &[&routed.route, &key]).await? else {
        return Ok(None);
    };
    let (job, until): (JobSeq, Millis) = (row.try_get(0)?, row.try_get(1)?);
    let left: Option<i32> = row.try_get(4)?;
    let holder = match left {
        Some(status) => Holder {
            job,
            id: match row.try_get::<_, Option<Uuid>>(2)? {
                Some(id) => JobId::Generated(id),
                None => JobId::Custom(row.try_get(3)?),
            },
            standing: Standing {
                status: Status::from_code(i64::from(status))
                    .ok_or_else(|| damaged("a unique key of a job in no state"))?,
                scheduled_at: row.try_get(5)?,
                recurring: row.try_get(6)?,
                next_run_at: None,
            },
        },
        None => match state::of(session, &vec![job]).await?.pop() {
            Some(subject) => Holder {
                job,
                id: subject.job.id.clone(),
                standing: subject.standing(),
            },
            None => return Ok(None),
        },
    };
    Ok((until > now || !holder.standing.status.is_ended()).then_some(holder))
}

/// Gives a job that is new its unique key, for its period from `from` on and until it has ended.
pub(super) fn take(tx: &mut Tx<'_>, routed: Routed<'_>, from: Millis) {
    let (id, name) = match &routed.job.id {
        JobId::Generated(id) => (Some(*id), None),
        JobId::Custom(name) => (None, Some(name.clone())),
    };
    put(tx, routed, None, (id, name), from);
}

/// Gives a job that is there the unique key of another dispatch.
pub(super) fn take_for(tx: &mut Tx<'_>, routed: Routed<'_>, job: JobSeq, from: Millis) {
    put(tx, routed, Some(job), (None, None), from);
}

fn put(
    tx: &mut Tx<'_>,
    routed: Routed<'_>,
    job: Option<JobSeq>,
    (id, name): (Option<Uuid>, Option<Box<str>>),
    from: Millis,
) {
    let Some(unique) = &routed.job.options.unique else {
        return;
    };
    let until = from.saturating_add(unique.period.unwrap_or(0));
    let key = storable(&unique.key).into_owned();
    tx.later(TAKE, params![routed.route, key, until, job, id, name]);
}

/// Takes the unique key from a job, if it has one.
pub(super) fn release(tx: &mut Tx<'_>, job: JobSeq) {
    tx.later(RELEASE, params![job]);
}

/// Deletes keys that were left behind and whose period is over.
pub(super) async fn expire(session: &Session, now: Millis) -> Attempt<()> {
    session.execute(EXPIRE, &[&now]).await?;
    Ok(())
}
