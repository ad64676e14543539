//! A second dispatch under the id of a job that is there, with `onConflict: 'replace'`.
//!
//! Invariant: history and counts stay; a run that is going, or waits for another attempt, keeps its place in the
//! queue of the job's *new* route and priority, which is where it will be looked for.

use super::insert::{options_text, spec_text};
use super::jobs::{self, JobKey};
use super::keys;
use super::locate::{self, RunKey, RunState};
use super::queue::{self, Rank};
use super::read;
use super::series::{self, JobRef, Series};
use super::side_rows::{self, SideRows};
use super::steps;
use super::tx::Tx;
use super::uniques;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Action, Kind, NewJob, Recurrence, Status};
use crate::store::{Inserted, JobSeq, RouteId};

const UPDATE_JOB: &str = include_str!("sql/update_job.sql");
/// Gives a series another schedule and next occurrence; opens one that has ended.
pub(super) const UPDATE_SERIES_SCHEDULE: &str = include_str!("sql/update_series_schedule.sql");
const UPDATE_ROUTE_OF_RUNNING: &str = include_str!("sql/update_route_of_running.sql");
const DELETE_OLD_RUNS: &str = include_str!("sql/delete_old_runs.sql");

/// Runs of a one-off that are kept when it is dispatched again and again.
const MAX_KEPT_RUNS: i64 = 1_000;

/// Gives the job its new schedule, input, options, route and priority, if its state allows it.
pub(super) fn apply(tx: &mut Tx<'_>, job: &NewJob, known: &JobKey, route: RouteId, now: Millis) -> Result<Inserted> {
    if let Some(unique) = &job.options.unique
        && let Some(key_owner) = uniques::key_owner(tx.connection, route, unique, now)?
        && key_owner.job != known.seq
    {
        return Ok(Inserted::Conflict(format!(
            "the unique key '{}' is taken by the job {}",
            unique.key, key_owner.id
        )));
    }
    match (&job.recurrence, known.recurring) {
        (Some(recurrence), true) => replace_series(tx, job, recurrence, known, route, now)?,
        (None, false) => {
            if let Some(conflict) = replace_one_off(tx, job, known, route, now)? {
                return Ok(conflict);
            }
        }
        (Some(_), false) => return Ok(kind_conflict(job, "runs once", "recurs")),
        (None, true) => return Ok(kind_conflict(job, "recurs", "runs once")),
    }
    tx.wake();
    let replaced = jobs::expect(tx.connection, known.seq)?;
    Ok(Inserted::Replaced(read::summary(tx.connection, &replaced)?))
}

fn kind_conflict(job: &NewJob, is: &str, would_be: &str) -> Inserted {
    Inserted::Conflict(format!(
        "the job with the id {} {is} and cannot be replaced by one that {would_be}; cancel it and use another id",
        job.id
    ))
}

fn replace_one_off(
    tx: &mut Tx<'_>,
    job: &NewJob,
    known: &JobKey,
    route: RouteId,
    now: Millis,
) -> Result<Option<Inserted>> {
    let key = RunKey::of_one_off(known);
    let run_state = locate::run(tx.connection, &key)?;
    let before = run_state.status();
    if !before.allows(Action::ReplaceOneOff, Kind::OneOff) {
        return Ok(Some(Inserted::Conflict(format!(
            "the job with the id {} is running",
            job.id
        ))));
    }
    locate::remove(tx, &key, &run_state)?;
    // Only now: a higher limit makes held runs claimable, and this one must not be among them.
    let new_key = keys::attach(tx, job)?;
    if let RunState::Ended(last) = run_state {
        queue::delete_ended(tx.connection, before, last.ended, known.seq)?;
    }
    // A run with history cannot begin at its first attempt again: the new dispatch is a run of its own.
    let fresh = locate::last_attempt(tx.connection, known.seq, known.run)?.is_none();
    let run = if fresh { known.run } else { known.run + 1 };
    let due = job.due.unwrap_or(job.created);
    let rank = Rank {
        route,
        priority: job.priority,
        due,
        key: new_key,
    };
    write_job(tx, job, known, rank, Some(due), run, now)?;
    delete_old_runs(tx, known.seq, run)?;
    steps::replaced(tx, known.seq)?;
    let status = queue::enqueue_first(tx, rank, known.seq, run, now)?;
    tx.count_transition(known.route, Some(before), None);
    tx.count_transition(route, None, Some(status));
    Ok(None)
}

/// Deletes history of a one-off beyond its last runs, before it gets the run `run`.
pub(super) fn delete_old_runs(tx: &Tx<'_>, job: JobSeq, run: i64) -> Result<()> {
    tx.connection
        .prepare_cached(DELETE_OLD_RUNS)?
        .execute((job, run - MAX_KEPT_RUNS))?;
    Ok(())
}

/// Whether the limit of a schedule leaves room for another run.
pub(super) fn has_runs_left(recurrence: &Recurrence, series: &Series) -> bool {
    recurrence.limit.is_none_or(|limit| series.counted_runs() < limit)
}

fn replace_series(
    tx: &mut Tx<'_>,
    job: &NewJob,
    recurrence: &Recurrence,
    known: &JobKey,
    route: RouteId,
    now: Millis,
) -> Result<()> {
    let before = series::expect(tx.connection, known.seq)?;
    let rank = Rank {
        route,
        priority: job.priority,
        due: job.due.unwrap_or(now),
        key: keys::attach(tx, job)?,
    };
    requeue_live_runs(tx, known, rank)?;
    if before.ended_at.is_none() && is_schedule_unchanged(&before, recurrence) {
        write_job(tx, job, known, rank, known.due, known.run, now)?;
        return count_replaced(tx, &before, known, route, before.next_at, now);
    }
    if let Some(ended_at) = before.ended_at {
        queue::delete_ended(tx.connection, before.status(), ended_at, known.seq)?;
    }
    let next_at = job.due.filter(|_| has_runs_left(recurrence, &before));
    tx.connection
        .prepare_cached(UPDATE_SERIES_SCHEDULE)?
        .execute((known.seq, spec_text(recurrence)?, next_at))?;
    write_job(tx, job, known, rank, job.due, known.run, now)?;
    count_replaced(tx, &before, known, route, next_at, now)
}

/// Whether the series has this schedule already. What is dispatched at every start then changes nothing about when it
/// runs: occurrences that were missed meanwhile are made up for, and an interval does not begin anew.
fn is_schedule_unchanged(series: &Series, recurrence: &Recurrence) -> bool {
    // One that cannot be read is replaced.
    serde_json::from_str::<Recurrence>(&series.spec).is_ok_and(|known| known.is_same_schedule(recurrence))
}

fn count_replaced(
    tx: &mut Tx<'_>,
    before: &Series,
    known: &JobKey,
    route: RouteId,
    next_at: Option<Millis>,
    now: Millis,
) -> Result<()> {
    tx.count_transition(known.route, Some(before.status()), None);
    // A paused series stays paused: what is dispatched at every start must not undo that.
    let after = before.live.status(before.paused);
    tx.count_transition(route, None, Some(after));
    if next_at.is_none() && before.live.total() == 0 {
        let job_ref = JobRef {
            route,
            ..JobRef::of(known)
        };
        series::end(tx, job_ref, after, Status::Completed, None, now)?;
    }
    Ok(())
}

/// Moves runs that wait in the queue of the old route, priority and key to that of the new ones.
fn requeue_live_runs(tx: &mut Tx<'_>, known: &JobKey, to: Rank) -> Result<()> {
    if (known.route, known.priority, known.key) == (to.route, to.priority, to.key) {
        return Ok(());
    }
    let connection = tx.connection;
    for live in series::live_runs(connection, known.seq)? {
        let key = RunKey::of_series(known, live);
        let run_state = locate::run(connection, &key)?;
        if let RunState::Ready(due, waiting) | RunState::Blocked(due, waiting) = run_state {
            locate::remove(tx, &key, &run_state)?;
            queue::insert_ready(tx, Rank { due, ..to }, waiting)?;
        }
    }
    connection
        .prepare_cached(UPDATE_ROUTE_OF_RUNNING)?
        .execute((known.seq, to.route, to.priority))?;
    Ok(())
}

fn write_job(
    tx: &Tx<'_>,
    job: &NewJob,
    known: &JobKey,
    rank: Rank,
    due: Option<Millis>,
    run: i64,
    now: Millis,
) -> Result<()> {
    let options = options_text(&job.options)?;
    SideRows::of(tx.connection, known.seq)?.remove(tx.connection, known.seq)?;
    let row = (
        known.seq,
        rank.route,
        rank.priority,
        due,
        job.retries,
        run,
        now,
        options,
        &*job.input,
        rank.key,
    );
    tx.connection.prepare_cached(UPDATE_JOB)?.execute(row)?;
    side_rows::put(tx.connection, known.seq, rank.route, &job.options, now)
}
