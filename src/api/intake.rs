//! The way of dispatches into the store: whatever waits is checked and inserted together, and answered together.
//!
//! Invariants:
//! - Answers come after the commit.
//! - A dispatch goes [directly](direct) to the store only while none waits here.
//! - Dispatches without a session, and those whose session nobody here can check, are inserted in the order they were made.
//!   Dispatches with a session that is checked are inserted in the order they were made for each session resource. Between
//!   these queues there is no order: whoever needs one awaits the first answer, or makes one `dispatchMany`, which is inserted
//!   as a whole, in the queue of its first session.
//! - A check that waits, for a secret or the store, holds back its own queue only.
//! - What waits is bounded by bytes, beyond which a dispatch is refused at once.

mod admission;
mod direct;
mod in_hand;
mod insert;
mod parts;
mod reading;

pub use insert::{Answer, Resolution};
pub use parts::ListPart;
pub use reading::DispatchBatch;
#[cfg(fuzzing)]
pub use reading::outcomes;

use self::admission::{Admissions, Admitted};
use self::in_hand::InHand;
use self::insert::{InsertsInFlight, Times};
use self::parts::{PartialLists, ReadLists};
use self::reading::{ReadBatches, Unit, read_batches};
use super::dispatch::Dispatch;
use super::instance::Instance;
use crate::clock::Millis;
use crate::engine::service::{Recovery, Service, ServiceFailure, StopSignal, Supervisor};
use crate::engine::{Engine, Failpoints, Level};
use crate::error::{Error, ErrorCode, Result};
use crate::model::NewJob;
use async_trait::async_trait;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, mpsc};

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

/// Where dispatches go in. Dropping it ends its task.
pub struct Intake {
    sender: mpsc::UnboundedSender<DispatchBatch>,
    task: Arc<IntakeTask>,
    _supervisor: Supervisor,
}

#[derive(Default)]
struct QueuedDispatches {
    bytes: AtomicUsize,
    /// Of these, what the task has taken.
    taken_bytes: AtomicUsize,
    became_empty: Notify,
}

impl QueuedDispatches {
    /// The task has taken so many more than were counted.
    fn take_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.taken_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    fn release_bytes(&self, bytes: usize) {
        self.taken_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// The task has died: nothing that it had taken waits any more.
    fn release_taken_bytes(&self) {
        let taken = self.taken_bytes.swap(0, Ordering::AcqRel);
        self.bytes.fetch_sub(taken, Ordering::AcqRel);
    }
}

impl Intake {
    /// Starts the task that takes requests; needs a tokio runtime.
    #[must_use]
    pub fn start(instance: Arc<Instance>, answers: Arc<dyn PromiseResolver>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let supervisor = Supervisor::new(Arc::clone(&instance.logger));
        let task = Arc::new_cyclic(|itself| IntakeTask {
            itself: Weak::clone(itself),
            failpoints: instance.options.engine.failpoints.clone(),
            instance,
            answers,
            receiver: Mutex::new(receiver),
            queued_dispatches: QueuedDispatches::default(),
            in_hand: InHand::default(),
            lists: Arc::default(),
            failure: OnceLock::new(),
            unserved_watched: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            direct_inserts: AtomicUsize::new(0),
            runtime: Handle::current(),
        });
        let service = Box::new(IntakeService(Arc::clone(&task)));
        supervisor.start(vec![service], Arc::clone(&task) as Arc<dyn Recovery>);
        Self {
            sender,
            task,
            _supervisor: supervisor,
        }
    }

    /// Takes dispatches; their answers come to the [`PromiseResolver`] later.
    ///
    /// # Errors
    /// `RATE_LIMITED` when too much waits already, `STORE_ERROR` when the task has failed for good.
    pub fn submit(&self, batch: DispatchBatch) -> Result<()> {
        if let Some(failure) = self.task.failure.get() {
            drop(self.task.lists.take_ended_in(&batch.text));
            return Err(failure.to_error());
        }
        let size = batch.text.len();
        let (in_parts, others) = self.task.lists.bytes(&batch.text);
        let before = self.task.queued_dispatches.bytes.fetch_add(size, Ordering::AcqRel) + others;
        if before > 0 && before + in_parts + size > MAX_QUEUED_BYTES {
            self.task.queued_dispatches.bytes.fetch_sub(size, Ordering::AcqRel);
            drop(self.task.lists.take_ended_in(&batch.text));
            let message =
                format!("{before} bytes of dispatches are waiting to be stored; await earlier ones before making more");
            return Err(Error::new(ErrorCode::RateLimited, message));
        }
        self.task
            .instance
            .pending_dispatches
            .fetch_add(batch.count as usize, Ordering::AcqRel);
        let Some(batch) = self.task.dispatch_directly(batch) else {
            self.task.queued_dispatches.bytes.fetch_sub(size, Ordering::AcqRel);
            return Ok(());
        };
        self.task.waiting.fetch_add(batch.count as usize, Ordering::AcqRel);
        self.sender.send(batch).map_err(|_| Error::closed())?;
        // It may have failed meanwhile, after its last look at what waits.
        if let Some(failure) = self.task.failure.get() {
            self.task.reject_queued(failure);
        }
        Ok(())
    }

    /// Takes a part of a list, which ends with a dispatch or is [forgotten](Self::forget_list).
    pub fn add_part(&self, part: ListPart) {
        self.task.lists.add(part, || {
            self.task.engine_on_time()?;
            Some((self.task.instance.options.defaults.clone(), self.task.instance.now()))
        });
    }

    /// The list of this number, of which parts have come, is not dispatched.
    pub fn forget_list(&self, list: u64) {
        self.task.lists.forget(list);
    }

    /// Waits until every dispatch made so far has been answered.
    pub async fn wait_until_empty(&self) {
        while self.task.instance.pending_dispatches.load(Ordering::Acquire) > 0 {
            let became_empty = self.task.queued_dispatches.became_empty.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), became_empty).await;
        }
    }
}

/// Does the work behind the intake.
struct IntakeTask {
    itself: Weak<Self>,
    instance: Arc<Instance>,
    answers: Arc<dyn PromiseResolver>,
    /// Held by the service while it runs: what waits outlives a service that dies.
    receiver: Mutex<mpsc::UnboundedReceiver<DispatchBatch>>,
    queued_dispatches: QueuedDispatches,
    in_hand: InHand,
    /// Lists whose end has not been taken yet.
    lists: Arc<PartialLists>,
    /// Why dispatches are taken no more.
    failure: OnceLock<ServiceFailure>,
    failpoints: Failpoints,
    /// The one watch for dispatches that nobody serves has begun.
    unserved_watched: AtomicBool,
    /// Dispatches that were given to the task and have not been answered.
    waiting: AtomicUsize,
    /// Inserts that went directly to the store and are under way there.
    direct_inserts: AtomicUsize,
    runtime: Handle,
}

/// Batches that were read, and the engine that is to have them.
struct TakenBatches {
    engine: Result<Arc<Engine>>,
    batches: Arc<Vec<DispatchBatch>>,
    read: ReadBatches,
    now: Millis,
}

type Reading = Pin<Box<dyn Future<Output = TakenBatches> + Send>>;

/// [`IntakeTask`] as a background task.
struct IntakeService(Arc<IntakeTask>);

#[async_trait]
impl Service for IntakeService {
    fn name(&self) -> &'static str {
        "intake"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        self.0.run().await;
        // Nobody can dispatch any more.
        stop.stopped().await;
    }
}

#[async_trait]
impl Recovery for IntakeTask {
    async fn services(&self) -> Result<Vec<Box<dyn Service>>> {
        match self.itself.upgrade() {
            Some(task) => Ok(vec![Box::new(IntakeService(task))]),
            None => Err(Error::closed()),
        }
    }

    async fn give_up(&self, _: &ServiceFailure) {
        self.reject_in_hand();
    }

    fn stay_down(&self, failure: &ServiceFailure) {
        let _ = self.failure.set(failure.clone());
        self.reject_in_hand();
        self.reject_queued(failure);
    }
}

impl IntakeTask {
    async fn run(&self) {
        let mut receiver = self.receiver.lock().await;
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
                    self.hold(&batches);
                    self.failpoints.pass("intake");
                    if !ended {
                        reading = Some(self.read(std::mem::take(&mut batches)));
                    }
                }
                // Nobody can dispatch any more, and all is answered.
                else => break,
            }
        }
    }

    fn read(&self, batches: Vec<DispatchBatch>) -> Reading {
        Box::pin(read(Arc::clone(&self.instance), Arc::clone(&self.lists), batches))
    }

    /// These are the task's now.
    fn hold(&self, batches: &[DispatchBatch]) {
        for batch in batches {
            self.in_hand.add(batch.tickets());
            let bytes = batch.text.len();
            self.queued_dispatches.taken_bytes.fetch_add(bytes, Ordering::AcqRel);
        }
    }

    /// The task stays down: what waits for it is refused.
    fn reject_queued(&self, failure: &ServiceFailure) {
        // Whoever holds the lock does the same.
        if let Ok(mut receiver) = self.receiver.try_lock() {
            while let Ok(batch) = receiver.try_recv() {
                self.hold(std::slice::from_ref(&batch));
                self.queued_dispatches.release_bytes(batch.text.len());
                let error = failure.to_error();
                self.answer(batch.tickets().map(|ticket| (ticket, Err(error.clone()))).collect());
            }
        }
    }

    /// The task has died: whoever waits for it is told. What it had put under way may have been stored.
    fn reject_in_hand(&self) {
        let error = defect();
        self.queued_dispatches.release_taken_bytes();
        let tickets = self.in_hand.take_all();
        if !tickets.is_empty() {
            self.answer(tickets.into_iter().map(|ticket| (ticket, Err(error.clone()))).collect());
        }
    }

    fn answer(&self, answers: Vec<Answer>) {
        let count = answers.len();
        self.in_hand.remove(answers.iter().map(|(ticket, _)| *ticket));
        self.answers.resolve(answers);
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        self.answered(count);
    }

    fn answered(&self, count: usize) {
        if self.instance.pending_dispatches.fetch_sub(count, Ordering::AcqRel) == count {
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
        // From here on they count as jobs, not as waiting text; and the parts of a list that waits as its text.
        match bytes.checked_sub(guarded_bytes) {
            Some(bytes) => self.queued_dispatches.release_bytes(bytes),
            None => self.queued_dispatches.take_bytes(guarded_bytes - bytes),
        }
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                let tickets = batches.iter().flat_map(DispatchBatch::tickets);
                self.refuse(tickets.map(|ticket| (ticket, error.clone())).collect());
                return 0;
            }
        };
        let since = made(&batches);
        for unit in read.ready {
            self.insert(&engine, unit, Times { now, since }, in_flight);
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
            let (now, since) = (engine.clock.now(), Instant::now());
            self.insert(engine, unit, Times { now, since }, in_flight);
        }
    }

    fn insert(&self, engine: &Arc<Engine>, unit: Unit, at: Times, in_flight: &mut InsertsInFlight) {
        match unit {
            Unit::Singles(dispatches) => {
                let jobs = dispatches.into_iter();
                let jobs = jobs.map(|(ticket, dispatch)| (ticket, self.log_warning(dispatch)));
                in_flight.push_singles(engine, jobs.collect(), at);
            }
            Unit::List(ticket, dispatches) => {
                let jobs = dispatches.into_iter().map(|dispatch| self.log_warning(dispatch));
                in_flight.push_list(engine, ticket, jobs.collect(), at);
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

fn defect() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the dispatch failed by a defect of the package, and may have been stored all the same; report this, and dispatch \
         it again with a `job_id`, so that it is one job",
    )
}

/// When the first of their dispatches was made.
fn made(batches: &[DispatchBatch]) -> Instant {
    let made = batches.iter().map(|batch| batch.made).min();
    made.unwrap_or_else(Instant::now)
}

/// Opens the store if need be, and reads.
async fn read(instance: Arc<Instance>, lists: Arc<PartialLists>, batches: Vec<DispatchBatch>) -> TakenBatches {
    let batches = Arc::new(batches);
    let engine = instance.engine_asked_for(made(&batches).into()).await;
    let ended = batches.iter().flat_map(|batch| lists.take_ended_in(&batch.text));
    let ended: Vec<_> = ended.collect();
    let now = instance.now();
    let read = match &engine {
        Ok(_) => {
            let defaults = &instance.options.defaults;
            let lists = ReadLists::read(ended, defaults, now).await;
            read_batches(Arc::clone(&batches), lists, defaults.clone(), now).await
        }
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
