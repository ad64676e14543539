//! Retention: deletes ended jobs that are too old or too many, and old history of live series.
//!
//! Invariant: bounded per transaction; the history of a live run stays, since it determines the run's location.

use super::failure::damaged;
use super::run_rows::rows;
use super::time_slice::TimeSlice;
use super::tx::Tx;
use super::{counters, job_rows, queue, steps, uniques};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::{JobSeq, Retention, RetentionLimit};
use rusqlite::{Connection, OptionalExtension};

/// Jobs per query; a time slice may end after any of them.
const JOBS_PER_LOOKUP: usize = 50;
/// Most transactions that trim history in one sweep.
pub(super) const MAX_TRIM_STEPS: usize = 32;
/// Most rows of history deleted in one transaction.
const MAX_ATTEMPTS_PER_STEP: usize = 500;
/// Most unique keys deleted in one transaction.
const MAX_EXPIRED_KEYS: usize = 100;
/// Series examined in one transaction.
const SERIES_PER_STEP: usize = 100;

const SELECT_OLDEST_ENDED: &str = include_str!("sql/select_oldest_ended.sql");
const SELECT_JOB: &str = include_str!("sql/select_job.sql");
const SELECT_OLDEST_RUNS: &str = include_str!("sql/select_oldest_runs.sql");
const SELECT_OLDEST_GAPS: &str = include_str!("sql/select_oldest_gaps.sql");
const SELECT_IS_LIVE: &str = include_str!("sql/select_is_live.sql");
const DELETE_GAP: &str = include_str!("sql/delete_gap.sql");
const DELETE_ATTEMPT: &str = include_str!("sql/delete_attempt.sql");
const SELECT_ANY_ATTEMPT: &str = "SELECT 1 FROM runs WHERE job = ?1 AND run = ?2";
const SELECT_NEXT_SERIES: &str = include_str!("sql/sweep_select_next_series.sql");

/// How many jobs may be deleted, and the time for it.
type Budget<'a> = (usize, &'a TimeSlice);

/// Deletes at most `most` ended jobs, fewer if the time slice ends, and expired unique keys that outlived their jobs.
/// Returns the number of jobs: 0 only if there are none to delete.
pub(super) fn jobs(tx: &mut Tx<'_>, retention: Retention, now: Millis, most: usize) -> Result<usize> {
    let kept = [
        (Status::Completed, retention.completed),
        (Status::Failed, retention.failed),
        (Status::Cancelled, retention.cancelled),
    ];
    uniques::expire(tx, now, MAX_EXPIRED_KEYS)?;
    let time_slice = TimeSlice::matching_work_of(tx.take_work_of_others());
    let mut deleted = 0;
    for (status, keep) in kept {
        deleted += by_age(tx, status, keep, now, (most - deleted, &time_slice))?;
        deleted += by_count(tx, status, keep, now, (most - deleted, &time_slice))?;
    }
    Ok(deleted)
}

fn by_age(tx: &mut Tx<'_>, status: Status, keep: RetentionLimit, now: Millis, budget: Budget<'_>) -> Result<usize> {
    match keep.age {
        Some(age) if budget.0 > 0 => delete(tx, status, now.saturating_sub(age), now, budget),
        _ => Ok(0),
    }
}

fn by_count(
    tx: &mut Tx<'_>,
    status: Status,
    keep: RetentionLimit,
    now: Millis,
    (most, time_slice): Budget<'_>,
) -> Result<usize> {
    let Some(count) = keep.count else { return Ok(0) };
    let excess = counters::count_in_state(tx.connection, status)? + tx.pending_count(status) - count.max(0);
    match usize::try_from(excess) {
        Ok(excess) if excess > 0 && most > 0 => delete(tx, status, Millis::MAX, now, (most.min(excess), time_slice)),
        _ => Ok(0),
    }
}

/// Deletes the oldest jobs that ended in this state before `before`.
fn delete(
    tx: &mut Tx<'_>,
    status: Status,
    before: Millis,
    now: Millis,
    (most, time_slice): Budget<'_>,
) -> Result<usize> {
    let mut deleted = 0;
    while deleted < most {
        let wanted = JOBS_PER_LOOKUP.min(most - deleted);
        let jobs = oldest_jobs(tx.connection, status, before, wanted)?;
        for (ended, job) in &jobs {
            if deleted > 0 && time_slice.is_over() {
                return Ok(deleted);
            }
            delete_one(tx, status, (*ended, *job), now)?;
            deleted += 1;
        }
        if jobs.len() < wanted {
            break;
        }
    }
    Ok(deleted)
}

fn oldest_jobs(connection: &Connection, status: Status, before: Millis, most: usize) -> Result<Vec<(Millis, JobSeq)>> {
    let mut select = connection.prepare_cached(SELECT_OLDEST_ENDED)?;
    let rows = select.query_map((status as i64, before, rows(most)), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn delete_one(tx: &mut Tx<'_>, status: Status, (ended, job): (Millis, JobSeq), now: Millis) -> Result<()> {
    let connection = tx.connection;
    let kept = connection
        .prepare_cached(SELECT_JOB)?
        .query_row([job], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (route, recurring) = kept.ok_or_else(|| damaged("an ended job that is not there"))?;
    queue::delete_ended(connection, status, ended, job)?;
    job_rows::sweep(connection, job, recurring, now)?;
    tx.count_transition(route, Some(status), None);
    Ok(())
}

/// Trims the history of some series after `after`; returns where to continue, `None` after the last one.
pub(super) fn runs(tx: &mut Tx<'_>, keep: RetentionLimit, now: Millis, after: JobSeq) -> Result<Option<JobSeq>> {
    if keep.age.is_none() && keep.count.is_none() {
        return Ok(None);
    }
    let connection = tx.connection;
    let series: Vec<(JobSeq, i64)> = {
        let mut select = connection.prepare_cached(SELECT_NEXT_SERIES)?;
        let rows = select.query_map((after, rows(SERIES_PER_STEP)), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let mut budget = MAX_ATTEMPTS_PER_STEP;
    let mut last = after;
    for (job, created) in &series {
        let trimmed = trim(tx, *job, *created, keep, now, budget)?;
        budget -= trimmed;
        if budget == 0 {
            // Not finished: the next step starts with this series again.
            return Ok(Some(last));
        }
        last = *job;
    }
    Ok((series.len() == SERIES_PER_STEP).then_some(last))
}

/// Deletes the oldest rows up to the first that is kept, so that the cost is that of the deletions.
fn trim(tx: &mut Tx<'_>, job: JobSeq, created: i64, keep: RetentionLimit, now: Millis, budget: usize) -> Result<usize> {
    let has_steps = steps::any_exist(tx)?;
    let connection = tx.connection;
    let before = keep.age.map_or(Millis::MIN, |age| now.saturating_sub(age));
    let up_to = keep.count.map_or(0, |count| created.saturating_sub(count.max(0)));
    let old = |run: i64, ended: Millis| run <= up_to || ended < before;
    let runs = oldest(connection, SELECT_OLDEST_RUNS, job, budget, old)?;
    let mut is_live = connection.prepare_cached(SELECT_IS_LIVE)?;
    let mut drop = connection.prepare_cached(DELETE_ATTEMPT)?;
    let mut has_attempts = connection.prepare_cached(SELECT_ANY_ATTEMPT)?;
    for (run, attempt) in &runs {
        if !is_live.exists((job, run))? {
            drop.execute((job, run, attempt))?;
            // A run that failed needs its steps as long as its last attempt is kept.
            if has_steps && !has_attempts.exists((job, run))? {
                steps::delete_steps_of_run(connection, job, *run)?;
            }
        }
    }
    let mut drop = connection.prepare_cached(DELETE_GAP)?;
    for (first, kind) in oldest(connection, SELECT_OLDEST_GAPS, job, budget, old)? {
        drop.execute((job, first, kind))?;
    }
    Ok(runs.len())
}

/// Keys of the oldest rows, up to the first that is not `old` by its run and end.
fn oldest(
    connection: &Connection,
    query: &str,
    job: JobSeq,
    most: usize,
    old: impl Fn(i64, Millis) -> bool,
) -> Result<Vec<(i64, i64)>> {
    let mut select = connection.prepare_cached(query)?;
    let mut rows = select.query((job, rows(most)))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        if !old(row.get(2)?, row.get(3)?) {
            break;
        }
        keys.push((row.get(0)?, row.get(1)?));
    }
    Ok(keys)
}
