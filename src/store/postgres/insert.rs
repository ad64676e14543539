//! Dispatch: writes any number of new jobs in one statement, and answers with existing ones.
//!
//! Invariant: a dispatch that is resent because its outcome was unknown is idempotent: the same generated id with the
//! same dispatch time is the same dispatch.

use super::failure::{DbResult, Failure, damaged};
use super::job_text::{options_text, spec_text};
use super::keys::Keys;
use super::param::storable;
use super::replace;
use super::routed_job::{RoutedJob, first_due};
use super::run_rows::{self, KeyId};
use super::session::Session;
use super::state;
use super::tx::{Effects, Tx};
use super::uniques;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, OnConflict};
use crate::store::{Inserted, RouteId, RouteMark};
use std::collections::HashMap;
use uuid::Uuid;

const CALL_INSERT: &str = include_str!("sql/call_insert.sql");
const CHECK_ROUTES: &str = include_str!("sql/check_routes.sql");
const SELECT_DUPLICATE_SERIES: &str = include_str!("sql/select_duplicate_series.sql");

/// Columns of new jobs.
#[derive(Default)]
struct Columns {
    ids: Vec<Option<Uuid>>,
    names: Vec<Option<Box<str>>>,
    routes: Vec<RouteId>,
    /// Each once, and when it was added.
    distinct_routes: Vec<RouteId>,
    route_marks: Vec<RouteMark>,
    priorities: Vec<i32>,
    dues: Vec<Option<i64>>,
    retries: Vec<i32>,
    specs: Vec<Option<String>>,
    fingerprints: Vec<Option<i64>>,
    createds: Vec<i64>,
    options: Vec<Option<String>>,
    inputs: Vec<Box<str>>,
    keys: Vec<Option<KeyId>>,
    tag_indices: Vec<i64>,
    tags: Vec<String>,
}

impl Columns {
    fn of(jobs: &[RoutedJob<'_>], keys: &Keys) -> Result<Self> {
        let mut columns = Self::default();
        for (index, RoutedJob { job, route, mark, .. }) in (1..).zip(jobs) {
            let (id, name) = match &job.id {
                JobId::Generated(id) => (Some(*id), None),
                JobId::Custom(name) => (None, Some(name.clone())),
            };
            columns.ids.push(id);
            columns.names.push(name);
            columns.routes.push(*route);
            if !columns.distinct_routes.contains(route) {
                columns.distinct_routes.push(*route);
                columns.route_marks.push(*mark);
            }
            columns.priorities.push(job.priority);
            columns.dues.push(first_due(job));
            columns.retries.push(run_rows::int4(job.retries));
            columns.specs.push(job.recurrence.as_ref().map(spec_text).transpose()?);
            columns.fingerprints.push(job.fingerprint());
            columns.createds.push(job.created);
            columns.options.push(options_text(&job.options)?);
            columns.inputs.push(job.input.clone());
            columns.keys.push(keys.of(job));
            for tag in &job.options.tags {
                columns.tag_indices.push(index);
                columns.tags.push(storable(tag).into_owned());
            }
        }
        Ok(columns)
    }

    async fn insert(&self, session: &Session, now: Millis) -> DbResult<Vec<usize>> {
        let written = session
            .query(
                CALL_INSERT,
                &[
                    &now,
                    &self.ids,
                    &self.names,
                    &self.routes,
                    &self.priorities,
                    &self.dues,
                    &self.retries,
                    &self.specs,
                    &self.fingerprints,
                    &self.createds,
                    &self.options,
                    &self.inputs,
                    &self.keys,
                    &self.tag_indices,
                    &self.tags,
                    &self.distinct_routes,
                    &self.route_marks,
                ],
            )
            .await?;
        let index = |row: &tokio_postgres::Row| Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0));
        written.iter().map(index).collect()
    }
}

/// The results of an insert, and its effects.
pub(super) type Outcome = (Vec<Inserted>, Effects);

/// Writes the jobs; those whose id is taken, and those with a unique key, are written after the others, each in a
/// transaction of its own.
pub(super) async fn insert_each(session: &Session, jobs: &[RoutedJob<'_>], now: Millis) -> DbResult<Outcome> {
    let mut after = Effects::default();
    let (mut answers, rest) = if jobs.iter().any(|routed| routed.job.options.concurrency.is_some()) {
        let mut tx = Tx::begin(session).await?;
        let written = write(&mut tx, jobs, now).await?;
        after.merge(tx.commit().await?);
        written
    } else {
        // A single statement, which is its own transaction.
        write(&mut Tx::resume(session), jobs, now).await?
    };
    for at in rest {
        if let (Some(job), Some(answer)) = (jobs.get(at), answers.get_mut(at)) {
            let mut tx = Tx::begin(session).await?;
            uniques::lock(session, std::slice::from_ref(job)).await?;
            *answer = one(&mut tx, *job, now).await?;
            after.merge(tx.commit().await?);
        }
    }
    Ok((answers, after))
}

/// Writes all of the jobs or none.
pub(super) async fn insert_all_or_nothing(session: &Session, jobs: &[RoutedJob<'_>], now: Millis) -> DbResult<Outcome> {
    let mut tx = Tx::begin(session).await?;
    uniques::lock(session, jobs).await?;
    let answers = insert_in(&mut tx, jobs, now).await?;
    if answers.iter().any(|answer| matches!(answer, Inserted::Conflict(_))) {
        tx.roll_back().await?;
        return Ok((answers, Effects::default()));
    }
    Ok((answers, tx.commit().await?))
}

/// Writes jobs within a transaction.
pub(super) async fn insert_in(tx: &mut Tx<'_>, jobs: &[RoutedJob<'_>], now: Millis) -> DbResult<Vec<Inserted>> {
    let (mut answers, rest) = write(tx, jobs, now).await?;
    for at in rest {
        if let (Some(job), Some(answer)) = (jobs.get(at), answers.get_mut(at)) {
            *answer = one(tx, *job, now).await?;
            // The next may have the same id and must see the result of this one.
            tx.flush().await?;
        }
    }
    Ok(answers)
}

/// Writes the jobs without unique keys whose ids are free; also returns the indexes of the others.
async fn write(tx: &mut Tx<'_>, jobs: &[RoutedJob<'_>], now: Millis) -> DbResult<(Vec<Inserted>, Vec<usize>)> {
    let mut answers = vec![Inserted::Created; jobs.len()];
    let (first, mut rest) = first_of_each(jobs);
    mark_duplicate_series(tx.session, &first, jobs, &mut answers).await?;
    let plain: Vec<RoutedJob<'_>> = first.iter().filter_map(|at| jobs.get(*at).copied()).collect();
    let is_new = write_new(tx, &plain, now).await?;
    rest.extend(
        first
            .iter()
            .zip(is_new)
            .filter(|(_, is_new)| !is_new)
            .map(|(at, _)| *at),
    );
    rest.sort_unstable();
    Ok((answers, rest))
}

/// Writes those of the jobs whose ids are free, with their concurrency keys; returns which were written.
async fn write_new(tx: &mut Tx<'_>, jobs: &[RoutedJob<'_>], now: Millis) -> DbResult<Vec<bool>> {
    let mut is_new = vec![false; jobs.len()];
    if jobs.is_empty() {
        return Ok(is_new);
    }
    let keys = Keys::find(tx.session, jobs.iter().map(|routed| routed.job)).await?;
    for index in Columns::of(jobs, &keys)?.insert(tx.session, now).await? {
        if let Some(new) = index.checked_sub(1).and_then(|at| is_new.get_mut(at)) {
            *new = true;
        }
    }
    let written = jobs.iter().zip(&is_new).filter(|(_, is_new)| **is_new);
    keys.limit(tx, written.map(|(routed, _)| routed.job)).await?;
    Ok(is_new)
}

/// Writes one job, or handles the conflict with an existing one.
async fn one(tx: &mut Tx<'_>, routed: RoutedJob<'_>, now: Millis) -> DbResult<Inserted> {
    if state::find(tx.session, &routed.job.id).await?.is_some() {
        return resolve_existing(tx, routed, now).await;
    }
    if let Some(key_owner) = uniques::key_owner(tx.session, routed, now).await? {
        return Ok(Inserted::Duplicate(key_owner.id, key_owner.summary));
    }
    if !write_new(tx, &[routed], now).await?.contains(&true) {
        return resolve_existing(tx, routed, now).await;
    }
    uniques::take(tx, routed, routed.job.created);
    tx.wake();
    Ok(Inserted::Created)
}

/// Indexes of the first job of each id, if it has no unique key, and indexes of the others.
fn first_of_each(jobs: &[RoutedJob<'_>]) -> (Vec<usize>, Vec<usize>) {
    let mut seen = std::collections::HashSet::with_capacity(jobs.len());
    (0..jobs.len()).partition(|at| {
        jobs.get(*at)
            .is_some_and(|routed| seen.insert(&routed.job.id) && routed.job.options.unique.is_none())
    })
}

/// Finds live series on the same route with the same schedule and input, if neither has an id chosen by its caller.
async fn mark_duplicate_series(
    session: &Session,
    places: &[usize],
    jobs: &[RoutedJob<'_>],
    answers: &mut [Inserted],
) -> DbResult<()> {
    let mut wanted: Vec<(usize, i64, RouteId, &JobId)> = Vec::new();
    for at in places {
        if let Some(RoutedJob { job, route, .. }) = jobs.get(*at)
            && let Some(fingerprint) = job.fingerprint()
        {
            wanted.push((*at, fingerprint, *route, &job.id));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let fingerprints: Vec<i64> = wanted.iter().map(|row| row.1).collect();
    let routes: Vec<RouteId> = wanted.iter().map(|row| row.2).collect();
    let mut known: HashMap<(i64, RouteId), JobId> = HashMap::new();
    for row in session
        .query(SELECT_DUPLICATE_SERIES, &[&fingerprints, &routes])
        .await?
    {
        known.insert((row.try_get(0)?, row.try_get(1)?), state::read_id(&row, 2, 3)?);
    }
    for (at, fingerprint, route, id) in wanted {
        match known.get(&(fingerprint, route)) {
            // A resent dispatch finds itself.
            Some(duplicate) if duplicate != id => {
                if let Some(answer) = answers.get_mut(at) {
                    *answer = Inserted::CreatedDuplicateSeries(duplicate.clone());
                }
            }
            Some(_) => {}
            None => {
                known.insert((fingerprint, route), id.clone());
            }
        }
    }
    Ok(())
}

async fn resolve_existing(tx: &mut Tx<'_>, routed: RoutedJob<'_>, now: Millis) -> DbResult<Inserted> {
    let job = routed.job;
    let seq = state::lock(tx.session, &job.id).await?;
    // Deleted concurrently: start over.
    let seq = seq.ok_or(Failure::ConcurrentChange)?;
    let known = state::lock_series(tx.session, &vec![seq]).await?.pop();
    let known = known.ok_or_else(|| damaged("an id without its job"))?;
    if matches!(job.id, JobId::Generated(_)) && job.created == known.job.created {
        return Ok(Inserted::Created);
    }
    match job.on_conflict {
        OnConflict::Return => Ok(Inserted::Existing(known.summary())),
        OnConflict::Error => Ok(Inserted::Conflict(format!("a job with the id {} exists", job.id))),
        OnConflict::Replace => {
            let (routes, marks) = (vec![routed.route], vec![routed.mark]);
            tx.session.query(CHECK_ROUTES, &[&routes, &marks]).await?;
            replace::apply(tx, routed, known, now).await
        }
    }
}
