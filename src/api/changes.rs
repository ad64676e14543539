//! The methods of `ductape.jobs` that change jobs: one by its id, or many by a filter.
//!
//! Arguments and answers are JSON texts. Invariant: nothing is changed by a call whose arguments have a problem, and a
//! filter without conditions changes nothing unless it says `all`.

use super::dispatch::Dispatch;
use super::fields::Fields;
use super::filter::{CONDITION_FIELDS, exclude_internal_routes, is_unconditional, read_conditions, refuse_empty_lists};
use super::jobs::{self, not_found, read_id, record, to_json};
use crate::engine::Engine;
use crate::engine::{series_changes, why_incomputable};
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::{Action, JobId, Kind, Recurrence, Status};
use crate::store::{Change, ChangeOutcome, JobRecord};
use serde::Serialize;

/// Longest delay of a retry, ms: it leads to a time that JavaScript's `Date` can show.
const MAX_RETRY_DELAY_MS: i64 = 8_000_000_000_000_000;

/// Most occurrences that one `skipNext` passes over.
const MAX_SKIPPED: i64 = 1_000;

/// `cancel(id, { reason })`, `cancelRun(id, { reason })`, `pause(id)`, `resume(id)`, `retry(id, { delay })` and
/// `delete(id)`.
/// The first, third and fourth answer with the job as it is then, also one that was in the state asked for.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` when the job's state forbids it; `VALIDATION_ERROR`.
pub async fn change_one(engine: &Engine, action: Action, id: &str, options: &str) -> Result<String> {
    let id = read_id(id)?;
    let change = read_change(engine, action, options)?;
    let changed = engine.change(&id, change).await?;
    let is_done = match &changed {
        ChangeOutcome::Done { .. } => true,
        ChangeOutcome::Forbidden(status) => is_as_asked(action, *status),
        _ => false,
    };
    match action {
        _ if !is_done => Err(refusal(&id, action, &changed)),
        Action::Cancel | Action::Pause | Action::Resume => jobs::show(engine, &id).await,
        _ => Ok(String::new()),
    }
}

/// Whether the state that forbids a change is the one that is asked for.
fn is_as_asked(action: Action, status: Status) -> bool {
    match action {
        Action::Cancel => status == Status::Cancelled,
        Action::Pause => status == Status::Paused,
        Action::Resume => matches!(status, Status::Scheduled | Status::Queued | Status::Running),
        _ => false,
    }
}

/// `cancelMany(filter, { reason })` and its kin.
///
/// # Errors
/// `VALIDATION_ERROR`, also for a filter without a condition.
pub async fn change_matching(engine: &Engine, action: Action, filter: &str, options: &str) -> Result<String> {
    #[derive(Serialize)]
    struct Count {
        count: usize,
    }
    engine.load_routes().await?;
    let mut fields = Fields::read(filter, "filter")?;
    let known: Vec<&str> = CONDITION_FIELDS.into_iter().chain(["all"]).collect();
    fields.refuse_unknown(&known);
    let mut filter = read_conditions(engine, &mut fields);
    refuse_empty_lists(&mut fields);
    let all = fields.boolean("all").unwrap_or(false);
    if fields.problems.is_empty() && is_unconditional(&filter) && !all {
        let message = format!(
            "has no condition, and so means every job of the store; give one, or `all: true` if all are to be {}",
            action.past_participle()
        );
        fields.problems.push(Problem::new("filter", message));
    }
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    filter.routes = exclude_internal_routes(engine, filter.routes);
    let change = read_change(engine, action, options)?;
    let count = engine.change_many(filter, change).await?;
    to_json(&Count { count })
}

/// The change that a method with these options means.
fn read_change(engine: &Engine, action: Action, options: &str) -> Result<Change> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(match action {
        Action::Cancel | Action::CancelRun => &["reason"],
        Action::Retry => &["delay"],
        Action::SkipNext => &["count"],
        _ => &[],
    });
    let reason = fields.tag("reason").map(|reason| reason.as_ref().into());
    let delay = fields.integer("delay", 0, MAX_RETRY_DELAY_MS).unwrap_or(0);
    let count = fields.integer("count", 1, MAX_SKIPPED).unwrap_or(1);
    let count = usize::try_from(count).unwrap_or(1);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let now = engine.clock.now();
    Ok(match action {
        Action::Cancel => Change::Cancel { reason },
        Action::CancelRun => Change::CancelRun { reason },
        Action::Pause => Change::Pause(series_changes::pause(now)),
        Action::Resume => Change::Resume(series_changes::resume(now)),
        Action::Retry => Change::Retry {
            due: now.saturating_add(delay),
        },
        Action::RunNow => Change::RunNow(series_changes::run_now(now)),
        Action::SkipNext => Change::SkipNext(series_changes::skip_next(count, now)),
        Action::Delete => Change::Delete,
        // These take more than options.
        Action::Reschedule | Action::ReplaceOneOff => {
            return Err(Error::new(ErrorCode::NotFound, "there is no such method"));
        }
    })
}

/// `runNow(id)` and `skipNext(id, { count })`, which answer as a dispatch does.
///
/// # Errors
/// As [`change_one`].
pub async fn change_times(engine: &Engine, action: Action, id: &str, options: &str) -> Result<String> {
    let id = read_id(id)?;
    let change = read_change(engine, action, options)?;
    match engine.change(&id, change).await? {
        ChangeOutcome::Done {
            summary: Some(summary), ..
        } => {
            let known = record(engine, &id).await?;
            let recurrence = known
                .recurrence
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok());
            to_json(&Dispatch::changed(&id, summary, recurrence.as_ref()))
        }
        refused => Err(refusal_of(engine, &id, action, &refused).await),
    }
}

/// Why the times of a job were not changed, with a remedy that works for this one.
pub(super) async fn refusal_of(engine: &Engine, id: &JobId, action: Action, changed: &ChangeOutcome) -> Error {
    if let ChangeOutcome::Forbidden(status) = changed
        && let Ok(Some(known)) = engine.store.get(id).await
        && let Some(remedy) = remedy_of_series(action, *status, &known)
    {
        return forbidden(id, action, *status, &remedy);
    }
    refusal(id, action, changed)
}

/// Why the state of a recurring job forbids the action, and what can be done instead; `None`: as for any job.
fn remedy_of_series(action: Action, status: Status, known: &JobRecord) -> Option<String> {
    let text = known.recurrence.as_deref()?;
    if action == Action::SkipNext && !status.is_ended() {
        let why = why_incomputable(text)?;
        return Some(format!(
            "this version of the package cannot compute its schedule: {why}; do it where that is known, or dispatch the job again"
        ));
    }
    let limit = serde_json::from_str::<Recurrence>(text)
        .ok()
        .and_then(|known| known.limit);
    match (status, limit.filter(|limit| known.execution_count >= *limit)) {
        (Status::Completed, Some(limit)) => Some(format!(
            "it had the {limit} runs of its `limit`; dispatch it again with a higher one, or with none"
        )),
        (Status::Completed, None) => {
            Some("its schedule has no further time; dispatch it again with one that has".to_owned())
        }
        (Status::Cancelled, _) => Some("it has ended; dispatch it again".to_owned()),
        _ => None,
    }
}

fn forbidden(id: &JobId, action: Action, status: Status, remedy: &str) -> Error {
    let (is, done) = (status.as_str(), action.past_participle());
    let message = format!("job {id} is {is} and cannot be {done}: {remedy}");
    Problem::new("id", message).with_code(ErrorCode::Conflict).into()
}

/// Why a job was not changed.
pub(super) fn refusal(id: &JobId, action: Action, changed: &ChangeOutcome) -> Error {
    let done = action.past_participle();
    let conflict = |message| Error::from(Problem::new("id", message).with_code(ErrorCode::Conflict));
    match changed {
        ChangeOutcome::Forbidden(status) => forbidden(id, action, *status, remedy(action, *status)),
        ChangeOutcome::NoRun(status) if action == Action::Retry => conflict(format!(
            "job {id} is {} and has no failed run that could be {done}",
            status.as_str()
        )),
        ChangeOutcome::NoRun(status) => conflict(format!(
            "job {id} is {} and has no run that could be {done}; `cancel` ends the job itself",
            status.as_str()
        )),
        ChangeOutcome::OtherKind(_) if action == Action::SkipNext => conflict(format!(
            "job {id} runs once and has no occurrences that could be skipped; `cancel` or `reschedule` it"
        )),
        ChangeOutcome::OtherKind(kind) => other_kind(id, *kind),
        ChangeOutcome::NotFound | ChangeOutcome::Done { .. } => not_found(&id.to_string()),
    }
}

fn other_kind(id: &JobId, kind: Kind) -> Error {
    let message = match kind {
        Kind::OneOff => {
            format!("job {id} runs once and takes no `cron`, `every` or `interval`; dispatch a recurring job instead")
        }
        Kind::Recurring => {
            format!("job {id} recurs and needs `cron`, `every` or `interval`; `cancel` it to make it stop")
        }
    };
    Problem::new("schedule", message)
        .with_code(ErrorCode::InvalidSchedule)
        .into()
}

/// Of a one-off, whose id a dispatch would find taken.
const AGAIN: &str = "it has ended; dispatch it again, with `onConflict: 'replace'` if it is to keep its `job_id`";

/// Why the state forbids the action, and what can be done instead.
fn remedy(action: Action, status: Status) -> &'static str {
    match (action, status) {
        (Action::Pause, Status::Paused) => "it is so already",
        (Action::Pause, Status::Running) => "let its run end, or cancel it",
        (Action::Resume, _) => "only a paused job can be",
        (Action::Reschedule, Status::Running) => "let its run end, or cancel it",
        (Action::Reschedule, Status::Failed) => "it has ended; use `retry` with a `delay`, or dispatch it again",
        (Action::Reschedule, _) => AGAIN,
        (Action::Retry, Status::Paused) => "resume it",
        (Action::Retry, Status::Completed | Status::Failed) => AGAIN,
        (Action::Retry, Status::Cancelled) => "dispatch it again",
        (Action::Retry, _) => "its run has not ended",
        (Action::RunNow, Status::Paused) => "resume it",
        (Action::RunNow, Status::Running | Status::Queued) => "it has a run already, and runs of it must not overlap",
        (Action::RunNow, Status::Failed) => "it has ended; use `retry`, or dispatch it again",
        (Action::RunNow, _) => AGAIN,
        (Action::SkipNext, Status::Completed | Status::Failed | Status::Cancelled) => "it has ended; dispatch it again",
        (Action::SkipNext, _) => "no occurrence of it is to come",
        (Action::Delete, _) => "cancel it first",
        _ => "it has ended",
    }
}
