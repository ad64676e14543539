//! The way of dispatches into the store: whatever waits is checked and inserted together, and answered together.
//!
//! Invariants:
//! - Answers come after the commit.
//! - Dispatches without a session, and those whose session nobody here can check, are inserted in the order they were made.
//!   Dispatches with a session that is checked are inserted in the order they were made for each session resource. Between
//!   these queues there is no order: whoever needs one awaits the first answer, or makes one `dispatchMany`, which is inserted
//!   as a whole, in the queue of its first session.
//! - A check that waits, for a secret or the store, holds back its own queue only.
//! - What waits is bounded by bytes, beyond which a dispatch is refused at once.

mod admission;
mod insert;
mod reading;

pub use insert::{Answer, Resolution};
pub use reading::DispatchBatch;

use self::admission::{Admissions, Admitted};
use self::insert::InsertsInFlight;
use self::reading::{ReadBatches, Unit, read_batches};
use super::dispatch::Dispatch;
use super::instance::Instance;
use crate::clock::Millis;
use crate::engine::{Engine, Level};
use crate::error::{Error, ErrorCode, Result};
use crate::model::NewJob;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Bytes of inputs that may wait to be committed.
const MAX_QUEUED_BYTES: usize = 256 << 20;
/// Batches whose dispatches are inserted together; JavaScript bounds what is in one.
const MAX_BATCHES_PER_INSERT: usize = 16;
/// Inserts under way at once: one that the store works on, and one that waits for its turn there.
const MAX_INSERTS_IN_FLIGHT: usize = 2;
/// A dispatch is worth a warning when nobody has run it after this time and this process could be expected to.
const UNSERVED_WARNING_DELAY: Duration = Duration::from_secs(5);

/// Takes answers.
pub trait PromiseResolver: Send + Sync {
    /// Settles promises; must not block.
    fn resolve(&self, answers: Vec<Answer>);
}

/// Where dispatches go in.
pub struct Intake {
    sender: mpsc::UnboundedSender<DispatchBatch>,
    queued_dispatches: Arc<QueuedDispatches>,
}

#[derive(Default)]
struct QueuedDispatches {
    bytes: AtomicUsize,
    requests: AtomicUsize,
    became_empty: Notify,
}

impl QueuedDispatches {
    fn release_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Intake {
    /// Starts the task that takes requests; needs a tokio runtime.
    #[must_use]
    pub fn start(instance: Arc<Instance>, answers: Arc<dyn PromiseResolver>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queued_dispatches = Arc::new(QueuedDispatches::default());
        let task = IntakeTask {
            instance,
            answers,
            queued_dispatches: Arc::clone(&queued_dispatches),
            unserved_watched: AtomicBool::new(false),
        };
        tokio::spawn(task.run(receiver));
        Self {
            sender,
            queued_dispatches,
        }
    }

    /// Takes dispatches; their answers come to the [`PromiseResolver`] later.
    ///
    /// # Errors
    /// `RATE_LIMITED` when too much waits already, `CLOSED` when nobody takes requests any more.
    pub fn submit(&self, batch: DispatchBatch) -> Result<()> {
        let size = batch.text.len();
        let before = self.queued_dispatches.bytes.fetch_add(size, Ordering::AcqRel);
        if before > 0 && before + size > MAX_QUEUED_BYTES {
            self.queued_dispatches.bytes.fetch_sub(size, Ordering::AcqRel);
            let message =
                format!("{before} bytes of dispatches are waiting to be stored; await earlier ones before making more");
            return Err(Error::new(ErrorCode::RateLimited, message));
        }
        self.queued_dispatches
            .requests
            .fetch_add(batch.count as usize, Ordering::AcqRel);
        self.sender.send(batch).map_err(|_| Error::closed())
    }

    /// Waits until every dispatch made so far has been answered.
    pub async fn wait_until_empty(&self) {
        while self.queued_dispatches.requests.load(Ordering::Acquire) > 0 {
            let became_empty = self.queued_dispatches.became_empty.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), became_empty).await;
        }
    }
}

/// Does the work behind the intake.
struct IntakeTask {
    instance: Arc<Instance>,
    answers: Arc<dyn PromiseResolver>,
    queued_dispatches: Arc<QueuedDispatches>,
    /// The one watch for dispatches that nobody serves has begun.
    unserved_watched: AtomicBool,
}

/// Batches that were read, and the engine that is to have them.
struct TakenBatches {
    engine: Result<Arc<Engine>>,
    batches: Arc<Vec<DispatchBatch>>,
    read: ReadBatches,
    now: Millis,
}

type Reading = Pin<Box<dyn Future<Output = TakenBatches> + Send>>;

impl IntakeTask {
    async fn run(self, mut receiver: mpsc::UnboundedReceiver<DispatchBatch>) {
        let (admissions, mut admitted) = Admissions::new(self.instance.closing());
        let mut in_flight = InsertsInFlight::default();
        let mut reading: Option<Reading> = None;
        let mut opened: Option<Arc<Engine>> = None;
        let (mut guarded_units, mut ended) = (0, false);
        let mut batches = Vec::new();
        loop {
            let full = in_flight.len() >= MAX_INSERTS_IN_FLIGHT;
            tokio::select! {
                biased;
                answers = in_flight.next(), if in_flight.len() > 0 => self.answer(answers),
                Some(admitted) = admitted.recv(), if !full && guarded_units > 0 => {
                    guarded_units -= 1;
                    if let Some(engine) = &opened {
                        self.insert_admitted(engine, admitted, &mut in_flight);
                    }
                }
                taken = finish(&mut reading), if reading.is_some() => {
                    reading = None;
                    opened = taken.engine.as_ref().ok().cloned().or(opened);
                    guarded_units += self.take(taken, &admissions, &mut in_flight);
                }
                received = receiver.recv_many(&mut batches, MAX_BATCHES_PER_INSERT), if !full && reading.is_none() && !ended => {
                    ended = received == 0;
                    if !ended {
                        reading = Some(Box::pin(read(Arc::clone(&self.instance), std::mem::take(&mut batches))));
                    }
                }
                // Nobody can dispatch any more, and all is answered.
                else => break,
            }
        }
    }

    fn answer(&self, answers: Vec<Answer>) {
        let count = answers.len();
        self.answers.resolve(answers);
        if self.queued_dispatches.requests.fetch_sub(count, Ordering::AcqRel) == count {
            self.queued_dispatches.became_empty.notify_waiters();
        }
    }

    fn refuse(&self, refused: Vec<(u64, Error)>) {
        if !refused.is_empty() {
            self.answer(
                refused
                    .into_iter()
                    .map(|(ticket, error)| (ticket, Err(error)))
                    .collect(),
            );
        }
    }

    /// Puts inserts under way, and checks of sessions, the number of which it returns; what is refused is answered at once.
    fn take(&self, taken: TakenBatches, admissions: &Arc<Admissions>, in_flight: &mut InsertsInFlight) -> usize {
        let TakenBatches {
            engine,
            batches,
            read,
            now,
        } = taken;
        let bytes: usize = batches.iter().map(|batch| batch.text.len()).sum();
        let guarded_bytes: usize = read.guarded.iter().map(|guarded| guarded.bytes).sum();
        // From here on they count as jobs, not as waiting text.
        self.queued_dispatches
            .release_bytes(bytes.saturating_sub(guarded_bytes));
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                let tickets = batches.iter().flat_map(DispatchBatch::tickets);
                self.refuse(tickets.map(|ticket| (ticket, error.clone())).collect());
                return 0;
            }
        };
        for unit in read.ready {
            self.insert(&engine, unit, now, in_flight);
        }
        let guarded_units = read.guarded.len();
        for unit in read.guarded {
            admissions.enqueue(&engine, unit);
        }
        self.refuse(read.refused);
        self.watch_unserved(&engine);
        guarded_units
    }

    fn insert_admitted(&self, engine: &Arc<Engine>, admitted: Admitted, in_flight: &mut InsertsInFlight) {
        self.queued_dispatches.release_bytes(admitted.bytes);
        self.refuse(admitted.refused);
        if let Some(unit) = admitted.unit {
            self.insert(engine, unit, engine.clock.now(), in_flight);
        }
    }

    fn insert(&self, engine: &Arc<Engine>, unit: Unit, now: Millis, in_flight: &mut InsertsInFlight) {
        match unit {
            Unit::Singles(dispatches) => {
                let jobs = dispatches.into_iter();
                let jobs = jobs.map(|(ticket, dispatch)| (ticket, self.log_warning(dispatch)));
                in_flight.push_singles(engine, jobs.collect(), now);
            }
            Unit::List(ticket, dispatches) => {
                let jobs = dispatches.into_iter().map(|dispatch| self.log_warning(dispatch));
                in_flight.push_list(engine, ticket, jobs.collect(), now);
            }
        }
    }

    fn log_warning(&self, dispatch: Dispatch) -> NewJob {
        if let Some(warning) = dispatch.warning {
            self.instance.logger.log(
                Level::Warn,
                &format!("job {} ({}): {warning}", dispatch.job.id, dispatch.job.route),
            );
        }
        dispatch.job
    }

    /// Once per instance: looks whether what was dispatched found somebody to run it.
    fn watch_unserved(&self, engine: &Arc<Engine>) {
        if engine.config.worker.is_none() || self.unserved_watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let engine = Arc::clone(engine);
        tokio::spawn(async move {
            tokio::time::sleep(UNSERVED_WARNING_DELAY).await;
            engine.warn_unserved_routes().await;
        });
    }
}

/// Opens the store if need be, and reads.
async fn read(instance: Arc<Instance>, batches: Vec<DispatchBatch>) -> TakenBatches {
    let batches = Arc::new(batches);
    let engine = instance.engine().await;
    let now = instance.now();
    let read = match &engine {
        Ok(_) => read_batches(Arc::clone(&batches), instance.options.defaults.clone(), now).await,
        Err(_) => ReadBatches::default(),
    };
    TakenBatches {
        engine,
        batches,
        read,
        now,
    }
}

/// Waits for the reading that is under way.
async fn finish(reading: &mut Option<Reading>) -> TakenBatches {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}
