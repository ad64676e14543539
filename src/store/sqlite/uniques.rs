//! Unique keys: which job owns which key of which route.
//!
//! Nothing is written when a job ends; whether the owner of a key still owns it is determined on lookup. Invariants: a key
//! of a route has one row; the row is deleted with its job, unless retention deletes the job before the key's period is
//! over: then the row keeps the answer for dispatches, and is deleted when the period is over.

use super::failure::damaged;
use super::jobs::{self, IdColumn, IdParam};
use super::read;
use super::run_rows::rows;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, Status, Unique};
use crate::store::{JobSeq, JobSummary, RouteId};
use rusqlite::{Connection, OptionalExtension, Row};

const SELECT_UNIQUE_KEY: &str = include_str!("sql/select_unique_key.sql");
const UPSERT_UNIQUE_KEY: &str = include_str!("sql/upsert_unique_key.sql");
const DELETE_UNIQUE_KEY: &str = include_str!("sql/delete_unique_key.sql");
const SELECT_UNEXPIRED_KEY: &str = include_str!("sql/select_unexpired_key.sql");
const UPDATE_KEY_OF_DELETED_JOB: &str = include_str!("sql/update_key_of_deleted_job.sql");
const SELECT_EXPIRED_KEYS: &str = include_str!("sql/select_expired_keys.sql");

/// The job that owns a unique key.
#[derive(Clone, Debug)]
pub(super) struct KeyOwner {
    /// Its number, which is never reused, even if the job was deleted.
    pub(super) job: JobSeq,
    pub(super) id: JobId,
    pub(super) summary: JobSummary,
}

/// The owner of the key at `now`: a job that has not ended, or one whose period is not over.
pub(super) fn key_owner(
    connection: &Connection,
    route: RouteId,
    unique: &Unique,
    now: Millis,
) -> Result<Option<KeyOwner>> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, RetainedKey::read(row)?));
    let found: Option<(JobSeq, Millis, Option<RetainedKey>)> = connection
        .prepare_cached(SELECT_UNIQUE_KEY)?
        .query_row((route, &unique.key), read)
        .optional()?;
    let Some((job, until, retained)) = found else {
        return Ok(None);
    };
    let key_owner = match retained {
        Some(retained) => retained.key_owner(job)?,
        None => owner_of_live_job(connection, job)?,
    };
    Ok((until > now || !key_owner.summary.status.is_ended()).then_some(key_owner))
}

fn owner_of_live_job(connection: &Connection, job: JobSeq) -> Result<KeyOwner> {
    let key = jobs::expect(connection, job)?;
    Ok(KeyOwner {
        job,
        id: jobs::id_of(connection, job)?,
        summary: read::summary(connection, &key)?,
    })
}

/// What remains of a job that retention has deleted.
struct RetainedKey {
    id: JobId,
    status: i64,
    due: Millis,
    recurring: bool,
}

impl RetainedKey {
    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let Some(IdColumn(id)) = row.get(2)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            id,
            status: row.get(3)?,
            due: row.get(4)?,
            recurring: row.get(5)?,
        }))
    }

    fn key_owner(self, job: JobSeq) -> Result<KeyOwner> {
        let status = Status::from_code(self.status).ok_or_else(|| damaged("a unique key of a job in no state"))?;
        Ok(KeyOwner {
            job,
            id: self.id,
            summary: JobSummary {
                status,
                scheduled_at: self.due,
                recurring: self.recurring,
                next_run_at: None,
            },
        })
    }
}

/// Gives the key to a job until it has ended and its period from `from` is over.
pub(super) fn take(connection: &Connection, route: RouteId, unique: &Unique, job: JobSeq, from: Millis) -> Result<()> {
    let until = from.saturating_add(unique.period.unwrap_or(0));
    connection
        .prepare_cached(UPSERT_UNIQUE_KEY)?
        .execute((route, &unique.key, job, until))?;
    Ok(())
}

/// Removes the key from a job, if it owns it.
pub(super) fn release(connection: &Connection, route: RouteId, unique: &Unique, job: JobSeq) -> Result<()> {
    connection
        .prepare_cached(DELETE_UNIQUE_KEY)?
        .execute((route, &unique.key, job))?;
    Ok(())
}

/// Keeps the key of an ended job, which retention is about to delete, until its period is over.
pub(super) fn retain_after_deletion(
    connection: &Connection,
    route: RouteId,
    unique: &Unique,
    job: JobSeq,
    now: Millis,
) -> Result<()> {
    let key = (route, &unique.key, job, now);
    if !connection.prepare_cached(SELECT_UNEXPIRED_KEY)?.exists(key)? {
        return release(connection, route, unique, job);
    }
    let KeyOwner { id, summary, .. } = owner_of_live_job(connection, job)?;
    let (status, due) = (summary.status as i64, summary.scheduled_at);
    connection.prepare_cached(UPDATE_KEY_OF_DELETED_JOB)?.execute((
        route,
        &unique.key,
        IdParam(&id),
        status,
        due,
        summary.recurring,
    ))?;
    Ok(())
}

/// Deletes at most `most` keys of deleted jobs whose period is over.
pub(super) fn expire(tx: &Tx<'_>, now: Millis, most: usize) -> Result<()> {
    let connection = tx.connection;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let expired: Vec<(RouteId, Box<str>, JobSeq)> = connection
        .prepare_cached(SELECT_EXPIRED_KEYS)?
        .query_map((now, rows(most)), read)?
        .collect::<rusqlite::Result<_>>()?;
    for row in expired {
        connection.prepare_cached(DELETE_UNIQUE_KEY)?.execute(row)?;
    }
    Ok(())
}
