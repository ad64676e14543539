//! The engine as a whole: its parts, and how they start and stop.
//!
//! Invariant: background work runs in services that one supervisor owns ([`service`](super::service)); when one of them
//! dies, this process gives up its registration before anything else.

use super::claim::claimer::{Claimer, ClaimerService};
use super::claim::clock_jumps::ClockJumps;
use super::claim::gate::ClaimGate;
use super::claim::incomputable::IncomputableSeries;
use super::claim::round::Round;
use super::claim::routes::Routes;
use super::claim::routing::Routing;
use super::claim::timezones;
use super::config::EngineConfig;
use super::context::Context;
use super::events::announcer::Announcer;
use super::events::job_watchers::JobWatchers;
use super::figures::FigureCounts;
use super::gathered_warnings::GatheredWarnings;
use super::handler::{AbortReason, Level, Logger};
use super::inputs::ResultCache;
use super::maintain::clock_keeper::ClockKeeper;
use super::maintain::figures_writer::FiguresWriter;
use super::maintain::lease::LeaseKeeper;
use super::maintain::outbox_relay::{OutboxRelay, OutboxRelayService};
use super::maintain::registration::InstanceRegistration;
use super::maintain::resealer::Resealer;
use super::maintain::retention_sweeper::RetentionSweeper;
use super::maintain::unserved::UnservedRoutes;
use super::run::completer::{Completer, Completions};
use super::run::executor::{AttemptTasks, Executor, ExecutorService};
use super::run::in_flight::InFlightAttempts;
use super::run::preparer::Preparer;
use super::run::progress_writer::{Notes, ProgressWriter};
use super::run::unreadable::UnreadableRuns;
use super::service::{Recovery, Service, ServiceFailure, Supervisor};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::store::{InstanceId, NoteKind, Store, Token};
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long the store is given to take the last completions when the engine stops.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Upper bound of the wait for the claim that is under way when the engine stops.
const LAST_CLAIM_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest pause between two looks at whether all attempts have ended.
const STOP_POLL_INTERVAL: Duration = Duration::from_millis(20);

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
    /// Routes by their number.
    pub routes: Routes,
    /// What is being done.
    pub in_flight: Arc<InFlightAttempts>,
    /// Who waits for a job.
    pub job_watchers: Arc<JobWatchers>,
    /// Who listens to events.
    pub announcer: Arc<Announcer>,
    /// Warnings of recurring jobs that were dispatched twice.
    pub duplicate_series: Arc<GatheredWarnings>,
    /// The numbers.
    pub config: EngineConfig,
    /// Whether this process claims.
    pub gate: Arc<ClaimGate>,
    /// Claims.
    pub claimer: Arc<Claimer>,
    pub(super) outbox_relay: Arc<OutboxRelay>,
    pub(super) completions: Arc<Completions>,
    pub(super) context: Context,
    executor: Arc<Executor>,
    notes: Arc<Notes>,
    pub(super) registration: Arc<InstanceRegistration>,
    /// Warns of jobs that nobody here runs.
    pub unserved: Arc<UnservedRoutes>,
    supervisor: Supervisor,
    /// Why the services will not be started again.
    failure: watch::Sender<Option<ServiceFailure>>,
    pub(super) stopping: watch::Sender<bool>,
    started: tokio::sync::Mutex<bool>,
    others_watched: AtomicUsize,
    /// The process is about to end by a failure.
    process_failed: AtomicBool,
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
        if config.figures.is_some() {
            store.transactions().turn_on();
        }
        let context = Context {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            logger: Arc::clone(&logger),
            figures: Arc::new(FigureCounts::new(config.figures.is_none())),
            failpoints: config.failpoints.clone(),
        };
        let routes = Routes::new(Arc::clone(&store), Arc::clone(&routing));
        let in_flight = Arc::new(InFlightAttempts::default());
        let completions = Arc::new(Completions::default());
        let gate = Arc::new(ClaimGate::default());
        let executor = new_executor(&context, &config, &routing, &in_flight, &completions, &announcer);
        let registration = Arc::new(InstanceRegistration::new(
            Arc::clone(&store),
            config.lease,
            executor.concurrency,
            Arc::clone(&routing),
        ));
        let claimer = Arc::new(Claimer {
            context: context.clone(),
            clock_jumps: ClockJumps::new(context.clone()),
            gate: Arc::clone(&gate),
            registration: Arc::clone(&registration),
            routing: Arc::clone(&routing),
            routes: routes.clone(),
            suspects: Arc::default(),
            in_flight: Arc::clone(&in_flight),
            concurrency: executor.concurrency,
            executor: Arc::clone(&executor),
            incomputable: IncomputableSeries::default(),
            manual_clock: config.manual_clock,
        });
        let unserved = UnservedRoutes::new(context.clone(), routes.clone(), Arc::clone(&routing));
        Arc::new(Self {
            outbox_relay: Arc::new(OutboxRelay::new(context.clone(), routes.clone())),
            supervisor: Supervisor::new(Arc::clone(&logger)),
            store,
            clock,
            logger,
            routing,
            routes,
            in_flight,
            job_watchers: Arc::default(),
            announcer,
            duplicate_series: Arc::default(),
            config,
            gate,
            claimer,
            completions,
            context,
            executor,
            notes: Arc::default(),
            registration,
            unserved: Arc::new(unserved),
            failure: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
            started: tokio::sync::Mutex::new(false),
            others_watched: AtomicUsize::new(0),
            process_failed: AtomicBool::new(false),
        })
    }

    /// This process's registration, while it has one.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        self.registration.id()
    }

    /// Whether this process claims runs now.
    #[must_use]
    pub fn is_claiming(&self) -> bool {
        self.gate.is_open()
    }

    /// Attempts that take a slot of the worker's, and how many may.
    #[must_use]
    pub fn slot_usage(&self) -> (usize, usize) {
        (self.in_flight.busy(), self.executor.concurrency)
    }

    /// Handlers or routes changed: the claimer should look again.
    pub fn handlers_changed(&self) {
        self.gate.handlers_changed.notify_one();
    }

    /// Keeps what a handler says about the attempt with this token, if that is still going.
    pub fn note(&self, token: Token, kind: NoteKind) {
        let masker = &self.config.secrets.masker;
        let kind = match kind {
            NoteKind::Progress(text) => NoteKind::Progress(masker.mask_json(&text).into()),
            NoteKind::Log(text) => NoteKind::Log(masker.mask(&text).into()),
        };
        if let Some(note) = self.in_flight.note_on(token, self.clock.now(), kind) {
            self.notes.submit(&self.context, note);
        }
    }

    /// Loads routes that other processes or earlier lives have added.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load_routes(&self) -> Result<()> {
        self.routes.load().await
    }

    /// One round of claiming, as the claimer makes when its timer ends. What it brings is started.
    ///
    /// # Errors
    /// What the store says.
    pub async fn claim_round(&self) -> Result<Round> {
        self.claimer.round().await
    }

    /// Names, once each, the routes that have jobs waiting and nobody here to run them.
    pub async fn warn_unserved_routes(&self) {
        self.unserved.warn().await;
    }

    /// Refuses when the background work has failed too often to be started again.
    ///
    /// # Errors
    /// `STORE_ERROR`, with the name of the service.
    pub fn check_running(&self) -> Result<()> {
        match &*self.failure.borrow() {
            Some(failure) => Err(failure.to_error()),
            None => Ok(()),
        }
    }

    /// Returns when the background work has failed for good: whoever waits for it waits for this, too.
    pub async fn failed(&self) -> Error {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(failure)) => failure.to_error(),
            _ => Error::closed(),
        }
    }

    /// Registers this process and claims until [`stop`](Self::stop); does nothing when it does so already.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` when the instance was made with `worker: false`; what the store says otherwise.
    pub async fn work(self: &Arc<Self>) -> Result<()> {
        if self.config.worker.is_none() {
            return Err(Error::new(
                ErrorCode::ValidationError,
                "worker: this instance was made with `worker: false` and only dispatches; leave the option out to run jobs here",
            ));
        }
        self.check_running()?;
        let mut started = self.started.lock().await;
        if !*started {
            if *self.stopping.borrow() {
                return Err(Error::closed());
            }
            self.load_routes().await?;
            timezones::refresh_next_runs(&self.context).await?;
            self.claimer.clock_jumps.begin().await?;
            let services = self.new_life().await?;
            self.watch_other_processes(true);
            self.supervisor
                .start(services, Arc::new(EngineRecovery(Arc::downgrade(self))));
            *started = true;
        }
        if *self.stopping.borrow() {
            return Err(Error::closed());
        }
        self.gate.open();
        Ok(())
    }

    /// Registers this process, and makes the services that work under that registration, in the order of their start: those
    /// that others hand something to come first, and so are stopped last.
    async fn new_life(&self) -> Result<Vec<Box<dyn Service>>> {
        self.registration.register().await?;
        let context = || self.context.clone();
        Ok(vec![
            Box::new(FiguresWriter {
                context: context(),
                routes: self.routes.clone(),
                retention: self.config.figures,
            }),
            Box::new(Completer {
                context: context(),
                notes: Arc::clone(&self.notes),
                completions: Arc::clone(&self.completions),
                in_flight: Arc::clone(&self.in_flight),
                routing: Arc::clone(&self.routing),
                announcer: Arc::clone(&self.announcer),
                watchers: Arc::clone(&self.job_watchers),
            }),
            Box::new(ProgressWriter {
                context: context(),
                notes: Arc::clone(&self.notes),
            }),
            Box::new(LeaseKeeper::new(
                context(),
                self.config.lease_times(),
                Arc::clone(&self.registration),
                Arc::clone(&self.in_flight),
                Arc::clone(&self.completions),
                (
                    self.routes.clone(),
                    Arc::clone(&self.unserved),
                    Arc::clone(&self.outbox_relay),
                ),
                (Arc::clone(&self.claimer.suspects), Arc::clone(&self.gate)),
            )),
            Box::new(ClockKeeper(context())),
            Box::new(RetentionSweeper {
                context: context(),
                retention: self.config.retention,
            }),
            Box::new(Resealer { context: context() }),
            Box::new(OutboxRelayService(Arc::clone(&self.outbox_relay))),
            Box::new(ExecutorService(Arc::clone(&self.executor))),
            Box::new(ClaimerService(Arc::clone(&self.claimer))),
        ])
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

    /// Waits until every attempt's end is in the store, and what handlers said of it.
    pub(super) async fn wait_finished(&self, deadline: Option<Instant>) {
        let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
        let unfinished = || self.in_flight.unfinished() > 0 || self.notes.any_unwritten();
        while unfinished() && in_time() && self.check_running().is_ok() {
            let changed = self.in_flight.changed.notified();
            let _ = tokio::time::timeout(STOP_POLL_INTERVAL, changed).await;
        }
    }

    /// Stops claiming, gives running handlers `timeout` to finish, aborts the rest, writes what ended and hands back
    /// what did not; all but the first takes at most [`FLUSH_TIMEOUT`], also while the store does not answer. The lease is
    /// kept meanwhile. Safe to call twice; the store stays open.
    pub async fn stop(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        self.stop_by(&|| deadline).await;
    }

    /// The same with a deadline for the handlers that may be moved meanwhile.
    pub async fn stop_by(&self, deadline: &(dyn Fn() -> Instant + Send + Sync)) {
        let end = || deadline() + FLUSH_TIMEOUT;
        let _ = tokio::time::timeout(LAST_CLAIM_TIMEOUT, self.gate.close()).await;
        // Waits for a start that is under way, so that it is stopped too.
        let started = tokio::time::timeout_at(end(), self.started.lock()).await;
        let started = started.is_ok_and(|started| *started);
        self.stopping.send_replace(true);
        // That start has opened the gate again: no attempt may begin after the last ones were aborted.
        let _ = tokio::time::timeout(LAST_CLAIM_TIMEOUT, self.gate.close()).await;
        if !started {
            let _ = tokio::time::timeout_at(end(), self.flush_figures()).await;
            return;
        }
        // What was prefetched is for others now.
        self.in_flight.release_prefetched(Duration::ZERO);
        while self.in_flight.total_busy() > 0 && Instant::now() < deadline() && self.check_running().is_ok() {
            let changed = self.in_flight.changed.notified();
            let _ = tokio::time::timeout(STOP_POLL_INTERVAL, changed).await;
        }
        let failed = self.process_failed.load(Ordering::Acquire);
        // What a process was executing that ends by a failure is not handed back: it may be the cause.
        self.in_flight.abort_all(if failed {
            &AbortReason::LeaseLost
        } else {
            &AbortReason::Closed
        });
        let end = end();
        self.wait_finished(Some(end)).await;
        self.supervisor
            .stop(end.saturating_duration_since(Instant::now()))
            .await;
        if let Some(instance) = self.registration.forget() {
            let last = end.max(Instant::now() + LAST_CLAIM_TIMEOUT);
            let _ = tokio::time::timeout_at(last, self.unregister(instance)).await;
        }
    }

    /// The process is about to end by a failure: what it is executing when the engine stops counts a crash.
    pub fn process_fails(&self) {
        self.process_failed.store(true, Ordering::Release);
    }

    /// Ends a registration, and hands back all claims that are left under it, or counts a crash for them.
    async fn unregister(&self, instance: InstanceId) {
        let now = self.clock.now();
        let ended = if self.process_failed.load(Ordering::Acquire) {
            self.store
                .unregister_crashed(instance, now, self.config.max_crashes)
                .await
        } else {
            self.store.unregister(instance, now).await.map(|()| Vec::new())
        };
        match ended {
            Ok(failed_runs) => {
                self.completions
                    .log_failed_runs(&self.context, &self.routes, &failed_runs)
                    .await;
                self.completions.flush_failures(&self.context);
            }
            Err(error) => self.logger.log(
                Level::Warn,
                &format!("cannot hand back the last runs, they follow when the lease ends: {error}"),
            ),
        }
    }
}

fn new_executor(
    context: &Context,
    config: &EngineConfig,
    routing: &Arc<Routing>,
    in_flight: &Arc<InFlightAttempts>,
    completions: &Arc<Completions>,
    announcer: &Arc<Announcer>,
) -> Arc<Executor> {
    Arc::new(Executor {
        context: context.clone(),
        routing: Arc::clone(routing),
        in_flight: Arc::clone(in_flight),
        completions: Arc::clone(completions),
        announcer: Arc::clone(announcer),
        preparer: Preparer {
            context: context.clone(),
            warned: Mutex::default(),
            sessions: Arc::clone(&config.sessions),
            expressions: Arc::clone(&config.expressions),
            cache: ResultCache::new(
                Arc::clone(&context.store),
                Arc::clone(&context.clock),
                Arc::clone(&context.logger),
                Arc::clone(&config.resources),
            ),
        },
        unreadable: UnreadableRuns::default(),
        masker: Arc::clone(&config.secrets.masker),
        concurrency: config.worker.as_ref().map_or(0, |worker| worker.concurrency),
        tasks: AttemptTasks::default(),
    })
}

/// What becomes of an engine when one of its services dies. Does not keep it alive.
struct EngineRecovery(Weak<Engine>);

#[async_trait]
impl Recovery for EngineRecovery {
    async fn services(&self) -> Result<Vec<Box<dyn Service>>> {
        match self.0.upgrade() {
            Some(engine) => engine.new_life().await,
            None => Err(Error::closed()),
        }
    }

    async fn give_up(&self, _: &ServiceFailure) {
        let Some(engine) = self.0.upgrade() else { return };
        // At once, without waiting for anybody; then so that nobody registers this process again.
        let lost = engine.registration.forget();
        engine.in_flight.abort_all(&AbortReason::LeaseLost);
        let registered_again = engine.registration.give_up().await;
        // A round that is under way may still claim under the registration: what it brings is given up with it.
        drop(engine.gate.round().await);
        engine.in_flight.abort_all(&AbortReason::LeaseLost);
        engine.in_flight.forget_ended();
        for instance in lost.into_iter().chain(registered_again) {
            engine.unregister(instance).await;
        }
    }

    fn stay_down(&self, failure: &ServiceFailure) {
        let Some(engine) = self.0.upgrade() else { return };
        engine.registration.forget();
        engine.in_flight.abort_all(&AbortReason::LeaseLost);
        engine.failure.send_replace(Some(failure.clone()));
    }
}
