//! The way of dispatches into the store: whatever waits is checked and inserted together, and answered together.
//!
//! Invariants: answers come after the commit; dispatches are inserted in the order they were made; what waits is
//! bounded by bytes, beyond which a dispatch is refused at once.

use super::admission;
use super::announced::Announced;
use super::batch::read_dispatch_many;
use super::dispatch::{Dispatch, DispatchReader};
use super::instance::Instance;
use crate::clock::Millis;
use crate::engine::{Engine, Level};
use crate::error::{Error, ErrorCode, Result};
use crate::model::{JobId, Namespace, NewJob};
use crate::store::{InsertParams, Inserted};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Bytes of inputs that may wait to be committed.
const MAX_QUEUED_BYTES: usize = 256 << 20;
/// Parcels whose dispatches are inserted together; JavaScript bounds what is in one.
const MAX_BATCHES_PER_INSERT: usize = 16;
/// Inserts under way at once: one that the store works on, and one that waits for its turn there.
const MAX_INSERTS_IN_FLIGHT: usize = 2;
/// A dispatch is worth a warning when nobody has run it after this time and this process could be expected to.
const UNSERVED_WARNING_DELAY: Duration = Duration::from_secs(5);

/// Dispatches on their way.
#[derive(Debug)]
pub struct DispatchBatch {
    /// Names the promise of the first one's caller; the others follow by one each.
    pub first_ticket: u64,
    /// How many there are.
    pub count: u32,
    /// A line for each: the namespace, a space, `many` or `one`, a space, and the JSON of the argument. With `many` that
    /// is a list, all or nothing. JSON as JavaScript writes it has no line breaks.
    pub text: String,
}

impl DispatchBatch {
    /// Names the promises.
    #[must_use]
    pub fn tickets(&self) -> std::ops::Range<u64> {
        self.first_ticket..self.first_ticket + u64::from(self.count)
    }

    fn requests(&self) -> impl Iterator<Item = (u64, Option<Request<'_>>)> {
        let mut lines = self.text.split('\n');
        self.tickets()
            .map(move |ticket| (ticket, lines.next().and_then(Request::read)))
    }
}

/// One dispatch of a parcel.
struct Request<'a> {
    namespace: Namespace,
    many: bool,
    text: &'a str,
}

impl<'a> Request<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (namespace, rest) = line.split_once(' ')?;
        let (kind, text) = rest.split_once(' ')?;
        Some(Self {
            namespace: Namespace::parse_public(namespace)?,
            many: kind == "many",
            text,
        })
    }
}

/// What a promise of a dispatch is told.
#[derive(Debug)]
pub enum Resolution {
    /// JSON of the result.
    Json(String),
    /// A new job that is due since then: what nearly all are.
    Queued(JobId, Millis),
    /// The same for each of a batch.
    AllQueued(Vec<JobId>, Millis),
}

/// An answer and the ticket of who waits for it.
pub type Answer = (u64, Result<Resolution>);

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
            watched: AtomicBool::new(false),
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
    watched: AtomicBool,
}

/// What the caller will be told, but for what the store says.
struct PendingResult {
    ticket: u64,
    id: JobId,
    due: Option<Millis>,
    created: Millis,
    recurring: bool,
}

impl PendingResult {
    fn new(ticket: u64, job: &NewJob) -> Self {
        Self {
            ticket,
            id: job.id.clone(),
            due: job.due,
            created: job.created,
            recurring: job.recurrence.is_some(),
        }
    }

    /// Since when its run is due, if there is nothing more to say of it.
    fn queued(&self, inserted: &Inserted) -> Option<Millis> {
        let plain = !self.recurring && matches!(inserted, Inserted::Created);
        self.due.filter(|due| plain && *due <= self.created)
    }

    fn resolution(self, inserted: Inserted) -> Result<Resolution> {
        match self.queued(&inserted) {
            Some(due) => Ok(Resolution::Queued(self.id, due)),
            None => self.result(inserted).map(Resolution::Json),
        }
    }

    fn result(&self, inserted: Inserted) -> Result<String> {
        let result = Dispatch::result(&self.id, self.due, self.created, self.recurring, inserted)?;
        serde_json::to_string(&result)
            .map_err(|error| Error::new(ErrorCode::StoreError, "cannot show the answer").with_source(error))
    }
}

/// An insert under way; yields the answers it leads to.
type Insert = Pin<Box<dyn Future<Output = Answers> + Send>>;
type Answers = Vec<Answer>;

/// Inserts under way, oldest first. Polled together, so that the next one waits at the store when the first is done.
#[derive(Default)]
struct InsertsInFlight(VecDeque<(Insert, Option<Answers>)>);

impl InsertsInFlight {
    fn push(&mut self, insert: Insert) {
        self.0.push_back((insert, None));
    }

    /// The answers of the oldest insert.
    async fn next(&mut self) -> Answers {
        std::future::poll_fn(|context| {
            for (insert, answers) in self.0.iter_mut().filter(|(_, answers)| answers.is_none()) {
                if let Poll::Ready(ready) = insert.as_mut().poll(context) {
                    *answers = Some(ready);
                }
            }
            match self.0.front_mut().and_then(|(_, answers)| answers.take()) {
                Some(answers) => {
                    self.0.pop_front();
                    Poll::Ready(answers)
                }
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl IntakeTask {
    async fn run(self, mut receiver: mpsc::UnboundedReceiver<DispatchBatch>) {
        let mut in_flight = InsertsInFlight::default();
        let mut batches = Vec::new();
        loop {
            let (full, idle) = (in_flight.0.len() >= MAX_INSERTS_IN_FLIGHT, in_flight.0.is_empty());
            tokio::select! {
                biased;
                answers = in_flight.next(), if !idle => self.answer(answers),
                received = receiver.recv_many(&mut batches, MAX_BATCHES_PER_INSERT), if !full => {
                    if received == 0 {
                        break;
                    }
                    self.take(std::mem::take(&mut batches), &mut in_flight).await;
                }
            }
        }
        while !in_flight.0.is_empty() {
            let answers = in_flight.next().await;
            self.answer(answers);
        }
    }

    fn answer(&self, answers: Answers) {
        let count = answers.len();
        self.answers.resolve(answers);
        if self.queued_dispatches.requests.fetch_sub(count, Ordering::AcqRel) == count {
            self.queued_dispatches.became_empty.notify_waiters();
        }
    }

    /// Checks requests and puts their inserts under way; what is refused is answered at once.
    async fn take(&self, batches: Vec<DispatchBatch>, in_flight: &mut InsertsInFlight) {
        // From here on they count as jobs, not as waiting text.
        let bytes = batches.iter().map(|batch| batch.text.len()).sum();
        self.queued_dispatches.bytes.fetch_sub(bytes, Ordering::AcqRel);
        let engine = match self.instance.engine().await {
            Ok(engine) => engine,
            Err(error) => {
                let tickets = batches.iter().flat_map(DispatchBatch::tickets);
                return self.answer(tickets.map(|ticket| (ticket, Err(error.clone()))).collect());
            }
        };
        let mut singles = Vec::with_capacity(batches.iter().map(|batch| batch.count as usize).sum());
        let mut refused = Vec::new();
        let now = engine.clock.now();
        let defaults = &self.instance.options.defaults;
        let mut reader = DispatchReader::new(defaults, now);
        for (ticket, request) in batches.iter().flat_map(DispatchBatch::requests) {
            let Some(request) = request else {
                refused.push((ticket, Err(unreadable())));
                continue;
            };
            if request.many {
                // In order: what came before it is under way before it.
                push_singles(&engine, std::mem::take(&mut singles), now, in_flight);
                let read = read_dispatch_many(request.namespace, request.text, defaults, now);
                let admitted = match read {
                    Ok(dispatches) => admission::admit_all(&engine, dispatches, now).await,
                    Err(error) => Err(error),
                };
                match admitted {
                    Ok(dispatches) => {
                        let jobs = dispatches
                            .into_iter()
                            .map(|dispatch| self.log_warning(dispatch))
                            .collect();
                        in_flight.push(Box::pin(insert_many(engine.clone(), ticket, jobs, now)));
                    }
                    Err(error) => refused.push((ticket, Err(error))),
                }
                continue;
            }
            let admitted = match reader.read(request.namespace, request.text) {
                Ok(dispatch) if dispatch.job.options.session.is_some() => {
                    admission::admit(&engine, dispatch, now).await
                }
                read => read,
            };
            match admitted {
                Ok(dispatch) => singles.push((ticket, self.log_warning(dispatch))),
                Err(error) => refused.push((ticket, Err(error))),
            }
        }
        push_singles(&engine, singles, now, in_flight);
        if !refused.is_empty() {
            self.answer(refused);
        }
        self.watch_unserved(&engine);
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
        if engine.config.worker.is_none() || self.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let engine = Arc::clone(engine);
        tokio::spawn(async move {
            tokio::time::sleep(UNSERVED_WARNING_DELAY).await;
            engine.warn_unserved_routes().await;
        });
    }
}

fn push_singles(engine: &Arc<Engine>, jobs: Vec<(u64, NewJob)>, now: Millis, in_flight: &mut InsertsInFlight) {
    if !jobs.is_empty() {
        in_flight.push(Box::pin(insert_singles(Arc::clone(engine), jobs, now)));
    }
}

/// Two recurring jobs of the same kind are most often one that is dispatched at every start of the program.
fn warn_of_duplicate_series(engine: &Engine, pending_results: &[PendingResult], inserted: &[Inserted]) {
    for (pending, inserted) in pending_results.iter().zip(inserted) {
        if let Inserted::CreatedDuplicateSeries(duplicate) = inserted {
            let message = format!(
                "recurring job {} has the same target, schedule and input as {duplicate}, and both will run; give it a `job_id`, \
                 so that dispatching it again keeps one job",
                pending.id
            );
            engine.logger.log(Level::Warn, &message);
        }
    }
}

async fn insert_singles(engine: Arc<Engine>, jobs: Vec<(u64, NewJob)>, now: Millis) -> Answers {
    let pending_results: Vec<PendingResult> = jobs
        .iter()
        .map(|(ticket, job)| PendingResult::new(*ticket, job))
        .collect();
    let jobs: Vec<NewJob> = jobs.into_iter().map(|(_, job)| job).collect();
    let announced = Announced::new(&engine, &jobs, now);
    match engine
        .store
        .insert(InsertParams {
            jobs,
            all_or_nothing: false,
            now,
        })
        .await
    {
        Ok(inserted) => {
            announced.publish(&inserted);
            warn_of_duplicate_series(&engine, &pending_results, &inserted);
            let answers = pending_results.into_iter().zip(inserted);
            answers
                .map(|(pending, inserted)| (pending.ticket, pending.resolution(inserted)))
                .collect()
        }
        Err(error) => pending_results
            .iter()
            .map(|pending| (pending.ticket, Err(error.clone())))
            .collect(),
    }
}

/// The two sides disagree about what crosses between them: they are of different versions.
fn unreadable() -> Error {
    Error::new(
        ErrorCode::ValidationError,
        "a dispatch arrived in a form this binary does not know; install the package again, so that all of it is of one version",
    )
}

async fn insert_many(engine: Arc<Engine>, ticket: u64, jobs: Vec<NewJob>, now: Millis) -> Answers {
    vec![(ticket, insert_all(&engine, ticket, jobs, now).await)]
}

async fn insert_all(engine: &Engine, ticket: u64, jobs: Vec<NewJob>, now: Millis) -> Result<Resolution> {
    let pending_results: Vec<PendingResult> = jobs.iter().map(|job| PendingResult::new(ticket, job)).collect();
    let announced = Announced::new(engine, &jobs, now);
    let inserted = engine
        .store
        .insert(InsertParams {
            jobs,
            all_or_nothing: true,
            now,
        })
        .await?;
    if inserted
        .iter()
        .any(|inserted| matches!(inserted, Inserted::Conflict(_)))
    {
        return Err(first_conflict(&pending_results, inserted));
    }
    announced.publish(&inserted);
    warn_of_duplicate_series(engine, &pending_results, &inserted);
    if let Some(since) = all_queued(&pending_results, &inserted) {
        let ids = pending_results.into_iter().map(|pending| pending.id).collect();
        return Ok(Resolution::AllQueued(ids, since));
    }
    let results: Result<Vec<String>> = pending_results
        .iter()
        .zip(inserted)
        .map(|(pending, inserted)| pending.result(inserted))
        .collect();
    Ok(Resolution::Json(format!("[{}]", results?.join(","))))
}

/// Since when all of them are due, if there is nothing more to say of any.
fn all_queued(pending_results: &[PendingResult], inserted: &[Inserted]) -> Option<Millis> {
    let mut since = pending_results
        .iter()
        .zip(inserted)
        .map(|(pending, inserted)| pending.queued(inserted));
    let first = since.next()??;
    since.all(|each| each == Some(first)).then_some(first)
}

/// Every conflict of a batch of which nothing was written.
fn first_conflict(pending_results: &[PendingResult], inserted: Vec<Inserted>) -> Error {
    let conflicts = pending_results
        .iter()
        .zip(inserted)
        .enumerate()
        .filter_map(|(index, (pending, inserted))| match inserted {
            Inserted::Conflict(reason) => Some(crate::error::Problem::new(
                format!("[{index}].job_id"),
                format!("{}: {reason}", pending.id),
            )),
            _ => None,
        });
    Error::invalid(ErrorCode::Conflict, conflicts.collect())
}
