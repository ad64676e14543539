//! What a job's options have put into other tables: its tags, its concurrency key, its unique key.
//!
//! Invariant: whoever writes, replaces or deletes the row of a job keeps these in step with it. They are found by way of
//! that row, so that none of their tables needs an index by job.

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

/// Members of options that leave traces, as they look in JSON.
const OPTIONS_WITH_SIDE_ROWS: [&str; 2] = ["\"tags\"", "\"unique\""];

/// What a job has left elsewhere.
pub(super) struct SideRows {
    route: RouteId,
    key: Option<KeyId>,
    options: JobOptions,
}

/// Writes those of a job that is new, or has left none; its concurrency key is in its row already.
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
    /// Of a job whose row is as it was when they were written.
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
            // Options that cannot be read were written by no version of this code, and have left nothing.
            options: with_side_rows
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
        })
    }

    /// Removes them all: the job goes, or gets new ones.
    pub(super) fn remove(&self, connection: &Connection, job: JobSeq) -> Result<()> {
        if let Some(unique) = &self.options.unique {
            uniques::release(connection, self.route, unique, job)?;
        }
        self.remove_tags_and_key(connection, job)
    }

    /// Removes them because retention does not keep the job, whose unique key may outlive it.
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
