//! A job's attempts, and the grid points of its schedule that were not run.
//!
//! Writes nothing. Invariant: counts cover all runs there ever were; entries only those that retention has kept.

use super::failure::{Attempt, damaged};
use super::param::rows;
use super::read::error_of;
use super::session::Session;
use super::state::{self, unsigned};
use crate::clock::Millis;
use crate::model::{JobId, RunStatus};
use crate::store::{GapKind, GridGap, History, HistoryEntry, JobSeq};
use tokio_postgres::Row;

const ENTRIES: &str = "SELECT run, attempt, status, started, ended, error, result FROM ductape.runs WHERE job = $1 \
                       ORDER BY run DESC, attempt DESC LIMIT $2";
const GAPS: &str =
    "SELECT kind, first, last, count FROM ductape.gaps WHERE job = $1 ORDER BY first DESC, kind DESC LIMIT $2";
const COUNTS: &str = include_str!("sql/runs_counts.sql");

/// The history of the job with this id.
pub(super) async fn of(session: &Session, id: &JobId, limit: usize) -> Attempt<Option<History>> {
    session.snapshot().await?;
    let history = match state::find(session, id).await? {
        Some(job) => Some(read(session, job, rows(limit)).await?),
        None => None,
    };
    session.end_snapshot().await?;
    Ok(history)
}

async fn read(session: &Session, job: JobSeq, limit: i64) -> Attempt<History> {
    let counts = session
        .query_opt(COUNTS, &[&job])
        .await?
        .ok_or_else(|| damaged("no counts"))?;
    let entries = session.query(ENTRIES, &[&job, &limit]).await?;
    let gaps = session.query(GAPS, &[&job, &limit]).await?;
    Ok(History {
        executions: counts.try_get(0)?,
        succeeded: counts.try_get(1)?,
        failed: counts.try_get(2)?,
        entries: entries.iter().map(entry).collect::<Attempt<_>>()?,
        gaps: gaps.iter().map(gap).collect::<Attempt<_>>()?,
    })
}

fn entry(row: &Row) -> Attempt<HistoryEntry> {
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

fn gap(row: &Row) -> Attempt<GridGap> {
    let kind = if row.try_get::<_, i32>(0)? == GapKind::Missed as i32 {
        GapKind::Missed
    } else {
        GapKind::Skipped
    };
    Ok(GridGap {
        kind,
        first: row.try_get(1)?,
        last: row.try_get(2)?,
        count: row.try_get(3)?,
    })
}
