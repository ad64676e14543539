//! Turns due occurrences into runs and moves their series on, in one transaction.
//!
//! Invariant: an advance counts once, and only if its series is as it was when the advance was computed; until then the
//! series stays due, so that nothing is lost.

use super::jobs::{self, JobKey};
use super::queue::{self, Waiting};
use super::series::{self, JobRef};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::phase::Phase;
use crate::store::{Occurrence, OccurrenceGap, SeriesAdvance};
use rusqlite::{Connection, OptionalExtension};

const UPDATE_SERIES_ADVANCE: &str = include_str!("sql/update_series_advance.sql");
const INSERT_OCCURRENCE: &str = include_str!("sql/insert_occurrence.sql");
const SELECT_LAST_GAP: &str = include_str!("sql/select_last_gap.sql");
const UPDATE_GAP_END: &str = include_str!("sql/update_gap_end.sql");
const UPSERT_GAP: &str = include_str!("sql/upsert_gap.sql");

/// Applies the advances; returns how many counted.
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
    let connection = tx.connection;
    let created = i64::try_from(advance.occurrences.len()).unwrap_or(i64::MAX);
    let last_at = advance.occurrences.last().map(|occurrence| occurrence.scheduled_at);
    let row = (
        advance.job,
        advance.version,
        advance.next_at,
        created,
        last_at,
        advance.after_live_runs,
    );
    let runs: Option<i64> = connection
        .prepare_cached(UPDATE_SERIES_ADVANCE)?
        .query_row(row, |row| row.get(0))
        .optional()?;
    let Some(runs) = runs else { return Ok(false) };
    let job = jobs::expect(connection, advance.job)?;
    let before = runs - created;
    for gap in &advance.gaps {
        insert_gap(connection, &job, gap, before)?;
    }
    for (number, occurrence) in (before + 1..).zip(&advance.occurrences) {
        insert_run(tx, &job, number, occurrence)?;
    }
    if advance.next_at.is_none() {
        end_if_over(tx, &job, now)?;
    }
    Ok(true)
}

fn insert_run(tx: &mut Tx<'_>, job: &JobKey, run: i64, occurrence: &Occurrence) -> Result<()> {
    let Occurrence { scheduled_at, missed } = *occurrence;
    tx.connection
        .prepare_cached(INSERT_OCCURRENCE)?
        .execute((job.seq, run, scheduled_at, missed))?;
    queue::insert_ready(tx, job.rank(scheduled_at), Waiting::first(job.seq, run))?;
    series::run_changed_phase(tx, job_ref(job), None, Phase::Queued)
}

/// A gap that continues the last one, with no run between them, makes that one longer.
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

fn end_if_over(tx: &mut Tx<'_>, job: &JobKey, now: Millis) -> Result<()> {
    let series = series::expect(tx.connection, job.seq)?;
    if series.live.total() == 0 {
        series::end(tx, job_ref(job), series.status(), Status::Completed, None, now)?;
    }
    Ok(())
}

fn job_ref(job: &JobKey) -> JobRef {
    JobRef {
        job: job.seq,
        route: job.route,
        recurring: true,
    }
}
