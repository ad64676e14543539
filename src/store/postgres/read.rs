//! A job as callers see it: its full record, and the cancellation of a run.
//!
//! Writes nothing. Invariant: everything in one answer is from one snapshot.

use super::error_text::error_of;
use super::failure::{DbResult, damaged};
use super::keys;
use super::session::Session;
use super::state::{self, RunState, StoredJob, read_last, unsigned};
use crate::clock::Millis;
use crate::model::{JobId, RunStatus, Status};
use crate::store::rules::phase::LastAttempt;
use crate::store::{Cancellation, JobRecord, JobSeq, LastRun, RunLocation, RunPosition};
use futures_util::future::{try_join, try_join3};
use std::collections::HashMap;
use tokio_postgres::Row;

const SELECT_JOBS: &str = include_str!("sql/select_jobs.sql");
const SELECT_LAST_ATTEMPT: &str = include_str!("sql/select_last_attempt.sql");
const COUNT_READY_AHEAD: &str = include_str!("sql/count_ready_ahead.sql");

/// The cancellation of a run, if it was cancelled.
pub(super) async fn cancellation(session: &Session, job: JobSeq, run: i64) -> DbResult<Option<Cancellation>> {
    let Some(row) = session.query_opt(SELECT_LAST_ATTEMPT, &[&job, &run]).await? else {
        return Ok(None);
    };
    if row.try_get::<_, i32>(0)? != RunStatus::Cancelled as i32 {
        return Ok(None);
    }
    let reason = error_of(&row, 1)?.map(|error| error.message);
    Ok(Some(Cancellation { reason }))
}

/// The job with this id.
pub(super) async fn get(session: &Session, id: &JobId) -> DbResult<Option<JobRecord>> {
    let ((), seq) = try_join(session.snapshot(), state::find(session, id)).await?;
    let jobs: Vec<JobSeq> = seq.into_iter().collect();
    state::prepare_ahead(session, &jobs).await?;
    session.prepare_ahead(SELECT_JOBS, &[&jobs]).await?;
    // Pipelined.
    let (stored_jobs, rows, ()) = try_join3(
        state::of(session, &jobs),
        session.query(SELECT_JOBS, &[&jobs]),
        session.end_snapshot(),
    )
    .await?;
    let shown = stored_jobs.first().zip(rows.first());
    shown
        .map(|(stored_job, row)| Ok(record(stored_job, row)?.0))
        .transpose()
}

/// Starts a snapshot and finds a job in it.
async fn found(session: &Session, id: &JobId) -> DbResult<Option<StoredJob>> {
    let ((), seq) = try_join(session.snapshot(), state::find(session, id)).await?;
    match seq {
        Some(seq) => Ok(state::of(session, &vec![seq]).await?.pop()),
        None => Ok(None),
    }
}

/// Location of the job with this id; runs ahead of it are counted up to `count_up_to`.
pub(super) async fn run_location(session: &Session, id: &JobId, count_up_to: usize) -> DbResult<Option<RunLocation>> {
    let Some(stored_job) = found(session, id).await? else {
        session.end_snapshot().await?;
        return Ok(None);
    };
    let current = stored_job.current().copied();
    let run_state = match current.map(|run| (run.run, run.run_state)) {
        None | Some((_, RunState::Ended(_))) => RunPosition::Idle,
        Some((_, RunState::Scheduled(due, _) | RunState::ScheduledByDay(due) | RunState::Paused(due, _))) => {
            RunPosition::Waiting { due }
        }
        Some((run, RunState::Ready(due, _) | RunState::Blocked(due, _))) => {
            match keys::usage_if_full(session, stored_job.job.key).await? {
                Some((running, limit)) => RunPosition::Blocked { due, running, limit },
                None => RunPosition::Ready {
                    due,
                    ahead: ahead(session, &stored_job, due, run, count_up_to).await?,
                },
            }
        }
        Some((_, RunState::Running(running))) => RunPosition::Running {
            instance: running.owner,
            since: running.started,
        },
    };
    let mut shown = all(session, std::slice::from_ref(&stored_job)).await?;
    session.end_snapshot().await?;
    Ok(shown.pop().map(|(record, last)| RunLocation {
        record,
        position: run_state,
        last_attempt: last.map(|last| last.status),
    }))
}

async fn ahead(session: &Session, stored_job: &StoredJob, due: Millis, run: i64, most: usize) -> DbResult<usize> {
    let job = &stored_job.job;
    let most = super::param::rows(most);
    let row = session
        .query_opt(
            COUNT_READY_AHEAD,
            &[&job.route, &job.priority, &due, &job.seq, &run, &most],
        )
        .await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The records of jobs, in their order, read in the snapshot in which they were found.
pub(super) async fn records(session: &Session, stored_jobs: &[StoredJob]) -> DbResult<Vec<JobRecord>> {
    Ok(all(session, stored_jobs)
        .await?
        .into_iter()
        .map(|(record, _)| record)
        .collect())
}

async fn all(session: &Session, stored_jobs: &[StoredJob]) -> DbResult<Vec<(JobRecord, Option<LastAttempt>)>> {
    if stored_jobs.is_empty() {
        return Ok(Vec::new());
    }
    let jobs: Vec<JobSeq> = stored_jobs.iter().map(|stored_job| stored_job.job.seq).collect();
    let rows = session.query(SELECT_JOBS, &[&jobs]).await?;
    let mut by_job: HashMap<JobSeq, &Row> = HashMap::with_capacity(rows.len());
    for row in &rows {
        by_job.insert(row.try_get(0)?, row);
    }
    stored_jobs
        .iter()
        .map(|stored_job| {
            let row = by_job
                .get(&stored_job.job.seq)
                .ok_or_else(|| damaged("a job without its row"))?;
            record(stored_job, row)
        })
        .collect()
}

fn record(stored_job: &StoredJob, row: &Row) -> DbResult<(JobRecord, Option<LastAttempt>)> {
    let job = &stored_job.job;
    let status = stored_job.status();
    let last = read_last(row, 10)?;
    let attempts = AttemptSummary::of(stored_job, row, last.as_ref())?;
    let completed_at = match &stored_job.series {
        Some(series) => series.state.ended_at,
        None => last.filter(|_| status.is_ended()).map(|last| last.ended),
    };
    let cancel_reason = match (&stored_job.series, status) {
        (Some(series), Status::Cancelled) => series.reason.clone(),
        (None, Status::Cancelled) => error_of(row, 15)?.map(|error| error.message),
        _ => None,
    };
    let updated: Millis = row.try_get(2)?;
    let record = JobRecord {
        job: job.seq,
        id: job.id.clone(),
        route: job.route,
        status,
        scheduled_at: stored_job.scheduled_at(),
        started_at: attempts.started_at,
        completed_at,
        recurrence: stored_job.series.as_ref().map(|series| series.spec.clone()),
        next_run_at: stored_job.next_run_at(),
        execution_count: match &stored_job.series {
            Some(series) => series.state.ended,
            None => row.try_get(7)?,
        },
        priority: job.priority,
        retries: unsigned(row, 1)?,
        attempt: attempts.number,
        crashes: attempts.crashes,
        error: error_of(row, 5)?,
        cancel_reason,
        options: row.try_get(3)?,
        input: row.try_get(4)?,
        result: row.try_get(6)?,
        progress: row.try_get(9)?,
        last_run: last_run(stored_job, row)?,
        failing: stored_job.series.as_ref().and_then(|series| series.state.failing),
        created_at: job.created,
        updated_at: [completed_at, attempts.changed_at]
            .into_iter()
            .flatten()
            .fold(updated, Millis::max),
    };
    Ok((record, last))
}

/// The last run of a series that is over.
fn last_run(stored_job: &StoredJob, row: &Row) -> DbResult<Option<LastRun>> {
    let Some(last) = stored_job.series.as_ref().and_then(|series| series.state.last) else {
        return Ok(None);
    };
    Ok(Some(LastRun {
        status: last.status,
        ended_at: last.ended_at,
        error: error_of(row, 16)?,
    }))
}

/// The attempts of the current or last run, as a record shows them.
struct AttemptSummary {
    number: u32,
    crashes: u32,
    started_at: Option<Millis>,
    changed_at: Option<Millis>,
}

impl AttemptSummary {
    fn of(stored_job: &StoredJob, row: &Row, last: Option<&LastAttempt>) -> DbResult<Self> {
        let run_state = stored_job.current().map(|run| run.run_state);
        if let Some(RunState::Running(running)) = run_state {
            return Ok(Self {
                number: running.attempt,
                crashes: running.crashes,
                started_at: Some(running.started),
                changed_at: Some(running.started),
            });
        }
        let number = match (last, run_state) {
            (Some(last), _) if last.started.is_some() => last.attempt,
            (Some(last), _) => last.attempt.saturating_sub(1),
            (None, Some(run_state)) => run_state.attempt().0.saturating_sub(1),
            (None, None) => 0,
        };
        let crashes: i64 = row.try_get(8)?;
        Ok(Self {
            number,
            crashes: u32::try_from(crashes).unwrap_or(u32::MAX),
            started_at: last.and_then(|last| last.started),
            changed_at: last.map(|last| last.ended),
        })
    }
}
