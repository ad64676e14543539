//! The methods of `ductape.jobs` that look at jobs: arguments and answers are JSON texts.

use super::fields::{Fields, MAX_SAFE_INTEGER, describe};
use super::filter::{
    CONDITION_FIELDS, exclude_internal_routes, read_conditions, read_last_run, read_range, read_routes,
};
use super::metrics::stats_within;
use super::view::{HistoryView, JobView, StatsView};
use crate::engine::{Engine, Level};
use crate::error::{Error, ErrorCode, HandlerError, Problem, Result};
use crate::model::{JobId, Route, RunStatus, Status};
use crate::store::{HistoryEntry, HistoryPosition, JobRecord, JobSeq, ListFilter, RouteId, Stats};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Default and largest page of `list`.
const DEFAULT_PAGE_SIZE: i64 = 100;
const MAX_PAGE_SIZE: i64 = 1_000;
/// Jobs counted exactly by `list({ count: true })`.
const MAX_EXACT_COUNT: usize = 10_000;
/// Recurring jobs counted by `getStats` for what only they have.
const MAX_COUNTED_RECURRING: usize = 1_000_000;
/// Default and largest number of attempts of `getHistory`.
const DEFAULT_HISTORY_LIMIT: i64 = 100;
const MAX_HISTORY_LIMIT: i64 = 10_000;
/// Longest time between two reads of a job that is waited for: another process may end it.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// A call waits so long, and all slots are taken for so long, before that is worth a warning.
const HELD_SLOTS_AFTER: Duration = Duration::from_secs(5);
/// Shortest time between two reads, however often the store changes.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(10);

pub(super) fn not_found(id: &str) -> Error {
    let message = format!(
        "no job has the id '{}'; it may have been deleted by retention",
        super::fields::truncated(id)
    );
    Problem::new("id", message).with_code(ErrorCode::NotFound).into()
}

/// Reads the id argument of a method.
pub(super) fn read_id(text: &str) -> Result<JobId> {
    let id: String = serde_json::from_str(text)
        .map_err(|_| Problem::new("id", format!("must be a string, got {}", describe(text))))?;
    // No job has an id of another form.
    JobId::parse(&id).ok_or_else(|| not_found(&id))
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorCode::StoreError, "cannot show the answer as JSON").with_source(error))
}

pub(super) async fn record(engine: &Engine, id: &JobId) -> Result<JobRecord> {
    let record = engine.store.get(id).await?.ok_or_else(|| not_found(&id.to_string()))?;
    // Jobs of the package itself are not shown.
    if route_of(engine, record.route).await?.namespace.is_internal() {
        return Err(not_found(&id.to_string()));
    }
    Ok(record)
}

pub(super) async fn route_of(engine: &Engine, id: RouteId) -> Result<Arc<Route>> {
    if let Some(route) = engine.routing.route(id) {
        return Ok(route);
    }
    engine.load_routes().await?;
    engine.routing.route(id).ok_or_else(|| {
        Error::new(
            ErrorCode::StoreCorrupt,
            format!(
                "the store has lost where this job goes (route {id}), as a database does that is restored in part; dispatch its \
                 work again"
            ),
        )
    })
}

/// `get(id)`.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn get(engine: &Engine, id: &str) -> Result<String> {
    show(engine, &read_id(id)?).await
}

/// A job as `get` shows it.
pub(super) async fn show(engine: &Engine, id: &JobId) -> Result<String> {
    let record = record(engine, id).await?;
    let route = route_of(engine, record.route).await?;
    to_json(&JobView::new(record, &route))
}

/// `list(filter)`.
///
/// # Errors
/// `VALIDATION_ERROR` for an unknown filter or status, or a cursor of another list.
pub async fn list(engine: &Engine, filter: &str) -> Result<String> {
    #[derive(Serialize)]
    struct List {
        jobs: Vec<JobView>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_exact: Option<bool>,
    }
    engine.load_routes().await?;
    let filter = read_list(engine, filter)?;
    let page = engine.store.list(filter).await?;
    let mut jobs = Vec::with_capacity(page.jobs.len());
    for record in page.jobs {
        match route_of(engine, record.route).await {
            Ok(route) => jobs.push(JobView::new(record, &route)),
            // One that leads nowhere must not hide the others.
            Err(error) if error.code == ErrorCode::StoreCorrupt => {
                engine.unserved.warn_of_lost(&record.id, record.route, &error)
            }
            Err(error) => return Err(error),
        }
    }
    to_json(&List {
        jobs,
        next: page.next.map(|seq| seq.to_string()),
        total: page.total.map(|total| total.min(MAX_EXACT_COUNT)),
        total_exact: page.total.map(|total| total <= MAX_EXACT_COUNT),
    })
}

fn read_list(engine: &Engine, text: &str) -> Result<ListFilter> {
    let mut fields = Fields::read(text, "")?;
    let known: Vec<&str> = CONDITION_FIELDS
        .into_iter()
        .chain(["limit", "cursor", "offset", "count"])
        .collect();
    fields.refuse_unknown(&known);
    let conditions = read_conditions(engine, &mut fields);
    let offset = fields.integer("offset", 0, i64::from(u32::MAX));
    let before = read_cursor(&mut fields);
    if offset.is_some() && before.is_some() {
        fields.problem("offset", "cannot be combined with `cursor`; give one of them");
    }
    let filter = ListFilter {
        routes: exclude_internal_routes(engine, conditions.routes),
        before,
        offset: usize::try_from(offset.unwrap_or(0)).unwrap_or(0),
        limit: usize::try_from(fields.integer("limit", 1, MAX_PAGE_SIZE).unwrap_or(DEFAULT_PAGE_SIZE)).unwrap_or(0),
        count_up_to: fields
            .boolean("count")
            .filter(|count| *count)
            .map(|_| MAX_EXACT_COUNT + 1),
        ..conditions
    };
    if fields.problems.is_empty() {
        Ok(filter)
    } else {
        Err(Error::invalid(fields.problems))
    }
}

fn read_cursor(fields: &mut Fields<'_>) -> Option<JobSeq> {
    let cursor = fields.string("cursor")?;
    let before = cursor.parse().ok().map(JobSeq::new);
    if before.is_none() {
        fields.problem("cursor", "is not the `next` of an earlier list");
    }
    before
}

/// `getStats(filter)`.
///
/// # Errors
/// `VALIDATION_ERROR` for an unknown filter.
pub async fn stats(engine: &Engine, filter: &str) -> Result<String> {
    engine.load_routes().await?;
    let mut fields = Fields::read(filter, "")?;
    fields.refuse_unknown(&["product", "env", "namespace", "last_run", "failing", "from", "to"]);
    let routes = read_routes(engine, &mut fields);
    let (last_run, failing) = read_last_run(&mut fields);
    let range = read_range(engine, &mut fields);
    if range != (None, None) {
        for name in ["last_run", "failing"] {
            if fields.is_written(name) {
                fields.problem(
                    name,
                    "says how it is now, and does not go with `from` and `to`; leave one out",
                );
            }
        }
    }
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let routes = exclude_internal_routes(engine, routes);
    let filter = ListFilter {
        routes: routes.clone(),
        last_run,
        failing,
        ..ListFilter::default()
    };
    let mut stats = engine.store.stats(routes.clone()).await?;
    if filter.asks_for_last_run() {
        count_recurring(engine, &filter, &mut stats).await?;
    }
    let only_failing = ListFilter {
        failing: Some(true),
        ..filter
    };
    let failing = match failing {
        Some(false) => 0,
        _ => count(engine, only_failing).await?,
    };
    let within = stats_within(engine, &mut fields, range, (routes, &stats, failing)).await?;
    to_json(&within.unwrap_or_else(|| StatsView::new(&stats, failing)))
}

/// Counts the jobs that match, in each state of which there are any.
async fn count_recurring(engine: &Engine, filter: &ListFilter, stats: &mut Stats) -> Result<()> {
    for (status, jobs) in Status::ALL.into_iter().zip(&mut stats.by_status) {
        if *jobs > 0 {
            let of_status = ListFilter {
                statuses: vec![status],
                ..filter.clone()
            };
            *jobs = count(engine, of_status).await?;
        }
    }
    Ok(())
}

async fn count(engine: &Engine, filter: ListFilter) -> Result<i64> {
    let counting = ListFilter {
        count_up_to: Some(MAX_COUNTED_RECURRING),
        ..filter
    };
    let total = engine.store.list(counting).await?.total.unwrap_or(0);
    Ok(i64::try_from(total).unwrap_or(i64::MAX))
}

/// `getHistory(id, options)`.
///
/// # Errors
/// `NOT_FOUND`, `VALIDATION_ERROR`.
pub async fn history(engine: &Engine, id: &str, options: &str) -> Result<String> {
    let id = read_id(id)?;
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["limit", "cursor"]);
    let limit = fields
        .integer("limit", 1, MAX_HISTORY_LIMIT)
        .unwrap_or(DEFAULT_HISTORY_LIMIT);
    let before = read_history_cursor(&mut fields);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let limit = usize::try_from(limit).unwrap_or(0);
    let history = engine.store.history_before(&id, limit, before).await?;
    to_json(&HistoryView::new(
        id.to_string(),
        history.ok_or_else(|| not_found(&id.to_string()))?,
    ))
}

fn read_history_cursor(fields: &mut Fields<'_>) -> HistoryPosition {
    let Some(cursor) = fields.string("cursor") else {
        return HistoryPosition::NEWEST;
    };
    let numbers = cursor.split_once('.');
    let numbers = numbers.and_then(|(run, attempt)| Some((run.parse().ok()?, attempt.parse().ok()?)));
    let Some((run, attempt)) = numbers else {
        fields.problem("cursor", "is not the `next` of an earlier history");
        return HistoryPosition::NEWEST;
    };
    HistoryPosition { run, attempt }
}

/// `logs(id)`.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn logs(engine: &Engine, id: &str) -> Result<String> {
    #[derive(Serialize)]
    struct Line {
        run: i64,
        attempt: u32,
        at: i64,
        message: Box<str>,
    }
    let id = read_id(id)?;
    let lines = engine
        .store
        .logs(&id)
        .await?
        .ok_or_else(|| not_found(&id.to_string()))?;
    let lines = lines.into_iter().map(|line| Line {
        run: line.run,
        attempt: line.attempt,
        at: line.at,
        message: line.message,
    });
    to_json(&lines.collect::<Vec<_>>())
}

/// `wait(id, options)`: the JSON text of the result of the run that ends next; a job that has ended answers at once.
///
/// # Errors
/// The run's own error; `CANCELLED`; `TIMEOUT`; `NOT_FOUND`.
pub async fn wait(engine: &Engine, id: &str, options: &str) -> Result<String> {
    let id = read_id(id)?;
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["timeout"]);
    let timeout = fields.integer("timeout", 0, MAX_SAFE_INTEGER);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let first = record(engine, &id).await?;
    engine.watch_other_processes(true);
    let waited = wait_for(engine, &id, &first, timeout).await;
    engine.watch_other_processes(false);
    waited
}

async fn wait_for(engine: &Engine, id: &JobId, first: &JobRecord, timeout: Option<i64>) -> Result<String> {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(Duration::from_millis(timeout.unsigned_abs())));
    let watched = engine.job_watchers.watch(first.job);
    let began = Instant::now();
    let ended = async {
        let mut changes = engine.store.changes();
        loop {
            let ended_here = watched.notified();
            tokio::pin!(ended_here);
            ended_here.as_mut().enable();
            changes.mark_unchanged();
            if let Some(answer) = ended_run_result(engine, id, first).await? {
                return Ok(answer);
            }
            if began.elapsed() >= HELD_SLOTS_AFTER {
                warn_of_held_slots(engine, id).await;
            }
            tokio::select! {
                () = ended_here => {}
                _ = async { tokio::time::sleep(MIN_POLL_INTERVAL).await; changes.changed().await } => {}
                () = tokio::time::sleep(MAX_POLL_INTERVAL) => {}
            }
        }
    };
    let answer = match until {
        None => ended.await,
        Some(until) => tokio::time::timeout_at(until, ended)
            .await
            .unwrap_or_else(|_| Err(wait_timeout_error(id, timeout))),
    };
    engine.job_watchers.unwatch(first.job, watched);
    answer
}

/// Says once that handlers which wait for jobs may hold all slots that these jobs need. Who called is not known: as many calls wait as
/// there are slots, and none has become free for long.
async fn warn_of_held_slots(engine: &Engine, id: &JobId) {
    let (_, slots) = engine.slot_usage();
    let are_held = || {
        let full_for = engine.in_flight.full_for(slots);
        full_for.is_some_and(|full_for| full_for >= HELD_SLOTS_AFTER)
    };
    if slots == 0 || engine.job_watchers.waiting() < slots || engine.job_watchers.has_warned() || !are_held() {
        return;
    }
    let Ok(now) = record(engine, id).await else { return };
    let Ok(route) = route_of(engine, now.route).await else {
        return;
    };
    if now.status == Status::Queued && engine.routing.find(&route).is_some() && engine.job_watchers.is_first_warning() {
        let message = format!(
            "all {slots} slots of this process have been taken for {} s, while {} calls of jobs.wait wait, one of them for job {id} \
             ({route}), which needs a slot: if handlers made these calls, they wait for ever. Give `worker.concurrency` more slots than \
             handlers can wait in, run the jobs in another process, or have the handlers end without waiting",
            HELD_SLOTS_AFTER.as_secs(),
            engine.job_watchers.waiting()
        );
        engine.logger.log(Level::Warn, &message);
    }
}

fn wait_timeout_error(id: &JobId, timeout: Option<i64>) -> Error {
    let limit = timeout.unwrap_or_default();
    Error::new(
        ErrorCode::Timeout,
        format!("no run of job {id} ended within {limit} ms; the job goes on"),
    )
}

/// What came of the run that was waited for, if it is over.
async fn ended_run_result(engine: &Engine, id: &JobId, first: &JobRecord) -> Result<Option<String>> {
    let now = record(engine, id).await?;
    if now.status == Status::Cancelled {
        let reason = now
            .cancel_reason
            .as_deref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        return Err(Error::new(
            ErrorCode::Cancelled,
            format!("job {id} was cancelled{reason}"),
        ));
    }
    let has_ended = now.status.is_ended() || now.execution_count > first.execution_count;
    if !has_ended {
        return Ok(None);
    }
    // A recurring job may have ended more than one run meanwhile: the first of them is the one that was waited for.
    let wanted = if first.status.is_ended() {
        now.execution_count
    } else {
        first.execution_count + 1
    };
    let behind = usize::try_from(now.execution_count - wanted).unwrap_or(0);
    let attempts_each = usize::try_from(now.retries.saturating_add(now.crashes)).unwrap_or(0) + 2;
    let Some(entry) = final_attempt(engine, id, behind, (behind + 1) * attempts_each).await? else {
        return Ok(Some(String::new()));
    };
    match (entry.status, entry.error) {
        (RunStatus::Failed, Some(error)) => Err(run_error(id, entry.run, &error)),
        (RunStatus::Cancelled, error) => Err(run_cancelled(id, entry.run, error.as_ref())),
        _ => Ok(Some(entry.result.map(String::from).unwrap_or_default())),
    }
}

/// The attempt that ended a run, with `behind` such newer ones, which are among about `within` attempts.
async fn final_attempt(engine: &Engine, id: &JobId, behind: usize, within: usize) -> Result<Option<HistoryEntry>> {
    let limit = within.min(usize::try_from(MAX_HISTORY_LIMIT).unwrap_or(0));
    let (mut behind, mut before) = (behind, HistoryPosition::NEWEST);
    loop {
        let page = engine
            .store
            .history_before(id, limit, before)
            .await?
            .unwrap_or_default();
        for entry in page.entries.into_iter().filter(|entry| entry.status.is_final()) {
            if behind == 0 {
                return Ok(Some(entry));
            }
            behind -= 1;
        }
        // Large results make short pages.
        let Some(next) = page.next else { return Ok(None) };
        before = next;
    }
}

/// Only the run was cancelled, the job goes on.
fn run_cancelled(id: &JobId, run: i64, error: Option<&crate::model::RunError>) -> Error {
    let reason = error.map(|error| format!(": {}", error.message)).unwrap_or_default();
    Error::new(
        ErrorCode::Cancelled,
        format!("run {run} of job {id} was cancelled{reason}"),
    )
}

/// A run's error, for whoever waited for the run: code, stack and causes are the run's own.
fn run_error(id: &JobId, run: i64, error: &crate::model::RunError) -> Error {
    let code = ErrorCode::parse(&error.code).unwrap_or(ErrorCode::HandlerError);
    let mut failure = Error::new(code, error.message.to_string());
    failure.handler = Some(Box::new(HandlerError {
        code: error.code.clone(),
        stack: error.stack.clone(),
        origin: error.origin.clone(),
    }));
    failure.details.push(Problem::new(
        "job",
        format!("run {run} of job {id} failed: {}", error.code),
    ));
    failure
}
