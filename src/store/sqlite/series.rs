//! The recurring part of a job: its next occurrence, its counts, and the state that follows from them.
//!
//! Knows no schedule arithmetic: occurrences come from outside. Invariant: the state of a series is what its row says
//! (ended, else running, queued or at rest by its live runs), and the job counters follow every change of that.

use super::failure::damaged;
use super::jobs::JobKey;
use super::keys::KeyId;
use super::queue;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{RunStatus, Status};
use crate::store::phase::{LiveRuns, Phase};
use crate::store::{JobSeq, RouteId};
use rusqlite::{Connection, OptionalExtension, Row};

const SELECT_SERIES: &str = include_str!("sql/select_series.sql");
const UPDATE_LIVE_RUNS: &str = include_str!("sql/update_live_runs.sql");
const UPDATE_SERIES_RUN_ENDED: &str = include_str!("sql/update_series_run_ended.sql");
const UPDATE_SERIES_END: &str = include_str!("sql/update_series_end.sql");
const SELECT_LIVE_RUNS: &str = include_str!("sql/select_live_runs.sql");
const SELECT_CURRENT_RUN: &str = include_str!("sql/select_current_run.sql");
const SELECT_SCHEDULED_AT: &str = include_str!("sql/select_scheduled_at.sql");
const DELETE_OCCURRENCE: &str = include_str!("sql/delete_occurrence.sql");

/// A series.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) spec: Box<str>,
    pub(super) state: i64,
    pub(super) ended_at: Option<Millis>,
    pub(super) reason: Option<Box<str>>,
    pub(super) next_at: Option<Millis>,
    pub(super) last_at: Option<Millis>,
    pub(super) runs: i64,
    pub(super) ended: i64,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
    pub(super) live: LiveRuns,
    pub(super) paused: bool,
    /// Grid point of the last run that failed and was not run again.
    pub(super) failed_at: Option<Millis>,
    /// Runs on request, among `runs`.
    pub(super) reruns: i64,
    /// Concurrency key of its job.
    pub(super) key: Option<KeyId>,
}

impl Series {
    /// Runs that count towards the limit.
    pub(super) fn counted_runs(&self) -> i64 {
        self.runs - self.reruns
    }

    /// The state of its job.
    pub(super) fn status(&self) -> Status {
        Status::from_code(self.state)
            .filter(|status| status.is_ended())
            .unwrap_or_else(|| self.live.status(self.paused))
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            spec: row.get(0)?,
            state: row.get(1)?,
            ended_at: row.get(2)?,
            reason: row.get(3)?,
            next_at: row.get(4)?,
            last_at: row.get(5)?,
            runs: row.get(6)?,
            ended: row.get(7)?,
            succeeded: row.get(8)?,
            failed: row.get(9)?,
            live: LiveRuns {
                queued: row.get(10)?,
                running: row.get(11)?,
                waiting: row.get(12)?,
            },
            paused: row.get(13)?,
            failed_at: row.get(14)?,
            reruns: row.get(15)?,
            key: row.get(16)?,
        })
    }
}

/// The series of a job.
pub(super) fn load(connection: &Connection, job: JobSeq) -> Result<Option<Series>> {
    Ok(connection
        .prepare_cached(SELECT_SERIES)?
        .query_row([job], Series::read)
        .optional()?)
}

/// The series of a job that must have one.
pub(super) fn expect(connection: &Connection, job: JobSeq) -> Result<Series> {
    load(connection, job)?.ok_or_else(|| damaged("a recurring job without its series"))
}

/// A run of a series that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveRun {
    pub(super) run: i64,
    /// Of its first attempt.
    pub(super) due: Millis,
}

/// The runs of a series that have not ended, oldest first.
pub(super) fn live_runs(connection: &Connection, job: JobSeq) -> Result<Vec<LiveRun>> {
    let mut select = connection.prepare_cached(SELECT_LIVE_RUNS)?;
    let runs = select.query_map([job], |row| {
        Ok(LiveRun {
            run: row.get(0)?,
            due: row.get(1)?,
        })
    })?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

/// The run of a series that stands for its state: one that is running, else the oldest that has not ended.
pub(super) fn current_run(connection: &Connection, job: JobSeq) -> Result<Option<LiveRun>> {
    let read = |row: &Row<'_>| {
        Ok(LiveRun {
            run: row.get(0)?,
            due: row.get(1)?,
        })
    };
    Ok(connection
        .prepare_cached(SELECT_CURRENT_RUN)?
        .query_row([job], read)
        .optional()?)
}

/// The grid point of a run that has not ended.
pub(super) fn scheduled_at(connection: &Connection, job: JobSeq, run: i64) -> Result<Option<Millis>> {
    Ok(connection
        .prepare_cached(SELECT_SCHEDULED_AT)?
        .query_row((job, run), |row| row.get(0))
        .optional()?)
}

/// The job of a run that moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobRef {
    pub(super) job: JobSeq,
    pub(super) route: RouteId,
    pub(super) recurring: bool,
}

impl JobRef {
    /// Of a job's runs.
    pub(super) fn of(job: &JobKey) -> Self {
        Self {
            job: job.seq,
            route: job.route,
            recurring: job.recurring,
        }
    }
}

/// Counts a run that moved from one phase to another; `from` is `None` for a new run of a series.
pub(super) fn run_changed_phase(tx: &mut Tx<'_>, job_ref: JobRef, from: Option<Phase>, to: Phase) -> Result<()> {
    if from == Some(to) {
        return Ok(());
    }
    if !job_ref.recurring {
        tx.count_transition(job_ref.route, from.map(Phase::status), Some(to.status()));
        return Ok(());
    }
    let left = from.map(LiveRuns::one).unwrap_or_default();
    let delta = LiveRuns::one(to).minus(left);
    let (now, paused) = shift_live_runs(tx.connection, job_ref.job, delta)?;
    let before = now.minus(delta).status(paused);
    tx.count_transition(job_ref.route, Some(before), Some(now.status(paused)));
    Ok(())
}

/// Changes the numbers of live runs; returns them, and whether the series is paused.
fn shift_live_runs(connection: &Connection, job: JobSeq, delta: LiveRuns) -> Result<(LiveRuns, bool)> {
    let read = |row: &Row<'_>| {
        let live = LiveRuns {
            queued: row.get(0)?,
            running: row.get(1)?,
            waiting: row.get(2)?,
        };
        Ok((live, row.get(3)?))
    };
    let row = (job, delta.queued, delta.running, delta.waiting);
    Ok(connection.prepare_cached(UPDATE_LIVE_RUNS)?.query_row(row, read)?)
}

/// Counts a run that has ended, and ends the series after its last one. Returns the state of the job.
pub(super) fn run_ended(
    tx: &mut Tx<'_>,
    job_ref: JobRef,
    run: i64,
    from: Phase,
    how: RunStatus,
    now: Millis,
) -> Result<Status> {
    let connection = tx.connection;
    let scheduled_at: Option<Millis> = connection
        .prepare_cached(DELETE_OCCURRENCE)?
        .query_row((job_ref.job, run), |row| row.get(0))
        .optional()?;
    let left = LiveRuns::one(from);
    let (live, paused) = shift_live_runs(connection, job_ref.job, LiveRuns::default().minus(left))?;
    let (succeeded, failed) = (
        i64::from(how == RunStatus::Completed),
        i64::from(how == RunStatus::Failed),
    );
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (next_at, after_live_runs): (Option<Millis>, bool) = connection
        .prepare_cached(UPDATE_SERIES_RUN_ENDED)?
        .query_row((job_ref.job, succeeded, failed, scheduled_at), read)?;
    if after_live_runs && live.total() == 0 {
        // The occurrence that waited for this run can be made now.
        tx.wake();
    }
    let before = LiveRuns {
        queued: live.queued + left.queued,
        running: live.running + left.running,
        waiting: live.waiting + left.waiting,
    };
    if next_at.is_none() && live.total() == 0 {
        end(tx, job_ref, before.status(paused), Status::Completed, None, now)?;
        return Ok(Status::Completed);
    }
    let after = live.status(paused);
    tx.count_transition(job_ref.route, Some(before.status(paused)), Some(after));
    Ok(after)
}

/// Ends a series: no occurrence comes any more.
pub(super) fn end(
    tx: &mut Tx<'_>,
    job_ref: JobRef,
    from: Status,
    to: Status,
    reason: Option<&str>,
    now: Millis,
) -> Result<()> {
    tx.connection
        .prepare_cached(UPDATE_SERIES_END)?
        .execute((job_ref.job, to as i64, now, reason))?;
    queue::insert_ended(tx.connection, to, now, job_ref.job)?;
    tx.count_transition(job_ref.route, Some(from), Some(to));
    Ok(())
}
