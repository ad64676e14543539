//! The engine as a whole: its parts, and how they start, drain and stop.

use super::announcer::Announcer;
use super::completer::Completer;
use super::handler::{AbortReason, Level, Logger};
use super::in_flight::InFlightAttempts;
use super::inputs::{ExpressionResolver, ResultCache, SecretStore, SessionVerifier};
use super::job_watchers::JobWatchers;
use super::progress_writer::ProgressWriter;
use super::routing::{Routing, WorkerFilter};
use super::{claimer, lease, outbox_relay, retention_sweeper, timezones};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::resources::{OutboundRules, Resources};
use crate::store::{InstanceId, Note, NoteKind, Retention, RouteId, Store, Token};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How long the store is given to take the last completions when the engine stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Runs counted at most when a drain looks at what is left.
const MAX_COUNTED_RUNS: usize = 100_000;

/// What this process works on.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Most attempts at once.
    pub concurrency: usize,
    /// Which routes at all.
    pub filter: WorkerFilter,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 10,
            filter: WorkerFilter::default(),
        }
    }
}

/// Numbers the engine goes by.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// `None`: this process only dispatches.
    pub worker: Option<WorkerConfig>,
    /// What is kept.
    pub retention: Retention,
    /// How long a silent process keeps its runs.
    pub lease: Duration,
    /// Time between two renewals.
    pub renew_interval: Duration,
    /// Time between two looks for dead processes.
    pub recover_interval: Duration,
    /// Crashes after which a run has failed.
    pub max_crashes: u32,
    /// Time is moved by hand: nothing sleeps until a due time.
    pub manual_clock: bool,
    /// Values of secrets, and the mask over them.
    pub secrets: Arc<SecretStore>,
    /// What the constructor's `resources` define.
    pub resources: Arc<Resources>,
    /// Where HTTP requests may go.
    pub outbound: OutboundRules,
    /// Resolves expressions with the secrets.
    pub expressions: Arc<ExpressionResolver>,
    /// Verifies sessions of the resources.
    pub sessions: Arc<SessionVerifier>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            worker: Some(WorkerConfig::default()),
            retention: Retention::default(),
            lease: Duration::from_secs(10),
            renew_interval: Duration::from_secs(3),
            recover_interval: Duration::from_millis(500),
            max_crashes: 10,
            manual_clock: false,
            secrets: Arc::default(),
            resources: Arc::default(),
            outbound: OutboundRules::default(),
            expressions: Arc::default(),
            sessions: Arc::default(),
        }
    }
}

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DrainReport {
    /// Runs that completed.
    pub completed: u64,
    /// Runs that failed for good.
    pub failed: u64,
    /// Attempts that will be tried again.
    pub retried: u64,
    /// Attempts handed back at the timeout.
    pub released: u64,
    /// Runs still due that this process could run.
    pub remaining: usize,
}

/// Takes what is due from a store, runs it, and writes what came of it.
pub struct Engine {
    /// Where jobs live.
    pub store: Arc<dyn Store>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Where messages go.
    pub logger: Arc<dyn Logger>,
    /// Who does what.
    pub routing: Arc<Routing>,
    /// What is being done.
    pub in_flight: InFlightAttempts,
    /// What is done.
    pub completer: Completer,
    /// What handlers say meanwhile.
    pub progress_writer: ProgressWriter,
    /// Who wants to know.
    pub job_watchers: JobWatchers,
    /// Who listens to everything of a kind.
    pub announcer: Arc<Announcer>,
    /// Results that are kept.
    pub result_cache: ResultCache,
    /// The numbers.
    pub config: EngineConfig,
    /// Whether to claim.
    pub(super) claiming: watch::Sender<bool>,
    /// Told when handlers or routes changed.
    pub(super) claimer_wake: Notify,
    /// Held during a round of claiming.
    pub(super) claim_lock: tokio::sync::Mutex<()>,
    /// Held while events are relayed: how many have been.
    pub(super) relayed_count: tokio::sync::Mutex<usize>,
    instance: AtomicI64,
    stop: watch::Sender<bool>,
    started: tokio::sync::Mutex<bool>,
    others_watched: AtomicUsize,
    warned_routes: Mutex<HashSet<RouteId>>,
}

impl Engine {
    /// An engine that does nothing yet.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        logger: Arc<dyn Logger>,
        routing: Arc<Routing>,
        announcer: Arc<Announcer>,
        config: EngineConfig,
    ) -> Arc<Self> {
        let resources = Arc::clone(&config.resources);
        let result_cache = ResultCache::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&logger), resources);
        Arc::new(Self {
            store,
            clock,
            logger,
            routing,
            in_flight: InFlightAttempts::default(),
            completer: Completer::default(),
            progress_writer: ProgressWriter::default(),
            job_watchers: JobWatchers::default(),
            announcer,
            result_cache,
            config,
            claiming: watch::Sender::new(false),
            claimer_wake: Notify::new(),
            claim_lock: tokio::sync::Mutex::default(),
            relayed_count: tokio::sync::Mutex::default(),
            instance: AtomicI64::new(0),
            stop: watch::Sender::new(false),
            started: tokio::sync::Mutex::new(false),
            others_watched: AtomicUsize::new(0),
            warned_routes: Mutex::default(),
        })
    }

    /// This process's registration, while it has one.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        Some(self.instance.load(Ordering::Acquire)).filter(|instance| *instance != 0)
    }

    /// Whether this process claims runs now.
    #[must_use]
    pub fn is_claiming(&self) -> bool {
        *self.claiming.borrow()
    }

    /// Whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Registers this process.
    pub(super) async fn register(&self) -> Result<()> {
        let lease = i64::try_from(self.config.lease.as_millis()).unwrap_or(i64::MAX);
        let instance = self.store.register(lease).await?;
        self.instance.store(instance, Ordering::Release);
        Ok(())
    }

    /// The registration is lost.
    pub(super) fn forget_instance(&self) {
        self.instance.store(0, Ordering::Release);
    }

    /// Attempts that take a slot, and how many may.
    #[must_use]
    pub fn slot_usage(&self) -> (usize, usize) {
        let concurrency = self.config.worker.as_ref().map_or(0, |worker| worker.concurrency);
        (self.in_flight.busy(), concurrency)
    }

    /// Slots that a claim may fill.
    pub(super) fn free_slots(&self) -> usize {
        let (busy, concurrency) = self.slot_usage();
        concurrency.saturating_sub(busy)
    }

    /// Handlers or routes changed: the claimer should look again.
    pub fn handlers_changed(&self) {
        self.claimer_wake.notify_one();
    }

    /// Keeps what a handler says about the attempt with this token, if that is still going.
    pub fn note(&self, token: Token, kind: NoteKind) {
        let masker = &self.config.secrets.masker;
        let kind = match kind {
            NoteKind::Progress(text) => NoteKind::Progress(masker.mask_json(&text).into()),
            NoteKind::Log(text) => NoteKind::Log(masker.mask(&text).into()),
        };
        if let Some((job, run, attempt)) = self.in_flight.attempt_of(token) {
            self.progress_writer.submit(
                self,
                Note {
                    job,
                    run,
                    attempt,
                    at: self.clock.now(),
                    kind,
                },
            );
        }
    }

    /// Loads routes that other processes or earlier lives have added.
    pub async fn load_routes(&self) -> Result<()> {
        let routes = self.store.routes_after(self.routing.highest_route()).await?;
        self.routing.add_routes(routes);
        Ok(())
    }

    /// Registers this process and claims until [`stop`](Self::stop); does nothing when it does so already.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` when the instance was made with `worker: false`; what the store says otherwise.
    pub async fn work(self: &Arc<Self>) -> Result<()> {
        self.start_services().await?;
        self.claiming.send_replace(true);
        Ok(())
    }

    async fn start_services(self: &Arc<Self>) -> Result<()> {
        if self.config.worker.is_none() {
            return Err(Error::new(
                ErrorCode::ValidationError,
                "worker: this instance was made with `worker: false` and only dispatches; leave the option out to run jobs here",
            ));
        }
        let mut started = self.started.lock().await;
        if *started {
            return Ok(());
        }
        if *self.stop.borrow() {
            return Err(Error::closed());
        }
        self.load_routes().await?;
        timezones::refresh_next_runs(self).await?;
        self.register().await?;
        self.watch_other_processes(true);
        self.completer.start(self);
        self.progress_writer.start(self);
        tokio::spawn(claimer::run(Arc::clone(self), self.stop.subscribe()));
        tokio::spawn(lease::run(Arc::clone(self), self.stop.subscribe()));
        tokio::spawn(retention_sweeper::run(Arc::clone(self), self.stop.subscribe()));
        tokio::spawn(outbox_relay::run(Arc::clone(self), self.stop.subscribe()));
        *started = true;
        Ok(())
    }

    /// Asks the store to notice what other processes write, for as long as somebody wants to know.
    pub fn watch_other_processes(&self, watch: bool) {
        let before = if watch {
            self.others_watched.fetch_add(1, Ordering::AcqRel)
        } else {
            self.others_watched.fetch_sub(1, Ordering::AcqRel) - 1
        };
        if before == 0 {
            self.store.watch_other_processes(watch);
        }
    }

    /// Runs what is due now and leaves nothing running; claims no more afterwards, until [`work`](Self::work) is called.
    ///
    /// # Errors
    /// As [`work`](Self::work).
    pub async fn drain(self: &Arc<Self>, timeout: Option<Duration>) -> Result<DrainReport> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let before = self.counter_snapshot();
        let due_by = self.clock.now();
        self.start_services().await?;
        self.claiming.send_replace(true);
        let drained = self.wait_drained(due_by, until).await;
        self.stop_claiming().await;
        if !drained {
            self.in_flight.abort_all(&AbortReason::Closed);
        }
        self.wait_finished(if drained {
            until
        } else {
            Some(Instant::now() + FLUSH_TIMEOUT)
        })
        .await;
        // What the last claims brought and did not end in time.
        self.in_flight.abort_all(&AbortReason::Closed);
        self.wait_finished(Some(Instant::now() + FLUSH_TIMEOUT)).await;
        let remaining = self.count_due(due_by).await? + self.count_blocked().await?;
        let after = self.counter_snapshot();
        Ok(DrainReport {
            completed: after.completed - before.completed,
            failed: after.failed - before.failed,
            retried: after.retried - before.retried,
            released: after.released - before.released,
            remaining,
        })
    }

    /// After this, no run starts: a claim under way has started its runs, and the next one finds claiming off.
    async fn stop_claiming(&self) {
        self.claiming.send_replace(false);
        drop(self.claim_lock.lock().await);
    }

    /// Waits until nothing that was due is left. `false`: time ran out.
    async fn wait_drained(&self, due_by: i64, until: Option<Instant>) -> bool {
        loop {
            let changed = self.in_flight.changed.notified();
            let relayed = outbox_relay::relay_pending(self).await.ok();
            // Between two rounds: within one, a run may be claimed and not begun.
            let claim_lock = self.claim_lock.lock().await;
            let idle = self.in_flight.unfinished() == 0;
            drop(claim_lock);
            if idle && self.count_due(due_by).await.is_ok_and(|due| due == 0) && self.is_relayed(relayed).await {
                return true;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            // A slow look besides the signal: due jobs may be claimed by another process.
            let _ = tokio::time::timeout(Duration::from_millis(10), changed).await;
        }
    }

    async fn count_due(&self, due_by: i64) -> Result<usize> {
        self.load_routes().await?;
        self.store
            .count_due(self.routing.served().route_ids(), due_by, MAX_COUNTED_RUNS)
            .await
    }

    /// What waits for runs of other processes with the same concurrency key.
    async fn count_blocked(&self) -> Result<usize> {
        let routes = self.routing.served().route_ids();
        self.store.count_blocked(routes, MAX_COUNTED_RUNS).await
    }

    /// Whether what the runs have said to webhooks is delivered, as far as it is due, and nothing was relayed since
    /// `before`.
    async fn is_relayed(&self, before: Option<usize>) -> bool {
        let internal_routes = self.routing.internal_served().route_ids();
        let due = async move || {
            self.store
                .count_due(internal_routes, self.clock.now(), 1)
                .await
                .is_ok_and(|due| due > 0)
        };
        before.is_some() && !due().await && outbox_relay::relay_pending(self).await.ok() == before
    }

    async fn wait_finished(&self, until: Option<Instant>) {
        let has_time = || until.is_none_or(|until| Instant::now() < until);
        while (self.in_flight.unfinished() > 0 || self.progress_writer.has_queued_notes()) && has_time() {
            let changed = self.in_flight.changed.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
        }
    }

    fn counter_snapshot(&self) -> DrainReport {
        let counters = &self.completer.counters;
        DrainReport {
            completed: counters.completed.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            retried: counters.retried.load(Ordering::Relaxed),
            released: counters.released.load(Ordering::Relaxed),
            remaining: 0,
        }
    }

    /// Stops claiming, gives running handlers `timeout` to finish, aborts the rest, writes what ended and hands back
    /// what did not. Safe to call twice; the store stays open.
    pub async fn stop(&self, timeout: Duration) {
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, self.stop_claiming()).await;
        // Waits for a start that is under way, so that it is stopped too.
        let started = *self.started.lock().await;
        self.stop.send_replace(true);
        if !started {
            return;
        }
        // What was claimed ahead of its slot is for others now.
        self.in_flight.release_prefetched(Duration::ZERO);
        let until = Instant::now() + timeout;
        while self.in_flight.total_busy() > 0 && Instant::now() < until {
            let changed = self.in_flight.changed.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
        }
        self.in_flight.abort_all(&AbortReason::Closed);
        self.wait_finished(Some(Instant::now() + FLUSH_TIMEOUT)).await;
        if let Some(instance) = self.instance() {
            self.forget_instance();
            if let Err(error) = self.store.unregister(instance, self.clock.now()).await {
                self.logger.log(
                    Level::Warn,
                    &format!("cannot hand back the last runs, they follow when the lease ends: {error}"),
                );
            }
        }
    }

    /// Names, once each, the routes that have jobs waiting and nobody here to run them.
    pub async fn warn_unserved_routes(&self) {
        let Ok(ready) = self.store.ready_routes().await else {
            return;
        };
        if self.load_routes().await.is_err() {
            return;
        }
        for id in ready {
            let Some(route) = self.routing.route(id) else { continue };
            let served = self.routing.find(&route).is_some();
            if !served
                && self
                    .warned_routes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(id)
            {
                self.logger.log(
                    Level::Warn,
                    &format!("jobs for {route} are waiting and this process has no handler for them; they are left for one that has"),
                );
            }
        }
    }
}
