//! Jobs, histories and numbers as `ductape.jobs` shows them: the documented members, in JSON.
//!
//! Payloads and results are embedded as the text they were stored as.

use super::next_run::next_run_at;
use super::schedule_view::ScheduleView;
use crate::clock::Millis;
use crate::engine::shown;
use crate::model::{Figures, JobOptions, Recurrence, Route, Rule, RunError};
use crate::store::{Failing, History, HistoryEntry, JobRecord, LastRun, OccurrenceGap, Stats};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// `IJob`.
#[derive(Debug, Serialize)]
pub struct JobView {
    id: String,
    status: &'static str,
    namespace: &'static str,
    product: Box<str>,
    env: Box<str>,
    target: BTreeMap<&'static str, Box<str>>,
    scheduled_at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Millis>,
    recurring: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_run_at: Option<Millis>,
    execution_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleView>,
    priority: i32,
    tags: Vec<Box<str>>,
    retries: u32,
    retry_count: u32,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    error: Option<RunError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<LastRunView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<FailingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<Box<str>>,
    input: Box<RawValue>,
    /// `false`: no text of the input is an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    expressions: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    created_at: Millis,
    updated_at: Millis,
}

/// A stored text as JSON; text that is none (a damaged row) shows as null instead of spoiling the whole answer.
fn raw(text: Box<str>) -> Box<RawValue> {
    RawValue::from_string(text.into()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl JobView {
    /// Shows a stored job.
    #[must_use]
    pub fn new(record: JobRecord, route: &Route) -> Self {
        let options: JobOptions = record
            .options
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let recurrence: Option<Recurrence> = record
            .recurrence
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        let (mut cron, mut every, mut interval, mut tz) = (None, None, None, None);
        match recurrence.as_ref().map(|recurrence| &recurrence.rule) {
            Some(Rule::Cron { text, tz: zone }) => (cron, tz) = (Some(text.clone()), Some(zone.clone())),
            Some(Rule::Every { interval, .. }) => every = Some(*interval),
            Some(Rule::Interval { duration, tz: zone, .. }) => {
                (interval, tz) = (Some(duration.clone()), Some(zone.clone()));
            }
            None => {}
        }
        let next_run_at = next_run_at(&record, recurrence.as_ref());
        let scheduled_at = match record.next_run_at {
            Some(at) if at == record.scheduled_at => next_run_at.unwrap_or(at),
            _ => record.scheduled_at,
        };
        let schedule = match &recurrence {
            Some(recurrence) => Some(ScheduleView::recurring(recurrence)),
            None if record.recurrence.is_none() => Some(ScheduleView::one_off(record.scheduled_at)),
            None => None,
        };
        Self {
            id: record.id.to_string(),
            status: record.status.as_str(),
            namespace: route.namespace.as_str(),
            product: route.product.clone(),
            env: route.env.clone(),
            target: route.fields().map(|(name, value)| (name, value.into())).collect(),
            scheduled_at,
            started_at: record.started_at,
            completed_at: record.completed_at,
            recurring: record.recurrence.is_some(),
            cron,
            every,
            interval,
            tz,
            next_run_at,
            execution_count: record.execution_count,
            limit: recurrence.as_ref().and_then(|recurrence| recurrence.limit),
            end_date: recurrence.as_ref().and_then(|recurrence| recurrence.end_at),
            schedule,
            priority: record.priority,
            expressions: options.plain.then_some(false),
            tags: options.tags,
            retries: record.retries,
            retry_count: record.attempt.saturating_sub(1).saturating_sub(record.crashes),
            attempt: record.attempt,
            last_error: record.error.as_ref().map(|error| error.message.clone()),
            error: record.error,
            last_run: record.last_run.map(LastRunView::new),
            failing: record.failing.map(FailingView::new),
            progress: record.progress.map(raw),
            cancel_reason: record.cancel_reason,
            input: raw(record.input),
            result: record.result.map(raw),
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// The last run of a recurring job that is over.
#[derive(Debug, Serialize)]
struct LastRunView {
    status: &'static str,
    ended_at: Millis,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    error: Option<RunError>,
}

impl LastRunView {
    fn new(last: LastRun) -> Self {
        Self {
            status: last.status.as_str(),
            ended_at: last.ended_at,
            error: last.error,
        }
    }
}

/// Since when, and how often in a row, the runs of a recurring job have failed.
#[derive(Debug, Serialize)]
struct FailingView {
    since: Millis,
    runs: i64,
}

impl FailingView {
    fn new(failing: Failing) -> Self {
        Self {
            since: failing.since,
            runs: failing.runs,
        }
    }
}

/// `IJobHistory`.
#[derive(Debug, Serialize)]
pub struct HistoryView {
    job_id: String,
    total_executions: i64,
    successful_executions: i64,
    failed_executions: i64,
    executions: Vec<ExecutionView>,
    missed: Vec<GapView>,
    skipped: Vec<GapView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct ExecutionView {
    number: i64,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Millis>,
    completed_at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    error: Option<RunError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct GapView {
    from: Millis,
    to: Millis,
    count: i64,
    reason: &'static str,
}

impl HistoryView {
    /// Shows a stored history.
    #[must_use]
    pub fn new(job_id: String, history: History) -> Self {
        let ranges = |missed: bool| {
            let gaps = history.gaps.iter().filter(move |gap| gap.kind.is_missed() == missed);
            gaps.map(|gap: &OccurrenceGap| GapView {
                from: gap.first,
                to: gap.last,
                count: gap.count,
                reason: gap.kind.reason(),
            })
            .collect()
        };
        Self {
            job_id,
            total_executions: history.executions,
            successful_executions: history.succeeded,
            failed_executions: history.failed,
            missed: ranges(true),
            skipped: ranges(false),
            executions: history.entries.into_iter().map(ExecutionView::new).collect(),
            next: history.next.map(|last| format!("{}.{}", last.run, last.attempt)),
        }
    }
}

impl ExecutionView {
    fn new(entry: HistoryEntry) -> Self {
        Self {
            number: entry.run,
            attempt: entry.attempt,
            started_at: entry.started_at,
            completed_at: entry.ended_at,
            duration_ms: entry.started_at.map(|started| entry.ended_at.saturating_sub(started)),
            status: entry.status.as_str(),
            error: entry.error,
            result: entry.result.map(raw),
        }
    }
}

/// `IJobStats`.
#[derive(Debug, Serialize)]
pub struct StatsView {
    total: i64,
    scheduled: i64,
    queued: i64,
    running: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    paused: i64,
    failing: i64,
    success_rate: f64,
    completed_first_try: i64,
    completed_after_retry: i64,
    avg_retry_count: f64,
}

impl StatsView {
    /// The same with the numbers of runs and dispatches of a span of time in place of all.
    #[must_use]
    pub fn within(now: &Stats, span: &Figures, failing: i64) -> Self {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let runs = Stats {
            first_try: number(span.first_try),
            after_retry: number(span.completed.saturating_sub(span.first_try)),
            failed_runs: number(span.failed),
            retries: number(span.spent_retries),
            ..now.clone()
        };
        Self {
            total: number(span.dispatched),
            completed: number(span.completed),
            failed: number(span.failed),
            ..Self::new(&runs, failing)
        }
    }

    /// Shows numbers, with that of the recurring jobs that are failing. Rates are 0 before the first run has ended.
    #[must_use]
    pub fn new(stats: &Stats, failing: i64) -> Self {
        let [scheduled, queued, running, completed, failed, cancelled, paused] = stats.by_status;
        let succeeded = stats.first_try + stats.after_retry;
        let ended = succeeded + stats.failed_runs;
        let share = |part: i64| if ended == 0 { 0.0 } else { part as f64 / ended as f64 };
        Self {
            total: stats.by_status.iter().sum(),
            scheduled,
            queued,
            running,
            completed,
            failed,
            cancelled,
            paused,
            failing,
            success_rate: share(succeeded),
            completed_first_try: stats.first_try,
            completed_after_retry: stats.after_retry,
            avg_retry_count: share(stats.retries),
        }
    }
}
