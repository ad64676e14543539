//! Unique keys: which job owns which key of which route.
//!
//! Nothing is written when a job ends; whether the owner of a key still owns it is determined on lookup. Invariants: a key
//! of a route has one row; a key is locked before it is looked up; the row is deleted with its job, unless retention
//! deletes the job before the key's period is over: then the row keeps the answer for dispatches.

use super::failure::{DbResult, damaged};
use super::param::{params, storable};
use super::routed_job::RoutedJob;
use super::session::Session;
use super::state;
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::schedule::{FNV1A_OFFSET_BASIS, fnv1a};
use crate::model::{JobId, Status};
use crate::store::{JobSeq, JobSummary};
use uuid::Uuid;

const LOCK_UNIQUE_KEYS: &str = include_str!("sql/lock_unique_keys.sql");
const SELECT_UNIQUE_KEY: &str = include_str!("sql/select_unique_key.sql");
const UPSERT_UNIQUE_KEY: &str = include_str!("sql/upsert_unique_key.sql");
/// Deletes the unique key of a job whose row has not changed since it got the key.
pub(super) const DELETE_UNIQUE_KEY: &str = include_str!("sql/delete_unique_key.sql");
const DELETE_EXPIRED_KEYS: &str = include_str!("sql/delete_expired_keys.sql");

/// The job that owns a unique key.
#[derive(Clone, Debug)]
pub(super) struct KeyOwner {
    /// Its number, which is never reused, even if the job was deleted.
    pub(super) job: JobSeq,
    pub(super) id: JobId,
    pub(super) summary: JobSummary,
}

/// Locks the unique keys of these jobs until this transaction ends.
pub(super) async fn lock(session: &Session, jobs: &[RoutedJob<'_>]) -> DbResult<()> {
    let mut locks: Vec<i64> = jobs
        .iter()
        .filter_map(|routed| {
            let unique = routed.job.options.unique.as_ref()?;
            let hash = fnv1a(fnv1a(FNV1A_OFFSET_BASIS, &format!("{} ", routed.route)), &unique.key);
            Some(i64::from_ne_bytes(hash.to_ne_bytes()))
        })
        .collect();
    if locks.is_empty() {
        return Ok(());
    }
    locks.sort_unstable();
    locks.dedup();
    session.query(LOCK_UNIQUE_KEYS, &[&locks]).await?;
    Ok(())
}

/// The owner of this dispatch's unique key at `now`: a job that has not ended, or one whose period is not over.
pub(super) async fn key_owner(session: &Session, routed: RoutedJob<'_>, now: Millis) -> DbResult<Option<KeyOwner>> {
    let Some(unique) = &routed.job.options.unique else {
        return Ok(None);
    };
    let key = storable(&unique.key).into_owned();
    let Some(row) = session.query_opt(SELECT_UNIQUE_KEY, &[&routed.route, &key]).await? else {
        return Ok(None);
    };
    let (job, until): (JobSeq, Millis) = (row.try_get(0)?, row.try_get(1)?);
    let retained_status: Option<i32> = row.try_get(4)?;
    let key_owner = match retained_status {
        Some(status) => KeyOwner {
            job,
            id: match row.try_get::<_, Option<Uuid>>(2)? {
                Some(id) => JobId::Generated(id),
                None => JobId::Custom(row.try_get(3)?),
            },
            summary: JobSummary {
                status: Status::from_code(i64::from(status))
                    .ok_or_else(|| damaged("a unique key of a job in no state"))?,
                scheduled_at: row.try_get(5)?,
                recurring: row.try_get(6)?,
                next_run_at: None,
            },
        },
        None => match state::of(session, &vec![job]).await?.pop() {
            Some(stored_job) => KeyOwner {
                job,
                id: stored_job.job.id.clone(),
                summary: stored_job.summary(),
            },
            None => return Ok(None),
        },
    };
    Ok((until > now || !key_owner.summary.status.is_ended()).then_some(key_owner))
}

/// Gives a new job its unique key until it has ended and its period from `from` is over.
pub(super) fn take(tx: &mut Tx<'_>, routed: RoutedJob<'_>, from: Millis) {
    let (id, name) = match &routed.job.id {
        JobId::Generated(id) => (Some(*id), None),
        JobId::Custom(name) => (None, Some(name.clone())),
    };
    put(tx, routed, None, (id, name), from);
}

/// Gives an existing job the unique key of another dispatch.
pub(super) fn take_for(tx: &mut Tx<'_>, routed: RoutedJob<'_>, job: JobSeq, from: Millis) {
    put(tx, routed, Some(job), (None, None), from);
}

fn put(
    tx: &mut Tx<'_>,
    routed: RoutedJob<'_>,
    job: Option<JobSeq>,
    (id, name): (Option<Uuid>, Option<Box<str>>),
    from: Millis,
) {
    let Some(unique) = &routed.job.options.unique else {
        return;
    };
    let until = from.saturating_add(unique.period.unwrap_or(0));
    let key = storable(&unique.key).into_owned();
    tx.write_later(UPSERT_UNIQUE_KEY, params![routed.route, key, until, job, id, name]);
}

/// Removes the unique key from a job, if it has one.
pub(super) fn release(tx: &mut Tx<'_>, job: JobSeq) {
    tx.write_later(DELETE_UNIQUE_KEY, params![job]);
}

/// Deletes keys of deleted jobs whose period is over.
pub(super) async fn expire(session: &Session, now: Millis) -> DbResult<()> {
    session.execute(DELETE_EXPIRED_KEYS, &[&now]).await?;
    Ok(())
}
