//! A job as callers see it: its state, derived from the locations of its runs, and its full record.
//!
//! Writes nothing. Invariant: everything is read from one snapshot.

use super::error_text::read_error;
use super::jobs::{self, IdColumn, JobKey};
use super::locate::{self, RunKey, RunState};
use super::notes;
use super::series::{self, Series};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, RunError, RunStatus, Status};
use crate::store::rules::phase::LastAttempt;
use crate::store::{Cancellation, JobRecord, JobSeq, JobSummary, LastRun, ListFilter};
use rusqlite::{Connection, OptionalExtension};

const SELECT_JOB: &str = include_str!("sql/job_record.sql");
const SELECT_LAST_ERROR: &str = include_str!("sql/select_last_error.sql");
const SELECT_LAST_RESULT: &str = include_str!("sql/select_last_result.sql");
const SELECT_ERROR_OF_RUN: &str = include_str!("sql/select_error_of_run.sql");
const SELECT_ERROR_OF_ATTEMPT: &str = include_str!("sql/select_error_of_attempt.sql");
const COUNT_ENDED_RUNS: &str = include_str!("sql/read_count_ended_runs.sql");
const COUNT_CRASHES: &str = include_str!("sql/count_crashes.sql");

/// The state of a job and what it is derived from.
#[derive(Clone, Debug)]
pub(super) struct JobState {
    pub(super) status: Status,
    pub(super) scheduled_at: Millis,
    /// Its current or last run; 0: none so far.
    pub(super) run: i64,
    run_state: Option<RunState>,
    series: Option<Series>,
}

impl JobState {
    /// Derives the state of a job.
    pub(super) fn of(connection: &Connection, job: &JobKey) -> Result<Self> {
        if job.recurring {
            return Self::of_series(connection, job);
        }
        let run_state = locate::run(connection, &RunKey::of_one_off(job))?;
        let scheduled_at = due_of(&run_state).unwrap_or_else(|| job.first_due());
        Ok(Self {
            status: run_state.status(),
            scheduled_at,
            run: job.run,
            run_state: Some(run_state),
            series: None,
        })
    }

    fn of_series(connection: &Connection, job: &JobKey) -> Result<Self> {
        let series = series::expect(connection, job.seq)?;
        let status = series.state.status();
        let live = series::current_run(connection, job.seq)?;
        let Some(live) = live else {
            let scheduled_at = series
                .state
                .next_at
                .or(series.last_at)
                .unwrap_or_else(|| job.first_due());
            return Ok(Self {
                status,
                scheduled_at,
                run: series.state.runs,
                run_state: None,
                series: Some(series),
            });
        };
        let run_state = locate::run(connection, &RunKey::of_series(job, live))?;
        let scheduled_at = due_of(&run_state).unwrap_or(live.due);
        Ok(Self {
            status,
            scheduled_at,
            run: live.run,
            run_state: Some(run_state),
            series: Some(series),
        })
    }

    /// Location of its current run; `None`: a series between two runs, or one that has ended.
    pub(super) fn run_state(&self) -> Option<&RunState> {
        self.run_state.as_ref()
    }

    /// Whether its last run is what the filter asks for.
    pub(super) fn matches_last_run(&self, filter: &ListFilter) -> bool {
        let Some(series) = &self.series else {
            return !filter.asks_for_last_run();
        };
        let status = series.state.last.map(|last| last.status);
        filter.admits_last_run(status, series.state.failing.is_some())
    }

    fn next_run_at(&self) -> Option<Millis> {
        // Unknown for a paused series: it depends on when it is resumed.
        let goes_on = self.series.as_ref().filter(|series| !series.state.paused);
        goes_on.and_then(|series| series.state.next_at)
    }
}

/// When a waiting run is due.
fn due_of(run_state: &RunState) -> Option<Millis> {
    match run_state {
        RunState::Ready(due, _)
        | RunState::Blocked(due, _)
        | RunState::Scheduled(due, _)
        | RunState::ScheduledByDay(due)
        | RunState::Paused(due, _) => Some(*due),
        RunState::Running(_) | RunState::Ended(_) => None,
    }
}

/// Summary of a job, for a dispatch that found it.
pub(super) fn summary(connection: &Connection, job: &JobKey) -> Result<JobSummary> {
    let state = JobState::of(connection, job)?;
    Ok(JobSummary {
        status: state.status,
        scheduled_at: state.scheduled_at,
        recurring: job.recurring,
        next_run_at: state.next_run_at(),
    })
}

/// The cancellation of a run, if it was cancelled.
pub(super) fn cancellation(connection: &Connection, job: JobSeq, run: i64) -> Result<Option<Cancellation>> {
    let last = locate::last_attempt(connection, job, run)?;
    let Some(last) = last.filter(|last| last.status == RunStatus::Cancelled) else {
        return Ok(None);
    };
    let reason = message_of(connection, job, run, last.attempt)?;
    Ok(Some(Cancellation { reason }))
}

/// The job with this id.
pub(super) fn get(connection: &Connection, id: &JobId) -> Result<Option<JobRecord>> {
    let Some(job) = jobs::by_id(connection, id)? else {
        return Ok(None);
    };
    let state = JobState::of(connection, &job)?;
    record(connection, &job, &state).map(Some)
}

/// The record of a job, whose state was found in the same snapshot.
pub(super) fn record(connection: &Connection, job: &JobKey, state: &JobState) -> Result<JobRecord> {
    let last = locate::last_attempt(connection, job.seq, state.run)?;
    let attempts = AttemptSummary::of(connection, job, state, last.as_ref())?;
    let cancel_reason = cancel_reason(connection, job, state)?;
    let execution_count = executions(connection, job, state)?;
    let error = last_error(connection, job.seq)?;
    let result = connection
        .prepare_cached(SELECT_LAST_RESULT)?
        .query_row([job.seq], |row| row.get(0))
        .optional()?
        .flatten();
    let progress = notes::progress(connection, job.seq)?;
    let last_run = last_run(connection, job.seq, state)?;
    let completed_at = completed_at(state, last.as_ref());
    let mut select = connection.prepare_cached(SELECT_JOB)?;
    let row = select.query_row([job.seq], |row| {
        let IdColumn(id) = row.get(0)?;
        let updated: Millis = row.get(2)?;
        Ok(JobRecord {
            job: job.seq,
            id,
            route: job.route,
            status: state.status,
            scheduled_at: state.scheduled_at,
            started_at: attempts.started_at,
            completed_at,
            recurrence: state.series.as_ref().map(|series| series.spec.clone()),
            next_run_at: state.next_run_at(),
            execution_count,
            priority: job.priority,
            retries: row.get(1)?,
            attempt: attempts.number,
            crashes: attempts.crashes,
            error,
            cancel_reason,
            options: row.get(3)?,
            input: row.get(4)?,
            result,
            progress,
            last_run,
            failing: state.series.as_ref().and_then(|series| series.state.failing),
            created_at: job.created,
            updated_at: [completed_at, attempts.changed_at]
                .into_iter()
                .flatten()
                .fold(updated, Millis::max),
        })
    });
    Ok(row?)
}

/// The attempts of the current or last run, as a record shows them.
struct AttemptSummary {
    number: u32,
    crashes: u32,
    started_at: Option<Millis>,
    changed_at: Option<Millis>,
}

impl AttemptSummary {
    fn of(connection: &Connection, job: &JobKey, state: &JobState, last: Option<&LastAttempt>) -> Result<Self> {
        if let Some(RunState::Running(running)) = &state.run_state {
            return Ok(Self {
                number: running.attempt,
                crashes: running.crashes,
                started_at: Some(running.started),
                changed_at: Some(running.started),
            });
        }
        let number = match (last, &state.run_state) {
            (Some(last), _) if last.started.is_some() => last.attempt,
            (Some(last), _) => last.attempt.saturating_sub(1),
            (None, Some(run_state)) => run_state.attempt().0.saturating_sub(1),
            (None, None) => 0,
        };
        let crashes = connection
            .prepare_cached(COUNT_CRASHES)?
            .query_row((job.seq, state.run), |row| row.get(0))?;
        Ok(Self {
            number,
            crashes,
            started_at: last.and_then(|last| last.started),
            changed_at: last.map(|last| last.ended),
        })
    }
}

fn completed_at(state: &JobState, last: Option<&LastAttempt>) -> Option<Millis> {
    match &state.series {
        Some(series) => series.state.ended_at,
        None => last.filter(|_| state.status.is_ended()).map(|last| last.ended),
    }
}

/// How many runs have ended.
pub(super) fn executions(connection: &Connection, job: &JobKey, state: &JobState) -> Result<i64> {
    match &state.series {
        Some(series) => Ok(series.state.ended),
        None => Ok(connection
            .prepare_cached(COUNT_ENDED_RUNS)?
            .query_row([job.seq], |row| row.get(0))?),
    }
}

fn last_error(connection: &Connection, job: JobSeq) -> Result<Option<RunError>> {
    let text: Option<Option<Box<str>>> = connection
        .prepare_cached(SELECT_LAST_ERROR)?
        .query_row([job], |row| row.get(0))
        .optional()?;
    text.flatten().map(|text| read_error(&text)).transpose()
}

/// The last run of a series that is over.
fn last_run(connection: &Connection, job: JobSeq, state: &JobState) -> Result<Option<LastRun>> {
    let Some(last) = state.series.as_ref().and_then(|series| series.state.last) else {
        return Ok(None);
    };
    let error = match last.status {
        RunStatus::Completed => None,
        _ => connection
            .prepare_cached(SELECT_ERROR_OF_RUN)?
            .query_row((job, last.run), |row| row.get::<_, Option<Box<str>>>(0))
            .optional()?
            .flatten(),
    };
    Ok(Some(LastRun {
        status: last.status,
        ended_at: last.ended_at,
        error: error.map(|text| read_error(&text)).transpose()?,
    }))
}

fn cancel_reason(connection: &Connection, job: &JobKey, state: &JobState) -> Result<Option<Box<str>>> {
    if state.status != Status::Cancelled {
        return Ok(None);
    }
    if let Some(series) = &state.series {
        return Ok(series.reason.clone());
    }
    let Some(run_state) = &state.run_state else {
        return Ok(None);
    };
    message_of(connection, job.seq, state.run, run_state.attempt().0)
}

/// The message of an attempt's error.
fn message_of(connection: &Connection, job: JobSeq, run: i64, attempt: u32) -> Result<Option<Box<str>>> {
    let text: Option<Box<str>> = connection
        .prepare_cached(SELECT_ERROR_OF_ATTEMPT)?
        .query_row((job, run, attempt), |row| row.get(0))
        .optional()?
        .flatten();
    text.map(|text| read_error(&text).map(|error| error.message))
        .transpose()
}
