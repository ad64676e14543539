//! Brings forward what waits for a time that was set by a clock which has been put back since.
//!
//! Invariant: bounded per transaction. A run stays in `scheduled`, also when it is due now: promotion moves it, and counts.

use super::locate;
use super::queue;
use super::run_rows::{Waiting, rows};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::JobSeq;
use crate::store::rules::waits;

/// Most waiting runs looked at in one transaction.
const MAX_ROWS: usize = 500;

const SELECT_WAITING_AFTER: &str = include_str!("sql/select_waiting_after.sql");
const UPDATE_ATTEMPT_TIMES: &str = include_str!("sql/update_attempt_times.sql");

/// A place in the order of `scheduled`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position(Millis, JobSeq, i64);

impl Position {
    /// Before all that is due after `time`.
    pub(super) fn due_after(time: Millis) -> Self {
        Self(time, JobSeq::MAX, i64::MAX)
    }
}

/// What one transaction came to.
pub(super) struct Step {
    pub(super) moved: usize,
    /// Where to go on.
    pub(super) next: Option<Position>,
}

/// Looks at the next waiting runs, and moves those that wait since a time after `now`, by `by` at least.
pub(super) fn step(tx: &mut Tx<'_>, after: Position, now: Millis, by: Millis) -> Result<Step> {
    let connection = tx.connection;
    let found: Vec<(Millis, Waiting)> = {
        let mut select = connection.prepare_cached(SELECT_WAITING_AFTER)?;
        let found = select.query_map((after.0, after.1, after.2, rows(MAX_ROWS)), |row| {
            let waiting = Waiting {
                job: row.get(1)?,
                run: row.get(2)?,
                attempt: row.get(3)?,
                crashes: row.get(4)?,
            };
            Ok((row.get(0)?, waiting))
        })?;
        found.collect::<rusqlite::Result<_>>()?
    };
    let mut moved = 0;
    for (due, waiting) in &found {
        let last = locate::last_attempt(connection, waiting.job, waiting.run)?;
        let Some(last) = last else { continue };
        let Some(began) = waits::began(*due, waiting.crashes, last).filter(|began| *began > now) else {
            continue;
        };
        let by = by.max(began - now);
        queue::delete_scheduled(connection, *due, waiting.job, waiting.run)?;
        queue::insert_scheduled(connection, due.saturating_sub(by), *waiting)?;
        connection
            .prepare_cached(UPDATE_ATTEMPT_TIMES)?
            .execute((waiting.job, waiting.run, last.attempt, by, now))?;
        moved += 1;
    }
    if moved > 0 {
        tx.wake();
    }
    let next = found.last().filter(|_| found.len() == MAX_ROWS);
    Ok(Step {
        moved,
        next: next.map(|(due, waiting)| Position(*due, waiting.job, waiting.run)),
    })
}
