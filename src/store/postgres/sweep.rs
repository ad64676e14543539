//! Retention: deletes ended jobs that are too old or too many, and old history of live series.
//!
//! While an old transaction keeps the rows of deleted jobs, a step that took long is followed by steps that start where the last one
//! ended, for a time in proportion to how long it took.
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
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// A step that takes longer, for each of its jobs, has stepped over dead rows.
const LONG_STEP_PER_JOB: Duration = Duration::from_micros(200);
const LONG_STEP: Duration = Duration::from_millis(20);
/// How many times the duration of a long step the next ones do not start with the oldest job.
const REST_FACTOR: u32 = 20;

/// When the last job of a step ended, and its number.
type Reached = (Millis, JobSeq);

/// How far steps have come, by state: until when they go on from there.
#[derive(Default)]
pub(super) struct SweepPositions(Mutex<PositionsByState>);

type PositionsByState = [Option<(Reached, Instant)>; Status::ALL.len()];

impl SweepPositions {
    fn state(&self) -> MutexGuard<'_, PositionsByState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a step starts; `true`: with the oldest job.
    fn start(&self, status: Status) -> (Reached, bool) {
        let positions = self.state();
        match positions.get(status as usize).copied().flatten() {
            Some((reached, until)) if Instant::now() < until => (reached, false),
            _ => ((Millis::MIN, JobSeq::MIN), true),
        }
    }

    /// The next step from the oldest job counts as long, and others go on from there for long.
    #[cfg(test)]
    pub(super) fn take_as_long(&self, status: Status) {
        let far = Instant::now() + Duration::from_secs(600);
        if let Some(position) = self.state().get_mut(status as usize) {
            *position = Some(((Millis::MIN, JobSeq::MIN), far));
        }
    }

    /// The next steps start with the oldest job.
    #[cfg(test)]
    pub(super) fn end_rest(&self) {
        *self.state() = Default::default();
    }

    /// A step has come to this job, after so long.
    fn finished(&self, status: Status, reached: Reached, was_first: bool, deleted: usize, took: Duration) {
        let mut positions = self.state();
        let Some(position) = positions.get_mut(status as usize) else {
            return;
        };
        let usual = LONG_STEP + LONG_STEP_PER_JOB * u32::try_from(deleted).unwrap_or(u32::MAX);
        match position {
            _ if was_first => *position = (took > usual).then(|| (reached, Instant::now() + took * REST_FACTOR)),
            Some((at, _)) => *at = reached.max(*at),
            None => {}
        }
    }
}

/// Deletes at most `most` ended jobs; returns how many.
pub(super) async fn jobs(
    session: &Session,
    positions: &SweepPositions,
    retention: Retention,
    now: Millis,
    most: usize,
) -> DbResult<usize> {
    let kept = [
        (Status::Completed, retention.completed),
        (Status::Failed, retention.failed),
        (Status::Cancelled, retention.cancelled),
    ];
    let mut deleted = 0;
    for (status, keep) in kept {
        if let Some(age) = keep.age {
            deleted += delete(
                (session, positions),
                status,
                now.saturating_sub(age),
                now,
                most - deleted,
            )
            .await?;
        }
        deleted += by_count((session, positions), status, keep, now, most - deleted).await?;
    }
    Ok(deleted)
}

async fn by_count(
    (session, positions): (&Session, &SweepPositions),
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
        Ok(excess) if excess > 0 => delete((session, positions), status, Millis::MAX, now, most.min(excess)).await,
        _ => Ok(0),
    }
}

/// Deletes the oldest jobs that ended in this state before `before`.
async fn delete(
    (session, positions): (&Session, &SweepPositions),
    status: Status,
    before: Millis,
    now: Millis,
    most: usize,
) -> DbResult<usize> {
    if most == 0 {
        return Ok(0);
    }
    let (after, is_first) = positions.start(status);
    let began = Instant::now();
    let row = session
        .query_opt(
            DELETE_JOBS,
            &[&(status as i32), &before, &rows(most), &now, &after.0, &after.1],
        )
        .await?;
    let Some(row) = row else { return Ok(0) };
    let deleted = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
    let last: (Option<Millis>, Option<JobSeq>) = (row.try_get(1)?, row.try_get(2)?);
    let reached = last.0.zip(last.1).unwrap_or(after);
    positions.finished(status, reached, is_first, deleted, began.elapsed());
    Ok(deleted)
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
