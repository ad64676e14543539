//! The state of jobs: each with its series and its live runs, from one snapshot.
//!
//! There is no index from a job to the queue of its run: the table and key follow from what is known about the run, and one
//! statement checks all candidates. Invariant: a run is in exactly one table. Whatever changes a run's due time writes it
//! where the statement looks for it: in the run's history if it has some, else in the job or the occurrence.

use super::failure::{DbResult, damaged};
use super::param::Param;
use super::run_rows::{KeyId, Rank, Running, Waiting};
use super::series::{self, Series};
use super::session::Session;
use crate::clock::Millis;
use crate::model::{JobId, Kind, RunStatus, Status};
use crate::store::rules::phase::{LastAttempt, Phase};
use crate::store::{JobSeq, JobSummary, RouteId};
use futures_util::future::try_join;
use tokio_postgres::Row;

const SELECT_STATE: &str = include_str!("sql/select_state.sql");
const SELECT_JOB_BY_ID: &str = include_str!("sql/select_job_by_id.sql");
const SELECT_JOB_BY_NAME: &str = include_str!("sql/select_job_by_name.sql");
const LOCK_JOB_BY_ID: &str = include_str!("sql/lock_job_by_id.sql");
const LOCK_JOB_BY_NAME: &str = include_str!("sql/lock_job_by_name.sql");
const LOCK_JOBS: &str = include_str!("sql/lock_jobs.sql");
const LOCK_SERIES: &str = include_str!("sql/lock_series.sql");

/// What the verbs need of a job: everything but the payload.
#[derive(Clone, Debug)]
pub(super) struct JobKey {
    pub(super) seq: JobSeq,
    pub(super) id: JobId,
    pub(super) route: RouteId,
    pub(super) priority: i32,
    /// When the first attempt of its current run is due; `None`: a series without a next occurrence.
    pub(super) due: Option<Millis>,
    pub(super) recurring: bool,
    /// Current run of a one-off.
    pub(super) run: i64,
    pub(super) created: Millis,
    /// Its concurrency key.
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

    /// When a waiting run is due.
    pub(super) fn due(&self) -> Option<Millis> {
        match self {
            Self::Ready(due, _)
            | Self::Blocked(due, _)
            | Self::Scheduled(due, _)
            | Self::ScheduledByDay(due)
            | Self::Paused(due, _) => Some(*due),
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

/// A run with its location.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) run: i64,
    /// Due time of its first attempt.
    pub(super) first_due: Millis,
    /// The occurrence of a series' run.
    pub(super) scheduled_at: Millis,
    pub(super) run_state: RunState,
    /// The last attempt that ended.
    pub(super) last: Option<LastAttempt>,
}

/// A job in its present state.
#[derive(Clone, Debug)]
pub(super) struct StoredJob {
    pub(super) job: JobKey,
    pub(super) series: Option<Series>,
    /// The current run of a one-off; of a series all that have not ended, oldest first.
    pub(super) runs: Vec<Run>,
}

impl StoredJob {
    /// Its state.
    pub(super) fn status(&self) -> Status {
        match (&self.series, self.runs.first()) {
            (Some(series), _) => series.status(),
            (None, Some(run)) => run.run_state.status(),
            (None, None) => Status::Completed,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.job.recurring)
    }

    /// Its current run: one that is running, else the oldest that has not ended.
    pub(super) fn current(&self) -> Option<&Run> {
        let running = self
            .runs
            .iter()
            .find(|run| matches!(run.run_state, RunState::Running(_)));
        running.or_else(|| self.runs.first())
    }

    /// When its current run is due.
    pub(super) fn scheduled_at(&self) -> Millis {
        let job_due = self.job.due.unwrap_or(self.job.created);
        match (self.current(), &self.series) {
            (Some(run), None) => run.run_state.due().unwrap_or(job_due),
            (Some(run), Some(_)) => run.run_state.due().unwrap_or(run.first_due),
            (None, Some(series)) => series.state.next_at.or(series.last_at).unwrap_or(job_due),
            (None, None) => job_due,
        }
    }

    /// The next occurrence; unknown for a paused series, as it depends on when it is resumed.
    pub(super) fn next_run_at(&self) -> Option<Millis> {
        let goes_on = self.series.as_ref().filter(|series| !series.state.paused);
        goes_on.and_then(|series| series.state.next_at)
    }

    pub(super) fn summary(&self) -> JobSummary {
        JobSummary {
            status: self.status(),
            scheduled_at: self.scheduled_at(),
            recurring: self.job.recurring,
            next_run_at: self.next_run_at(),
        }
    }

    /// Queue order of a run of it that is due then.
    pub(super) fn rank(&self, due: Millis) -> Rank {
        Rank {
            route: self.job.route,
            priority: self.job.priority,
            due,
            key: self.job.key,
        }
    }

    /// Due time and attempt of a run that waits in a queue.
    pub(super) fn waiting(&self, run: &Run) -> Option<(Millis, Waiting)> {
        match run.run_state {
            RunState::Ready(due, waiting)
            | RunState::Blocked(due, waiting)
            | RunState::Scheduled(due, waiting)
            | RunState::Paused(due, waiting) => Some((due, waiting)),
            RunState::ScheduledByDay(due) => Some((due, Waiting::first(self.job.seq, run.run, false))),
            RunState::Running(_) | RunState::Ended(_) => None,
        }
    }
}

/// The number of the job with this id.
pub(super) async fn find(session: &Session, id: &JobId) -> DbResult<Option<JobSeq>> {
    by_id(session, id, SELECT_JOB_BY_ID, SELECT_JOB_BY_NAME).await
}

/// The same, with the job locked until this transaction ends.
pub(super) async fn lock(session: &Session, id: &JobId) -> DbResult<Option<JobSeq>> {
    by_id(session, id, LOCK_JOB_BY_ID, LOCK_JOB_BY_NAME).await
}

async fn by_id(session: &Session, id: &JobId, uuid: &'static str, name: &'static str) -> DbResult<Option<JobSeq>> {
    let row = match id {
        JobId::Generated(id) => session.query_opt(uuid, &[id as &dyn Param]).await?,
        JobId::Custom(text) => session.query_opt(name, &[text as &dyn Param]).await?,
    };
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Locks several jobs; deleted ones are missing from the answer.
pub(super) async fn lock_all(session: &Session, jobs: &Vec<JobSeq>) -> DbResult<Vec<JobSeq>> {
    let rows = session.query(LOCK_JOBS, &[jobs]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Locks the series of these jobs, if they have one, and then reads the jobs.
pub(super) async fn lock_series(session: &Session, jobs: &Vec<JobSeq>) -> DbResult<Vec<StoredJob>> {
    session.prepare_ahead(LOCK_SERIES, &[jobs]).await?;
    session.prepare_ahead(SELECT_STATE, &[jobs]).await?;
    let (_, stored_jobs) = try_join(session.query(LOCK_SERIES, &[jobs]), of(session, jobs)).await?;
    Ok(stored_jobs)
}

/// A job among those that were read together, which are in the order of their numbers.
pub(super) fn find_among(stored_jobs: &mut [StoredJob], job: JobSeq) -> Option<&mut StoredJob> {
    let at = stored_jobs
        .binary_search_by_key(&job, |stored_job| stored_job.job.seq)
        .ok()?;
    stored_jobs.get_mut(at)
}

/// Prepares the query for jobs, so that it can be pipelined with others.
pub(super) async fn prepare_ahead(session: &Session, jobs: &Vec<JobSeq>) -> DbResult<()> {
    session.prepare_ahead(SELECT_STATE, &[jobs]).await
}

/// These jobs, ordered by number, without those that do not exist.
pub(super) async fn of(session: &Session, jobs: &Vec<JobSeq>) -> DbResult<Vec<StoredJob>> {
    let rows = session.query(SELECT_STATE, &[jobs]).await?;
    let mut stored_jobs: Vec<StoredJob> = Vec::new();
    for row in &rows {
        let seq: JobSeq = row.try_get(0)?;
        if stored_jobs.last().is_none_or(|last| last.job.seq != seq) {
            stored_jobs.push(StoredJob {
                job: read_key(row)?,
                series: Series::read(row, 9, RUN_COLUMN + 26)?,
                runs: Vec::new(),
            });
        }
        if let Some(stored_job) = stored_jobs.last_mut()
            && let Some(run) = read_run(row, &stored_job.job)?
        {
            stored_job.runs.push(run);
        }
    }
    Ok(stored_jobs)
}

/// Reads an id from its two columns.
pub(super) fn read_id(row: &Row, uuid: usize, name: usize) -> DbResult<JobId> {
    if let Some(uuid) = row.try_get(uuid)? {
        return Ok(JobId::Generated(uuid));
    }
    Ok(JobId::Custom(row.try_get(name)?))
}

pub(super) fn unsigned(row: &Row, at: usize) -> DbResult<u32> {
    let number: i32 = row.try_get(at)?;
    Ok(u32::try_from(number).unwrap_or(0))
}

fn read_key(row: &Row) -> DbResult<JobKey> {
    Ok(JobKey {
        seq: row.try_get(0)?,
        id: read_id(row, 1, 2)?,
        route: row.try_get(3)?,
        priority: row.try_get(4)?,
        due: row.try_get(5)?,
        recurring: row.try_get(6)?,
        run: row.try_get(7)?,
        created: row.try_get(8)?,
        key: row.try_get(RUN_COLUMN + 22)?,
    })
}

const RUN_COLUMN: usize = 9 + series::COLUMN_COUNT;

fn read_run(row: &Row, job: &JobKey) -> DbResult<Option<Run>> {
    let Some(run) = row.try_get::<_, Option<i64>>(RUN_COLUMN)? else {
        return Ok(None);
    };
    let first_due = row.try_get(RUN_COLUMN + 1)?;
    let last = read_last(row, RUN_COLUMN + 9)?;
    let due = last.and_then(|last| last.next_due).unwrap_or(first_due);
    let run_state = read_place(row, job, run, due, last)?;
    Ok(Some(Run {
        run,
        first_due,
        scheduled_at: row.try_get::<_, Option<Millis>>(RUN_COLUMN + 2)?.unwrap_or(first_due),
        run_state: run_state.ok_or_else(|| damaged("a run that is in no table"))?,
        last,
    }))
}

fn read_place(row: &Row, job: &JobKey, run: i64, due: Millis, last: Option<LastAttempt>) -> DbResult<Option<RunState>> {
    if let Some(owner) = row.try_get(RUN_COLUMN + 3)? {
        return Ok(Some(RunState::Running(Running {
            owner,
            token: row.try_get(RUN_COLUMN + 4)?,
            attempt: unsigned(row, RUN_COLUMN + 5)?,
            crashes: unsigned(row, RUN_COLUMN + 6)?,
            started: row.try_get(RUN_COLUMN + 7)?,
            due: row.try_get(RUN_COLUMN + 8)?,
            key: row.try_get(RUN_COLUMN + 25)?,
        })));
    }
    if let Some(last) = last.filter(|last| last.status.is_final()) {
        return Ok(Some(RunState::Ended(last)));
    }
    let waiting = |at: usize| -> DbResult<Option<Waiting>> {
        let there: Option<i32> = row.try_get(at)?;
        if there.is_none() {
            return Ok(None);
        }
        Ok(Some(Waiting {
            job: job.seq,
            run,
            attempt: unsigned(row, at)?,
            crashes: unsigned(row, at + 1)?,
            recurring: job.recurring,
        }))
    };
    if let Some(found) = waiting(RUN_COLUMN + 14)? {
        return Ok(Some(RunState::Ready(due, found)));
    }
    if let Some(found) = waiting(RUN_COLUMN + 23)? {
        return Ok(Some(RunState::Blocked(due, found)));
    }
    if let Some(found) = waiting(RUN_COLUMN + 16)? {
        return Ok(Some(RunState::Scheduled(due, found)));
    }
    if row.try_get::<_, Option<i64>>(RUN_COLUMN + 18)?.is_some() {
        return Ok(Some(RunState::ScheduledByDay(due)));
    }
    match waiting(RUN_COLUMN + 20)? {
        Some(found) => Ok(Some(RunState::Paused(row.try_get(RUN_COLUMN + 19)?, found))),
        None => Ok(None),
    }
}

/// Reads the last attempt of a run from five columns.
pub(super) fn read_last(row: &Row, at: usize) -> DbResult<Option<LastAttempt>> {
    let number: Option<i32> = row.try_get(at)?;
    if number.is_none() {
        return Ok(None);
    }
    let status: i32 = row.try_get(at + 1)?;
    Ok(Some(LastAttempt {
        attempt: unsigned(row, at)?,
        status: RunStatus::from_code(i64::from(status)).ok_or_else(|| damaged("an attempt in an unknown state"))?,
        started: row.try_get(at + 2)?,
        ended: row.try_get(at + 3)?,
        next_due: row.try_get(at + 4)?,
    }))
}
