//! Deletes the rows of a job in all tables except the queues.
//!
//! Invariant: no table has a row of a deleted job.

use super::side_rows::SideRows;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::JobSeq;
use rusqlite::Connection;

/// Statements that delete all rows of a job that is in no queue, by its number. [`super::side_rows`] must be deleted
/// before, since they are found by its row.
const DELETE_JOB_ROWS: [&str; 5] = [
    "DELETE FROM jobs WHERE seq = ?1",
    "DELETE FROM runs WHERE job = ?1",
    "DELETE FROM progress WHERE job = ?1",
    "DELETE FROM logs WHERE job = ?1",
    "DELETE FROM steps WHERE job = ?1",
];
/// Statements for rows that only a series has.
const DELETE_SERIES_ROWS: [&str; 3] = [
    "DELETE FROM series WHERE job = ?1",
    "DELETE FROM occurrences WHERE job = ?1",
    "DELETE FROM gaps WHERE job = ?1",
];

/// Deletes all rows of a job that is in no queue.
pub(super) fn delete(connection: &Connection, job: JobSeq, recurring: bool) -> Result<()> {
    SideRows::of(connection, job)?.remove(connection, job)?;
    delete_rows(connection, job, recurring)
}

/// Deletes all rows of a job that has exceeded its retention and is in no queue.
pub(super) fn sweep(connection: &Connection, job: JobSeq, recurring: bool, now: Millis) -> Result<()> {
    SideRows::of(connection, job)?.sweep(connection, job, now)?;
    delete_rows(connection, job, recurring)
}

fn delete_rows(connection: &Connection, job: JobSeq, recurring: bool) -> Result<()> {
    let of_series: &[&str] = if recurring { &DELETE_SERIES_ROWS } else { &[] };
    for statement in DELETE_JOB_ROWS.iter().chain(of_series) {
        connection.prepare_cached(statement)?.execute([job])?;
    }
    Ok(())
}
