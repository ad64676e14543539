//! The engine as a whole: its parts, and how they start, drain and stop.

use super::annotator::Annotator;
use super::announcer::Announcer;
use super::completer::Completer;
use super::events::Events;
use super::handler::{AbortReason, Journal, Level};
use super::preparation::Preparation;
use super::routing::{Routing, WorkerFilter};
use super::running::Running;
use super::{claimer, lease, relay, sweeper, timezones};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::store::{InstanceId, Note, NoteKind, Retention, RouteId, Store, Token};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How long the store is given to take the last completions when the engine stops.
const FLUSH: Duration = Duration::from_secs(5);
/// Runs counted at most when a drain looks at what is left.
const COUNT_LIMIT: usize = 100_000;

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
    pub renew_every: Duration,
    /// Time between two looks for dead processes.
    pub recover_every: Duration,
    /// Crashes after which a run has failed.
    pub max_crashes: u32,
    /// Time is moved by hand: nothing sleeps until a due time.
    pub manual_clock: bool,
    /// What inputs may refer to.
    pub preparation: Arc<Preparation>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            worker: Some(WorkerConfig::default()),
            retention: Retention::default(),
            lease: Duration::from_secs(10),
            renew_every: Duration::from_secs(3),
            recover_every: Duration::from_millis(500),
            max_crashes: 10,
            manual_clock: false,
            preparation: Arc::default(),
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
    pub journal: Arc<dyn Journal>,
    /// Who does what.
    pub routing: Arc<Routing>,
    /// What is being done.
    pub running: Running,
    /// What is done.
    pub completer: Completer,
    /// What handlers say meanwhile.
    pub annotator: Annotator,
    /// Who wants to know.
    pub events: Events,
    /// Who listens to everything of a kind.
    pub announcer: Arc<Announcer>,
    /// The numbers.
    pub config: EngineConfig,
    /// Whether to claim.
    pub(super) claiming: watch::Sender<bool>,
    /// Told when handlers or routes changed.
    pub(super) wake: Notify,
    /// Held during a round of claiming.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Held while events are relayed: how many have been.
    pub(super) relayed: tokio::sync::Mutex<usize>,
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
        journal: Arc<dyn Journal>,
        routing: Arc<Routing>,
        announcer: Arc<Announcer>,
        config: EngineConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            journal,
            routing,
            running: Running::default(),
            completer: Completer::default(),
            annotator: Annotator::default(),
            events: Events::default(),
            announcer,
            config,
            claiming: watch::Sender::new(false),
            wake: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            relayed: tokio::sync::Mutex::default(),
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
    pub fn load(&self) -> (usize, usize) {
        let concurrency = self.config.worker.as_ref().map_or(0, |worker| worker.concurrency);
        (self.running.busy(), concurrency)
    }

    /// Slots that a claim may fill.
    pub(super) fn free_slots(&self) -> usize {
        let (busy, concurrency) = self.load();
        concurrency.saturating_sub(busy)
    }

    /// Handlers or routes changed: the claimer should look again.
    pub fn handlers_changed(&self) {
        self.wake.notify_one();
    }

    /// Keeps what a handler says about the attempt with this token, if that is still going.
    pub fn note(&self, token: Token, kind: NoteKind) {
        let masker = &self.config.preparation.secrets.masker;
        let kind = match kind {
            NoteKind::Progress(text) => NoteKind::Progress(masker.mask_json(&text).into()),
            NoteKind::Log(text) => NoteKind::Log(masker.mask(&text).into()),
        };
        if let Some((job, run, attempt)) = self.running.attempt_of(token) {
            self.annotator.submit(
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
    pub async fn learn_routes(&self) -> Result<()> {
        let routes = self.store.routes_after(self.routing.highest_route()).await?;
        self.routing.learn(routes);
        Ok(())
    }

    /// Registers this process and claims until [`stop`](Self::stop); does nothing when it does so already.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` when the instance was made with `worker: false`; what the store says otherwise.
    pub async fn work(self: &Arc<Self>) -> Result<()> {
        self.begin().await?;
        self.claiming.send_replace(true);
        Ok(())
    }

    async fn begin(self: &Arc<Self>) -> Result<()> {
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
        self.learn_routes().await?;
        timezones::refresh(self).await?;
        self.register().await?;
        self.watch_others(true);
        self.completer.run(self);
        self.annotator.run(self);
        tokio::spawn(claimer::run(Arc::clone(self), self.stop.subscribe()));
        tokio::spawn(lease::run(Arc::clone(self), self.stop.subscribe()));
        tokio::spawn(sweeper::run(Arc::clone(self), self.stop.subscribe()));
        tokio::spawn(relay::run(Arc::clone(self), self.stop.subscribe()));
        *started = true;
        Ok(())
    }

    /// Asks the store to notice what other processes write, for as long as somebody wants to know.
    pub fn watch_others(&self, watch: bool) {
        let before = if watch {
            self.others_watched.fetch_add(1, Ordering::AcqRel)
        } else {
            self.others_watched.fetch_sub(1, Ordering::AcqRel) - 1
        };
        if before == 0 {
            self.store.watch_others(watch);
        }
    }

    /// Runs what is due now and leaves nothing running; claims no more afterwards, until [`work`](Self::work) is called.
    ///
    /// # Errors
    /// As [`work`](Self::work).
    pub async fn drain(self: &Arc<Self>, timeout: Option<Duration>) -> Result<DrainReport> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let before = self.tallied();
        let due_by = self.clock.now();
        self.begin().await?;
        self.claiming.send_replace(true);
        let drained = self.wait_drained(due_by, until).await;
        self.stop_claiming().await;
        if !drained {
            self.running.abort_all(&AbortReason::Closed);
        }
        self.wait_settled(if drained { until } else { Some(Instant::now() + FLUSH) })
            .await;
        // What the last claims brought and did not end in time.
        self.running.abort_all(&AbortReason::Closed);
        self.wait_settled(Some(Instant::now() + FLUSH)).await;
        let remaining = self.count_due(due_by).await? + self.count_held().await?;
        let after = self.tallied();
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
        drop(self.turn.lock().await);
    }

    /// Waits until nothing that was due is left. `false`: time ran out.
    async fn wait_drained(&self, due_by: i64, until: Option<Instant>) -> bool {
        loop {
            let changed = self.running.changed.notified();
            let relayed = relay::all(self).await.ok();
            // Between two rounds: within one, a run may be claimed and not begun.
            let turn = self.turn.lock().await;
            let idle = self.running.unsettled() == 0;
            drop(turn);
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
        self.learn_routes().await?;
        self.store
            .count_due(self.routing.served().route_ids(), due_by, COUNT_LIMIT)
            .await
    }

    /// What waits for runs of other processes with the same concurrency key.
    async fn count_held(&self) -> Result<usize> {
        let routes = self.routing.served().route_ids();
        self.store.count_held(routes, COUNT_LIMIT).await
    }

    /// Whether what the runs have said to webhooks is delivered, as far as it is due, and nothing was relayed since
    /// `before`.
    async fn is_relayed(&self, before: Option<usize>) -> bool {
        let own = self.routing.own_served().route_ids();
        let due = async move || {
            self.store
                .count_due(own, self.clock.now(), 1)
                .await
                .is_ok_and(|due| due > 0)
        };
        before.is_some() && !due().await && relay::all(self).await.ok() == before
    }

    async fn wait_settled(&self, until: Option<Instant>) {
        let in_time = || until.is_none_or(|until| Instant::now() < until);
        while (self.running.unsettled() > 0 || self.annotator.is_waiting()) && in_time() {
            let changed = self.running.changed.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
        }
    }

    fn tallied(&self) -> DrainReport {
        let tally = &self.completer.tally;
        DrainReport {
            completed: tally.completed.load(Ordering::Relaxed),
            failed: tally.failed.load(Ordering::Relaxed),
            retried: tally.retried.load(Ordering::Relaxed),
            released: tally.released.load(Ordering::Relaxed),
            remaining: 0,
        }
    }

    /// Stops claiming, gives running handlers `timeout` to finish, aborts the rest, writes what ended and hands back
    /// what did not. Safe to call twice; the store stays open.
    pub async fn stop(&self, timeout: Duration) {
        let _ = tokio::time::timeout(FLUSH, self.stop_claiming()).await;
        // Waits for a start that is under way, so that it is stopped too.
        let started = *self.started.lock().await;
        self.stop.send_replace(true);
        if !started {
            return;
        }
        // What was claimed ahead of its slot is for others now.
        self.running.release_waiting(Duration::ZERO);
        let until = Instant::now() + timeout;
        while self.running.all_busy() > 0 && Instant::now() < until {
            let changed = self.running.changed.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
        }
        self.running.abort_all(&AbortReason::Closed);
        self.wait_settled(Some(Instant::now() + FLUSH)).await;
        if let Some(instance) = self.instance() {
            self.forget_instance();
            if let Err(error) = self.store.unregister(instance, self.clock.now()).await {
                self.journal.log(
                    Level::Warn,
                    &format!("cannot hand back the last runs, they follow when the lease ends: {error}"),
                );
            }
        }
    }

    /// Names, once each, the routes that have jobs waiting and nobody here to run them.
    pub async fn warn_unserved(&self) {
        let Ok(ready) = self.store.ready_routes().await else {
            return;
        };
        if self.learn_routes().await.is_err() {
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
                self.journal.log(
                    Level::Warn,
                    &format!("jobs for {route} are waiting and this process has no handler for them; they are left for one that has"),
                );
            }
        }
    }
}
