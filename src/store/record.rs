//! Jobs as they are shown: their state, their history, and what their handlers said.

use super::payload::plain_len;
use super::{InstanceId, JobSeq, OccurrenceGap, RouteId};
use crate::clock::Millis;
use crate::model::{JobId, RunError, RunStatus, Status};

/// A job as `ductape.jobs.get` shows it.
#[derive(Clone, Debug)]
pub struct JobRecord {
    /// Its number.
    pub job: JobSeq,
    /// Its public id.
    pub id: JobId,
    /// Where it goes.
    pub route: RouteId,
    /// Its state.
    pub status: Status,
    /// When its current (ended: last) run is due, first attempt; for a waiting retry the time of the retry.
    pub scheduled_at: Millis,
    /// Start of its current or last attempt.
    pub started_at: Option<Millis>,
    /// End of its last run, when the job has ended.
    pub completed_at: Option<Millis>,
    /// JSON text of its [`crate::model::Recurrence`], when it recurs.
    pub recurrence: Option<Box<str>>,
    /// Its next occurrence.
    pub next_run_at: Option<Millis>,
    /// Runs that have ended.
    pub execution_count: i64,
    /// Its priority.
    pub priority: i32,
    /// Attempts after the first.
    pub retries: u32,
    /// Number of the current or last attempt of its current run; 0 before the first.
    pub attempt: u32,
    /// Crashes among these attempts.
    pub crashes: u32,
    /// Error of the last attempt that failed, if none has succeeded since.
    pub error: Option<RunError>,
    /// Why it was cancelled.
    pub cancel_reason: Option<Box<str>>,
    /// JSON text of its options.
    pub options: Option<Box<str>>,
    /// JSON text of its input.
    pub input: Box<str>,
    /// JSON text of the result of its last run.
    pub result: Option<Box<str>>,
    /// JSON text of the last progress its handler reported.
    pub progress: Option<Box<str>>,
    /// Of a recurring job, the last run that is over.
    pub last_run: Option<LastRun>,
    /// That the runs of a recurring job fail.
    pub failing: Option<Failing>,
    /// Time of the dispatch.
    pub created_at: Millis,
    /// Time of the last change.
    pub updated_at: Millis,
}

/// The last run of a recurring job that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// How it ended.
    pub status: RunStatus,
    /// When it ended.
    pub ended_at: Millis,
    /// Why it failed or was cancelled, while its history is there.
    pub error: Option<RunError>,
}

/// That runs of a recurring job have failed, and that none has completed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them failed.
    pub since: Millis,
    /// How many did.
    pub runs: i64,
}

/// Bytes of jobs from which on a page takes no further one; the next page begins there.
pub const MAX_PAGE_BYTES: usize = 64 << 20;

impl JobRecord {
    /// Bytes of what users gave and handlers returned.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = [&self.recurrence, &self.options, &self.result, &self.progress];
        let texts = texts.into_iter().flatten().map(|text| plain_len(text));
        plain_len(&self.input) + texts.sum::<usize>()
    }
}

/// A job, and where the run is that stands for its state.
#[derive(Clone, Debug)]
pub struct RunLocation {
    /// The job.
    pub record: JobRecord,
    /// Where its current run is.
    pub position: RunPosition,
    /// How the last attempt of that run ended, if one has.
    pub last_attempt: Option<RunStatus>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPosition {
    /// Nowhere: the job has ended, or is a series between two runs.
    Idle,
    /// It waits for its time.
    Waiting {
        /// When that is.
        due: Millis,
    },
    /// It waits to be claimed.
    Ready {
        /// When it was due.
        due: Millis,
        /// Runs of its route that are claimed before it, up to the bound that was asked for.
        ahead: usize,
    },
    /// It is due, and as many runs with its concurrency key are going as may.
    Blocked {
        /// When it was due.
        due: Millis,
        /// Runs with the key that are going; more than the limit, when it was lowered meanwhile.
        running: i64,
        /// The limit of the latest dispatch with the key.
        limit: i64,
    },
    /// A process has it.
    Running {
        /// Which.
        instance: InstanceId,
        /// When it was claimed.
        since: Millis,
    },
}

/// Something a handler said about its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The job.
    pub job: JobSeq,
    /// When that was dispatched: a server that loses what it has committed may give the number to another job, and what is
    /// said of the one must not be read in the log of the other.
    pub created: Millis,
    /// The run.
    pub run: i64,
    /// The attempt.
    pub attempt: u32,
    /// When.
    pub at: Millis,
    /// What.
    pub kind: NoteKind,
}

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// How far it is: JSON text; takes the place of what was reported before.
    Progress(Box<str>),
    /// A line of the job's log.
    Log(Box<str>),
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The job.
    pub job: JobSeq,
    /// The run.
    pub run: i64,
    /// The attempt.
    pub attempt: u32,
    /// When.
    pub at: Millis,
    /// What.
    pub message: Box<str>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// In one of these states; empty = any.
    pub statuses: Vec<Status>,
    /// Recurring or not.
    pub recurring: Option<bool>,
    /// Of these routes; `None` = any.
    pub routes: Option<Vec<RouteId>>,
    /// With all of these tags.
    pub tags: Vec<Box<str>>,
    /// Created at or after.
    pub from: Option<Millis>,
    /// Created at or before.
    pub to: Option<Millis>,
    /// Recurring jobs whose last run that is over ended like this.
    pub last_run: Option<RunStatus>,
    /// Recurring jobs whose runs fail, or do not.
    pub failing: Option<bool>,
    /// Only jobs with a smaller number than this (the cursor).
    pub before: Option<JobSeq>,
    /// Matching jobs to pass over first.
    pub offset: usize,
    /// Most jobs to return.
    pub limit: usize,
    /// Count all that match, up to this many.
    pub count_up_to: Option<usize>,
}

impl ListFilter {
    /// Whether it asks for something that only recurring jobs have.
    #[must_use]
    pub fn asks_for_last_run(&self) -> bool {
        self.last_run.is_some() || self.failing.is_some()
    }

    /// Whether it admits the recurring jobs that are failing, of some routes or of all, and no other condition is left.
    #[must_use]
    pub fn asks_only_for_failing(&self) -> bool {
        self.failing == Some(true)
            && self.last_run.is_none()
            && self.statuses.is_empty()
            && self.tags.is_empty()
            && self.recurring != Some(false)
            && self.from.is_none()
            && self.to.is_none()
    }

    /// Whether all jobs that match are failing.
    #[must_use]
    pub fn admits_only_failing(&self) -> bool {
        self.failing == Some(true) || self.last_run == Some(RunStatus::Failed)
    }

    /// Whether a recurring job matches whose last run ended like this, and that is failing or not.
    #[must_use]
    pub fn admits_last_run(&self, status: Option<RunStatus>, failing: bool) -> bool {
        self.last_run.is_none_or(|wanted| status == Some(wanted)) && self.failing.is_none_or(|wanted| wanted == failing)
    }
}

/// A page of jobs, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<JobRecord>,
    /// Cursor of the next page, when there is one.
    pub next: Option<JobSeq>,
    /// How many match, when asked; equal to the bound when there are more.
    pub total: Option<usize>,
}

/// Numbers of jobs by state, and of runs by how they went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Jobs by [`Status`] number.
    pub by_status: [i64; 7],
    /// Runs that completed in their first attempt.
    pub first_try: i64,
    /// Runs that completed after at least one retry.
    pub after_retry: i64,
    /// Runs that failed.
    pub failed_runs: i64,
    /// Retries spent by all ended runs.
    pub retries: i64,
}

/// One attempt in a job's history, or a range of occurrences that were not run.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// The run.
    pub run: i64,
    /// The attempt; 0 when it never started.
    pub attempt: u32,
    /// How it ended.
    pub status: RunStatus,
    /// When it started.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Millis,
    /// Its error.
    pub error: Option<RunError>,
    /// JSON text of its result.
    pub result: Option<Box<str>>,
}

impl HistoryEntry {
    /// Bytes of what the handler returned, or how it failed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let error = self.error.as_ref().map_or(0, |error| plain_len(&error.message));
        self.result.as_deref().map_or(0, plain_len) + error
    }
}

/// Where an attempt stands in the history of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPosition {
    /// The run.
    pub run: i64,
    /// The attempt, also where it never started.
    pub attempt: i64,
}

impl HistoryPosition {
    /// Before every attempt there is.
    pub const NEWEST: Self = Self {
        run: i64::MAX,
        attempt: i32::MAX as i64,
    };
}

/// A job's history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The job.
    pub job: JobSeq,
    /// Runs that have ended.
    pub executions: i64,
    /// Of these, well.
    pub succeeded: i64,
    /// Of these, with an error.
    pub failed: i64,
    /// Attempts, newest first.
    pub entries: Vec<HistoryEntry>,
    /// Occurrences that were not run, newest first; only beside the newest attempts.
    pub gaps: Vec<OccurrenceGap>,
    /// The last of `entries`, when there are older ones.
    pub next: Option<HistoryPosition>,
}
