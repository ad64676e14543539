//! Turns due occurrences into runs and advances their series, in one transaction.
//!
//! Invariant: an advance is applied once, and only if its series is unchanged since the advance was computed; otherwise
//! the series stays due, so that nothing is lost.

use super::jobs::{self, JobKey};
use super::queue;
use super::run_rows::{Waiting, rows};
use super::series::{self, SeriesDetails};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{Occurrence, OccurrenceGap, SeriesAdvance};
use rusqlite::{Connection, OptionalExtension};

const INSERT_OCCURRENCE: &str = include_str!("sql/insert_occurrence.sql");
const SELECT_LAST_GAP: &str = include_str!("sql/select_last_gap.sql");
const UPDATE_GAP_END: &str = include_str!("sql/update_gap_end.sql");
const UPSERT_GAP: &str = include_str!("sql/upsert_gap.sql");

/// Applies the advances; returns how many took effect.
pub(super) fn apply(tx: &mut Tx<'_>, now: Millis, advances: &[SeriesAdvance]) -> Result<usize> {
    let mut counted = 0;
    for advance in advances {
        counted += usize::from(apply_one(tx, advance, now)?);
    }
    if counted > 0 {
        tx.wake();
    }
    Ok(counted)
}

fn apply_one(tx: &mut Tx<'_>, advance: &SeriesAdvance, now: Millis) -> Result<bool> {
    let Some(before) = series::find_state(tx.connection, advance.job)? else {
        return Ok(false);
    };
    if !before.is_at(advance.version) {
        return Ok(false);
    }
    let job = jobs::expect(tx.connection, advance.job)?;
    for gap in &advance.gaps {
        insert_gap(tx.connection, &job, gap, before.runs)?;
    }
    for (number, occurrence) in (before.runs + 1..).zip(&advance.occurrences) {
        insert_run(tx, &job, number, occurrence)?;
    }
    let mut after = before;
    let count = rows(advance.occurrences.len());
    after.advanced(count, advance.next_at, advance.after_live_runs, now);
    let details = SeriesDetails {
        last_at: advance.occurrences.last().map(|occurrence| occurrence.scheduled_at),
        ..SeriesDetails::default()
    };
    series::save(tx, job.seq, &before, &after, details)?;
    tx.count_transition(job.route, Some(before.status()), Some(after.status()));
    Ok(true)
}

fn insert_run(tx: &mut Tx<'_>, job: &JobKey, run: i64, occurrence: &Occurrence) -> Result<()> {
    let Occurrence { scheduled_at, missed } = *occurrence;
    tx.connection
        .prepare_cached(INSERT_OCCURRENCE)?
        .execute((job.seq, run, scheduled_at, missed))?;
    queue::insert_ready(tx, job.rank(scheduled_at), Waiting::first(job.seq, run))
}

/// Records a gap. One that continues the last gap, with no run in between, extends it.
fn insert_gap(connection: &Connection, job: &JobKey, gap: &OccurrenceGap, runs: i64) -> Result<()> {
    let kind = gap.kind as i64;
    let key = (job.seq, kind, runs, gap.first);
    let last: Option<Millis> = connection
        .prepare_cached(SELECT_LAST_GAP)?
        .query_row(key, |row| row.get(0))
        .optional()?;
    match last {
        Some(first) => connection
            .prepare_cached(UPDATE_GAP_END)?
            .execute((job.seq, kind, first, gap.last, gap.count))?,
        None => connection
            .prepare_cached(UPSERT_GAP)?
            .execute((job.seq, gap.first, kind, gap.last, gap.count, runs))?,
    };
    Ok(())
}
