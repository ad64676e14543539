//! What a job looks like from outside: its full record, and why a run was cancelled.
//!
//! Writes nothing. Invariant: what is shown together is of one snapshot.

use super::failure::{Attempt, damaged};
use super::keys;
use super::session::Session;
use super::state::{self, Place, Subject, read_last, unsigned};
use crate::clock::Millis;
use crate::model::{JobId, RunError, RunStatus, Status};
use crate::store::phase::LastAttempt;
use crate::store::{Cancellation, JobRecord, JobSeq, RunPlace, Whereabouts};
use futures_util::future::{try_join, try_join3};
use std::collections::HashMap;
use tokio_postgres::Row;

const RECORDS: &str = include_str!("sql/records.sql");
const CANCELLATION: &str = include_str!("sql/runs_last.sql");
const AHEAD: &str = include_str!("sql/ready_ahead.sql");

/// Whether a run was cancelled, and why.
pub(super) async fn cancellation(session: &Session, job: JobSeq, run: i64) -> Attempt<Option<Cancellation>> {
    let Some(row) = session.query_opt(CANCELLATION, &[&job, &run]).await? else {
        return Ok(None);
    };
    if row.try_get::<_, i32>(0)? != RunStatus::Cancelled as i32 {
        return Ok(None);
    }
    let reason = error_of(&row, 1)?.map(|error| error.message);
    Ok(Some(Cancellation { reason }))
}

/// The job with this id.
pub(super) async fn get(session: &Session, id: &JobId) -> Attempt<Option<JobRecord>> {
    let ((), seq) = try_join(session.snapshot(), state::find(session, id)).await?;
    let jobs: Vec<JobSeq> = seq.into_iter().collect();
    state::learn(session, &jobs).await?;
    session.learn(RECORDS, &[&jobs]).await?;
    // In one go.
    let (subjects, rows, ()) = try_join3(
        state::of(session, &jobs),
        session.query(RECORDS, &[&jobs]),
        session.end_snapshot(),
    )
    .await?;
    let shown = subjects.first().zip(rows.first());
    shown.map(|(subject, row)| Ok(record(subject, row)?.0)).transpose()
}

/// Begins a snapshot and finds a job in it.
async fn found(session: &Session, id: &JobId) -> Attempt<Option<Subject>> {
    let ((), seq) = try_join(session.snapshot(), state::find(session, id)).await?;
    match seq {
        Some(seq) => Ok(state::of(session, &vec![seq]).await?.pop()),
        None => Ok(None),
    }
}

/// The job with this id and where its run is; runs before it are counted up to `count_up_to`.
pub(super) async fn whereabouts(session: &Session, id: &JobId, count_up_to: usize) -> Attempt<Option<Whereabouts>> {
    let Some(subject) = found(session, id).await? else {
        session.end_snapshot().await?;
        return Ok(None);
    };
    let current = subject.current().copied();
    let place = match current.map(|run| (run.run, run.place)) {
        None | Some((_, Place::Ended(_))) => RunPlace::AtRest,
        Some((_, Place::Scheduled(due, _) | Place::Far(due) | Place::Paused(due, _))) => RunPlace::Waiting { due },
        Some((run, Place::Ready(due, _) | Place::Held(due, _))) => match keys::full(session, subject.job.key).await? {
            Some((running, limit)) => RunPlace::Held { due, running, limit },
            None => RunPlace::Ready {
                due,
                ahead: ahead(session, &subject, due, run, count_up_to).await?,
            },
        },
        Some((_, Place::Running(running))) => RunPlace::Running {
            instance: running.owner,
            since: running.started,
        },
    };
    let mut shown = all(session, std::slice::from_ref(&subject)).await?;
    session.end_snapshot().await?;
    Ok(shown.pop().map(|(record, last)| Whereabouts {
        record,
        place,
        last_attempt: last.map(|last| last.status),
    }))
}

async fn ahead(session: &Session, subject: &Subject, due: Millis, run: i64, most: usize) -> Attempt<usize> {
    let job = &subject.job;
    let most = super::param::rows(most);
    let row = session
        .query_opt(AHEAD, &[&job.route, &job.priority, &due, &job.seq, &run, &most])
        .await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The records of jobs, in their order; in the snapshot they were found in.
pub(super) async fn records(session: &Session, subjects: &[Subject]) -> Attempt<Vec<JobRecord>> {
    Ok(all(session, subjects)
        .await?
        .into_iter()
        .map(|(record, _)| record)
        .collect())
}

async fn all(session: &Session, subjects: &[Subject]) -> Attempt<Vec<(JobRecord, Option<LastAttempt>)>> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let jobs: Vec<JobSeq> = subjects.iter().map(|subject| subject.job.seq).collect();
    let rows = session.query(RECORDS, &[&jobs]).await?;
    let mut by_job: HashMap<JobSeq, &Row> = HashMap::with_capacity(rows.len());
    for row in &rows {
        by_job.insert(row.try_get(0)?, row);
    }
    subjects
        .iter()
        .map(|subject| {
            let row = by_job
                .get(&subject.job.seq)
                .ok_or_else(|| damaged("a job without its row"))?;
            record(subject, row)
        })
        .collect()
}

fn record(subject: &Subject, row: &Row) -> Attempt<(JobRecord, Option<LastAttempt>)> {
    let job = &subject.job;
    let status = subject.status();
    let last = read_last(row, 10)?;
    let attempts = Attempts::of(subject, row, last.as_ref())?;
    let completed_at = match &subject.series {
        Some(series) => series.ended_at,
        None => last.filter(|_| status.is_ended()).map(|last| last.ended),
    };
    let cancel_reason = match (&subject.series, status) {
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
        scheduled_at: subject.scheduled_at(),
        started_at: attempts.started_at,
        completed_at,
        recurrence: subject.series.as_ref().map(|series| series.spec.clone()),
        next_run_at: subject.next_run_at(),
        execution_count: match &subject.series {
            Some(series) => series.ended,
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
        created_at: job.created,
        updated_at: [completed_at, attempts.changed_at]
            .into_iter()
            .flatten()
            .fold(updated, Millis::max),
    };
    Ok((record, last))
}

/// What a record says of the attempts of the current or last run.
struct Attempts {
    number: u32,
    crashes: u32,
    started_at: Option<Millis>,
    changed_at: Option<Millis>,
}

impl Attempts {
    fn of(subject: &Subject, row: &Row, last: Option<&LastAttempt>) -> Attempt<Self> {
        let place = subject.current().map(|run| run.place);
        if let Some(Place::Running(running)) = place {
            return Ok(Self {
                number: running.attempt,
                crashes: running.crashes,
                started_at: Some(running.started),
                changed_at: Some(running.started),
            });
        }
        let number = match (last, place) {
            (Some(last), _) if last.started.is_some() => last.attempt,
            (Some(last), _) => last.attempt.saturating_sub(1),
            (None, Some(place)) => place.attempt().0.saturating_sub(1),
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

/// An error from a column with its JSON text.
pub(super) fn error_of(row: &Row, at: usize) -> Attempt<Option<RunError>> {
    let text: Option<&str> = row.try_get(at)?;
    let read = |text: &str| serde_json::from_str(text).map_err(|_| damaged("an error that cannot be read"));
    Ok(text.map(read).transpose()?)
}
