//! Notes of handlers on running jobs: the latest progress, and log lines.
//!
//! Invariant: a job's log is bounded; the oldest lines are deleted first. Notes on a deleted job are dropped.

use super::jobs;
use super::tx::Tx;
use crate::error::Result;
use crate::model::JobId;
use crate::store::{JobSeq, LogLine, Note, NoteKind};
use rusqlite::{Connection, OptionalExtension};

/// Most lines of a job's log.
const MAX_LOG_LINES: i64 = 1_000;

const SELECT_JOB_EXISTS: &str = include_str!("sql/select_job_exists.sql");
const UPSERT_PROGRESS: &str = include_str!("sql/upsert_progress.sql");
const SELECT_LAST_LINE_NUMBER: &str = include_str!("sql/select_last_line_number.sql");
const INSERT_LOG_LINE: &str = include_str!("sql/insert_log_line.sql");
const DELETE_OLD_LOG_LINES: &str = include_str!("sql/delete_old_log_lines.sql");
const SELECT_PROGRESS: &str = include_str!("sql/select_progress.sql");
const SELECT_LOG_LINES: &str = include_str!("sql/select_log_lines.sql");

/// Writes notes, in order.
pub(super) fn apply(tx: &mut Tx<'_>, notes: &[Note]) -> Result<()> {
    for note in notes {
        put(tx.connection, note)?;
    }
    Ok(())
}

fn put(connection: &Connection, note: &Note) -> Result<()> {
    let key = (note.job, note.created);
    if !connection.prepare_cached(SELECT_JOB_EXISTS)?.exists(key)? {
        return Ok(());
    }
    match &note.kind {
        NoteKind::Progress(value) => {
            connection.prepare_cached(UPSERT_PROGRESS)?.execute((note.job, value))?;
        }
        NoteKind::Log(message) => {
            let last: i64 = connection
                .prepare_cached(SELECT_LAST_LINE_NUMBER)?
                .query_row([note.job], |row| row.get(0))?;
            let row = (note.job, last + 1, note.run, note.attempt, note.at, message);
            connection.prepare_cached(INSERT_LOG_LINE)?.execute(row)?;
            connection
                .prepare_cached(DELETE_OLD_LOG_LINES)?
                .execute((note.job, last + 1 - MAX_LOG_LINES))?;
        }
    }
    Ok(())
}

/// JSON text of a job's latest progress.
pub(super) fn progress(connection: &Connection, job: JobSeq) -> Result<Option<Box<str>>> {
    Ok(connection
        .prepare_cached(SELECT_PROGRESS)?
        .query_row([job], |row| row.get(0))
        .optional()?)
}

/// The log of a job, oldest line first; `None`: no such job.
pub(super) fn log_lines(connection: &Connection, id: &JobId) -> Result<Option<Vec<LogLine>>> {
    let Some(job) = jobs::by_id(connection, id)? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached(SELECT_LOG_LINES)?;
    let log_lines = select.query_map([job.seq], |row| {
        Ok(LogLine {
            job: job.seq,
            run: row.get(0)?,
            attempt: row.get(1)?,
            at: row.get(2)?,
            message: row.get(3)?,
        })
    })?;
    Ok(Some(log_lines.collect::<rusqlite::Result<_>>()?))
}
