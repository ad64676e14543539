//! Retention: deletes ended jobs that are too old or too many, and old history of live series.
//!
//! Invariant: bounded per transaction; the history of a live run stays, since it determines the run's location. A job that
//! is locked by a concurrent change is left for the next sweep.

use super::counters;
use super::failure::DbResult;
use super::param::rows;
use super::session::Session;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::{JobSeq, Retention, RetentionLimit};

/// Most jobs deleted in one transaction.
pub(super) const MAX_JOBS_PER_STEP: usize = 500;
/// Most transactions that trim history in one sweep.
pub(super) const MAX_TRIM_STEPS: usize = 32;
/// Most rows of history of one series deleted in one transaction; the statement contains the same number.
const MAX_ATTEMPTS_PER_STEP: i64 = 500;
/// Series examined in one transaction.
const SERIES_PER_STEP: i64 = 100;

const DELETE_JOBS: &str = include_str!("sql/delete_jobs.sql");
const DELETE_OLD_RUNS: &str = include_str!("sql/sweep_runs.sql");
const DELETE_OLD_GAPS: &str = include_str!("sql/delete_old_gaps.sql");

/// Deletes at most `most` ended jobs; returns how many.
pub(super) async fn jobs(session: &Session, retention: Retention, now: Millis, most: usize) -> DbResult<usize> {
    let kept = [
        (Status::Completed, retention.completed),
        (Status::Failed, retention.failed),
        (Status::Cancelled, retention.cancelled),
    ];
    let mut deleted = 0;
    for (status, keep) in kept {
        if let Some(age) = keep.age {
            deleted += delete(session, status, now.saturating_sub(age), now, most - deleted).await?;
        }
        deleted += by_count(session, status, keep, now, most - deleted).await?;
    }
    Ok(deleted)
}

async fn by_count(
    session: &Session,
    status: Status,
    keep: RetentionLimit,
    now: Millis,
    most: usize,
) -> DbResult<usize> {
    let Some(count) = keep.count.filter(|_| most > 0) else {
        return Ok(0);
    };
    let stats = counters::stats(session, None).await?;
    let there = stats.by_status.get(status as usize).copied().unwrap_or(0);
    match usize::try_from(there - count.max(0)) {
        Ok(excess) if excess > 0 => delete(session, status, Millis::MAX, now, most.min(excess)).await,
        _ => Ok(0),
    }
}

/// Deletes the oldest jobs that ended in this state before `before`.
async fn delete(session: &Session, status: Status, before: Millis, now: Millis, most: usize) -> DbResult<usize> {
    if most == 0 {
        return Ok(0);
    }
    let status = status as i32;
    let row = session
        .query_opt(DELETE_JOBS, &[&status, &before, &rows(most), &now])
        .await?;
    let deleted: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(deleted).unwrap_or(0))
}

/// Trims the history of some series after `after`; returns where to continue, `None` after the last one.
pub(super) async fn runs(
    session: &Session,
    keep: RetentionLimit,
    now: Millis,
    after: JobSeq,
) -> DbResult<Option<JobSeq>> {
    if keep.age.is_none() && keep.count.is_none() {
        return Ok(None);
    }
    let before = keep.age.map_or(Millis::MIN, |age| now.saturating_sub(age));
    let count = keep.count.map(|count| count.max(0));
    session
        .execute(DELETE_OLD_GAPS, &[&after, &count, &before, &SERIES_PER_STEP])
        .await?;
    let Some(row) = session
        .query_opt(DELETE_OLD_RUNS, &[&after, &count, &before, &SERIES_PER_STEP])
        .await?
    else {
        return Ok(None);
    };
    let (last, series, longest): (Option<JobSeq>, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if longest == MAX_ATTEMPTS_PER_STEP {
        // One of them is not finished: the next step starts with the same ones.
        return Ok(Some(after));
    }
    Ok(last.filter(|_| series == SERIES_PER_STEP))
}
