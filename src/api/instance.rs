//! One `new Ductape()`: opens its store and engine at the first call that needs them, answers calls, closes.
//!
//! Invariants: construction does nothing that can fail or block; a store that cannot be opened rejects the calls that
//! need it and is tried again by the next; after [`Instance::close`] nothing answers but with `CLOSED`.

use super::ending::{Ending, check_start, read_close, read_timeout};
use super::method::{Arguments, ClockMethod, JobsMethod, Method};
use super::opener::StoreOpener;
use super::opening::Opening;
use super::options::Options;
use super::resources::check;
use super::{
    audit, backup, caches, changes, clock, explain, health, jobs, metrics, open_metrics, processes, refusal,
    reschedule, schedule, sessions, statement, steps, targets, transfer, webhooks,
};
use crate::clock::{Clock, ManualClock, Millis, StoreClock, SystemClock};
use crate::engine::routing::Routing;
use crate::engine::{Announcer, Engine, Level, Logger, manual, set_clock};
use crate::error::{Error, ErrorCode, Result};
use crate::model::Action;
use crate::store::{NoteKind, Store, Token};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// Default time that `close` gives running handlers.
const DEFAULT_CLOSE_TIMEOUT_MS: i64 = 10_000;
/// Longest line of a job's log, bytes.
const MAX_LOG_LINE_BYTES: usize = 8 * 1024;
/// Default real time that the work of one instant of a manual clock may take.
const MANUAL_CLOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// An instance: options, and what has been opened so far.
pub struct Instance {
    /// What the constructor was given.
    pub options: Options,
    /// The store's clock, the system's where that has none, or the manual one.
    pub clock: Arc<dyn Clock>,
    manual: Option<Arc<ManualClock>>,
    /// Where messages go.
    pub logger: Arc<dyn Logger>,
    /// Tells listeners of events.
    pub announcer: Arc<Announcer>,
    /// Handlers; they may come before anything is open.
    pub routing: Arc<Routing>,
    opener: Box<dyn StoreOpener>,
    engine: Mutex<Opening>,
    /// The engine once it is open, also while it closes: for what must not wait.
    opened: OnceLock<Weak<Engine>>,
    closing: watch::Sender<bool>,
    /// `close` was called: no work begins any more, and calls are taken until `closing`.
    ending: AtomicBool,
    /// It was called so that no dispatch is taken any more.
    dispatches_refused: AtomicBool,
    /// Until when running handlers may finish, once somebody has asked for the end.
    stop_deadline: std::sync::Mutex<Option<Instant>>,
    /// Dispatches that were made and have not been answered.
    pub(super) pending_dispatches: AtomicUsize,
    /// Claiming has begun, or a drain has decided against it.
    claiming_decided: AtomicBool,
    /// `start` was called: a drain is followed by more work.
    started: AtomicBool,
}

impl Instance {
    /// An instance that has opened nothing.
    #[must_use]
    pub fn new(
        options: Options,
        logger: Arc<dyn Logger>,
        announcer: Arc<Announcer>,
        opener: Box<dyn StoreOpener>,
    ) -> Arc<Self> {
        let manual = options
            .engine
            .manual_clock
            .then(|| Arc::new(ManualClock::new(options.clock_at.unwrap_or_else(|| SystemClock.now()))));
        let clock: Arc<dyn Clock> = match &manual {
            Some(manual) => Arc::clone(manual) as Arc<dyn Clock>,
            None => Arc::<StoreClock>::default(),
        };
        let filter = options
            .engine
            .worker
            .as_ref()
            .map(|worker| worker.filter.clone())
            .unwrap_or_default();
        Arc::new(Self {
            options,
            clock,
            manual,
            logger,
            announcer,
            routing: Arc::new(Routing::new(filter)),
            opener,
            engine: Mutex::default(),
            opened: OnceLock::new(),
            closing: watch::Sender::new(false),
            ending: AtomicBool::new(false),
            dispatches_refused: AtomicBool::new(false),
            stop_deadline: std::sync::Mutex::default(),
            pending_dispatches: AtomicUsize::new(0),
            claiming_decided: AtomicBool::new(false),
            started: AtomicBool::new(false),
        })
    }

    /// Whether no call is taken any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.closing.borrow()
    }

    /// Whether no work begins any more: `close` was called, and may still wait for running handlers.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire) || self.is_closed()
    }

    /// Whether dispatches are refused, while those that were made before may still be on their way.
    #[must_use]
    pub fn refuses_dispatches(&self) -> bool {
        self.dispatches_refused.load(Ordering::Acquire) || self.is_closed()
    }

    fn refuse_at_the_end(&self) -> Result<()> {
        if self.is_ending() { Err(Error::closed()) } else { Ok(()) }
    }

    /// Becomes true when no call is taken any more.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// The engine, on an open store.
    ///
    /// # Errors
    /// `CLOSED`; why the store cannot be opened; `STORE_ERROR` when the background work has failed for good.
    pub async fn engine(&self) -> Result<Arc<Engine>> {
        self.engine_asked_for(Instant::now()).await
    }

    /// The same for a call that was made then and has waited since.
    ///
    /// # Errors
    /// As [`engine`](Self::engine).
    pub(super) async fn engine_asked_for(&self, asked: Instant) -> Result<Arc<Engine>> {
        let engine = self.open(asked).await?;
        engine.keep_clock().await;
        Ok(engine)
    }

    async fn open(&self, asked: Instant) -> Result<Arc<Engine>> {
        let mut opening = self.engine.lock().await;
        if self.is_closed() {
            return Err(Error::closed());
        }
        if let Some(engine) = &opening.engine {
            engine.check_running()?;
            return Ok(Arc::clone(engine));
        }
        if let Some(error) = opening.failure_shared_with(asked) {
            return Err(error);
        }
        let store = opening.remember(self.open_store().await)?;
        for target in self.opener.native_handlers(&store, &self.clock, &self.routing) {
            self.routing.add(target);
        }
        let (clock, logger) = (Arc::clone(&self.clock), Arc::clone(&self.logger));
        let opened = Engine::new(
            store,
            clock,
            logger,
            Arc::clone(&self.routing),
            Arc::clone(&self.announcer),
            self.options.engine.clone(),
        );
        let _ = self.opened.set(Arc::downgrade(&opened));
        opening.engine = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Opens the store, and sets the clock by it.
    async fn open_store(&self) -> Result<Arc<dyn Store>> {
        let store = self.opener.open().await?;
        if let Err(error) = set_clock(&*store, &*self.clock, &*self.logger).await {
            let _ = self.opener.release(store).await;
            return Err(error);
        }
        Ok(store)
    }

    /// A handler was registered: this process becomes a worker, unless it only dispatches. Keeps trying while the store
    /// cannot be opened.
    pub async fn work_when_possible(&self) {
        if self.options.engine.worker.is_none() || self.claiming_decided.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut closing = self.closing.subscribe();
        let mut pause = Duration::from_millis(200);
        while !*closing.borrow_and_update() && !self.is_ending() {
            let worked = match self.engine().await {
                Ok(engine) => engine.work().await,
                Err(error) => Err(error),
            };
            match worked {
                Ok(()) => return,
                Err(error) if error.code == ErrorCode::Closed => return,
                Err(error) => self.logger.log(
                    Level::Error,
                    &format!("cannot start running jobs, will try again: {error}"),
                ),
            }
            tokio::select! {
                _ = closing.changed() => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
            }
        }
    }

    /// The handler of the attempt with this token reported its progress, any JSON, or a log line, a JSON string.
    pub fn note(&self, token: Token, kind: &str, value: &str) {
        let kind = match kind {
            "progress" => NoteKind::Progress(value.into()),
            _ => NoteKind::Log(log_line(value)),
        };
        if let Some(engine) = self.opened_engine() {
            engine.note(token, kind);
        }
    }

    pub(super) fn opened_engine(&self) -> Option<Arc<Engine>> {
        self.opened.get()?.upgrade()
    }

    /// The process is about to end by a failure: what it is executing counts a crash when the instance closes.
    pub fn process_fails(&self) {
        if let Some(engine) = self.opened_engine() {
            engine.process_fails();
        }
    }

    /// Tells the claimer that handlers came or went.
    pub fn handlers_changed(&self) {
        if let Some(engine) = self.opened_engine() {
            engine.handlers_changed();
        }
    }

    /// Answers a method: `arguments` is the JSON list of its arguments, the answer is JSON, or empty for `undefined`.
    ///
    /// # Errors
    /// What the method documents.
    pub async fn call(&self, method: Method, arguments: &str) -> Result<String> {
        let arguments = Arguments::read(arguments)?;
        let (first, options) = (arguments.json(0), arguments.options(0));
        match method {
            Method::Jobs(method) => self.call_jobs(method, &arguments).await,
            Method::Change(action) => self.change(action, &arguments).await,
            Method::ChangeMany(action) => {
                changes::change_matching(&*self.engine().await?, action, options, arguments.options(1)).await
            }
            Method::Clock(method) => self.move_clock(method, first, arguments.options(1)).await,
            Method::Statement => {
                let engine = self.engine().await?;
                let given = (arguments.json(1), arguments.json(2));
                statement::statement(&engine, &self.options.defaults, first, given).await
            }
            // Needs no store.
            Method::Refusal => Err(refusal::of_list(&self.options.defaults, self.clock.now(), &arguments)),
            Method::Sessions(method) => {
                let engine = self.engine().await?;
                sessions::call(&engine, &self.options.defaults, method, options).await
            }
            Method::Caches(method) => {
                let engine = self.engine().await?;
                caches::call(&engine, &self.options.defaults, method, options).await
            }
            Method::Steps(method) => {
                // Also while the instance closes: its last attempts write their steps down.
                let engine = self.opened_engine().ok_or_else(Error::closed)?;
                steps::call(&engine, method, &arguments).await
            }
            Method::CheckResources => self.check_resources(options).await,
            Method::Start => self.start(options).await,
            Method::Backup => backup::back_up(&*self.engine().await?, first).await,
            Method::Health => health::health(&*self.opener, options).await,
            Method::OpenMetrics => open_metrics::open_metrics(&*self.engine().await?, options, arguments.json(1)).await,
            Method::Restore => backup::restore(&*self.opener, options).await,
            Method::Move => transfer::transfer(&*self.opener, options).await,
            Method::MoveProgress => transfer::progress(&*self.opener),
            Method::Drain => self.drain(options).await,
            Method::StopWork => {
                self.stop_work(read_timeout(options)?).await;
                Ok(String::new())
            }
            Method::Close => self.close(read_close(options)?.timeout).await,
        }
    }

    async fn call_jobs(&self, method: JobsMethod, arguments: &Arguments<'_>) -> Result<String> {
        let (first, filter) = (arguments.json(0), arguments.options(0));
        // Needs no store.
        if method == JobsMethod::Preview {
            return self.preview(first, arguments.options(1));
        }
        let engine = &*self.engine().await?;
        match method {
            JobsMethod::Get => jobs::get(engine, first).await,
            JobsMethod::List => jobs::list(engine, filter).await,
            JobsMethod::Stats => jobs::stats(engine, filter).await,
            JobsMethod::Metrics => metrics::metrics(engine, filter).await,
            JobsMethod::Steps => steps::of_job(engine, first).await,
            JobsMethod::Targets => targets::targets(engine, filter).await,
            JobsMethod::Audit => audit::audit(engine, filter).await,
            JobsMethod::AddAudit => audit::add(engine, first).await,
            JobsMethod::Processes => processes::processes(engine).await,
            JobsMethod::History => jobs::history(engine, first, arguments.options(1)).await,
            JobsMethod::Explain => explain::explain(engine, first).await,
            JobsMethod::Logs => jobs::logs(engine, first).await,
            JobsMethod::SetWebhook => webhooks::set(engine, filter).await,
            JobsMethod::ListWebhooks => webhooks::list(engine).await,
            JobsMethod::DeleteWebhook => webhooks::delete(engine, first).await,
            JobsMethod::Wait => self.wait(engine, first, arguments.options(1)).await,
            JobsMethod::Preview => self.preview(first, arguments.options(1)),
        }
    }

    async fn change(&self, action: Action, arguments: &Arguments<'_>) -> Result<String> {
        let engine = &*self.engine().await?;
        let id = arguments.json(0);
        if action == Action::Reschedule {
            let timezone = &self.options.defaults.timezone;
            return reschedule::reschedule(engine, id, arguments.json(1), timezone).await;
        }
        if matches!(action, Action::RunNow | Action::SkipNext) {
            return changes::change_times(engine, action, id, arguments.options(1)).await;
        }
        changes::change_one(engine, action, id, arguments.options(1)).await
    }

    /// Whether `resources` alone give this process something to run.
    #[must_use]
    pub fn has_built_in_work(&self) -> bool {
        let features = &self.options.engine.resources.features;
        let connections = self.opener.connections();
        features.iter().next().is_some() || connections.is_some_and(|connections| !connections.is_empty())
    }

    async fn check_resources(&self, options: &str) -> Result<String> {
        if self.is_closed() {
            return Err(Error::closed());
        }
        match self.opener.connections() {
            Some(connections) => check::check(&*connections, options).await,
            None => Ok("[]".to_owned()),
        }
    }

    fn preview(&self, text: &str, options: &str) -> Result<String> {
        if self.is_closed() {
            return Err(Error::closed());
        }
        let preview = schedule::read_preview(text, Some(options), &self.options.defaults.timezone, self.clock.now())?;
        if let Some(warning) = preview.warning {
            self.logger.log(Level::Warn, &warning);
        }
        jobs::to_json(&preview.times)
    }

    async fn wait(&self, engine: &Engine, id: &str, options: &str) -> Result<String> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            answer = jobs::wait(engine, id, options) => answer,
            error = engine.failed() => Err(error),
            _ = closing.wait_for(|closing| *closing) => Err(Error::closed()),
        }
    }

    async fn start(&self, options: &str) -> Result<String> {
        check_start(options)?;
        self.refuse_at_the_end()?;
        self.engine().await?.work().await?;
        self.claiming_decided.store(true, Ordering::Release);
        self.started.store(true, Ordering::Release);
        Ok(String::new())
    }

    async fn drain(&self, options: &str) -> Result<String> {
        let timeout = read_timeout(options)?;
        self.refuse_at_the_end()?;
        // Handlers alone no longer make this process claim: what is left is for the next drain.
        self.claiming_decided.store(true, Ordering::Release);
        let engine = self.engine().await?;
        let report = engine.drain(timeout).await?;
        if self.started.load(Ordering::Acquire) {
            engine.work().await?;
        }
        jobs::to_json(&report)
    }

    async fn move_clock(&self, method: ClockMethod, argument: &str, options: &str) -> Result<String> {
        let Some(manual) = &self.manual else {
            let message =
                "clock: this instance runs on the system clock; make it with `clock: 'manual'` to move time by hand";
            return Err(Error::new(ErrorCode::Conflict, message));
        };
        let timeout = read_timeout(options)?.unwrap_or(MANUAL_CLOCK_TIMEOUT);
        self.refuse_at_the_end()?;
        let target = clock::read_target(method, argument, &self.options.defaults.timezone, self.clock.now())?;
        let no_dispatch_waits = || self.pending_dispatches.load(Ordering::Acquire) == 0;
        manual::advance(&self.engine().await?, manual, target, timeout, &no_dispatch_waits).await?;
        Ok(String::new())
    }

    /// `close` was called with these arguments: says when running handlers are to have finished, also to a `close` under way, and
    /// whether calls are taken until then. What was said last holds; what nobody said is 10 s. What is wrong is told by the call.
    pub fn end_by(&self, arguments: &str) -> Ending {
        let read = Arguments::read(arguments).and_then(|arguments| read_close(arguments.options(0)));
        let is_sound = read.is_ok();
        let given = read.unwrap_or_default();
        self.set_stop_deadline(given.timeout);
        if is_sound {
            self.ending.store(true, Ordering::Release);
            self.dispatches_refused.fetch_or(!given.takes_calls, Ordering::AcqRel);
        }
        Ending {
            time_left: self.stop_deadline().saturating_duration_since(Instant::now()),
            takes_calls: is_sound && given.takes_calls,
        }
    }

    fn set_stop_deadline(&self, timeout: Option<Duration>) {
        let mut deadline = self.stop_deadline.lock().unwrap_or_else(PoisonError::into_inner);
        let default = Duration::from_millis(DEFAULT_CLOSE_TIMEOUT_MS.unsigned_abs());
        match timeout {
            Some(timeout) => *deadline = Some(Instant::now() + timeout),
            None => _ = deadline.get_or_insert_with(|| Instant::now() + default),
        }
    }

    fn stop_deadline(&self) -> Instant {
        let deadline = self.stop_deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.unwrap_or_else(Instant::now)
    }

    /// Stops claiming, lets handlers finish as [`close`](Self::close) does, and hands the rest back. Dispatches are still taken.
    async fn stop_work(&self, timeout: Option<Duration>) {
        self.set_stop_deadline(timeout);
        self.end_work().await;
    }

    /// Stops claiming and lets handlers finish until the time that was said, for which calls are taken as before.
    pub async fn end_work(&self) {
        self.claiming_decided.store(true, Ordering::Release);
        if let Some(engine) = self.opened_engine() {
            engine.stop_by(&|| self.stop_deadline()).await;
        }
    }

    /// Stops claiming, lets handlers finish for `timeout` (default 10 s), hands the rest back, releases the store.
    ///
    /// # Errors
    /// What the store says when it cannot be closed properly; it is released all the same.
    pub async fn close(&self, timeout: Option<Duration>) -> Result<String> {
        self.set_stop_deadline(timeout);
        self.closing.send_replace(true);
        let mut opening = self.engine.lock().await;
        if let Some(engine) = opening.engine.take() {
            engine.stop_by(&|| self.stop_deadline()).await;
            let released = self.opener.release(Arc::clone(&engine.store)).await;
            self.disconnect().await;
            released?;
        } else {
            self.disconnect().await;
        }
        Ok(String::new())
    }

    async fn disconnect(&self) {
        if let Some(connections) = self.opener.connections() {
            connections.close().await;
        }
    }

    /// The time, ms.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }
}

/// The text of a log line, cut to [`MAX_LOG_LINE_BYTES`].
fn log_line(json: &str) -> Box<str> {
    let mut text: String = serde_json::from_str(json).unwrap_or_default();
    text.truncate(text.floor_char_boundary(MAX_LOG_LINE_BYTES));
    text.into()
}
