//! Promotes due runs: days of `far` to `scheduled`, and due rows of `scheduled` to `ready`.
//!
//! Invariant: bounded per transaction; remaining rows are reported, so that the claimer continues at once.

use super::jobs;
use super::queue;
use super::run_rows::{Waiting, rows};
use super::series::{self, JobRef};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::JobSeq;
use crate::store::rules::phase::Phase;
use crate::store::rules::placement;
use rusqlite::Connection;

/// Most rows promoted to `ready` in one transaction.
const MAX_DUE_ROWS: usize = 1_000;
/// Most rows moved from `far` in one transaction.
const MAX_SCHEDULED_BY_DAY_ROWS: usize = 500;

const SELECT_DUE: &str = include_str!("sql/select_due.sql");
const SELECT_NEAR_DAYS: &str = include_str!("sql/select_near_days.sql");
const DELETE_SCHEDULED_BY_DAY: &str = include_str!("sql/delete_scheduled_by_day.sql");
const SELECT_FIRST_DUE: &str = include_str!("sql/select_first_due.sql");
const SELECT_FIRST_DAY: &str = include_str!("sql/select_first_day.sql");

/// Promotes rows that are due at `now`. `true`: there are more.
pub(super) fn apply(tx: &mut Tx<'_>, now: Millis) -> Result<bool> {
    let more_of_days = move_near_days(tx, now)?;
    let more_due = move_due(tx, now)?;
    Ok(more_of_days || more_due)
}

fn move_near_days(tx: &mut Tx<'_>, now: Millis) -> Result<bool> {
    let connection = tx.connection;
    let rows: Vec<(i64, JobSeq)> = {
        let mut select = connection.prepare_cached(SELECT_NEAR_DAYS)?;
        let rows = select.query_map(
            (placement::last_near_day(now), rows(MAX_SCHEDULED_BY_DAY_ROWS)),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (day, seq) in &rows {
        let job = jobs::expect(connection, *seq)?;
        connection
            .prepare_cached(DELETE_SCHEDULED_BY_DAY)?
            .execute((day, seq))?;
        queue::insert_scheduled(connection, job.first_due(), Waiting::first(*seq, job.run))?;
    }
    Ok(rows.len() == MAX_SCHEDULED_BY_DAY_ROWS)
}

fn move_due(tx: &mut Tx<'_>, now: Millis) -> Result<bool> {
    let connection = tx.connection;
    let rows: Vec<(Millis, Waiting)> = {
        let mut select = connection.prepare_cached(SELECT_DUE)?;
        let rows = select.query_map((now, rows(MAX_DUE_ROWS)), |row| {
            Ok((
                row.get(0)?,
                Waiting {
                    job: row.get(1)?,
                    run: row.get(2)?,
                    attempt: row.get(3)?,
                    crashes: row.get(4)?,
                },
            ))
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (due, waiting) in &rows {
        let job = jobs::expect(connection, waiting.job)?;
        queue::delete_scheduled(connection, *due, waiting.job, waiting.run)?;
        queue::insert_ready(tx, job.rank(*due), *waiting)?;
        let job_ref = JobRef {
            job: job.seq,
            route: job.route,
            recurring: job.recurring,
        };
        series::run_changed_phase(tx, job_ref, Some(Phase::Waiting), Phase::Queued)?;
    }
    Ok(rows.len() == MAX_DUE_ROWS)
}

/// The earliest time at which [`apply`] has something to do.
pub(super) fn next_due(connection: &Connection) -> Result<Option<Millis>> {
    use rusqlite::OptionalExtension;
    let first = connection
        .prepare_cached(SELECT_FIRST_DUE)?
        .query_row([], |row| row.get::<_, Millis>(0))
        .optional()?;
    let day = connection
        .prepare_cached(SELECT_FIRST_DAY)?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    let near = day.map(|day| (day - 1).saturating_mul(placement::DAY));
    Ok([first, near].into_iter().flatten().min())
}
