//! What the engine needs of a store: verbs, each of them one transaction.
//!
//! A store keeps jobs, their runs and the processes that run them. It knows no schedule arithmetic, no handler and no
//! wall clock: `now` is passed in. The physical model behind the verbs is described in `docs/design/store.md`;
//! [`contract`] is the suite every store passes.
//!
//! Invariants, for every store:
//! - A verb that returned `Ok` is committed; under full durability an [`Store::insert`] or [`Store::change`] is synced.
//! - A run is in exactly one place (scheduled, ready, running, ended), and it moves in one transaction.
//! - A completion counts only with the token of the claim it belongs to.
//! - Of the runs with one concurrency key no more are claimed than its limit says, whichever processes have them.
//!
//! # Keys
//!
//! **Unique** ([`Unique`](crate::model::Unique)), by route: a job has its key from its dispatch until it has ended, and
//! until `created + period` even if it has ended before, or been deleted by [`Store::sweep`]. A dispatch with a key that
//! is taken writes nothing ([`Inserted::Duplicate`]). The id goes first: where that is taken, the key is not looked at,
//! except by a replacement, which is a [`Inserted::Conflict`] when another job has the key it asks for. A replacement
//! gives back the old key and takes the new one as from a new dispatch, a deletion gives it back, and a job that is
//! retried has it again unless another has taken it meanwhile.
//!
//! **Concurrency** ([`Concurrency`](crate::model::Concurrency)), by product, environment and name, over all targets: a
//! claimed run takes a slot of the key that its job has then, and gives it back however it leaves its holder. The limit
//! is that of the last dispatch with the key that created or replaced a job: a higher one lets more runs begin at once, a
//! lower one takes effect as runs end. A key is forgotten with the last job that has it. Due runs behind a full key are
//! `queued`, keep their order, and cost a claim nothing. A replaced job waits for its new key; a run of it that is going
//! keeps the slot of the old one.

use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, NewJob, Route, RunError, RunOutcome, RunStatus, Status};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::watch;

mod change;
mod entry;
pub mod postgres;
pub mod sqlite;
mod webhook;

pub use change::{Cancellation, Change, Changed, ChangedSome, HeldRun, NextOccurrence, Timing};
pub use entry::{Entry, EntryKey, EntryKind};
pub use webhook::{DeliveryReport, EventSeq, NewWebhook, Relayed, StoredEvent, Webhook, WebhookSet, WebhookStore};

#[cfg(test)]
pub mod contract;

/// Number of a job inside one store; grows with the order of dispatch.
pub type JobSeq = i64;
/// Number of a route inside one store.
pub type RouteId = i64;
/// Number of a process's registration in one store; never given twice.
pub type InstanceId = i64;
/// Fencing token of one claim: unique together with its instance.
pub type Token = i64;

/// Jobs to insert together.
#[derive(Clone, Debug)]
pub struct InsertParams {
    /// The jobs, in dispatch order.
    pub jobs: Vec<NewJob>,
    /// Write none of them when one is in conflict.
    pub all_or_nothing: bool,
    /// Time of the insertion.
    pub now: Millis,
}

/// Where a job stands, as a dispatch reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub status: Status,
    /// When its current (or, ended, its last) run is (was) due.
    pub scheduled_at: Millis,
    /// Whether it recurs.
    pub recurring: bool,
    /// Its next occurrence, if there is one.
    pub next_run_at: Option<Millis>,
}

/// What became of one job of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is new.
    Created,
    /// It is new, and a series with this id has the same target, schedule and input; neither has an id of the caller's.
    CreatedBeside(JobId),
    /// A job with this id was there and stays as it was.
    Existing(Standing),
    /// The id is free, and the job with this id keeps the unique key; it stays as it is and nothing was written.
    Duplicate(JobId, Standing),
    /// A job with this id was there and has the new schedule, input and options.
    Replaced(Standing),
    /// A job with this id is there and may not be touched; says why. Nothing was written for it.
    Conflict(String),
}

/// A route this process can run, and the group whose free slots it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedRoute {
    /// The route.
    pub route: RouteId,
    /// Index into [`ClaimParams::group_slots`].
    pub group: usize,
}

/// What a process asks for when it claims.
#[derive(Clone, Debug)]
pub struct ClaimParams {
    /// Wall time: what is due by now is claimed.
    pub now: Millis,
    /// Who claims.
    pub instance: InstanceId,
    /// What it can run.
    pub served: Arc<[ServedRoute]>,
    /// Free slots of each group (one group per handler with a concurrency of its own).
    pub group_slots: Vec<usize>,
    /// Free slots of the process. 0: only move what is due, claim nothing.
    pub slots: usize,
}

/// What a claim found.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// Runs that are now this process's, best first: by priority, then due time, then dispatch order.
    pub runs: Vec<ClaimedRun>,
    /// Series with an occurrence due; the engine computes what follows and calls [`Store::advance`].
    pub series: Vec<DueSeries>,
    /// When to look again, if nothing wakes the claimer earlier: the earliest time at which something falls due.
    pub next_due: Option<Millis>,
    /// A bounded batch was cut short: claim again at once.
    pub more: bool,
    /// Highest route number in the store: a higher one than known means there are routes to load.
    pub highest_route: RouteId,
}

/// A run that was claimed, with all that is needed to run it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedRun {
    /// The job's number.
    pub job: JobSeq,
    /// The run's number, 1-based.
    pub run: i64,
    /// The attempt's number, 1-based.
    pub attempt: u32,
    /// How many attempts before this one ended by a crash: they spent no retry.
    pub crashes: u32,
    /// Proof of the claim.
    pub token: Token,
    /// The job's public id.
    pub id: JobId,
    /// Where it goes.
    pub route: RouteId,
    /// When this attempt was due.
    pub due: Millis,
    /// When the run was due, first attempt.
    pub scheduled_at: Millis,
    /// Occurrences before this one that this run stands in for.
    pub missed: i64,
    /// The job's priority.
    pub priority: i32,
    /// The job's retries.
    pub retries: u32,
    /// JSON text of [`crate::model::JobOptions`]; `None` = defaults.
    pub options: Option<Box<str>>,
    /// JSON text of the input.
    pub input: Box<str>,
    /// Time of the dispatch.
    pub created: Millis,
    /// Whether the job recurs.
    pub recurring: bool,
}

/// A series whose next occurrence is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DueSeries {
    /// The job's number.
    pub job: JobSeq,
    /// The job's public id.
    pub id: JobId,
    /// Changes with every change of the series; an advance with an old one does nothing.
    pub version: i64,
    /// JSON text of [`crate::model::Recurrence`].
    pub recurrence: Box<str>,
    /// The occurrence that is due.
    pub next_at: Millis,
    /// Runs created so far.
    pub runs: i64,
    /// Runs that have not ended.
    pub live: i64,
}

/// Grid points of a series that were not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridGap {
    /// Why.
    pub kind: GapKind,
    /// First of them.
    pub first: Millis,
    /// Last of them.
    pub last: Millis,
    /// How many.
    pub count: i64,
}

/// Why grid points were not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GapKind {
    /// Nothing was there to run them in time.
    Missed = 0,
    /// A run of the series had not ended.
    Skipped = 1,
}

/// One new run of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its grid point.
    pub scheduled_at: Millis,
    /// Grid points before it that it stands in for.
    pub missed: i64,
}

/// How a series moves on from a due occurrence.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAdvance {
    /// The series.
    pub job: JobSeq,
    /// The version it was computed from.
    pub version: i64,
    /// Runs to create, due at once, numbered on from the last.
    pub occurrences: Vec<Occurrence>,
    /// Grid points passed over.
    pub gaps: Vec<GridGap>,
    /// The next occurrence; `None`: there is none, the job is completed when its last run ends.
    pub next_at: Option<Millis>,
    /// The next occurrence is not due before the runs that are going have ended, however late that is.
    pub after_live: bool,
}

/// Attempts that ended in this process.
#[derive(Clone, Debug)]
pub struct CompleteParams {
    /// Wall time.
    pub now: Millis,
    /// Whose they are.
    pub instance: InstanceId,
    /// The attempts.
    pub completions: Vec<Completion>,
}

/// One attempt that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The job.
    pub job: JobSeq,
    /// The run.
    pub run: i64,
    /// Proof of the claim.
    pub token: Token,
    /// When the handler was called.
    pub started_at: Millis,
    /// When it was done.
    pub ended_at: Millis,
    /// How it ended.
    pub outcome: RunOutcome,
}

/// What became of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It counted; the job is now in this state.
    Counted(Status),
    /// The run is no longer this process's (another took it, or it was cancelled): nothing was changed.
    LeaseLost,
}

/// Runs taken back from processes that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Processes found dead.
    pub instances: usize,
    /// Runs that will run again.
    pub requeued: usize,
    /// Runs that crashed too often and have failed.
    pub failed: usize,
}

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
    /// Time of the dispatch.
    pub created_at: Millis,
    /// Time of the last change.
    pub updated_at: Millis,
}

/// A job, and where the run is that stands for its state.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    /// The job.
    pub record: JobRecord,
    /// Where its current run is.
    pub place: RunPlace,
    /// How the last attempt of that run ended, if one has.
    pub last_attempt: Option<RunStatus>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPlace {
    /// Nowhere: the job has ended, or is a series between two runs.
    AtRest,
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
    Held {
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
    /// Only jobs with a smaller number than this (the cursor).
    pub before: Option<JobSeq>,
    /// Matching jobs to pass over first.
    pub offset: usize,
    /// Most jobs to return.
    pub limit: usize,
    /// Count all that match, up to this many.
    pub count_up_to: Option<usize>,
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

/// One attempt in a job's history, or a range of grid points that were not run.
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

/// A job's history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Runs that have ended.
    pub executions: i64,
    /// Of these, well.
    pub succeeded: i64,
    /// Of these, with an error.
    pub failed: i64,
    /// Attempts, newest first.
    pub entries: Vec<HistoryEntry>,
    /// Grid points that were not run, newest first.
    pub gaps: Vec<GridGap>,
}

/// How long ended work is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// ms after its end; `None` = for ever.
    pub age: Option<i64>,
    /// At most so many; `None` = any number.
    pub count: Option<i64>,
}

/// `retention` of the constructor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Completed jobs.
    pub completed: Keep,
    /// Failed jobs.
    pub failed: Keep,
    /// Cancelled jobs.
    pub cancelled: Keep,
    /// Runs of a recurring job that goes on.
    pub runs: Keep,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: i64 = 86_400_000;
        let month = Keep {
            age: Some(30 * DAY),
            count: None,
        };
        Self {
            completed: Keep {
                age: Some(7 * DAY),
                count: None,
            },
            failed: month,
            cancelled: month,
            runs: Keep {
                age: Some(7 * DAY),
                count: Some(1_000),
            },
        }
    }
}

/// A dispatch for a transaction of the caller's own: SQL with one parameter, a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The SQL. Its one row says what a dispatch answers.
    pub text: String,
    /// The value of its parameter.
    pub value: String,
}

/// A durable (or, in memory, a transient) place for jobs.
#[async_trait]
pub trait Store: WebhookStore + Send + Sync {
    /// Writes jobs; the answers are in their order. With `all_or_nothing` and a conflict, nothing is written and only
    /// the [`Inserted::Conflict`] answers mean anything.
    async fn insert(&self, params: InsertParams) -> Result<Vec<Inserted>>;

    /// Moves what is due to where it can be claimed, then claims for one process: the best runs whose concurrency keys
    /// have a free slot. Runs that it finds behind full keys are moved out of the way, a bounded number in each claim:
    /// [`Claimed::more`] says that there were more.
    async fn claim(&self, params: ClaimParams) -> Result<Claimed>;

    /// Turns due occurrences into runs and moves their series on; an advance computed from an old version does
    /// nothing. Returns how many counted.
    async fn advance(&self, now: Millis, advances: Vec<SeriesAdvance>) -> Result<usize>;

    /// Ends attempts; the answers are in their order.
    async fn complete(&self, params: CompleteParams) -> Result<Vec<Completed>>;

    /// Changes a job, if its state allows it.
    async fn change(&self, id: &JobId, change: Change, now: Millis) -> Result<Changed>;

    /// Changes these jobs, as far as they are in one of `statuses` (empty = any) and their state allows it. Each job is
    /// changed as a whole; between one and the next others may get their turn. After a failure, those changed before
    /// it stay changed.
    async fn change_some(
        &self,
        jobs: Vec<JobSeq>,
        statuses: Vec<Status>,
        change: Change,
        now: Millis,
    ) -> Result<ChangedSome>;

    /// Numbers of the jobs that match, newest first, by the filter's `before` and `limit`.
    async fn matching(&self, filter: ListFilter) -> Result<Vec<JobSeq>>;

    /// Cancels a job and its runs.
    async fn cancel(&self, id: &JobId, reason: Option<&str>, now: Millis) -> Result<Changed> {
        let reason = reason.map(Into::into);
        self.change(id, Change::Cancel { reason }, now).await
    }

    /// Registers this process; its lease ends `lease` ms from now unless renewed.
    async fn register(&self, lease: i64) -> Result<InstanceId>;

    /// Renews the lease for `lease` ms. `false`: the registration is gone, all its runs are lost.
    async fn renew(&self, instance: InstanceId, lease: i64) -> Result<bool>;

    /// Ends the registration; runs it still holds are handed back, no attempt spent.
    async fn unregister(&self, instance: InstanceId, now: Millis) -> Result<()>;

    /// Takes back the runs of processes whose lease has ended or that are known to be dead. A run that crashed
    /// `max_crashes` times fails with the code `CRASHED`.
    async fn recover(&self, now: Millis, max_crashes: u32) -> Result<Recovered>;

    /// The claims an instance holds by the store's account.
    async fn held(&self, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>>;

    /// Up to `limit` series with an occurrence to come, by number, from after `after` on.
    async fn series_after(&self, after: JobSeq, limit: usize) -> Result<Vec<DueSeries>>;

    /// Remembers a fact about the store itself.
    async fn set_mark(&self, name: &str, value: &str) -> Result<()>;

    /// Recalls it.
    async fn mark_of(&self, name: &str) -> Result<Option<String>>;

    /// Keeps a value until its time, in place of one under the same key.
    async fn put_entry(&self, entry: Entry) -> Result<()>;

    /// The value under a key, if there is one whose time has not come.
    async fn entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>>;

    /// Takes a value away and returns it, if its time has not come. Of several that take it, one gets it.
    async fn take_entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>>;

    /// Takes all values of a space away; returns how many.
    async fn clear_entries(&self, kind: EntryKind, space: &str) -> Result<usize>;

    /// Deletes values whose time has come, and of each cache those beyond `most` that would end first; at most about
    /// `limit` in all. Returns how many.
    async fn sweep_entries(&self, now: Millis, most: usize, limit: usize) -> Result<usize>;

    /// Keeps what handlers said about their jobs, in order; notes of jobs that are gone are dropped.
    async fn annotate(&self, notes: Vec<Note>) -> Result<()>;

    /// A job's log, oldest line first, at most its last 1,000 lines; `None`: no such job.
    async fn logs(&self, id: &JobId) -> Result<Option<Vec<LogLine>>>;

    /// One job.
    async fn get(&self, id: &JobId) -> Result<Option<JobRecord>>;

    /// One job with the place of its run; runs before it are counted up to `count_up_to`.
    async fn whereabouts(&self, id: &JobId, count_up_to: usize) -> Result<Option<Whereabouts>>;

    /// Whether a run was cancelled, with its job or alone.
    async fn cancellation(&self, job: JobSeq, run: i64) -> Result<Option<Cancellation>>;

    /// A page of jobs.
    async fn list(&self, filter: ListFilter) -> Result<Page>;

    /// Numbers, of these routes or of all.
    async fn stats(&self, routes: Option<Vec<RouteId>>) -> Result<Stats>;

    /// A job's attempts, newest first, at most `limit`; `None`: no such job.
    async fn history(&self, id: &JobId, limit: usize) -> Result<Option<History>>;

    /// Routes with a higher number than `after`, in order.
    async fn routes_after(&self, after: RouteId) -> Result<Vec<(RouteId, Route)>>;

    /// Routes that have jobs waiting to be claimed.
    async fn ready_routes(&self) -> Result<Vec<RouteId>>;

    /// How many runs of these routes are due or waiting to be claimed, up to `limit`; without those that a claim has
    /// found behind a full concurrency key.
    async fn count_due(&self, routes: Vec<RouteId>, now: Millis, limit: usize) -> Result<usize>;

    /// The job as a statement, which dispatches it when it is executed and its transaction commits; nothing is written
    /// before. `None`: this store has no such statements.
    async fn statement(&self, job: &NewJob) -> Result<Option<Statement>> {
        let _ = job;
        Ok(None)
    }

    /// How many due runs of these routes wait behind a full concurrency key, up to `limit`.
    async fn count_held(&self, routes: Vec<RouteId>, limit: usize) -> Result<usize>;

    /// Deletes what retention no longer keeps, at most about `limit` jobs; returns how many.
    async fn sweep(&self, retention: Retention, now: Millis, limit: usize) -> Result<usize>;

    /// Counts up whenever there may be something new to claim or to relay: a commit of this process that made a run
    /// ready or due earlier or that wrote to the outbox, or a commit of another process.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Watches for commits of other processes from now on (or no longer).
    fn watch_others(&self, watch: bool);

    /// Flushes and releases everything. Later calls fail with `CLOSED`.
    async fn close(&self) -> Result<()>;
}
