//! Dispatch: writes new jobs, or answers with existing ones.
//!
//! Invariant: a dispatch that is resent because its outcome was unknown is idempotent: the same generated id with the
//! same dispatch time is the same dispatch.

use super::failure::damaged;
use super::job_text::{options_text, spec_text};
use super::jobs::{self, IdColumn, IdParam, JobKey};
use super::outbox::{self, Event};
use super::queue;
use super::run_rows::{KeyId, Rank};
use super::series::{self, SeriesDetails};
use super::tx::Tx;
use super::{insert_many, keys, read, replace, side_rows, uniques};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{EventKind, JobId, NewJob, OnConflict, Recurrence};
use crate::store::rules::series::SeriesState;
use crate::store::{InsertParams, Inserted, JobSeq, ReplaceSeries, RouteId};
use rusqlite::OptionalExtension;

const SELECT_DUPLICATE_SERIES: &str = include_str!("sql/select_duplicate_series.sql");
const INSERT_SERIES: &str = include_str!("sql/insert_series.sql");

/// Writes the jobs, one by one.
pub(super) fn apply(tx: &mut Tx<'_>, params: &InsertParams) -> Result<Vec<Inserted>> {
    if params.all_or_nothing && params.jobs.len() > 1 {
        return tx.in_savepoint(|tx| {
            let answers = insert_each(tx, params)?;
            let clean = !answers.iter().any(|answer| matches!(answer, Inserted::Conflict(_)));
            Ok((clean, answers))
        });
    }
    insert_each(tx, params)
}

fn insert_each(tx: &mut Tx<'_>, params: &InsertParams) -> Result<Vec<Inserted>> {
    let mut answers = Vec::with_capacity(params.jobs.len());
    let mut rest = params.jobs.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let together = insert_many::apply(tx, rest, params.now)?;
        if together == 0 {
            answers.push(insert_one(tx, first, (params.replaced, params.now))?);
            rest = others;
        } else {
            answers.extend(std::iter::repeat_with(|| Inserted::Created).take(together));
            rest = rest.get(together..).unwrap_or_default();
        }
    }
    Ok(answers)
}

fn insert_one(tx: &mut Tx<'_>, job: &NewJob, (replaced, now): (ReplaceSeries, Millis)) -> Result<Inserted> {
    let route = tx.intern(&job.route)?;
    if let Some(answer) = resolve_by_keys(tx, job, route, (replaced, now))? {
        return Ok(answer);
    }
    let key = keys::attach(tx, job)?;
    let Some(seq) = write_job(tx, job, route, key)? else {
        return resolve_existing(tx, job, route, (replaced, now));
    };
    let mut duplicate = None;
    match &job.recurrence {
        Some(recurrence) => {
            duplicate = find_duplicate_series(tx, job, route)?;
            write_series(tx, job, recurrence, seq, route, now)?;
        }
        None => {
            let rank = Rank {
                route,
                priority: job.priority,
                due: job.due.unwrap_or(job.created),
                key,
            };
            let status = queue::enqueue_first(tx, rank, seq, 1, now)?;
            tx.count_transition(route, None, Some(status));
        }
    }
    // A series without a next occurrence has scheduled nothing.
    let is_announced = !job.route.namespace.is_internal() && (job.due.is_some() || job.recurrence.is_none());
    if is_announced {
        outbox::append(tx, Event::new(EventKind::Scheduled, seq, now))?;
    }
    tx.wake();
    Ok(duplicate.map_or(Inserted::Created, Inserted::CreatedDuplicateSeries))
}

/// The answer for a job whose id or unique key is taken. Jobs without keys skip this query: a conflict of their id shows
/// on insert.
fn resolve_by_keys(
    tx: &mut Tx<'_>,
    job: &NewJob,
    route: RouteId,
    (replaced, now): (ReplaceSeries, Millis),
) -> Result<Option<Inserted>> {
    if job.options.unique.is_none() && job.options.concurrency.is_none() {
        return Ok(None);
    }
    if jobs::by_id(tx.connection, &job.id)?.is_some() {
        return resolve_existing(tx, job, route, (replaced, now)).map(Some);
    }
    let Some(unique) = &job.options.unique else {
        return Ok(None);
    };
    let key_owner = uniques::key_owner(tx.connection, route, unique, now)?;
    Ok(key_owner.map(|key_owner| Inserted::Duplicate(key_owner.id, key_owner.summary)))
}

/// Writes a job. `None`: a job with this id exists.
fn write_job(tx: &mut Tx<'_>, job: &NewJob, route: RouteId, key: Option<KeyId>) -> Result<Option<JobSeq>> {
    let options = options_text(&job.options)?;
    let due = job.due.or_else(|| job.recurrence.is_none().then_some(job.created));
    let seq = tx.reserve_job_numbers(1)?;
    let row = (
        seq,
        IdParam(&job.id),
        route,
        job.priority,
        due,
        job.retries,
        job.recurrence.is_some(),
        job.created,
        options,
        &*job.input,
        key,
    );
    if tx.insert_job(row)? == 0 {
        return Ok(None);
    }
    side_rows::put(tx.connection, seq, route, &job.options, job.created)?;
    Ok(Some(seq))
}

fn write_series(
    tx: &mut Tx<'_>,
    job: &NewJob,
    recurrence: &Recurrence,
    seq: JobSeq,
    route: RouteId,
    now: Millis,
) -> Result<()> {
    tx.connection
        .prepare_cached(INSERT_SERIES)?
        .execute((seq, spec_text(recurrence)?, job.due, job.fingerprint()))?;
    let new = SeriesState {
        version: 1,
        next_at: job.due,
        ..SeriesState::default()
    };
    let mut after = new;
    if after.end_if_over(now) {
        series::save(tx, seq, &new, &after, SeriesDetails::default())?;
    }
    tx.count_transition(route, None, Some(after.status()));
    Ok(())
}

/// A live series on the same route with the same schedule and input, if neither has an id chosen by its caller.
fn find_duplicate_series(tx: &Tx<'_>, job: &NewJob, route: RouteId) -> Result<Option<JobId>> {
    let Some(fingerprint) = job.fingerprint() else {
        return Ok(None);
    };
    let duplicate = tx
        .connection
        .prepare_cached(SELECT_DUPLICATE_SERIES)?
        .query_row((fingerprint, route), |row| {
            let IdColumn(id) = row.get(0)?;
            Ok(id)
        });
    Ok(duplicate.optional()?)
}

fn resolve_existing(
    tx: &mut Tx<'_>,
    job: &NewJob,
    route: RouteId,
    (replaced, now): (ReplaceSeries, Millis),
) -> Result<Inserted> {
    let known = jobs::by_id(tx.connection, &job.id)?.ok_or_else(|| damaged("an id without its job"))?;
    if is_resent(job, &known) {
        return Ok(Inserted::Created);
    }
    match job.on_conflict {
        OnConflict::Return => Ok(Inserted::Existing(read::summary(tx.connection, &known)?)),
        OnConflict::Error => Ok(Inserted::Conflict(format!("a job with the id {} exists", job.id))),
        OnConflict::Replace => {
            let answer = replace::apply(tx, job, &known, route, (replaced, now))?;
            if matches!(answer, Inserted::Replaced(_)) {
                outbox::append(tx, Event::new(EventKind::Scheduled, known.seq, now))?;
            }
            Ok(answer)
        }
    }
}

fn is_resent(job: &NewJob, known: &JobKey) -> bool {
    matches!(job.id, JobId::Generated(_)) && job.created == known.created
}
