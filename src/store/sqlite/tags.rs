//! Tags of jobs.
//!
//! Invariant: a job has one row here for each distinct tag in its options; code that writes or deletes the job's row
//! maintains this. Rows are found by the options, so that no second index is needed.

use super::jobs::JobKey;
use super::run_rows::rows;
use crate::error::Result;
use crate::store::JobSeq;
use rusqlite::Connection;

const INSERT_TAG: &str = include_str!("sql/insert_tag.sql");
const DELETE_TAG: &str = include_str!("sql/delete_tag.sql");
const SELECT_HAS_TAG: &str = include_str!("sql/select_has_tag.sql");
const SELECT_NEWEST_OF_TAG: &str = include_str!("sql/select_newest_of_tag.sql");

/// Writes the tags of a job that has none yet.
pub(super) fn put(connection: &Connection, job: JobSeq, tags: &[Box<str>]) -> Result<()> {
    for tag in tags {
        connection.prepare_cached(INSERT_TAG)?.execute((tag, job))?;
    }
    Ok(())
}

/// Removes these tags of a job.
pub(super) fn remove(connection: &Connection, job: JobSeq, tags: &[Box<str>]) -> Result<()> {
    for tag in tags {
        connection.prepare_cached(DELETE_TAG)?.execute((tag, job))?;
    }
    Ok(())
}

/// Whether the job has all of these tags.
pub(super) fn has_all(connection: &Connection, job: JobSeq, tags: &[Box<str>]) -> Result<bool> {
    let mut has = connection.prepare_cached(SELECT_HAS_TAG)?;
    for tag in tags {
        if !has.exists((tag, job))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The next jobs below `below` with this tag, newest first.
pub(super) fn newest(connection: &Connection, tag: &str, below: JobSeq, count: usize) -> Result<Vec<JobKey>> {
    let mut select = connection.prepare_cached(SELECT_NEWEST_OF_TAG)?;
    let jobs = select.query_map((tag, below, rows(count)), JobKey::read)?;
    Ok(jobs.collect::<rusqlite::Result<_>>()?)
}
