//! What the engine needs of a store: verbs, each of them one transaction.
//!
//! A store keeps jobs, their runs and the processes that run them. It knows no schedule arithmetic, no handler and no
//! wall clock: `now` is passed in. The physical model behind the verbs is described in `docs/design/store.md`;
//! [`contract`] is the suite every store passes.
//!
//! Invariants, for every store:
//! - A verb that returned `Ok` is committed; under full durability an [`Store::insert`], a [`Store::change`] or a
//!   [`Store::record_step`] is synced.
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
//!
//! # Steps
//!
//! What a run has finished ([`Step`]) is there for whatever attempt of it follows: after a failure, a crash, a snooze, a
//! pause. It is gone when the run completes, when it is undone ([`Store::forget_steps`]), and with its job. A run that
//! failed, or a one-off that was cancelled, keeps its steps, and the run that [`Change::Retry`] makes of it has them, and
//! behind them the number that the run had before ([`EARLIER_RUN_PREFIX`]). A one-off that
//! is replaced begins without steps; the live runs of a series that is replaced keep theirs, as they keep their attempts.
//! Of a series the run that failed last keeps
//! them.

use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, NewJob, Status};
use async_trait::async_trait;
use std::collections::HashSet;
use std::path::Path;
use tokio::sync::watch;

mod audit;
mod change;
mod claim;
mod direct;
mod dispatch;
mod entry;
mod figures;
mod health;
mod ids;
mod occurrence;
mod payload;
pub mod postgres;
mod process;
mod record;
mod retention;
mod route;
mod rules;
pub mod sealed;
pub mod sqlite;
mod step;
mod text;
mod transactions;
pub mod transfer;
mod webhook;

pub use audit::{AuditEntry, AuditStore, MAX_AUDIT_ENTRIES};
pub use change::{BulkChangeOutcome, Cancellation, Change, ChangeOutcome, RevokedClaim, Timing};
pub use claim::{
    ClaimParams, Claimed, ClaimedRun, CompleteParams, Completed, Completion, FailedRun, RecoverParams, Recovered,
    ServedRoute, Takeover,
};
pub use direct::{DirectInsert, DirectStore, Done};
pub use dispatch::{InsertParams, Inserted, JobSummary, ReplaceSeries, Statement, begin_anew};
pub use entry::{Entry, EntryKey, EntryKind};
pub use figures::{FigureQuery, FigureSpan, FigureStore, FigureSums, FileSizes, RouteFigures};
pub use health::{
    CountedJobs, DEFAULT_LOOK, FileFacts, Integrity, LongTransaction, ServerFacts, StoreHealth, StorePlace,
};
pub use ids::{InstanceId, JobSeq, RouteId, RouteMark, Token};
pub use occurrence::{
    ComputeMove, GapKind, Occurrence, OccurrenceGap, PlanAdvance, SeriesAdvance, SeriesMove, SeriesSnapshot, Settled,
    Span, without,
};
pub use payload::{MAX_KEY_ID_BYTES, Unreadable};
pub use process::{Liveness, Process, ProcessStore};
pub use record::{
    Failing, History, HistoryEntry, HistoryPosition, JobRecord, LastRun, ListFilter, LogLine, MAX_PAGE_BYTES, Note,
    NoteKind, Page, RunLocation, RunPosition, Stats,
};
pub use retention::{Retention, RetentionLimit};
pub use route::{AddedRoutes, StoredRoute};
pub use rules::crash::SUSPECT_AFTER;
pub use step::{ClaimRef, EARLIER_RUN_PREFIX, MAX_STEP_RESULT_BYTES, MAX_STEP_TAG_BYTES, MAX_STEPS_PER_RUN, Step};
pub use text::{
    MAX_TEXT_PAGE_BYTES, ResealPosition, Resealed, SEALING_MARK_INTERVAL, StoredText, TextColumn, TextKey, TextPage,
    TextQuery, TextReplacement, TextStore, sealing_mark,
};
pub use transactions::{BucketCounts, TransactionCounts};
pub use webhook::{DeliveryReport, EventSeq, NewWebhook, RelayedEvent, StoredEvent, Webhook, WebhookSet, WebhookStore};

#[cfg(test)]
pub mod contract;

/// A durable (or, in memory, a transient) place for jobs.
#[async_trait]
pub trait Store: WebhookStore + TextStore + FigureStore + ProcessStore + AuditStore + Send + Sync {
    /// Writes jobs; the answers are in their order. With `all_or_nothing` and a conflict, nothing is written and only
    /// the [`Inserted::Conflict`] answers mean anything.
    async fn insert(&self, params: InsertParams) -> Result<Vec<Inserted>>;

    /// A shorter way than [`insert`](Self::insert), where there is one.
    fn direct(&self) -> Option<&dyn DirectStore> {
        None
    }

    /// Moves what is due to where it can be claimed, then claims for one process: the best runs whose concurrency keys
    /// have a free slot. Runs that it finds behind full keys are moved out of the way, a bounded number in each claim:
    /// [`Claimed::more`] says that there were more. Runs that crashed often are claimed only by who asks for one of them
    /// ([`ClaimParams::suspect`]).
    async fn claim(&self, params: ClaimParams) -> Result<Claimed>;

    /// Turns due occurrences into runs and moves their series on; an advance computed from an old version does
    /// nothing. Returns how many counted.
    async fn advance(&self, now: Millis, advances: Vec<SeriesAdvance>) -> Result<usize>;

    /// Ends attempts; the answers are in their order.
    async fn complete(&self, params: CompleteParams) -> Result<Vec<Completed>>;

    /// Changes a job, if its state allows it.
    async fn change(&self, id: &JobId, change: Change, now: Millis) -> Result<ChangeOutcome>;

    /// Changes these jobs, as far as they are in one of `statuses` (empty = any) and their state allows it. Each job is
    /// changed as a whole; between one and the next others may get their turn. After a failure, those changed before
    /// it stay changed.
    async fn change_many(
        &self,
        jobs: Vec<JobSeq>,
        statuses: Vec<Status>,
        change: Change,
        now: Millis,
    ) -> Result<BulkChangeOutcome>;

    /// Numbers of the jobs that match, newest first, by the filter's `before` and `limit`.
    async fn matching_jobs(&self, filter: ListFilter) -> Result<Vec<JobSeq>>;

    /// Cancels a job and its runs.
    async fn cancel(&self, id: &JobId, reason: Option<&str>, now: Millis) -> Result<ChangeOutcome> {
        let reason = reason.map(Into::into);
        self.change(id, Change::Cancel { reason }, now).await
    }

    /// Registers this process, which runs up to `slots` attempts at once; its lease ends `lease` ms from now unless renewed.
    async fn register(&self, lease: i64, slots: usize) -> Result<InstanceId>;

    /// Renews the lease for `lease` ms. `false`: the registration is gone, all its runs are lost.
    async fn renew(&self, instance: InstanceId, lease: i64) -> Result<bool>;

    /// Ends the registration; runs it still holds are handed back, no attempt spent.
    async fn unregister(&self, instance: InstanceId, now: Millis) -> Result<()>;

    /// Ends the registration of a process that is about to end by a failure; runs it still holds have crashed, as in
    /// [`recover`](Self::recover). Returns those that have failed by that.
    async fn unregister_crashed(&self, instance: InstanceId, now: Millis, max_crashes: u32) -> Result<Vec<FailedRun>>;

    /// Takes back the runs of processes whose lease has ended or that are known to be dead, never those of the caller. Of a
    /// process that died, the runs that it was executing have crashed: they wait before they run again, and fail with the
    /// code `CRASHED` when that happened `max_crashes` times. All others are handed back, no attempt spent. Tells of runs that
    /// wait to run alone, too.
    async fn recover(&self, params: RecoverParams) -> Result<Recovered>;

    /// The claims an instance holds by the store's account.
    async fn claims_of(&self, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>>;

    /// Tokens of those of these claims that the instance holds by the store's account. Its cost is that of the claims asked for,
    /// where [`claims_of`](Self::claims_of) may have to step over what is claimed no more.
    async fn held_among(&self, instance: InstanceId, claims: Vec<(JobSeq, i64, Token)>) -> Result<Vec<Token>> {
        let asked: HashSet<Token> = claims.into_iter().map(|(_, _, token)| token).collect();
        let held = self.claims_of(instance).await?.into_iter().map(|(_, _, token)| token);
        Ok(held.filter(|token| asked.contains(token)).collect())
    }

    /// Up to `limit` series with an occurrence to come or a run that goes on, by number, from after `after` on; paused ones are among
    /// them.
    async fn series_after(&self, after: JobSeq, limit: usize) -> Result<Vec<SeriesSnapshot>>;

    /// What the store's own clock shows, which counts for all processes that share the store; `None`: it has none, as it is on
    /// this machine.
    async fn server_time(&self) -> Result<Option<Millis>> {
        Ok(None)
    }

    /// The clock was put back, by `by` ms as far as known: brings forward what waits for the next attempt of a run whose last one
    /// ended, by its clock, after `now`, or whose crash was found after it. What it waits for is counted from then; the attempt is moved as well. Where
    /// leases go by that clock, those that it gave end soon, unless they are renewed. May be called again. Returns how many runs.
    async fn retime_waiting(&self, now: Millis, by: Millis) -> Result<usize>;

    /// Remembers a fact about the store itself.
    async fn set_metadata(&self, name: &str, value: &str) -> Result<()>;

    /// Recalls it.
    async fn metadata(&self, name: &str) -> Result<Option<String>>;

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
    async fn save_notes(&self, notes: Vec<Note>) -> Result<()>;

    /// The steps that a run has finished, in the order they were.
    async fn steps(&self, job: JobSeq, run: i64) -> Result<Vec<Step>>;

    /// Writes down a finished step of a run; one of the same tag stays as it is. Fails with `LEASE_LOST` when somebody
    /// else has the run by now, with `VALIDATION_ERROR` for a step that is too large or one too many.
    async fn record_step(&self, holder: ClaimRef, step: Step) -> Result<()>;

    /// Forgets these steps of a run, since what they did was undone, all at once. Fails with `LEASE_LOST` as
    /// [`Store::record_step`].
    async fn forget_steps(&self, holder: ClaimRef, tags: Vec<Box<str>>) -> Result<()>;

    /// A job's log, oldest line first, at most its last 1,000 lines; `None`: no such job.
    async fn logs(&self, id: &JobId) -> Result<Option<Vec<LogLine>>>;

    /// One job.
    async fn get(&self, id: &JobId) -> Result<Option<JobRecord>>;

    /// One job with the place of its run; runs before it are counted up to `count_up_to`.
    async fn run_location(&self, id: &JobId, count_up_to: usize) -> Result<Option<RunLocation>>;

    /// Whether a run was cancelled, with its job or alone.
    async fn cancellation(&self, job: JobSeq, run: i64) -> Result<Option<Cancellation>>;

    /// A page of jobs.
    async fn list(&self, filter: ListFilter) -> Result<Page>;

    /// Numbers, of these routes or of all.
    async fn stats(&self, routes: Option<Vec<RouteId>>) -> Result<Stats>;

    /// A job's attempts, newest first, from behind `before` on: at most `limit`, and no more when they have come to
    /// [`MAX_PAGE_BYTES`]. `None`: no such job.
    async fn history_before(&self, id: &JobId, limit: usize, before: HistoryPosition) -> Result<Option<History>>;

    /// The newest attempts of a job.
    async fn history(&self, id: &JobId, limit: usize) -> Result<Option<History>> {
        self.history_before(id, limit, HistoryPosition::NEWEST).await
    }

    /// Routes that were added after the one with the mark `after`, in the order of their marks; or all of them, when the store
    /// no longer has that one.
    async fn routes_after(&self, after: RouteMark) -> Result<AddedRoutes>;

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
    async fn count_blocked(&self, routes: Vec<RouteId>, limit: usize) -> Result<usize>;

    /// Deletes what retention no longer keeps, at most about `limit` jobs; returns how many.
    async fn sweep(&self, retention: Retention, now: Millis, limit: usize) -> Result<usize>;

    /// Counts up whenever there may be something new to claim or to relay: a commit of this process that made a run
    /// ready or due earlier or that wrote to the outbox, or a commit of another process.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Whether nobody else can write either while this process cannot, as far as it can tell now: then others cannot take over
    /// what it holds before this process could have renewed its lease.
    fn outages_are_shared(&self) -> bool {
        false
    }

    /// Watches for commits of other processes from now on (or no longer).
    fn watch_other_processes(&self, watch: bool);

    /// Copies what is committed by now into a new file, from which the store can be restored; others go on meanwhile.
    ///
    /// # Errors
    /// `STORE_ERROR` when this store is not in a file, when `to` is there already, or when it cannot be written.
    async fn back_up(&self, to: &Path) -> Result<()>;

    /// Flushes and releases everything. Later calls fail with `CLOSED`.
    async fn close(&self) -> Result<()>;
}
