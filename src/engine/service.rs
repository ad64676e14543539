//! The engine's background tasks: one contract, and one supervisor that owns them all.
//!
//! Knows no particular service. Invariants: no task of the engine ends without the supervisor noticing; of a supervisor
//! that was stopped, no task is left; nobody waits for a service longer than a limit.
//! `docs/design/services.md` has the reasons.

use super::handler::{Level, Logger};
use crate::error::{Error, ErrorCode, Result};
use async_trait::async_trait;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// Restarts within [`RESTART_WINDOW`] after which the services stay down.
const MAX_RESTARTS: usize = 5;
/// Time in which restarts are counted.
const RESTART_WINDOW: Duration = Duration::from_secs(60);
/// How long services may take to stop after one of them has failed: they are no longer of use.
const FAILURE_STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long [`Recovery::give_up`] may take.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(5);
/// First and longest pause between two tries to start again while the store does not answer.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Tells a service to stop.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// Whether the service was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the service is told to stop, at once if it was.
    pub async fn stopped(&mut self) {
        // A supervisor that is gone tells nothing any more, which is the same.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// A background task of the engine.
#[async_trait]
pub trait Service: Send + 'static {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// Works until told to stop, and returns when all that it had in hand is done. To return before, or to panic, is a
    /// failure of the engine.
    async fn run(self: Box<Self>, stop: StopSignal);
}

/// A service that ended although nobody had told it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFailure {
    /// Its name.
    pub service: &'static str,
    /// What it panicked with; `None`: it returned.
    pub panic: Option<String>,
}

impl ServiceFailure {
    /// The answer to callers once the services stay down.
    #[must_use]
    pub fn to_error(&self) -> Error {
        Error::new(
            ErrorCode::StoreError,
            format!(
                "the background work of this instance has stopped: {self}; close the instance, create a new one, and report this",
            ),
        )
    }
}

impl std::fmt::Display for ServiceFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.panic {
            Some(panic) => write!(f, "service '{}' panicked: {panic}", self.service),
            None => write!(f, "service '{}' ended unexpectedly", self.service),
        }
    }
}

/// What is done about a service that failed.
#[async_trait]
pub trait Recovery: Send + Sync + 'static {
    /// Services of a new life, the first to be started first. They are stopped in the reverse order.
    async fn services(&self) -> Result<Vec<Box<dyn Service>>>;

    /// A service has failed: lets go at once of all that others could take over.
    async fn give_up(&self, failure: &ServiceFailure);

    /// The services will not be started again.
    fn stay_down(&self, failure: &ServiceFailure);
}

/// Owns the tasks of all services.
pub struct Supervisor {
    logger: Arc<dyn Logger>,
    stop: watch::Sender<bool>,
    /// Whether the supervising task has ended.
    ended: watch::Sender<bool>,
    task: Mutex<Option<AbortHandle>>,
}

impl Supervisor {
    /// One that owns nothing yet.
    #[must_use]
    pub fn new(logger: Arc<dyn Logger>) -> Self {
        Self {
            logger,
            stop: watch::Sender::new(false),
            ended: watch::Sender::new(false),
            task: Mutex::new(None),
        }
    }

    /// Starts these services and returns at once; does nothing when they were started or stopped before. Needs a tokio runtime.
    pub fn start(&self, services: Vec<Box<dyn Service>>, recovery: Arc<dyn Recovery>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_some() || *self.stop.borrow() {
            return;
        }
        let ended = EndMark {
            stop: self.stop.subscribe(),
            ended: self.ended.clone(),
            recovery: Arc::clone(&recovery),
            in_order: false,
        };
        let supervision = Supervision {
            logger: Arc::clone(&self.logger),
            stop: StopSignal(self.stop.subscribe()),
            recovery,
            restarts: VecDeque::new(),
        };
        *task = Some(tokio::spawn(supervision.run(services, ended)).abort_handle());
    }

    /// Tells all services to stop, the last one started first, and waits until all have ended. Safe to call before
    /// [`start`](Self::start), and twice. `false`: those that had not ended within the limit were cancelled.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(task) = task else { return true };
        let mut ended = self.ended.subscribe();
        let in_time = tokio::time::timeout(limit, ended.wait_for(|ended| *ended))
            .await
            .is_ok();
        if !in_time {
            task.abort();
        }
        in_time
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

/// Says that the supervising task is over, also when that is by a panic.
struct EndMark {
    stop: watch::Receiver<bool>,
    ended: watch::Sender<bool>,
    recovery: Arc<dyn Recovery>,
    in_order: bool,
}

impl Drop for EndMark {
    fn drop(&mut self) {
        // Whoever stops the supervisor asks for its end.
        if !self.in_order && !*self.stop.borrow() {
            self.recovery.stay_down(&ServiceFailure {
                service: "supervisor",
                panic: None,
            });
        }
        self.ended.send_replace(true);
    }
}

/// The supervising task.
struct Supervision {
    logger: Arc<dyn Logger>,
    stop: StopSignal,
    recovery: Arc<dyn Recovery>,
    restarts: VecDeque<Instant>,
}

impl Supervision {
    async fn run(mut self, services: Vec<Box<dyn Service>>, mut ended: EndMark) {
        let mut services = Some(services);
        while let Some(life) = services.take() {
            let mut life = Life::start(life);
            let Some(failure) = life.until_failure(&mut self.stop).await else {
                self.stop_life(&mut life).await;
                break;
            };
            self.logger.log(
                Level::Error,
                &format!("{failure}; this process hands back what it runs and starts its background work again"),
            );
            let given_up = self.recovery.give_up(&failure);
            if tokio::time::timeout(GIVE_UP_TIMEOUT, given_up).await.is_err() {
                self.logger.log(
                    Level::Warn,
                    "the store does not answer; what this process ran is free when its lease ends",
                );
            }
            let _ = tokio::time::timeout(FAILURE_STOP_TIMEOUT, self.stop_life(&mut life)).await;
            drop(life);
            if !self.may_restart(Instant::now()) {
                self.logger.log(
                    Level::Error,
                    &format!("{failure}; it failed too often, so that this instance runs no more jobs"),
                );
                self.recovery.stay_down(&failure);
                break;
            }
            services = self.next_life().await;
        }
        ended.in_order = true;
    }

    async fn stop_life(&self, life: &mut Life) {
        while let Some(failures) = life.stop_last().await {
            for failure in failures {
                self.logger
                    .log(Level::Error, &format!("{failure}, while it was being stopped"));
            }
        }
    }

    /// The services again, as soon as that is possible. `None`: told to stop meanwhile.
    async fn next_life(&mut self) -> Option<Vec<Box<dyn Service>>> {
        let mut pause = RETRY_PAUSES.0;
        loop {
            if self.stop.is_stopping() {
                return None;
            }
            match self.recovery.services().await {
                Ok(services) => return Some(services),
                Err(error) if error.code == ErrorCode::Closed => return None,
                Err(error) => self.logger.log(
                    Level::Error,
                    &format!("cannot start the background work again, will try again: {error}"),
                ),
            }
            tokio::select! {
                () = self.stop.stopped() => return None,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_PAUSES.1),
            }
        }
    }

    fn may_restart(&mut self, now: Instant) -> bool {
        self.restarts
            .retain(|restart| now.duration_since(*restart) < RESTART_WINDOW);
        self.restarts.push_back(now);
        self.restarts.len() <= MAX_RESTARTS
    }
}

/// The services from one start to the next. Dropping it ends their tasks.
struct Life {
    tasks: JoinSet<()>,
    /// In the order of their start.
    running: Vec<(Id, &'static str, watch::Sender<bool>)>,
}

impl Life {
    fn start(services: Vec<Box<dyn Service>>) -> Self {
        let mut tasks = JoinSet::new();
        let running = services.into_iter().map(|service| {
            let (name, stop) = (service.name(), watch::Sender::new(false));
            let signal = StopSignal(stop.subscribe());
            (tasks.spawn(service.run(signal)).id(), name, stop)
        });
        let running = running.collect();
        Self { tasks, running }
    }

    /// Waits for the first service to end. `None`: told to stop before.
    async fn until_failure(&mut self, stop: &mut StopSignal) -> Option<ServiceFailure> {
        tokio::select! {
            biased;
            () = stop.stopped() => None,
            Some(ended) = self.tasks.join_next_with_id() => Some(self.failure(ended)),
        }
    }

    fn failure(&mut self, ended: std::result::Result<(Id, ()), JoinError>) -> ServiceFailure {
        let (id, panic) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(panic_message(error))),
        };
        let at = self.running.iter().position(|(running, ..)| *running == id);
        let service = at.map_or("unknown", |at| self.running.remove(at).1);
        ServiceFailure { service, panic }
    }

    /// Stops the service that was started last of those that are left, and says which failed meanwhile. `None`: none is left.
    async fn stop_last(&mut self) -> Option<Vec<ServiceFailure>> {
        let (stopping, _, stop) = self.running.last()?;
        let stopping = *stopping;
        stop.send_replace(true);
        let mut failures = Vec::new();
        while self.running.iter().any(|(id, ..)| *id == stopping) {
            let Some(ended) = self.tasks.join_next_with_id().await else {
                self.running.clear();
                break;
            };
            let in_turn = matches!(&ended, Ok((id, ())) if *id == stopping);
            let failure = self.failure(ended);
            failures.extend((!in_turn).then_some(failure));
        }
        Some(failures)
    }
}

/// What a task panicked with, as text.
fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => panic_text(&*payload),
        Err(_) => "it was cancelled".to_owned(),
    }
}

/// The text of a panic's payload.
#[must_use]
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests;
