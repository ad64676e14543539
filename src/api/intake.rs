//! The way of dispatches into the store: whatever waits is checked and inserted together, and answered together.
//!
//! Invariants: answers come after the commit; dispatches are inserted in the order they were made; what waits is
//! bounded by bytes, beyond which a dispatch is refused at once.

use super::admission;
use super::announced::Announced;
use super::batch::read_dispatch_many;
use super::dispatch::{Dispatch, Reader};
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
const MAX_WAITING_BYTES: usize = 256 << 20;
/// Parcels whose dispatches are inserted together; JavaScript bounds what is in one.
const BATCH: usize = 16;
/// Inserts under way at once: one that the store works on, and one that waits for its turn there.
const IN_FLIGHT: usize = 2;
/// A dispatch is worth a warning when nobody has run it after this time and this process could be expected to.
const UNSERVED_AFTER: Duration = Duration::from_secs(5);

/// Dispatches on their way.
#[derive(Debug)]
pub struct Parcel {
    /// Names the promise of the first one's caller; the others follow by one each.
    pub first_ticket: u64,
    /// How many there are.
    pub count: u32,
    /// A line for each: the namespace, a space, `many` or `one`, a space, and the JSON of the argument. With `many` that
    /// is a list, all or nothing. JSON as JavaScript writes it has no line breaks.
    pub text: String,
}

impl Parcel {
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
pub enum Settled {
    /// JSON of the result.
    Json(String),
    /// A new job that is due since then: what nearly all are.
    Queued(JobId, Millis),
    /// The same for each of a batch.
    AllQueued(Vec<JobId>, Millis),
}

/// An answer and the ticket of who waits for it.
pub type Answer = (u64, Result<Settled>);

/// Takes answers.
pub trait Settle: Send + Sync {
    /// Settles promises; must not block.
    fn settle(&self, answers: Vec<Answer>);
}

/// Where dispatches go in.
pub struct Intake {
    sender: mpsc::UnboundedSender<Parcel>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    requests: AtomicUsize,
    emptied: Notify,
}

impl Intake {
    /// Starts the task that takes requests; needs a tokio runtime.
    #[must_use]
    pub fn start(instance: Arc<Instance>, answers: Arc<dyn Settle>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting::default());
        let desk = Desk {
            instance,
            answers,
            waiting: Arc::clone(&waiting),
            watched: AtomicBool::new(false),
        };
        tokio::spawn(desk.run(receiver));
        Self { sender, waiting }
    }

    /// Takes dispatches; their answers come to the [`Settle`] later.
    ///
    /// # Errors
    /// `RATE_LIMITED` when too much waits already, `CLOSED` when nobody takes requests any more.
    pub fn submit(&self, parcel: Parcel) -> Result<()> {
        let size = parcel.text.len();
        let before = self.waiting.bytes.fetch_add(size, Ordering::AcqRel);
        if before > 0 && before + size > MAX_WAITING_BYTES {
            self.waiting.bytes.fetch_sub(size, Ordering::AcqRel);
            let message =
                format!("{before} bytes of dispatches are waiting to be stored; await earlier ones before making more");
            return Err(Error::new(ErrorCode::RateLimited, message));
        }
        self.waiting.requests.fetch_add(parcel.count as usize, Ordering::AcqRel);
        self.sender.send(parcel).map_err(|_| Error::closed())
    }

    /// Waits until every dispatch made so far has been answered.
    pub async fn flushed(&self) {
        while self.waiting.requests.load(Ordering::Acquire) > 0 {
            let emptied = self.waiting.emptied.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), emptied).await;
        }
    }
}

/// Does the work behind the intake.
struct Desk {
    instance: Arc<Instance>,
    answers: Arc<dyn Settle>,
    waiting: Arc<Waiting>,
    watched: AtomicBool,
}

/// What the caller will be told, but for what the store says.
struct Promised {
    ticket: u64,
    id: JobId,
    due: Option<Millis>,
    created: Millis,
    recurring: bool,
}

impl Promised {
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

    fn settled(self, inserted: Inserted) -> Result<Settled> {
        match self.queued(&inserted) {
            Some(due) => Ok(Settled::Queued(self.id, due)),
            None => self.result(inserted).map(Settled::Json),
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
struct InFlight(VecDeque<(Insert, Option<Answers>)>);

impl InFlight {
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

impl Desk {
    async fn run(self, mut receiver: mpsc::UnboundedReceiver<Parcel>) {
        let mut in_flight = InFlight::default();
        let mut batch = Vec::new();
        loop {
            let (full, idle) = (in_flight.0.len() >= IN_FLIGHT, in_flight.0.is_empty());
            tokio::select! {
                biased;
                answers = in_flight.next(), if !idle => self.answer(answers),
                received = receiver.recv_many(&mut batch, BATCH), if !full => {
                    if received == 0 {
                        break;
                    }
                    self.take(std::mem::take(&mut batch), &mut in_flight).await;
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
        self.answers.settle(answers);
        if self.waiting.requests.fetch_sub(count, Ordering::AcqRel) == count {
            self.waiting.emptied.notify_waiters();
        }
    }

    /// Checks requests and puts their inserts under way; what is refused is answered at once.
    async fn take(&self, parcels: Vec<Parcel>, in_flight: &mut InFlight) {
        // From here on they count as jobs, not as waiting text.
        let bytes = parcels.iter().map(|parcel| parcel.text.len()).sum();
        self.waiting.bytes.fetch_sub(bytes, Ordering::AcqRel);
        let engine = match self.instance.engine().await {
            Ok(engine) => engine,
            Err(error) => {
                let tickets = parcels.iter().flat_map(Parcel::tickets);
                return self.answer(tickets.map(|ticket| (ticket, Err(error.clone()))).collect());
            }
        };
        let mut singles = Vec::with_capacity(parcels.iter().map(|parcel| parcel.count as usize).sum());
        let mut refused = Vec::new();
        let now = engine.clock.now();
        let defaults = &self.instance.options.defaults;
        let mut reader = Reader::new(defaults, now);
        for (ticket, request) in parcels.iter().flat_map(Parcel::requests) {
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
                        let jobs = dispatches.into_iter().map(|dispatch| self.warned(dispatch)).collect();
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
                Ok(dispatch) => singles.push((ticket, self.warned(dispatch))),
                Err(error) => refused.push((ticket, Err(error))),
            }
        }
        push_singles(&engine, singles, now, in_flight);
        if !refused.is_empty() {
            self.answer(refused);
        }
        self.watch_unserved(&engine);
    }

    fn warned(&self, dispatch: Dispatch) -> NewJob {
        if let Some(warning) = dispatch.warning {
            self.instance.journal.log(
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
            tokio::time::sleep(UNSERVED_AFTER).await;
            engine.warn_unserved().await;
        });
    }
}

fn push_singles(engine: &Arc<Engine>, jobs: Vec<(u64, NewJob)>, now: Millis, in_flight: &mut InFlight) {
    if !jobs.is_empty() {
        in_flight.push(Box::pin(insert_singles(Arc::clone(engine), jobs, now)));
    }
}

/// Two recurring jobs of the same kind are most often one that is dispatched at every start of the program.
fn warn_of_twins(engine: &Engine, promised: &[Promised], inserted: &[Inserted]) {
    for (promise, inserted) in promised.iter().zip(inserted) {
        if let Inserted::CreatedBeside(twin) = inserted {
            let message = format!(
                "recurring job {} has the same target, schedule and input as {twin}, and both will run; give it a `job_id`, \
                 so that dispatching it again keeps one job",
                promise.id
            );
            engine.journal.log(Level::Warn, &message);
        }
    }
}

async fn insert_singles(engine: Arc<Engine>, jobs: Vec<(u64, NewJob)>, now: Millis) -> Answers {
    let promised: Vec<Promised> = jobs.iter().map(|(ticket, job)| Promised::new(*ticket, job)).collect();
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
            announced.tell(&inserted);
            warn_of_twins(&engine, &promised, &inserted);
            let answers = promised.into_iter().zip(inserted);
            answers
                .map(|(promise, inserted)| (promise.ticket, promise.settled(inserted)))
                .collect()
        }
        Err(error) => promised
            .iter()
            .map(|promise| (promise.ticket, Err(error.clone())))
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

async fn insert_all(engine: &Engine, ticket: u64, jobs: Vec<NewJob>, now: Millis) -> Result<Settled> {
    let promised: Vec<Promised> = jobs.iter().map(|job| Promised::new(ticket, job)).collect();
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
        return Err(first_conflict(&promised, inserted));
    }
    announced.tell(&inserted);
    warn_of_twins(engine, &promised, &inserted);
    if let Some(since) = all_queued(&promised, &inserted) {
        let ids = promised.into_iter().map(|promise| promise.id).collect();
        return Ok(Settled::AllQueued(ids, since));
    }
    let results: Result<Vec<String>> = promised
        .iter()
        .zip(inserted)
        .map(|(promise, inserted)| promise.result(inserted))
        .collect();
    Ok(Settled::Json(format!("[{}]", results?.join(","))))
}

/// Since when all of them are due, if there is nothing more to say of any.
fn all_queued(promised: &[Promised], inserted: &[Inserted]) -> Option<Millis> {
    let mut since = promised
        .iter()
        .zip(inserted)
        .map(|(promise, inserted)| promise.queued(inserted));
    let first = since.next()??;
    since.all(|each| each == Some(first)).then_some(first)
}

/// Every conflict of a batch of which nothing was written.
fn first_conflict(promised: &[Promised], inserted: Vec<Inserted>) -> Error {
    let conflicts =
        promised
            .iter()
            .zip(inserted)
            .enumerate()
            .filter_map(|(index, (promise, inserted))| match inserted {
                Inserted::Conflict(reason) => Some(crate::error::Problem::new(
                    format!("[{index}].job_id"),
                    format!("{}: {reason}", promise.id),
                )),
                _ => None,
            });
    Error::invalid(ErrorCode::Conflict, conflicts.collect())
}
