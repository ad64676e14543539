//! The threads behind one instance, and their orderly end.

use super::handlers::Pending;
use super::outbox::Outbox;
use crate::api::Instance;
use crate::api::intake::{Intake, Parcel, Settle};
use crate::error::{Error, ErrorCode, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Longest time that the end of an environment may take: a process that exits does not wait for more.
const SHUTDOWN: Duration = Duration::from_secs(2);
/// Time for dispatches under way when `close` is called.
const FLUSH: Duration = Duration::from_secs(10);

/// The runtime, made by the first call that needs it.
struct Threads {
    runtime: Runtime,
    intake: Arc<Intake>,
}

/// One instance and its threads.
pub struct Host {
    /// What it does.
    pub instance: Arc<Instance>,
    /// The way to JavaScript.
    pub outbox: Arc<Outbox>,
    /// Attempts that JavaScript has.
    pub pending: Arc<Pending>,
    threads: Mutex<Option<Threads>>,
    /// Whether a call was made.
    begun: AtomicBool,
}

impl Host {
    /// Starts nothing.
    pub fn new(instance: Arc<Instance>, outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            instance,
            outbox,
            pending: Arc::default(),
            threads: Mutex::new(None),
            begun: AtomicBool::new(false),
        })
    }

    /// Does something with the threads, which are started if need be.
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
                Error::new(ErrorCode::StoreError, "cannot start a background thread").with_source(error)
            })?;
        let guard = runtime.enter();
        let intake = Arc::new(Intake::start(
            Arc::clone(&self.instance),
            Arc::clone(&self.outbox) as Arc<dyn Settle>,
        ));
        drop(guard);
        Ok(Threads { runtime, intake })
    }

    /// With the first call begins the work that needs no handler, one macrotask later: by then all handlers of this tick
    /// are known, and stand before it.
    fn begin(&self) {
        if !self.begun.swap(true, Ordering::AcqRel) && self.instance.has_own_work() {
            self.outbox.echo("work");
        }
    }

    /// Takes dispatches; the promises are settled later, or now with a refusal.
    pub fn dispatch(&self, parcel: Parcel) {
        let tickets = parcel.tickets();
        if let Err(error) = self.accept(parcel) {
            self.outbox
                .settle(tickets.map(|ticket| (ticket, Err(error.clone()))).collect());
        }
    }

    fn accept(&self, parcel: Parcel) -> Result<()> {
        if self.instance.is_closed() {
            return Err(Error::closed());
        }
        self.begin();
        self.with_threads(|threads| threads.intake.submit(parcel))?
    }

    /// Answers a method later.
    pub fn call(&self, ticket: u64, method: String, arguments: String) {
        if method != "close" {
            self.begin();
        }
        let (instance, outbox) = (Arc::clone(&self.instance), Arc::clone(&self.outbox));
        let spawned = self.with_threads(|threads| {
            let intake = Arc::clone(&threads.intake);
            threads.runtime.spawn(async move {
                if method == "close" {
                    // What was dispatched before is stored before.
                    let _ = tokio::time::timeout(FLUSH, intake.flushed()).await;
                }
                outbox.answer(ticket, &instance.call(&method, &arguments).await);
            });
        });
        if let Err(error) = spawned {
            self.outbox.answer(ticket, &Err(error));
        }
    }

    /// Handlers came or went.
    pub fn handlers_changed(&self) {
        let instance = Arc::clone(&self.instance);
        // Without threads nothing claims, so nobody needs to know.
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(threads) = &*threads {
            threads.runtime.spawn(async move { instance.handlers_changed().await });
        }
    }

    /// A handler said something about its attempt.
    pub fn note(&self, key: i64, kind: String, value: String) {
        let instance = Arc::clone(&self.instance);
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(threads) = &*threads {
            threads
                .runtime
                .spawn(async move { instance.note(key, &kind, &value).await });
        }
    }

    /// Becomes a worker in the background.
    pub fn work(&self) {
        let instance = Arc::clone(&self.instance);
        let spawned = self.with_threads(|threads| {
            threads
                .runtime
                .spawn(async move { instance.work_when_possible().await });
        });
        drop(spawned);
    }

    /// The environment ends: hands back what is claimed and ends the threads, within a bounded time.
    pub fn shut_down(&self) {
        self.outbox.shut();
        self.pending.drop_all();
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(threads) = threads else { return };
        let instance = Arc::clone(&self.instance);
        threads.runtime.block_on(async move {
            let intake = Arc::clone(&threads.intake);
            let ended = async {
                intake.flushed().await;
                let _ = instance.close(Some(Duration::ZERO)).await;
            };
            let _ = tokio::time::timeout(SHUTDOWN, ended).await;
        });
        threads.runtime.shutdown_timeout(Duration::from_millis(200));
    }
}
