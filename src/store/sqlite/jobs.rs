//! The wide row of a job: storage of its id, and the narrow view of it that the verbs use.
//!
//! Invariant: an id has one form in the store: a generated id is a 16-byte blob, a caller's own is text.

use super::failure::damaged;
use super::run_rows::{KeyId, Rank};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::JobId;
use crate::store::{JobSeq, RouteId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

/// An id as a column.
pub(super) struct IdColumn(pub(super) JobId);

impl FromSql for IdColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => {
                let uuid = Uuid::from_slice(bytes).map_err(|e| FromSqlError::Other(Box::new(e)))?;
                Ok(Self(JobId::Generated(uuid)))
            }
            other => Ok(Self(JobId::Custom(other.as_str()?.into()))),
        }
    }
}

/// An id as a parameter.
pub(super) struct IdParam<'a>(pub(super) &'a JobId);

impl ToSql for IdParam<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            JobId::Generated(uuid) => ValueRef::Blob(uuid.as_bytes()),
            JobId::Custom(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// What the verbs need of a job: everything but the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobKey {
    pub(super) seq: JobSeq,
    pub(super) route: RouteId,
    pub(super) priority: i32,
    /// When the first attempt of its current run is due; `None`: a series without a next occurrence.
    pub(super) due: Option<Millis>,
    pub(super) recurring: bool,
    /// Current run of a one-off.
    pub(super) run: i64,
    pub(super) created: Millis,
    /// Its concurrency key.
    pub(super) key: Option<KeyId>,
}

impl JobKey {
    /// Queue order of a run of it that is due then.
    pub(super) fn rank(&self, due: Millis) -> Rank {
        Rank {
            route: self.route,
            priority: self.priority,
            due,
            key: self.key,
        }
    }

    /// When its run is due according to its own row.
    pub(super) fn first_due(&self) -> Millis {
        self.due.unwrap_or(self.created)
    }

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Self::read_from(row, 0)
    }

    /// Reads the columns from `at` on.
    pub(super) fn read_from(row: &Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(at)?,
            route: row.get(at + 1)?,
            priority: row.get(at + 2)?,
            due: row.get(at + 3)?,
            recurring: row.get(at + 4)?,
            run: row.get(at + 5)?,
            created: row.get(at + 6)?,
            key: row.get(at + 7)?,
        })
    }
}

const SELECT_JOB_BY_ID: &str = include_str!("sql/select_job_by_id.sql");
const SELECT_JOB_ID: &str = include_str!("sql/select_job_id.sql");
const SELECT_JOB_BY_SEQ: &str = include_str!("sql/select_job_by_seq.sql");

/// The job with this id.
pub(super) fn by_id(connection: &Connection, id: &JobId) -> Result<Option<JobKey>> {
    Ok(connection
        .prepare_cached(SELECT_JOB_BY_ID)?
        .query_row([IdParam(id)], JobKey::read)
        .optional()?)
}

/// The job with this number, if it exists.
pub(super) fn by_seq(connection: &Connection, seq: JobSeq) -> Result<Option<JobKey>> {
    Ok(connection
        .prepare_cached(SELECT_JOB_BY_SEQ)?
        .query_row([seq], JobKey::read)
        .optional()?)
}

/// The public id of an existing job.
pub(super) fn id_of(connection: &Connection, seq: JobSeq) -> Result<JobId> {
    let IdColumn(id) = connection
        .prepare_cached(SELECT_JOB_ID)?
        .query_row([seq], |row| row.get(0))?;
    Ok(id)
}

/// The job with this number, which must exist.
pub(super) fn expect(connection: &Connection, seq: JobSeq) -> Result<JobKey> {
    by_seq(connection, seq)?.ok_or_else(|| damaged("a run without its job"))
}
