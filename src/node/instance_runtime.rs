//! The threads behind one instance, and their orderly end.

use super::handlers::PendingAttempts;
use super::message_queue::MessageQueue;
use super::protocol::NoteKind;
use crate::api::intake::{DispatchBatch, Intake, ListPart, PromiseResolver};
use crate::api::{Instance, Method};
use crate::engine::Level;
use crate::error::{Error, ErrorCode, Result};
use crate::store::Token;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Upper bound of the time that the end of an environment takes: a process that exits waits no longer.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds of the time that `close` waits for dispatches that are under way; in between it is the timeout of the call.
const FLUSH_TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(10);

/// Upper bound of the time that blocking tasks have to end after the shutdown.
const THREAD_END_TIMEOUT: Duration = Duration::from_millis(200);

/// The runtime, made by the first call that needs it.
struct Threads {
    runtime: Runtime,
    intake: Arc<Intake>,
}

/// One instance and its threads.
pub struct InstanceRuntime {
    /// The instance.
    pub instance: Arc<Instance>,
    /// Messages for JavaScript.
    pub queue: Arc<MessageQueue>,
    /// Attempts that JavaScript has not answered.
    pub pending: Arc<PendingAttempts>,
    threads: Mutex<Option<Threads>>,
    /// Whether a method was called or a dispatch made.
    has_begun: AtomicBool,
}

impl InstanceRuntime {
    /// Starts no thread.
    pub fn new(instance: Arc<Instance>, queue: Arc<MessageQueue>) -> Arc<Self> {
        Arc::new(Self {
            instance,
            queue,
            pending: Arc::default(),
            threads: Mutex::new(None),
            has_begun: AtomicBool::new(false),
        })
    }

    /// Runs `act` with the threads, which are started if need be.
    fn with_threads<R>(&self, act: impl FnOnce(&Threads) -> R) -> Result<R> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_none() {
            *threads = Some(self.start()?);
        }
        threads.as_ref().map(act).ok_or_else(Error::closed)
    }

    fn start(&self) -> Result<Threads> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("ductape")
            .enable_all()
            .build()
            .map_err(|error| {
                let remedy = "raise its limit of open files (`ulimit -n`) or of processes (`ulimit -u`)";
                let message = format!("this process cannot start a background thread ({error}); {remedy}");
                Error::new(ErrorCode::StoreError, message).with_source(error)
            })?;
        let guard = runtime.enter();
        let intake = Arc::new(Intake::start(
            Arc::clone(&self.instance),
            Arc::clone(&self.queue) as Arc<dyn PromiseResolver>,
        ));
        drop(guard);
        Ok(Threads { runtime, intake })
    }

    /// The first call starts the work that needs no handler, one macrotask later: by then all handlers of this tick are
    /// known, and take precedence.
    fn begin(&self) {
        if !self.has_begun.swap(true, Ordering::AcqRel) && self.instance.has_built_in_work() {
            self.queue.start_working();
        }
    }

    /// Takes dispatches; the promises are settled later, or at once with a refusal.
    pub fn dispatch(&self, batch: DispatchBatch) {
        let tickets = batch.tickets();
        if let Err(error) = self.accept(batch) {
            self.queue
                .resolve(tickets.map(|ticket| (ticket, Err(error.clone()))).collect());
        }
    }

    fn accept(&self, batch: DispatchBatch) -> Result<()> {
        if self.instance.refuses_dispatches() {
            return Err(Error::closed());
        }
        self.begin();
        self.with_threads(|threads| threads.intake.submit(batch))?
    }

    /// Takes a part of a list. Without threads its end will be refused.
    pub fn add_part(&self, part: ListPart) {
        if self.instance.refuses_dispatches() {
            return;
        }
        drop(self.with_threads(|threads| threads.intake.add_part(part)));
    }

    /// The rest of this list does not come.
    pub fn forget_list(&self, list: u64) {
        drop(self.with_threads(|threads| threads.intake.forget_list(list)));
    }

    /// Calls a method, whose answer settles the ticket.
    pub fn call(&self, ticket: u64, method: String, arguments: String) {
        let method: Method = match method.parse() {
            Ok(method) => method,
            Err(error) => return self.queue.settle(ticket, &Err(error)),
        };
        let ending = (method == Method::Close).then(|| self.instance.end_by(&arguments));
        if ending.is_none() {
            self.begin();
        }
        let (instance, queue) = (Arc::clone(&self.instance), Arc::clone(&self.queue));
        let spawned = self.with_threads(|threads| {
            let intake = Arc::clone(&threads.intake);
            threads.runtime.spawn(async move {
                if let Some(ending) = ending {
                    if ending.takes_calls {
                        instance.end_work().await;
                    }
                    // What was dispatched before is stored before.
                    let timeout = ending.time_left.clamp(*FLUSH_TIMEOUTS.start(), *FLUSH_TIMEOUTS.end());
                    let _ = tokio::time::timeout(timeout, intake.wait_until_empty()).await;
                }
                // Should it panic, the promise is rejected all the same.
                let answer = tokio::spawn(async move { instance.call(method, &arguments).await }).await;
                queue.settle(ticket, &answer.unwrap_or_else(|_| Err(method_panicked())));
            });
        });
        if let Err(error) = spawned {
            self.queue.settle(ticket, &Err(error));
        }
    }

    /// Handlers came or went.
    pub fn handlers_changed(&self) {
        self.instance.handlers_changed();
    }

    /// Keeps what a handler reports about its attempt, in the order of the calls and before the attempt's end.
    pub fn note(&self, key: Token, kind: NoteKind, value: &str) {
        self.instance.note(key, kind.wire(), value);
    }

    /// Becomes a worker in the background.
    pub fn work(&self) {
        let instance = Arc::clone(&self.instance);
        let spawned = self.with_threads(|threads| {
            threads.runtime.spawn(async move {
                let logger = Arc::clone(&instance.logger);
                let working = tokio::spawn(async move { instance.work_when_possible().await });
                if working.await.is_err() {
                    let message = "this process could not begin to run jobs; report this, and call `start()`";
                    logger.log(Level::Error, message);
                }
            });
        });
        drop(spawned);
    }

    /// The environment ends: hands back what is claimed and ends the threads, within a bounded time. `failed`: what is being
    /// executed counts a crash. With `asks` it says whether jobs wait that this process could run.
    pub fn shut_down(&self, failed: bool, asks: bool) -> bool {
        if failed {
            self.instance.process_fails();
        }
        self.queue.close();
        // A handler that went away hands its run back.
        if !failed {
            self.pending.drop_all();
        }
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(threads) = threads else { return false };
        let instance = Arc::clone(&self.instance);
        let leaves_work = threads.runtime.block_on(async move {
            let mut leaves_work = false;
            let intake = Arc::clone(&threads.intake);
            let ended = async {
                // Dispatches that wait for a secret must not keep what is claimed from being handed back.
                let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT / 2, intake.wait_until_empty()).await;
                if asks && let Ok(engine) = instance.engine().await {
                    let asked = tokio::time::timeout(SHUTDOWN_TIMEOUT / 4, engine.leaves_work()).await;
                    leaves_work = asked.unwrap_or(false);
                }
                let _ = instance.close(Some(Duration::ZERO)).await;
            };
            let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, ended).await;
            leaves_work
        });
        threads.runtime.shutdown_timeout(THREAD_END_TIMEOUT);
        leaves_work
    }
}

fn method_panicked() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the call failed by a defect of the package; please report it",
    )
}
