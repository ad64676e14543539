//! Why a job has not run, by what the store and this instance know of it.
//!
//! Pure: no I/O and no clock. Invariant: there is always a reason, and the first one is what stands in the way first.

use super::next_run::next_run_at;
use crate::clock::Millis;
use crate::cron::Zone;
use crate::engine::{skew_message, why_incomputable};
use crate::model::{JobOptions, Recurrence, Route, RunStatus, Status};
use crate::store::{InstanceId, JobRecord, RunLocation, RunPosition, SUSPECT_AFTER};
use serde::Serialize;
use std::time::Duration;

/// Runs before this one are counted up to here.
pub(super) const MAX_COUNTED_AHEAD: usize = 10_000;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    /// For programs.
    pub(super) code: &'static str,
    /// For people.
    pub(super) message: String,
}

fn reason(code: &'static str, message: impl Into<String>) -> Reason {
    Reason {
        code,
        message: message.into(),
    }
}

/// Whether this instance runs jobs at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerState {
    /// It was made to only dispatch.
    Off,
    /// It does not claim now.
    Idle,
    /// It has lost its registration.
    Unregistered,
    /// It claims.
    Working {
        /// Slots taken.
        busy: usize,
        /// Slots in all.
        slots: usize,
    },
}

/// What this instance has for the job's route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandlerState {
    /// The worker's own filter leaves the route out.
    Excluded,
    /// No handler.
    NoHandler,
    /// There is a handler.
    Handler {
        /// Its running attempts.
        running: usize,
        /// Its `concurrency` option.
        concurrency: Option<usize>,
    },
}

/// All that the answer depends on.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    /// Wall time, ms.
    pub(super) now: Millis,
    /// The job and the place of its run, as the store has them.
    pub(super) found: &'a RunLocation,
    /// The job's route.
    pub(super) route: &'a Route,
    /// This instance's registration.
    pub(super) instance: Option<InstanceId>,
    /// This instance as a worker.
    pub(super) worker: WorkerState,
    /// This instance's handler.
    pub(super) handler: HandlerState,
    /// Why nothing built in does the job, though a definition in `resources` names its route.
    pub(super) left_to_handlers: Option<Box<str>>,
    /// For how long the handler gets no attempt, since those before found no connection; zero: one at a time.
    pub(super) hold: Option<Duration>,
    /// This instance runs a job alone, or is about to.
    pub(super) another_runs_alone: bool,
    /// This machine's clock is ahead of the one that jobs go by (behind: negative) by so many ms.
    pub(super) clock_skew: Option<Millis>,
}

/// The reasons, the first obstacle first.
pub(super) fn reasons(facts: &Facts<'_>) -> Vec<Reason> {
    let record = &facts.found.record;
    if record.status.is_ended() {
        return vec![ended(record)];
    }
    if let RunPosition::Running { instance, since } = facts.found.position {
        return vec![running(facts, instance, since)];
    }
    let mut reasons = Vec::new();
    if record.status == Status::Paused {
        reasons.push(reason("PAUSED", "the job is paused; `resume` lets it go on"));
    }
    // A paused job has no time and no place in a queue until it is resumed.
    let paused = !reasons.is_empty();
    if !paused {
        reasons.extend(not_yet(facts));
        if let Some(skew) = facts.clock_skew.filter(|_| !reasons.is_empty()) {
            reasons.push(reason("CLOCK_SKEW", skew_message(skew)));
        }
    }
    let is_due = reasons.is_empty();
    reasons.extend(incomputable(facts));
    reasons.extend(not_served(facts));
    if is_due {
        reasons.extend(contention(facts));
    }
    if reasons.is_empty() {
        reasons.push(reason(
            "READY",
            "the job is due and nothing stands in its way: it starts in a moment",
        ));
    }
    reasons
}

fn ended(record: &JobRecord) -> Reason {
    let when = record
        .completed_at
        .map(|at| format!(" at {}", format_time(at)))
        .unwrap_or_default();
    match record.status {
        Status::Cancelled => {
            let why = record
                .cancel_reason
                .as_deref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            reason("ENDED", format!("the job was cancelled{when}{why}"))
        }
        Status::Failed => {
            let why = record
                .error
                .as_ref()
                .map(|error| format!(" with {}: {}", error.code, error.message))
                .unwrap_or_default();
            let attempts = record.attempt;
            reason(
                "ENDED",
                format!("the job failed{when}, in attempt {attempts}, the last one{why}"),
            )
        }
        _ if record.recurrence.is_some() => reason("SERIES_OVER", series_over(record, &when)),
        _ => reason("ENDED", format!("the job completed{when}")),
    }
}

fn series_over(record: &JobRecord, when: &str) -> String {
    let recurrence: Option<Recurrence> = record
        .recurrence
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    let (limit, end) = recurrence.map_or((None, None), |recurrence| (recurrence.limit, recurrence.end_at));
    let count = record.execution_count;
    let why = match (limit, end) {
        (Some(limit), _) if count >= limit => format!("it had the {limit} runs of its `limit`"),
        (_, Some(end)) => format!("no run falls before its `endDate`, {}", format_time(end)),
        _ => "its schedule has no further time".to_owned(),
    };
    format!("the recurring job completed{when} after {count} runs: {why}")
}

fn running(facts: &Facts<'_>, instance: InstanceId, since: Millis) -> Reason {
    let position = if facts.instance == Some(instance) {
        "this instance".to_owned()
    } else {
        format!("another process or instance (registration {instance})")
    };
    let record = &facts.found.record;
    let message = format!(
        "attempt {} of {} is running in {position} since {}, for {}",
        record.attempt,
        attempts(record),
        format_time(since),
        format_duration(facts.now.saturating_sub(since)),
    );
    reason("LEASE_HELD", message)
}

/// Attempts that a run may have. Those that crashed spent no retry.
fn attempts(record: &JobRecord) -> u32 {
    record.retries.saturating_add(record.crashes).saturating_add(1)
}

/// Why the run is not due yet, if so.
fn not_yet(facts: &Facts<'_>) -> Option<Reason> {
    let record = &facts.found.record;
    let due = match facts.found.position {
        RunPosition::Waiting { due } => due,
        RunPosition::Idle => next_run(record)?,
        RunPosition::Ready { .. } | RunPosition::Blocked { .. } | RunPosition::Running { .. } => return None,
    };
    if due <= facts.now {
        return None;
    }
    let when = format!("{}, in {}", format_time(due), format_duration(due - facts.now));
    let waits = matches!(facts.found.position, RunPosition::Waiting { .. });
    Some(match facts.found.last_attempt {
        Some(RunStatus::Retried) if waits => reason("WAITING_FOR_RETRY", retry(record, &when)),
        Some(RunStatus::Crashed) if waits => reason("WAITING_FOR_RETRY", after_crash(record, &when)),
        Some(RunStatus::Snoozed) if waits => {
            let message = format!(
                "its next attempt is at {when}: its handler asked for that, or a process put it back that cannot read its input or \
                 whose clock is behind"
            );
            reason("SNOOZED", message)
        }
        _ if record.recurrence.is_some() => reason("NOT_DUE", format!("the next run is due at {when}")),
        _ => reason("NOT_DUE", format!("the job is due at {when}")),
    })
}

fn next_run(record: &JobRecord) -> Option<Millis> {
    let recurrence = record.recurrence.as_deref();
    let recurrence: Option<Recurrence> = recurrence.and_then(|text| serde_json::from_str(text).ok());
    next_run_at(record, recurrence.as_ref())
}

fn after_crash(record: &JobRecord, when: &str) -> String {
    let next = record.attempt.saturating_add(1);
    format!(
        "attempt {next} is due at {when}: its process died {}",
        times(record.crashes)
    )
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn retry(record: &JobRecord, when: &str) -> String {
    let why = record
        .error
        .as_ref()
        .map(|error| format!(" with {}: {}", error.code, error.message))
        .unwrap_or_default();
    format!(
        "attempt {} of {} is due at {when}; attempt {} failed{why}",
        record.attempt.saturating_add(1),
        attempts(record),
        record.attempt,
    )
}

/// That this version of the package makes no runs of the job, due or not. One that is there already is run.
fn incomputable(facts: &Facts<'_>) -> Option<Reason> {
    if facts.found.position != RunPosition::Idle {
        return None;
    }
    let why = why_incomputable(facts.found.record.recurrence.as_deref()?)?;
    let message = format!(
        "this version of the package cannot compute its schedule, and leaves it to processes that can: {why}; update the package, or \
         dispatch the job again with a schedule that it knows"
    );
    Some(reason("INCOMPUTABLE", message))
}

/// Why this instance does not serve the job, due or not.
fn not_served(facts: &Facts<'_>) -> Vec<Reason> {
    const OTHERS: &str = "whether another process has one is not known here";
    let route = facts.route;
    let mut reasons = Vec::new();
    match facts.worker {
        WorkerState::Off => {
            let message = "this instance was made with `worker: false` and only dispatches; another process has to run the job";
            return vec![reason("WORKER_OFF", message)];
        }
        WorkerState::Idle => reasons.push(reason(
            "WORKER_OFF",
            "this instance does not claim jobs now: it does so once a handler is registered, or `start` or `drain` is called",
        )),
        WorkerState::Unregistered => reasons.push(reason(
            "WORKER_OFF",
            "this instance has lost its registration with the store and is registering again",
        )),
        WorkerState::Working { .. } => {}
    }
    match facts.handler {
        HandlerState::Excluded => reasons.push(reason(
            "NO_HANDLER",
            format!("the `worker` option of this instance leaves out {route}, handlers or not"),
        )),
        HandlerState::NoHandler => {
            let why = facts.left_to_handlers.as_ref().map(|why| format!(": {why}"));
            let why = why.as_deref().unwrap_or_default();
            reasons.push(reason(
                "NO_HANDLER",
                format!("this instance has no handler for {route}{why}; {OTHERS}"),
            ));
        }
        HandlerState::Handler { .. } => {}
    }
    reasons
}

/// What keeps a due job waiting in an instance that could run it.
fn contention(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = key_limit_reached(facts).into_iter().collect();
    if let RunPosition::Ready { .. } = facts.found.position
        && facts.found.record.crashes >= SUSPECT_AFTER
    {
        let message = format!(
            "it waits to run alone in a process, since its process died {}",
            times(facts.found.record.crashes)
        );
        reasons.push(reason("RUNS_ALONE", message));
    } else if facts.another_runs_alone && matches!(facts.worker, WorkerState::Working { .. }) {
        let message = format!(
            "this instance runs a job alone, or is about to, whose process died {SUSPECT_AFTER} times or more; the others \
             start once it has ended"
        );
        reasons.push(reason("ANOTHER_RUNS_ALONE", message));
    }
    if let HandlerState::Handler {
        running,
        concurrency: Some(concurrency),
    } = facts.handler
        && running >= concurrency
    {
        let message = format!("its handler is busy here: {running} jobs run, its `concurrency` is {concurrency}");
        reasons.push(reason("HANDLER_BUSY", message));
    }
    if let Some(hold) = facts.hold {
        let left = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
        let message = format!(
            "attempts of its resource found no connection: they are made one at a time here until one does, the next in {}",
            format_duration(left)
        );
        reasons.push(reason("NO_CONNECTION", message));
    }
    if let WorkerState::Working { busy, slots } = facts.worker
        && busy >= slots
    {
        let message = format!("this instance is busy: {busy} jobs run, the worker's `concurrency` is {slots}");
        reasons.push(reason("NO_FREE_SLOT", message));
    }
    if let RunPosition::Ready { ahead, .. } = facts.found.position
        && ahead > 0
    {
        let more = if ahead >= MAX_COUNTED_AHEAD { "at least " } else { "" };
        let message = format!(
            "{more}{ahead} runs of {} come before it, by priority and due time",
            facts.route
        );
        reasons.push(reason("BEHIND_OTHERS", message));
    }
    reasons
}

/// Whether the run waits for others with its concurrency key, in any process.
fn key_limit_reached(facts: &Facts<'_>) -> Option<Reason> {
    let RunPosition::Blocked { running, limit, .. } = facts.found.position else {
        return None;
    };
    let options = facts.found.record.options.as_deref()?;
    let options: JobOptions = serde_json::from_str(options).ok()?;
    let key = options.concurrency?.key;
    let message =
        format!("its `concurrency` key '{key}' is used up: {running} runs with it are going, its limit is {limit}");
    Some(reason("CONCURRENCY_LIMIT", message))
}

fn format_time(at: Millis) -> String {
    Zone::utc().to_iso(at)
}

/// A length of time in words, two units at most.
fn format_duration(ms: i64) -> String {
    let ms = ms.max(0);
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 => format!("{minutes} min {} s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests;
