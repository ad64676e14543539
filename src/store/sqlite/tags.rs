//! Which jobs have which tags.
//!
//! Invariant: a job's rows here are the tags in its options, each once; whoever writes or deletes the job's row keeps
//! them so. Rows are found by way of the options, so that no second index is needed.

use super::jobs::JobKey;
use super::queue::rows;
use crate::error::Result;
use crate::model::JobOptions;
use crate::store::JobSeq;
use rusqlite::{Connection, OptionalExtension};

const PUT: &str = "INSERT OR IGNORE INTO tags (tag, job) VALUES (?1, ?2)";
const TAKE: &str = "DELETE FROM tags WHERE tag = ?1 AND job = ?2";
const HAS: &str = "SELECT 1 FROM tags WHERE tag = ?1 AND job = ?2";
const OPTIONS: &str = "SELECT options FROM jobs WHERE seq = ?1";
const NEWEST: &str = "SELECT seq, route, priority, due, recurring, run, created FROM tags JOIN jobs ON seq = job \
                      WHERE tag = ?1 AND job < ?2 ORDER BY job DESC LIMIT ?3";

/// Writes the tags of a job that has none yet.
pub(super) fn put(connection: &Connection, job: JobSeq, tags: &[Box<str>]) -> Result<()> {
    for tag in tags {
        connection.prepare_cached(PUT)?.execute((tag, job))?;
    }
    Ok(())
}

/// Removes the tags of a job whose row is as it was when they were written.
pub(super) fn remove(connection: &Connection, job: JobSeq) -> Result<()> {
    let options: Option<Box<str>> = connection
        .prepare_cached(OPTIONS)?
        .query_row([job], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(options) = options.filter(|text| text.contains("\"tags\"")) else {
        return Ok(());
    };
    // Options that cannot be read were written by no version of this code, and have left no tags.
    let options: JobOptions = serde_json::from_str(&options).unwrap_or_default();
    for tag in &options.tags {
        connection.prepare_cached(TAKE)?.execute((tag, job))?;
    }
    Ok(())
}

/// Whether the job has all of these tags.
pub(super) fn has_all(connection: &Connection, job: JobSeq, tags: &[Box<str>]) -> Result<bool> {
    let mut has = connection.prepare_cached(HAS)?;
    for tag in tags {
        if !has.exists((tag, job))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The next jobs below `below` with this tag, newest first.
pub(super) fn newest(connection: &Connection, tag: &str, below: JobSeq, count: usize) -> Result<Vec<JobKey>> {
    let mut select = connection.prepare_cached(NEWEST)?;
    let jobs = select.query_map((tag, below, rows(count)), JobKey::read)?;
    Ok(jobs.collect::<rusqlite::Result<_>>()?)
}
