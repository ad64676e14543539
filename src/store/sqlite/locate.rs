//! Finds a run of a job without an index: its table and key follow from what is known about it.
//!
//! Invariant (checked by the contract suite after every step): a run is in exactly one table. Whatever changes a run's due
//! time writes it where step 2 of [`run`] looks for it.

use super::failure::damaged;
use super::jobs::JobKey;
use super::keys;
use super::queue;
use super::ready;
use super::run_rows::{KeyId, Rank, Waiting};
use super::series::LiveRun;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{RunStatus, Status};
use crate::store::rules::phase::{LastAttempt, Phase};
use crate::store::rules::placement;
use crate::store::{InstanceId, JobSeq, RouteId, Token};
use rusqlite::{Connection, OptionalExtension, Row};

const SELECT_RUNNING: &str = include_str!("sql/locate_select_running.sql");
const SELECT_READY: &str = include_str!("sql/select_ready.sql");
const SELECT_SCHEDULED: &str = include_str!("sql/locate_select_scheduled.sql");
const SELECT_SCHEDULED_BY_DAY: &str = include_str!("sql/select_scheduled_by_day.sql");
const SELECT_PAUSED: &str = include_str!("sql/locate_select_paused.sql");
const SELECT_LAST_ATTEMPT: &str = include_str!("sql/select_last_attempt.sql");

/// A run, with what its location depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunKey {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) route: RouteId,
    pub(super) priority: i32,
    pub(super) key: Option<KeyId>,
    /// When its first attempt was due.
    pub(super) first_due: Millis,
}

impl RunKey {
    /// The current run of a one-off.
    pub(super) fn of_one_off(job: &JobKey) -> Self {
        Self {
            job: job.seq,
            run: job.run,
            route: job.route,
            priority: job.priority,
            key: job.key,
            first_due: job.first_due(),
        }
    }

    /// A run of a series.
    pub(super) fn of_series(job: &JobKey, run: LiveRun) -> Self {
        Self {
            job: job.seq,
            run: run.run,
            route: job.route,
            priority: job.priority,
            key: job.key,
            first_due: run.due,
        }
    }

    /// Queue order if it is due then.
    pub(super) fn rank(&self, due: Millis) -> Rank {
        Rank {
            route: self.route,
            priority: self.priority,
            due,
            key: self.key,
        }
    }
}

/// A claimed run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) owner: InstanceId,
    pub(super) token: Token,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) started: Millis,
    /// Concurrency key it was claimed with.
    pub(super) key: Option<KeyId>,
}

/// The location of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum RunState {
    /// Claimed by a process.
    Running(Running),
    /// In `ready`, with this due time.
    Ready(Millis, Waiting),
    /// In `held`, blocked by its full concurrency key, with this due time.
    Blocked(Millis, Waiting),
    /// In `scheduled`, with this due time.
    Scheduled(Millis, Waiting),
    /// In `far`.
    ScheduledByDay(Millis),
    /// In `paused`, with its past or future due time.
    Paused(Millis, Waiting),
    /// Ended.
    Ended(LastAttempt),
}

impl RunState {
    /// The state of a one-off with its run in this location.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Running(_) => Status::Running,
            Self::Ready(..) | Self::Blocked(..) => Status::Queued,
            Self::Scheduled(..) | Self::ScheduledByDay(_) => Status::Scheduled,
            Self::Paused(..) => Status::Paused,
            Self::Ended(last) => last.job_status(),
        }
    }

    /// The phase of a series' run in this location; `None`: it has ended.
    pub(super) fn phase(&self) -> Option<Phase> {
        match self {
            Self::Running(_) => Some(Phase::Running),
            Self::Ready(..) | Self::Blocked(..) => Some(Phase::Queued),
            Self::Scheduled(..) | Self::ScheduledByDay(_) | Self::Paused(..) => Some(Phase::Waiting),
            Self::Ended(_) => None,
        }
    }

    /// Due time and attempt of a run that waits in a queue.
    pub(super) fn waiting(&self, key: &RunKey) -> Option<(Millis, Waiting)> {
        match self {
            Self::Ready(due, waiting)
            | Self::Blocked(due, waiting)
            | Self::Scheduled(due, waiting)
            | Self::Paused(due, waiting) => Some((*due, *waiting)),
            Self::ScheduledByDay(due) => Some((*due, Waiting::first(key.job, key.run))),
            Self::Running(_) | Self::Ended(_) => None,
        }
    }

    /// The current or next attempt, or the last one of an ended run, and how many crashed before it.
    pub(super) fn attempt(&self) -> (u32, u32) {
        match self {
            Self::Running(running) => (running.attempt, running.crashes),
            Self::Ready(_, waiting)
            | Self::Blocked(_, waiting)
            | Self::Scheduled(_, waiting)
            | Self::Paused(_, waiting) => (waiting.attempt, waiting.crashes),
            Self::ScheduledByDay(_) => (1, 0),
            Self::Ended(last) => (last.attempt, 0),
        }
    }
}

/// Finds a run.
pub(super) fn run(connection: &Connection, key: &RunKey) -> Result<RunState> {
    if let Some(running) = running(connection, key.job, key.run)? {
        return Ok(RunState::Running(running));
    }
    let last = last_attempt(connection, key.job, key.run)?;
    if let Some(last) = last.filter(|last| last.status.is_final()) {
        return Ok(RunState::Ended(last));
    }
    let due = last.and_then(|last| last.next_due).unwrap_or(key.first_due);
    waiting(connection, key, due)?.ok_or_else(|| damaged("a run that is in no table"))
}

fn waiting(connection: &Connection, key: &RunKey, due: Millis) -> Result<Option<RunState>> {
    let read = |row: &Row<'_>| {
        Ok(Waiting {
            job: key.job,
            run: key.run,
            attempt: row.get(0)?,
            crashes: row.get(1)?,
        })
    };
    let ready = (key.route, key.priority, due, key.job, key.run);
    if let Some(row) = connection
        .prepare_cached(SELECT_READY)?
        .query_row(ready, read)
        .optional()?
    {
        return Ok(Some(RunState::Ready(due, row)));
    }
    if key.key.is_some()
        && let Some((attempt, crashes)) = keys::find_blocked(connection, key.rank(due), key.job, key.run)?
    {
        let (job, run) = (key.job, key.run);
        let row = Waiting {
            job,
            run,
            attempt,
            crashes,
        };
        return Ok(Some(RunState::Blocked(due, row)));
    }
    if let Some(row) = connection
        .prepare_cached(SELECT_SCHEDULED)?
        .query_row((due, key.job, key.run), read)
        .optional()?
    {
        return Ok(Some(RunState::Scheduled(due, row)));
    }
    if connection
        .prepare_cached(SELECT_SCHEDULED_BY_DAY)?
        .exists((placement::day_of(due), key.job))?
    {
        return Ok(Some(RunState::ScheduledByDay(due)));
    }
    paused(connection, key)
}

fn paused(connection: &Connection, key: &RunKey) -> Result<Option<RunState>> {
    let read = |row: &Row<'_>| {
        let waiting = Waiting {
            job: key.job,
            run: key.run,
            attempt: row.get(1)?,
            crashes: row.get(2)?,
        };
        Ok(RunState::Paused(row.get(0)?, waiting))
    };
    Ok(connection
        .prepare_cached(SELECT_PAUSED)?
        .query_row((key.job, key.run), read)
        .optional()?)
}

/// The claim on a run, if it is claimed.
pub(super) fn running(connection: &Connection, job: JobSeq, run: i64) -> Result<Option<Running>> {
    let read = |row: &Row<'_>| {
        Ok(Running {
            owner: row.get(0)?,
            token: row.get(1)?,
            attempt: row.get(2)?,
            crashes: row.get(3)?,
            started: row.get(4)?,
            key: row.get(5)?,
        })
    };
    Ok(connection
        .prepare_cached(SELECT_RUNNING)?
        .query_row((job, run), read)
        .optional()?)
}

/// The last recorded attempt of a run.
pub(super) fn last_attempt(connection: &Connection, job: JobSeq, run: i64) -> Result<Option<LastAttempt>> {
    let mut select = connection.prepare_cached(SELECT_LAST_ATTEMPT)?;
    let mut rows = select.query((job, run))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let status = RunStatus::from_code(row.get(1)?).ok_or_else(|| damaged("an attempt in an unknown state"))?;
    Ok(Some(LastAttempt {
        attempt: row.get(0)?,
        status,
        started: row.get(2)?,
        ended: row.get(3)?,
        next_due: row.get(4)?,
    }))
}

/// Removes a run from its table; an ended run stays in history. Another run of its concurrency key may become claimable.
pub(super) fn remove(tx: &mut Tx<'_>, key: &RunKey, run_state: &RunState) -> Result<()> {
    let connection = tx.connection;
    match run_state {
        RunState::Running(running) => {
            queue::delete_running(connection, key.job, key.run)?;
            running.key.map_or(Ok(()), |of| keys::return_slot(tx, of))
        }
        RunState::Ready(due, _) => {
            ready::delete_ready(connection, key.rank(*due), key.job, key.run)?;
            key.key.map_or(Ok(()), |of| keys::ready_run_removed(tx, of, key.route))
        }
        RunState::Blocked(due, _) => keys::delete_blocked(connection, key.rank(*due), key.job, key.run),
        RunState::Scheduled(due, _) => queue::delete_scheduled(connection, *due, key.job, key.run),
        RunState::ScheduledByDay(due) => queue::delete_scheduled_by_day(connection, *due, key.job),
        RunState::Paused(..) => queue::delete_paused(connection, key.job, key.run),
        RunState::Ended(_) => Ok(()),
    }
}
