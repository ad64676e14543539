//! A job's attempts and the gaps of its series.
//!
//! Writes nothing. Invariant: counts include all runs ever; entries only those that retention has kept.

use super::error_text::error_of;
use super::failure::{DbResult, damaged};
use super::param::rows;
use super::session::Session;
use super::state::{self, unsigned};
use crate::clock::Millis;
use crate::model::{JobId, RunStatus};
use crate::store::{GapKind, History, HistoryEntry, HistoryPosition, JobSeq, MAX_PAGE_BYTES, OccurrenceGap};
use tokio_postgres::Row;

const SELECT_ATTEMPTS: &str = include_str!("sql/select_attempts.sql");
const SELECT_GAPS: &str = include_str!("sql/select_gaps.sql");
const COUNT_ENDED_RUNS: &str = include_str!("sql/count_ended_runs.sql");

/// Attempts read with one statement: many large results must not be read at once.
const ATTEMPTS_PER_READ: usize = 100;

/// The history of the job with this id.
pub(super) async fn of(
    session: &Session,
    id: &JobId,
    limit: usize,
    before: HistoryPosition,
) -> DbResult<Option<History>> {
    session.snapshot().await?;
    let history = match state::find(session, id).await? {
        Some(job) => Some(read(session, job, limit, before).await?),
        None => None,
    };
    session.end_snapshot().await?;
    Ok(history)
}

async fn read(session: &Session, job: JobSeq, limit: usize, before: HistoryPosition) -> DbResult<History> {
    let counts = session
        .query_opt(COUNT_ENDED_RUNS, &[&job])
        .await?
        .ok_or_else(|| damaged("no counts"))?;
    let (entries, next) = entries(session, job, limit, before).await?;
    let gaps = if before == HistoryPosition::NEWEST {
        session.query(SELECT_GAPS, &[&job, &rows(limit)]).await?
    } else {
        Vec::new()
    };
    Ok(History {
        job,
        executions: counts.try_get(0)?,
        succeeded: counts.try_get(1)?,
        failed: counts.try_get(2)?,
        entries,
        gaps: gaps.iter().map(gap).collect::<DbResult<_>>()?,
        next,
    })
}

async fn entries(
    session: &Session,
    job: JobSeq,
    limit: usize,
    mut before: HistoryPosition,
) -> DbResult<(Vec<HistoryEntry>, Option<HistoryPosition>)> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    loop {
        // One more than are wanted, which tells whether there is a next page.
        let most = (limit - entries.len()).saturating_add(1).min(ATTEMPTS_PER_READ);
        let found = session
            .query(SELECT_ATTEMPTS, &[&job, &before.run, &before.attempt, &rows(most)])
            .await?;
        for row in &found {
            if entries.len() == limit || bytes > MAX_PAGE_BYTES {
                let next = (!entries.is_empty()).then_some(before);
                return Ok((entries, next));
            }
            let entry = entry(row)?;
            bytes += entry.bytes();
            entries.push(entry);
            before = HistoryPosition {
                run: row.try_get(0)?,
                attempt: i64::from(row.try_get::<_, i32>(1)?),
            };
        }
        if found.len() < most {
            return Ok((entries, None));
        }
    }
}

fn entry(row: &Row) -> DbResult<HistoryEntry> {
    let started_at: Option<Millis> = row.try_get(3)?;
    let status: i32 = row.try_get(2)?;
    Ok(HistoryEntry {
        run: row.try_get(0)?,
        attempt: if started_at.is_some() { unsigned(row, 1)? } else { 0 },
        status: RunStatus::from_code(i64::from(status)).ok_or_else(|| damaged("an attempt in an unknown state"))?,
        started_at,
        ended_at: row.try_get(4)?,
        error: error_of(row, 5)?,
        result: row.try_get(6)?,
    })
}

fn gap(row: &Row) -> DbResult<OccurrenceGap> {
    Ok(OccurrenceGap {
        kind: GapKind::from_code(i64::from(row.try_get::<_, i32>(0)?)),
        first: row.try_get(1)?,
        last: row.try_get(2)?,
        count: row.try_get(3)?,
    })
}
