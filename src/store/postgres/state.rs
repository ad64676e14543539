//! Where jobs stand: each with its series and the runs that have not ended, all of one moment.
//!
//! There is no index from a job to the queue its run is in: the place follows from what is known of it, and one statement
//! looks at all places it may be. Invariant: a run is in exactly one place. Whatever changes a run's due time writes it
//! where the statement looks for it: in the run's history if it has some, else in the job or the occurrence.

use super::failure::{Attempt, damaged};
use super::keys::KeyId;
use super::param::Param;
use super::queue::{self, Rank, Waiting};
use super::series::{self, Series};
use super::session::Session;
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::{JobId, Kind, RunStatus, Status};
use crate::store::phase::LastAttempt;
use crate::store::phase::Phase;
use crate::store::{InstanceId, JobSeq, RouteId, Standing, Token};
use futures_util::future::try_join;
use tokio_postgres::Row;

const STATE: &str = include_str!("sql/state.sql");
const BY_ID: &str = "SELECT seq FROM ductape.jobs WHERE id = $1";
const BY_NAME: &str = "SELECT seq FROM ductape.jobs WHERE name = $1";
const LOCK_BY_ID: &str = "SELECT seq FROM ductape.jobs WHERE id = $1 FOR UPDATE";
const LOCK_BY_NAME: &str = "SELECT seq FROM ductape.jobs WHERE name = $1 FOR UPDATE";
const LOCK_JOBS: &str = "SELECT seq FROM ductape.jobs WHERE seq = ANY ($1) ORDER BY seq FOR UPDATE";
const LOCK_SERIES: &str = "SELECT job FROM ductape.series WHERE job = ANY ($1) ORDER BY job FOR UPDATE";

/// What the verbs need of a job: all but its payload.
#[derive(Clone, Debug)]
pub(super) struct JobKey {
    pub(super) seq: JobSeq,
    pub(super) id: JobId,
    pub(super) route: RouteId,
    pub(super) priority: i32,
    /// When the first attempt of its current run is due; `None`: a series that had no run to come.
    pub(super) due: Option<Millis>,
    pub(super) recurring: bool,
    /// Current run of a one-off.
    pub(super) run: i64,
    pub(super) created: Millis,
    /// Its concurrency key.
    pub(super) key: Option<KeyId>,
}

/// A run that a process has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) owner: InstanceId,
    pub(super) token: Token,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) started: Millis,
    pub(super) due: Millis,
    /// Concurrency key it was claimed with.
    pub(super) key: Option<KeyId>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A process has it.
    Running(Running),
    /// In `ready`, with this due time.
    Ready(Millis, Waiting),
    /// In `held`, with this due time: its concurrency key is full.
    Held(Millis, Waiting),
    /// In `scheduled`, with this due time.
    Scheduled(Millis, Waiting),
    /// In `far`.
    Far(Millis),
    /// In `paused`, with the time it was or will be due.
    Paused(Millis, Waiting),
    /// Over.
    Ended(LastAttempt),
}

impl Place {
    /// The state of a one-off whose run is here.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Running(_) => Status::Running,
            Self::Ready(..) | Self::Held(..) => Status::Queued,
            Self::Scheduled(..) | Self::Far(_) => Status::Scheduled,
            Self::Paused(..) => Status::Paused,
            Self::Ended(last) => last.job_status(),
        }
    }

    /// Where a run of a series that is here stands; `None`: it has ended.
    pub(super) fn phase(&self) -> Option<Phase> {
        match self {
            Self::Running(_) => Some(Phase::Running),
            Self::Ready(..) | Self::Held(..) => Some(Phase::Queued),
            Self::Scheduled(..) | Self::Far(_) | Self::Paused(..) => Some(Phase::Waiting),
            Self::Ended(_) => None,
        }
    }

    /// When a waiting run is due.
    pub(super) fn due(&self) -> Option<Millis> {
        match self {
            Self::Ready(due, _)
            | Self::Held(due, _)
            | Self::Scheduled(due, _)
            | Self::Far(due)
            | Self::Paused(due, _) => Some(*due),
            Self::Running(_) | Self::Ended(_) => None,
        }
    }

    /// The attempt that runs or comes next, and how many crashed before it. Ended: the last one.
    pub(super) fn attempt(&self) -> (u32, u32) {
        match self {
            Self::Running(running) => (running.attempt, running.crashes),
            Self::Ready(_, waiting)
            | Self::Held(_, waiting)
            | Self::Scheduled(_, waiting)
            | Self::Paused(_, waiting) => (waiting.attempt, waiting.crashes),
            Self::Far(_) => (1, 0),
            Self::Ended(last) => (last.attempt, 0),
        }
    }
}

/// A run, and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) run: i64,
    /// Of its first attempt.
    pub(super) first_due: Millis,
    /// Grid point of a run of a series.
    pub(super) scheduled_at: Millis,
    pub(super) place: Place,
    /// The last attempt that ended.
    pub(super) last: Option<LastAttempt>,
}

/// A job as it stands.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) job: JobKey,
    pub(super) series: Option<Series>,
    /// The current run of a one-off; of a series all that have not ended, oldest first.
    pub(super) runs: Vec<Run>,
}

impl Subject {
    /// Its state.
    pub(super) fn status(&self) -> Status {
        match (&self.series, self.runs.first()) {
            (Some(series), _) => series.status(),
            (None, Some(run)) => run.place.status(),
            (None, None) => Status::Completed,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.job.recurring)
    }

    /// The run that stands for its state: one that is running, else the oldest that has not ended.
    pub(super) fn current(&self) -> Option<&Run> {
        let running = self.runs.iter().find(|run| matches!(run.place, Place::Running(_)));
        running.or_else(|| self.runs.first())
    }

    /// When that is due.
    pub(super) fn scheduled_at(&self) -> Millis {
        let job_due = self.job.due.unwrap_or(self.job.created);
        match (self.current(), &self.series) {
            (Some(run), None) => run.place.due().unwrap_or(job_due),
            (Some(run), Some(_)) => run.place.due().unwrap_or(run.first_due),
            (None, Some(series)) => series.next_at.or(series.last_at).unwrap_or(job_due),
            (None, None) => job_due,
        }
    }

    /// The next occurrence. Of a paused series nobody knows: that depends on when it is resumed.
    pub(super) fn next_run_at(&self) -> Option<Millis> {
        let goes_on = self.series.as_ref().filter(|series| !series.paused);
        goes_on.and_then(|series| series.next_at)
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            status: self.status(),
            scheduled_at: self.scheduled_at(),
            recurring: self.job.recurring,
            next_run_at: self.next_run_at(),
        }
    }

    /// Its order among ready runs, when it is due then.
    pub(super) fn rank(&self, due: Millis) -> Rank {
        Rank {
            route: self.job.route,
            priority: self.job.priority,
            due,
            key: self.job.key,
        }
    }

    /// When a run is due and as which attempt, if it waits.
    pub(super) fn waiting(&self, run: &Run) -> Option<(Millis, Waiting)> {
        match run.place {
            Place::Ready(due, waiting)
            | Place::Held(due, waiting)
            | Place::Scheduled(due, waiting)
            | Place::Paused(due, waiting) => Some((due, waiting)),
            Place::Far(due) => Some((due, Waiting::first(self.job.seq, run.run, false))),
            Place::Running(_) | Place::Ended(_) => None,
        }
    }

    /// Takes a run from where it is; one that has ended stays in history.
    pub(super) fn remove(&self, tx: &mut Tx<'_>, run: &Run) {
        let job = self.job.seq;
        match run.place {
            Place::Running(running) => queue::take_running(tx, job, run.run, &running),
            Place::Ready(due, _) => queue::take_ready(tx, self.rank(due), job, run.run),
            Place::Held(due, _) => queue::take_held(tx, self.rank(due), job, run.run),
            Place::Scheduled(due, _) => queue::take_scheduled(tx, due, job, run.run),
            Place::Far(due) => queue::take_far(tx, due, job),
            Place::Paused(..) => queue::take_paused(tx, job, run.run),
            Place::Ended(_) => {}
        }
    }
}

/// The number of the job with this id.
pub(super) async fn find(session: &Session, id: &JobId) -> Attempt<Option<JobSeq>> {
    by_id(session, id, BY_ID, BY_NAME).await
}

/// The same, and nobody else changes it before this transaction ends.
pub(super) async fn lock(session: &Session, id: &JobId) -> Attempt<Option<JobSeq>> {
    by_id(session, id, LOCK_BY_ID, LOCK_BY_NAME).await
}

async fn by_id(session: &Session, id: &JobId, uuid: &'static str, name: &'static str) -> Attempt<Option<JobSeq>> {
    let row = match id {
        JobId::Generated(id) => session.query_opt(uuid, &[id as &dyn Param]).await?,
        JobId::Custom(text) => session.query_opt(name, &[text as &dyn Param]).await?,
    };
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Locks several jobs; those that are gone are missing from the answer.
pub(super) async fn lock_all(session: &Session, jobs: &Vec<JobSeq>) -> Attempt<Vec<JobSeq>> {
    let rows = session.query(LOCK_JOBS, &[jobs]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Locks the series of these jobs, as far as they have one, and reads the jobs after that.
pub(super) async fn lock_series(session: &Session, jobs: &Vec<JobSeq>) -> Attempt<Vec<Subject>> {
    session.learn(LOCK_SERIES, &[jobs]).await?;
    session.learn(STATE, &[jobs]).await?;
    let (_, subjects) = try_join(session.query(LOCK_SERIES, &[jobs]), of(session, jobs)).await?;
    Ok(subjects)
}

/// Prepares to ask for jobs, so that the question can be sent with others.
pub(super) async fn learn(session: &Session, jobs: &Vec<JobSeq>) -> Attempt<()> {
    session.learn(STATE, &[jobs]).await
}

/// These jobs, by rising number; those that are not there are missing.
pub(super) async fn of(session: &Session, jobs: &Vec<JobSeq>) -> Attempt<Vec<Subject>> {
    let rows = session.query(STATE, &[jobs]).await?;
    let mut subjects: Vec<Subject> = Vec::new();
    for row in &rows {
        let seq: JobSeq = row.try_get(0)?;
        if subjects.last().is_none_or(|last| last.job.seq != seq) {
            subjects.push(Subject {
                job: read_key(row)?,
                series: Series::read(row, 9)?,
                runs: Vec::new(),
            });
        }
        if let Some(subject) = subjects.last_mut()
            && let Some(run) = read_run(row, &subject.job)?
        {
            subject.runs.push(run);
        }
    }
    Ok(subjects)
}

/// An id from its two columns.
pub(super) fn read_id(row: &Row, uuid: usize, name: usize) -> Attempt<JobId> {
    if let Some(uuid) = row.try_get(uuid)? {
        return Ok(JobId::Generated(uuid));
    }
    Ok(JobId::Custom(row.try_get(name)?))
}

pub(super) fn unsigned(row: &Row, at: usize) -> Attempt<u32> {
    let number: i32 = row.try_get(at)?;
    Ok(u32::try_from(number).unwrap_or(0))
}

fn read_key(row: &Row) -> Attempt<JobKey> {
    Ok(JobKey {
        seq: row.try_get(0)?,
        id: read_id(row, 1, 2)?,
        route: row.try_get(3)?,
        priority: row.try_get(4)?,
        due: row.try_get(5)?,
        recurring: row.try_get(6)?,
        run: row.try_get(7)?,
        created: row.try_get(8)?,
        key: row.try_get(RUN + 22)?,
    })
}

const RUN: usize = 9 + series::COLUMNS;

fn read_run(row: &Row, job: &JobKey) -> Attempt<Option<Run>> {
    let Some(run) = row.try_get::<_, Option<i64>>(RUN)? else {
        return Ok(None);
    };
    let first_due = row.try_get(RUN + 1)?;
    let last = read_last(row, RUN + 9)?;
    let due = last.and_then(|last| last.next_due).unwrap_or(first_due);
    let place = read_place(row, job, run, due, last)?;
    Ok(Some(Run {
        run,
        first_due,
        scheduled_at: row.try_get::<_, Option<Millis>>(RUN + 2)?.unwrap_or(first_due),
        place: place.ok_or_else(|| damaged("a run that is in no table"))?,
        last,
    }))
}

fn read_place(row: &Row, job: &JobKey, run: i64, due: Millis, last: Option<LastAttempt>) -> Attempt<Option<Place>> {
    if let Some(owner) = row.try_get(RUN + 3)? {
        return Ok(Some(Place::Running(Running {
            owner,
            token: row.try_get(RUN + 4)?,
            attempt: unsigned(row, RUN + 5)?,
            crashes: unsigned(row, RUN + 6)?,
            started: row.try_get(RUN + 7)?,
            due: row.try_get(RUN + 8)?,
            key: row.try_get(RUN + 25)?,
        })));
    }
    if let Some(last) = last.filter(|last| last.status.is_final()) {
        return Ok(Some(Place::Ended(last)));
    }
    let waiting = |at: usize| -> Attempt<Option<Waiting>> {
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
    if let Some(found) = waiting(RUN + 14)? {
        return Ok(Some(Place::Ready(due, found)));
    }
    if let Some(found) = waiting(RUN + 23)? {
        return Ok(Some(Place::Held(due, found)));
    }
    if let Some(found) = waiting(RUN + 16)? {
        return Ok(Some(Place::Scheduled(due, found)));
    }
    if row.try_get::<_, Option<i64>>(RUN + 18)?.is_some() {
        return Ok(Some(Place::Far(due)));
    }
    match waiting(RUN + 20)? {
        Some(found) => Ok(Some(Place::Paused(row.try_get(RUN + 19)?, found))),
        None => Ok(None),
    }
}

/// The last attempt of a run, from five columns.
pub(super) fn read_last(row: &Row, at: usize) -> Attempt<Option<LastAttempt>> {
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
