//! Rows in other tables that follow from a job's options: its tags, concurrency key and unique key.
//!
//! Invariant: code that writes, replaces or deletes the row of a job keeps these consistent with it. They are found by that
//! row, so that none of their tables needs an index by job.

use super::failure::damaged;
use super::keys;
use super::run_rows::KeyId;
use super::{tags, uniques};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::JobOptions;
use crate::store::{JobSeq, RouteId};
use rusqlite::Connection;

const SELECT_JOB_OPTIONS: &str = include_str!("sql/select_job_options.sql");

/// Members of options with side rows, as they appear in JSON.
const OPTIONS_WITH_SIDE_ROWS: [&str; 2] = ["\"tags\"", "\"unique\""];

/// The side rows of a job.
pub(super) struct SideRows {
    route: RouteId,
    key: Option<KeyId>,
    options: JobOptions,
}

/// Writes the side rows of a job that has none yet; its concurrency key is already in its row.
pub(super) fn put(
    connection: &Connection,
    seq: JobSeq,
    route: RouteId,
    options: &JobOptions,
    dispatched: Millis,
) -> Result<()> {
    tags::put(connection, seq, &options.tags)?;
    match &options.unique {
        Some(unique) => uniques::take(connection, route, unique, seq, dispatched),
        None => Ok(()),
    }
}

impl SideRows {
    /// The side rows of a job whose row has not changed since they were written.
    pub(super) fn of(connection: &Connection, job: JobSeq) -> Result<Self> {
        let mut select = connection.prepare_cached(SELECT_JOB_OPTIONS)?;
        let mut rows = select.query([job])?;
        let row = rows
            .next()?
            .ok_or_else(|| damaged("traces of a job that is not there"))?;
        let text: Option<Box<str>> = row.get(2)?;
        let with_side_rows = text.filter(|text| OPTIONS_WITH_SIDE_ROWS.iter().any(|member| text.contains(member)));
        Ok(Self {
            route: row.get(0)?,
            key: row.get(1)?,
            // Unreadable options were not written by this code and have no side rows.
            options: with_side_rows
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
        })
    }

    /// Removes all of them, when the job is deleted or replaced.
    pub(super) fn remove(&self, connection: &Connection, job: JobSeq) -> Result<()> {
        if let Some(unique) = &self.options.unique {
            uniques::release(connection, self.route, unique, job)?;
        }
        self.remove_tags_and_key(connection, job)
    }

    /// Removes them when retention deletes the job, whose unique key may outlive it.
    pub(super) fn sweep(&self, connection: &Connection, job: JobSeq, now: Millis) -> Result<()> {
        if let Some(unique) = &self.options.unique {
            uniques::retain_after_deletion(connection, self.route, unique, job, now)?;
        }
        self.remove_tags_and_key(connection, job)
    }

    fn remove_tags_and_key(&self, connection: &Connection, job: JobSeq) -> Result<()> {
        tags::remove(connection, job, &self.options.tags)?;
        self.key.map_or(Ok(()), |key| keys::detach(connection, key))
    }
}
