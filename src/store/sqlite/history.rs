//! A job's attempts and the gaps of its series.
//!
//! Writes nothing. Invariant: counts include all runs ever; entries only those that retention has kept.

use super::error_text::read_error;
use super::failure::damaged;
use super::jobs::{self, JobKey};
use super::run_rows::rows;
use super::series;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, RunStatus};
use crate::store::{GapKind, History, HistoryEntry, HistoryPosition, MAX_PAGE_BYTES, OccurrenceGap};
use rusqlite::{Connection, Row};

const SELECT_ATTEMPTS: &str = include_str!("sql/select_attempts.sql");
const SELECT_GAPS: &str = include_str!("sql/select_gaps.sql");
const COUNT_ENDED_RUNS: &str = include_str!("sql/count_ended_runs.sql");

/// The history of the job with this id.
pub(super) fn of(
    connection: &Connection,
    id: &JobId,
    limit: usize,
    before: HistoryPosition,
) -> Result<Option<History>> {
    let Some(job) = jobs::by_id(connection, id)? else {
        return Ok(None);
    };
    let (executions, succeeded, failed) = counts(connection, &job)?;
    let (entries, next) = entries(connection, &job, limit, before)?;
    let gaps = if before == HistoryPosition::NEWEST {
        gaps(connection, &job, limit)?
    } else {
        Vec::new()
    };
    Ok(Some(History {
        job: job.seq,
        executions,
        succeeded,
        failed,
        entries,
        gaps,
        next,
    }))
}

fn counts(connection: &Connection, job: &JobKey) -> Result<(i64, i64, i64)> {
    if job.recurring {
        let series = series::state(connection, job.seq)?;
        return Ok((series.ended, series.succeeded, series.failed));
    }
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    Ok(connection
        .prepare_cached(COUNT_ENDED_RUNS)?
        .query_row([job.seq], read)?)
}

fn entries(
    connection: &Connection,
    job: &JobKey,
    limit: usize,
    before: HistoryPosition,
) -> Result<(Vec<HistoryEntry>, Option<HistoryPosition>)> {
    let mut select = connection.prepare_cached(SELECT_ATTEMPTS)?;
    // One more, which tells whether there is a next page.
    let mut rows = select.query((job.seq, before.run, before.attempt, rows(limit.saturating_add(1))))?;
    let (mut entries, mut last, mut bytes) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        if entries.len() == limit || bytes > MAX_PAGE_BYTES {
            return Ok((entries, last));
        }
        let entry = entry(row)?;
        bytes += entry.bytes();
        entries.push(entry);
        last = Some(HistoryPosition {
            run: row.get(0)?,
            attempt: row.get(1)?,
        });
    }
    Ok((entries, None))
}

fn entry(row: &Row<'_>) -> Result<HistoryEntry> {
    let started_at: Option<Millis> = row.get(3)?;
    let error: Option<Box<str>> = row.get(5)?;
    Ok(HistoryEntry {
        run: row.get(0)?,
        attempt: if started_at.is_some() { row.get(1)? } else { 0 },
        status: RunStatus::from_code(row.get(2)?).ok_or_else(|| damaged("an attempt in an unknown state"))?,
        started_at,
        ended_at: row.get(4)?,
        error: error.map(|text| read_error(&text)).transpose()?,
        result: row.get(6)?,
    })
}

fn gaps(connection: &Connection, job: &JobKey, limit: usize) -> Result<Vec<OccurrenceGap>> {
    let mut select = connection.prepare_cached(SELECT_GAPS)?;
    let rows = select.query_map((job.seq, rows(limit)), |row| {
        Ok(OccurrenceGap {
            kind: GapKind::from_code(row.get(0)?),
            first: row.get(1)?,
            last: row.get(2)?,
            count: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
