//! Moves what falls due to where it can be claimed: days of `far` to `scheduled`, due rows of `scheduled` to `ready`.
//!
//! Invariant: bounded per transaction; what is left over is reported, so that the claimer comes back at once.

use super::jobs;
use super::queue::{self, Waiting};
use super::series::{self, Owner};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::phase::Phase;
use rusqlite::Connection;

/// Rows that fall due in one transaction.
const DUE_ROWS: usize = 1_000;
/// Rows of a far day that are moved in one transaction.
const FAR_ROWS: usize = 500;

const DUE: &str = "SELECT due, job, run, attempt, crashes FROM scheduled WHERE due <= ?1 ORDER BY due LIMIT ?2";
const NEAR: &str = "SELECT day, job FROM far WHERE day <= ?1 ORDER BY day, job LIMIT ?2";
const DROP_FAR: &str = "DELETE FROM far WHERE day = ?1 AND job = ?2";
const FIRST_DUE: &str = "SELECT due FROM scheduled ORDER BY due LIMIT 1";
const FIRST_DAY: &str = "SELECT day FROM far ORDER BY day LIMIT 1";

/// Moves what is due at `now`. `true`: there is more.
pub(super) fn apply(tx: &mut Tx<'_>, now: Millis) -> Result<bool> {
    let far = move_near_days(tx, now)?;
    let due = move_due(tx, now)?;
    Ok(far || due)
}

fn move_near_days(tx: &mut Tx<'_>, now: Millis) -> Result<bool> {
    let connection = tx.connection;
    let rows: Vec<(i64, i64)> = {
        let mut select = connection.prepare_cached(NEAR)?;
        let rows = select.query_map((queue::last_near_day(now), queue::rows(FAR_ROWS)), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (day, seq) in &rows {
        let job = jobs::expect(connection, *seq)?;
        connection.prepare_cached(DROP_FAR)?.execute((day, seq))?;
        queue::put_scheduled(connection, job.first_due(), Waiting::first(*seq, job.run))?;
    }
    Ok(rows.len() == FAR_ROWS)
}

fn move_due(tx: &mut Tx<'_>, now: Millis) -> Result<bool> {
    let connection = tx.connection;
    let rows: Vec<(Millis, Waiting)> = {
        let mut select = connection.prepare_cached(DUE)?;
        let rows = select.query_map((now, queue::rows(DUE_ROWS)), |row| {
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
        queue::take_scheduled(connection, *due, waiting.job, waiting.run)?;
        queue::put_ready(tx, job.rank(*due), *waiting)?;
        let owner = Owner {
            job: job.seq,
            route: job.route,
            recurring: job.recurring,
        };
        series::run_moved(tx, owner, Some(Phase::Waiting), Phase::Queued)?;
    }
    Ok(rows.len() == DUE_ROWS)
}

/// The earliest time at which [`apply`] has something to move.
pub(super) fn next_due(connection: &Connection) -> Result<Option<Millis>> {
    use rusqlite::OptionalExtension;
    let first = connection
        .prepare_cached(FIRST_DUE)?
        .query_row([], |row| row.get::<_, Millis>(0))
        .optional()?;
    let day = connection
        .prepare_cached(FIRST_DAY)?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    let near = day.map(|day| (day - 1).saturating_mul(queue::DAY));
    Ok([first, near].into_iter().flatten().min())
}
