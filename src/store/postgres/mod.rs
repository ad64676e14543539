//! The store in PostgreSQL, shared by processes on many machines.
//!
//! Hot verbs are functions of the schema that process many rows in one round trip; the others lock their jobs, read them,
//! decide in Rust, and write everything at once. `docs/design/postgres.md` gives the reasons. Knows no engine, no schedule
//! arithmetic and no wall clock; leases are measured by the server's clock.
//!
//! Invariant: only the transaction that deletes a run's row may move the run; a verb that finds the row gone starts over.

mod address;
mod advance;
mod audit;
mod cancel;
mod change;
mod claim;
mod complete;
mod counters;
mod delete;
mod direct;
mod direct_claim;
mod entries;
mod error_text;
mod failure;
mod figures;
mod health;
mod history;
mod ids;
mod in_states;
mod insert;
mod instances;
mod job_rows;
mod job_text;
mod keys;
mod list;
mod metadata;
mod migrate;
mod move_record;
mod notes;
mod notify;
mod old_runs;
mod outbox;
mod param;
mod pause;
mod pool;
mod processes;
mod queue;
mod read;
mod recovery;
mod relay;
mod replace;
mod reschedule;
mod retime;
mod retry;
mod routed_job;
mod routes;
mod run_rows;
mod scan_positions;
mod series;
mod series_changes;
mod series_moves;
mod series_rows;
mod series_snapshot;
mod session;
mod state;
mod statement;
mod steps;
mod store_impl;
mod sweep;
mod tags;
mod texts;
mod transfer;
mod transfer_place;
mod tx;
mod uniques;
mod webhook_store_impl;
mod webhooks;
mod writer;

#[cfg(test)]
pub(crate) mod invariants;
#[cfg(test)]
pub(crate) mod tests;

pub use address::Address;
pub use health::health;
pub use transfer::PostgresEnd;
pub use transfer_place::PostgresPlace;

use self::pool::{Pool, WriteOptions, with_session};
use self::routes::RouteCache;
use self::scan_positions::ScanPositions;
use self::session::Connector;
use self::tx::Effects;
use self::writer::Writer;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::model::RunOutcome;
use crate::store::{ClaimParams, CompleteParams, Completed, Completion, JobSeq, Token};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Transactions with counter changes after which the counters are compacted.
const COMPACT_AFTER_WRITES: usize = 256;

/// Replaces the server's clock in tests.
pub type LeaseClock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Configuration for [`PostgresStore::open`].
#[derive(Clone)]
pub struct PostgresConfig {
    /// The server.
    pub address: Address,
    /// Whether commits wait for the server's disk.
    pub synced: bool,
    /// Clock of leases; `None`: the server's.
    pub lease_clock: Option<LeaseClock>,
}

impl PostgresConfig {
    /// Full durability and the server's clock.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            synced: true,
            lease_clock: None,
        }
    }
}

impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("address", &self.address)
            .field("synced", &self.synced)
            .finish_non_exhaustive()
    }
}

/// State shared by the verbs and the background tasks.
struct Inner {
    connector: Arc<Connector>,
    /// Sessions for all verbs except lease renewals.
    general: Pool,
    /// Sessions for lease renewals, which must not wait behind other verbs.
    urgent: Pool,
    routes: RouteCache,
    /// Where the scans of claims start.
    scan_positions: ScanPositions,
    /// How far retention has come.
    sweep_positions: sweep::SweepPositions,
    changes: watch::Sender<u64>,
    watch_other_processes: watch::Sender<bool>,
    closed: AtomicBool,
    /// Why no call is let through any more: the schema is that of another version of this package.
    migrated: OnceLock<Error>,
    /// Signals that other processes should be notified.
    wake_others: Notify,
    /// Another process has notified this one.
    woken_by_others: Notify,
    /// Name of this process in notifications.
    name: String,
    /// Channel of notifications.
    channel: OnceCell<String>,
    counter_writes: AtomicUsize,
    claim_limit: claim::ClaimLimit,
}

impl Inner {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Lets no call through from now on when the schema has another version than the one that this process opened.
    fn check_version(&self, found: i32) -> Result<()> {
        let checked = migrate::check_unchanged(found, &self.connector.address.schema);
        checked.map_err(|error| self.migrated.get_or_init(|| error).clone())
    }

    fn notify_changes(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Wakes the claimers of this and other processes, since something may have become claimable, or due earlier.
    fn wake(&self) {
        self.notify_changes();
        self.wake_others.notify_one();
    }

    /// Applies the effects of a commit.
    async fn apply_effects(&self, after: Effects) {
        let mut wake = after.wake;
        if !after.freed_keys.is_empty() {
            // If this fails, the next recovery of dead processes does it.
            let freed = self.unblock(&after.freed_keys).await.is_ok_and(|freed| freed > 0);
            if freed {
                self.scan_positions.runs_added();
            }
            wake |= freed;
        }
        if wake {
            self.wake();
        }
    }

    async fn unblock(&self, keys: &[i64]) -> Result<i64> {
        Ok(with_session!(self.general, WriteOptions::ENGINE, |session| {
            keys::unblock(session, keys)
        }))
    }

    async fn complete(&self, params: &CompleteParams) -> Result<Vec<Completed>> {
        let (answers, after) = with_session!(self.general, WriteOptions::ENGINE, |session, resent| {
            complete::apply(session, params, resent)
        });
        self.counters_written();
        for completion in &params.completions {
            match completion.outcome {
                RunOutcome::Retry { due, .. } | RunOutcome::Snoozed { due } => self.scan_positions.run_added(due),
                RunOutcome::Released | RunOutcome::Interrupted { .. } => self.scan_positions.runs_added(),
                _ => {}
            }
        }
        self.apply_effects(after).await;
        Ok(answers)
    }

    /// Hands back what a claim brought besides. If it fails, the lease keeper finds that nobody has these runs, and does it.
    async fn hand_back(&self, claim: &ClaimParams, completions: Vec<Completion>) {
        if !completions.is_empty() {
            let (now, instance) = (claim.now, claim.instance);
            let _ = self
                .complete(&CompleteParams {
                    now,
                    instance,
                    completions,
                })
                .await;
        }
    }

    /// Notes a transaction with counter changes.
    fn counters_written(&self) {
        self.counter_writes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A store in a schema of a PostgreSQL database. Dropping it ends its tasks and connections.
pub struct PostgresStore {
    inner: Arc<Inner>,
    writer: Writer,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    lease_clock: Option<LeaseClock>,
    last_token: AtomicI64,
    /// The series whose history was trimmed last; the next sweep continues after it.
    trim_cursor: AtomicI64,
    compacting: AtomicBool,
    warnings: Vec<String>,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("address", &self.inner.connector.address)
            .finish_non_exhaustive()
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl PostgresStore {
    /// Connects, and creates or migrates the schema if needed. Must be called within a runtime.
    ///
    /// # Errors
    /// `CONNECTION_ERROR` when the server cannot be reached, `UNAUTHORIZED` when it refuses the user, `FORBIDDEN` when the
    /// user may not create what is missing, `STORE_ERROR` when the schema is newer than this code. Each message names the
    /// remedy, and none contains the password.
    pub async fn open(config: PostgresConfig) -> Result<Arc<Self>> {
        let sessions = config.address.connections;
        let connector = Arc::new(Connector::new(config.address, config.synced)?);
        let inner = Arc::new(Inner {
            general: Pool::new(Arc::clone(&connector), sessions),
            urgent: Pool::urgent(Arc::clone(&connector)),
            connector,
            routes: RouteCache::default(),
            scan_positions: ScanPositions::default(),
            sweep_positions: sweep::SweepPositions::default(),
            changes: watch::Sender::new(0),
            watch_other_processes: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            migrated: OnceLock::new(),
            wake_others: Notify::new(),
            woken_by_others: Notify::new(),
            channel: OnceCell::new(),
            name: Uuid::now_v7().to_string(),
            counter_writes: AtomicUsize::new(0),
            claim_limit: claim::ClaimLimit::default(),
        });
        with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| migrate::apply(
            session
        ));
        let warnings = with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| migrate::warnings(
            session,
            config.synced
        ));
        let tasks = vec![
            tokio::spawn(keep_running(Arc::clone(&inner), notify::notify_others)),
            tokio::spawn(keep_running(Arc::clone(&inner), notify::listen)),
        ];
        Ok(Arc::new(Self {
            writer: Writer::start(Arc::clone(&inner)),
            inner,
            tasks,
            lease_clock: config.lease_clock,
            last_token: AtomicI64::new(0),
            trim_cursor: AtomicI64::new(JobSeq::MIN.get()),
            compacting: AtomicBool::new(false),
            warnings,
        }))
    }

    /// What is worth a warning in the settings of the database.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The shared state, or an error once the store is closed.
    fn inner_if_open(&self) -> Result<&Inner> {
        if self.inner.is_closed() {
            return Err(Error::closed());
        }
        self.inner
            .migrated
            .get()
            .map_or(Ok(&self.inner), |error| Err(error.clone()))
    }

    /// The time that replaces the server's in tests.
    fn lease_now(&self) -> Option<Millis> {
        self.lease_clock.as_ref().map(|clock| clock())
    }

    /// Reserves tokens for a claim; returns the last one before them.
    fn reserve_tokens(&self, count: usize) -> Token {
        Token::new(self.last_token.fetch_add(param::rows(count.max(1)), Ordering::Relaxed))
    }

    /// Compacts the counters if there are enough changes; one caller at a time.
    async fn compact_if_due(&self) {
        if self.inner.counter_writes.load(Ordering::Relaxed) < COMPACT_AFTER_WRITES
            || self.compacting.swap(true, Ordering::AcqRel)
        {
            return;
        }
        self.inner.counter_writes.store(0, Ordering::Relaxed);
        // On failure, the next call compacts, and the next sweep says why.
        let _ = self.compact().await;
        self.compacting.store(false, Ordering::Release);
    }

    async fn compact(&self) -> Result<i64> {
        Ok(with_session!(self.inner.general, WriteOptions::ENGINE, |session| {
            counters::compact(session)
        }))
    }

    fn shut_down(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.general.close();
        self.inner.urgent.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Pause before a task that panicked is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Runs a task of the store until it returns; one that panics is followed by another. Aborted, it takes the task with it.
async fn keep_running<F>(inner: Arc<Inner>, task: impl Fn(Arc<Inner>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        tasks.spawn(task(Arc::clone(&inner)));
        match tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => tokio::time::sleep(RESTART_PAUSE).await,
            _ => return,
        }
    }
}
