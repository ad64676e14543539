//! Inserts what passed every check, and what the callers are told of it.
//!
//! Invariant: an answer comes after the commit.

use super::super::dispatch::Dispatch;
use super::super::jobs::to_json;
use super::super::schedule_warnings::limit_used_up;
use crate::clock::Millis;
use crate::engine::{Engine, Level, ScheduledEvents};
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::{JobId, NewJob, Recurrence, Route, Status};
use crate::store::{InsertParams, Inserted};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

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
type Answers = Vec<Answer>;

/// Of an insert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Wall time.
    pub(super) now: Millis,
    /// When the first of its dispatches was made.
    pub(super) since: Instant,
}

/// An insert under way; yields the answers it leads to.
type Insert = Pin<Box<dyn Future<Output = Answers> + Send>>;

/// Counts the new jobs among the dispatches of these routes.
fn count(engine: &Arc<Engine>, routes: &[Arc<Route>], inserted: &[Inserted], now: Millis) {
    let is_new = |inserted: &Inserted| {
        matches!(
            inserted,
            Inserted::Created | Inserted::CreatedDuplicateSeries(_) | Inserted::Replaced(_)
        )
    };
    let made = routes.iter().zip(inserted).filter(|(_, inserted)| is_new(inserted));
    let is_overdue = engine.figures().count_dispatches(now, made.map(|(route, _)| route));
    if is_overdue {
        engine.flush_figures_meanwhile();
    }
}

/// Inserts under way, oldest first. Polled together, so that the next one waits at the store when the first is done.
#[derive(Default)]
pub(super) struct InsertsInFlight(VecDeque<(Insert, Option<Answers>)>);

impl InsertsInFlight {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Inserts each job by itself.
    pub(super) fn push_singles(&mut self, engine: &Arc<Engine>, jobs: Vec<(u64, NewJob)>, at: Times) {
        if !jobs.is_empty() {
            self.push(Box::pin(insert_singles(Arc::clone(engine), jobs, at)));
        }
    }

    /// Inserts all jobs of a list, or none.
    pub(super) fn push_list(&mut self, engine: &Arc<Engine>, ticket: u64, jobs: Vec<NewJob>, at: Times) {
        self.push(Box::pin(insert_list(Arc::clone(engine), ticket, jobs, at)));
    }

    fn push(&mut self, insert: Insert) {
        self.0.push_back((insert, None));
    }

    /// The answers of the oldest insert; cancel-safe.
    pub(super) async fn next(&mut self) -> Answers {
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

/// What is known of an answer before the store has said what became of the insert.
struct PendingResult {
    ticket: u64,
    id: JobId,
    due: Option<Millis>,
    created: Millis,
    recurring: bool,
    /// Its schedule, if that excepts dates, which are to be passed over.
    excepting: Option<Recurrence>,
    /// Its target and the limit on its runs, if it has times to come and such a limit.
    limited: Option<(Arc<Route>, i64)>,
}

impl PendingResult {
    fn new(ticket: u64, job: &NewJob) -> Self {
        Self {
            ticket,
            id: job.id.clone(),
            due: job.due,
            created: job.created,
            recurring: job.recurrence.is_some(),
            excepting: job
                .recurrence
                .as_ref()
                .filter(|recurrence| recurrence.except.is_some())
                .cloned(),
            limited: job
                .recurrence
                .as_ref()
                .filter(|_| job.due.is_some())
                .and_then(|recurrence| Some((Arc::clone(&job.route), recurrence.limit?))),
        }
    }

    /// Tells of a job that was dispatched again and has had all its runs.
    fn warn_if_used_up(&self, engine: &Engine, inserted: &Inserted) {
        let (Inserted::Replaced(summary), Some((route, limit))) = (inserted, &self.limited) else {
            return;
        };
        if summary.status == Status::Completed {
            let message = format!("job {} ({route}): {}", self.id, limit_used_up(*limit));
            engine.logger.log(Level::Warn, &message);
        }
    }

    /// Since when its run is due, for a plain new job that is due at once.
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
        let result = Dispatch::result(
            &self.id,
            self.due,
            self.created,
            self.recurring,
            inserted,
            self.excepting.as_ref(),
        )?;
        to_json(&result)
    }
}

/// Warns of what the store has made of them.
fn warn(engine: &Engine, pending_results: &[PendingResult], inserted: &[Inserted]) {
    warn_of_duplicate_series(engine, pending_results, inserted);
    for (pending, inserted) in pending_results.iter().zip(inserted) {
        pending.warn_if_used_up(engine, inserted);
    }
}

/// Two equal recurring jobs are mostly one that the program dispatches at every start.
fn warn_of_duplicate_series(engine: &Engine, pending_results: &[PendingResult], inserted: &[Inserted]) {
    for (pending, inserted) in pending_results.iter().zip(inserted) {
        if let Inserted::CreatedDuplicateSeries(duplicate) = inserted {
            let message = format!(
                "recurring job {} has the same target, schedule and input as {duplicate}, and both will run; give it a `job_id`, \
                 so that dispatching it again keeps one job",
                pending.id
            );
            engine
                .duplicate_series
                .warn(&engine.logger, &message, more_duplicate_series);
        }
    }
}

fn more_duplicate_series(count: u64) -> String {
    format!(
        "{count} more recurring jobs have the same target, schedule and input as one that there was before; give them a `job_id`"
    )
}

async fn insert_singles(engine: Arc<Engine>, jobs: Vec<(u64, NewJob)>, at: Times) -> Answers {
    let (insert, params) = SinglesInsert::new(engine, jobs, at);
    let inserted = insert.engine.store.insert(params).await;
    insert.answers(inserted)
}

/// Dispatches of one job each that are being inserted.
pub(super) struct SinglesInsert {
    engine: Arc<Engine>,
    pending_results: Vec<PendingResult>,
    routes: Vec<Arc<Route>>,
    events: ScheduledEvents,
    now: Millis,
}

impl SinglesInsert {
    /// What is to be remembered of them, and what the store is asked for.
    pub(super) fn new(engine: Arc<Engine>, jobs: Vec<(u64, NewJob)>, at: Times) -> (Self, InsertParams) {
        let Times { now, since } = at;
        let pending_results = jobs.iter().map(|(ticket, job)| PendingResult::new(*ticket, job));
        let pending_results: Vec<PendingResult> = pending_results.collect();
        let jobs: Vec<NewJob> = jobs.into_iter().map(|(_, job)| job).collect();
        let routes = jobs.iter().map(|job| Arc::clone(&job.route)).collect();
        let events = ScheduledEvents::new(&engine.announcer, &jobs, now);
        let insert = Self {
            engine,
            pending_results,
            routes,
            events,
            now,
        };
        let params = InsertParams {
            jobs,
            all_or_nothing: false,
            now,
            since,
            replaced: crate::engine::series_changes::replaced,
        };
        (insert, params)
    }

    /// Tells of what the store has made of them.
    pub(super) fn answers(self, inserted: Result<Vec<Inserted>>) -> Answers {
        match inserted {
            Ok(inserted) => {
                self.events.publish(&inserted);
                count(&self.engine, &self.routes, &inserted, self.now);
                warn(&self.engine, &self.pending_results, &inserted);
                let answers = self.pending_results.into_iter().zip(inserted);
                answers
                    .map(|(pending, inserted)| (pending.ticket, pending.resolution(inserted)))
                    .collect()
            }
            Err(error) => self
                .pending_results
                .iter()
                .map(|pending| (pending.ticket, Err(error.clone())))
                .collect(),
        }
    }
}

async fn insert_list(engine: Arc<Engine>, ticket: u64, jobs: Vec<NewJob>, at: Times) -> Answers {
    vec![(ticket, insert_all(&engine, ticket, jobs, at).await)]
}

async fn insert_all(
    engine: &Arc<Engine>,
    ticket: u64,
    jobs: Vec<NewJob>,
    Times { now, since }: Times,
) -> Result<Resolution> {
    let pending_results: Vec<PendingResult> = jobs.iter().map(|job| PendingResult::new(ticket, job)).collect();
    let routes: Vec<Arc<Route>> = jobs.iter().map(|job| Arc::clone(&job.route)).collect();
    let events = ScheduledEvents::new(&engine.announcer, &jobs, now);
    let inserted = engine
        .store
        .insert(InsertParams {
            jobs,
            all_or_nothing: true,
            now,
            since,
            replaced: crate::engine::series_changes::replaced,
        })
        .await?;
    if inserted
        .iter()
        .any(|inserted| matches!(inserted, Inserted::Conflict(_)))
    {
        return Err(conflicts_error(&pending_results, inserted));
    }
    events.publish(&inserted);
    count(engine, &routes, &inserted, now);
    warn(engine, &pending_results, &inserted);
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

/// Since when all of them are due, when all are plain new jobs that are due at the same time.
fn all_queued(pending_results: &[PendingResult], inserted: &[Inserted]) -> Option<Millis> {
    let mut since = pending_results
        .iter()
        .zip(inserted)
        .map(|(pending, inserted)| pending.queued(inserted));
    let first = since.next()??;
    since.all(|each| each == Some(first)).then_some(first)
}

/// Every conflict of a list of which nothing was written.
fn conflicts_error(pending_results: &[PendingResult], inserted: Vec<Inserted>) -> Error {
    let conflicts = pending_results
        .iter()
        .zip(inserted)
        .enumerate()
        .filter_map(|(index, (pending, inserted))| match inserted {
            Inserted::Conflict(reason) => {
                let message = format!("{}: {reason}", pending.id);
                Some(Problem::new(format!("[{index}].job_id"), message).with_code(ErrorCode::Conflict))
            }
            _ => None,
        });
    Error::invalid(conflicts.collect())
}
