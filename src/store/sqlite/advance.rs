//! Turns due occurrences into runs and advances their series, in one transaction.
//!
//! Invariant: an advance is applied once, and only if its series is unchanged since the advance was computed; otherwise
//! the series stays due, so that nothing is lost.

use super::jobs::JobKey;
use super::queue;
use super::run_rows::{Waiting, rows};
use super::series::{self, SeriesDetails};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::rules::series::SeriesState;
use crate::store::{Occurrence, OccurrenceGap, SeriesAdvance};
use rusqlite::{Connection, OptionalExtension, Row};
use std::ops::Range;

const INSERT_OCCURRENCE: &str = include_str!("sql/insert_occurrence.sql");
const SELECT_LAST_GAP: &str = include_str!("sql/select_last_gap.sql");
const UPDATE_GAP_END: &str = include_str!("sql/update_gap_end.sql");
const UPDATE_GAP_CUT: &str = include_str!("sql/update_gap_cut.sql");
const UPSERT_GAP: &str = include_str!("sql/upsert_gap.sql");
const DELETE_GAP: &str = include_str!("sql/delete_gap.sql");

/// Applies the advances; returns how many took effect.
pub(super) fn apply(tx: &mut Tx<'_>, now: Millis, advances: &[SeriesAdvance]) -> Result<usize> {
    let mut counted = 0;
    for advance in advances {
        counted += usize::from(apply_one(tx, advance, now)?.is_some());
    }
    if counted > 0 {
        tx.wake();
    }
    Ok(counted)
}

/// Applies an advance without waking anybody. Returns the numbers of the runs that it made; `None`: it did not take effect.
pub(super) fn apply_one(tx: &mut Tx<'_>, advance: &SeriesAdvance, now: Millis) -> Result<Option<Range<i64>>> {
    let Some((before, job)) = series::find_with_job(tx.connection, advance.job)? else {
        return Ok(None);
    };
    if !before.is_at(advance.version) {
        return Ok(None);
    }
    let after = write(tx, &job, &before, advance, now)?;
    series::save_advanced(tx, job.seq, &before, &after, details(advance))?;
    tx.count_transition(job.route, Some(before.status()), Some(after.status()));
    Ok(Some(before.runs + 1..after.runs + 1))
}

/// Writes the gaps and runs of an advance. Returns the new state of the series, which is not saved.
pub(super) fn write(
    tx: &mut Tx<'_>,
    job: &JobKey,
    before: &SeriesState,
    advance: &SeriesAdvance,
    now: Millis,
) -> Result<SeriesState> {
    for gap in &advance.cut_gaps {
        cut_gap(tx.connection, job, gap)?;
    }
    for gap in &advance.gaps {
        let runs = before.runs + advance.runs_before(gap);
        let continues = advance.continues(gap, before.next_at);
        insert_gap(tx.connection, job, gap, (runs, continues))?;
    }
    for (number, occurrence) in (before.runs + 1..).zip(&advance.occurrences) {
        insert_run(tx, job, number, occurrence)?;
    }
    let mut after = *before;
    let count = rows(advance.occurrences.len());
    after.advanced(count, advance.next_at, advance.after_live_runs, now);
    Ok(after)
}

/// What an advance changes of a series besides its state.
pub(super) fn details(advance: &SeriesAdvance) -> SeriesDetails<'_> {
    SeriesDetails {
        last_at: advance.occurrences.last().map(|occurrence| occurrence.scheduled_at),
        settled: Some(&advance.settled),
        ..SeriesDetails::default()
    }
}

fn insert_run(tx: &mut Tx<'_>, job: &JobKey, run: i64, occurrence: &Occurrence) -> Result<()> {
    let Occurrence { scheduled_at, missed } = *occurrence;
    tx.connection
        .prepare_cached(INSERT_OCCURRENCE)?
        .execute((job.seq, run, scheduled_at, missed))?;
    queue::insert_ready(tx, job.rank(scheduled_at), Waiting::first(job.seq, run))
}

/// Records a gap. One that continues the last gap, with nothing in between, extends it.
fn insert_gap(
    connection: &Connection,
    job: &JobKey,
    gap: &OccurrenceGap,
    (runs, continues): (i64, bool),
) -> Result<()> {
    let kind = gap.kind as i64;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let last: Option<(Millis, i64, i64, Millis)> = connection
        .prepare_cached(SELECT_LAST_GAP)?
        .query_row([job.seq], read)
        .optional()?;
    match last {
        Some((first, of_kind, after, last)) if continues && of_kind == kind && after == runs && last < gap.first => {
            connection
                .prepare_cached(UPDATE_GAP_END)?
                .execute((job.seq, kind, first, gap.last, gap.count))?
        }
        _ => connection
            .prepare_cached(UPSERT_GAP)?
            .execute((job.seq, gap.first, kind, gap.last, gap.count, runs))?,
    };
    Ok(())
}

fn cut_gap(connection: &Connection, job: &JobKey, gap: &OccurrenceGap) -> Result<()> {
    let kind = gap.kind as i64;
    if gap.count == 0 {
        connection
            .prepare_cached(DELETE_GAP)?
            .execute((job.seq, gap.first, kind))?;
    } else {
        let row = (job.seq, kind, gap.first, gap.last, gap.count);
        connection.prepare_cached(UPDATE_GAP_CUT)?.execute(row)?;
    }
    Ok(())
}
