//! A dispatch with the id of an existing job and `onConflict: 'replace'`.
//!
//! Invariant: history and counts stay; a run that is running, or waits for its next attempt, keeps its due time but moves
//! to the queue of the job's *new* route and priority, where it will be looked for.

use super::job_text::options_text;
use super::jobs::{self, JobKey};
use super::keys;
use super::locate::{self, RunKey, RunState};
use super::old_runs;
use super::queue;
use super::read;
use super::run_rows::Rank;
use super::series;
use super::series_moves;
use super::side_rows::{self, SideRows};
use super::steps;
use super::tx::Tx;
use super::uniques;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Kind, NewJob, Recurrence, Status};
use crate::store::rules::replacement;
use crate::store::{ComputeMove, Inserted, ReplaceSeries, RouteId};

const UPDATE_JOB: &str = include_str!("sql/update_job.sql");
const UPDATE_ROUTE_OF_RUNNING: &str = include_str!("sql/update_route_of_running.sql");

/// Gives the job its new schedule, input, options, route and priority, if its state allows it.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    job: &NewJob,
    known: &JobKey,
    route: RouteId,
    (replaced, now): (ReplaceSeries, Millis),
) -> Result<Inserted> {
    if let Some(unique) = &job.options.unique
        && let Some(key_owner) = uniques::key_owner(tx.connection, route, unique, now)?
        && key_owner.job != known.seq
    {
        let conflict = replacement::key_conflict(&unique.key, &key_owner.id);
        return Ok(Inserted::Conflict(conflict));
    }
    let run_state = match known.recurring {
        true => None,
        false => Some(locate::run(tx.connection, &RunKey::of_one_off(known))?),
    };
    let status = run_state.as_ref().map_or(Status::Scheduled, RunState::status);
    let (is, would_be) = (Kind::of(known.recurring), Kind::of(job.recurrence.is_some()));
    if let Some(conflict) = replacement::conflict(&job.id, is, status, would_be) {
        return Ok(Inserted::Conflict(conflict));
    }
    match (&job.recurrence, run_state) {
        (Some(recurrence), _) => replace_series(tx, job, recurrence, known, route, (replaced, now))?,
        (None, Some(run_state)) => replace_one_off(tx, job, known, &run_state, route, now)?,
        (None, None) => {}
    }
    tx.wake();
    let replaced = jobs::expect(tx.connection, known.seq)?;
    Ok(Inserted::Replaced(read::summary(tx.connection, &replaced)?))
}

fn replace_one_off(
    tx: &mut Tx<'_>,
    job: &NewJob,
    known: &JobKey,
    run_state: &RunState,
    route: RouteId,
    now: Millis,
) -> Result<()> {
    let before = run_state.status();
    locate::remove(tx, &RunKey::of_one_off(known), run_state)?;
    // Only now, since a raised limit makes held runs claimable, and this run must not be among them.
    let new_key = keys::attach(tx, job)?;
    if let RunState::Ended(last) = run_state {
        queue::delete_ended(tx.connection, before, last.ended, known.seq)?;
    }
    let has_history = locate::last_attempt(tx.connection, known.seq, known.run)?.is_some();
    let run = replacement::next_run(known.run, has_history);
    let due = job.due.unwrap_or(job.created);
    let rank = Rank {
        route,
        priority: job.priority,
        due,
        key: new_key,
    };
    write_job(tx, job, known, rank, Some(due), run, now)?;
    old_runs::delete(tx, known.seq, run)?;
    steps::replaced(tx, known.seq)?;
    let status = queue::enqueue_first(tx, rank, known.seq, run, now)?;
    tx.count_transition(known.route, Some(before), None);
    tx.count_transition(route, None, Some(status));
    Ok(())
}

fn replace_series(
    tx: &mut Tx<'_>,
    job: &NewJob,
    recurrence: &Recurrence,
    known: &JobKey,
    route: RouteId,
    (replaced, now): (ReplaceSeries, Millis),
) -> Result<()> {
    let series = series::expect(tx.connection, known.seq)?;
    let before = series.state;
    let rank = Rank {
        route,
        priority: job.priority,
        due: job.due.unwrap_or(now),
        key: keys::attach(tx, job)?,
    };
    requeue_live_runs(tx, known, rank)?;
    // Runs that this makes go to the queue of the new route, where they are looked for.
    let moving = JobKey {
        route,
        priority: job.priority,
        key: rank.key,
        ..*known
    };
    let (new, due) = (recurrence.clone(), job.due);
    let compute = ComputeMove::new(move |series| Some(replaced(series, &new, due, now)));
    let Some((moved, mut after)) = series_moves::begin(tx, &moving, &series, &compute, now)? else {
        return Ok(());
    };
    after.reschedule(recurrence.limit, now);
    series_moves::save_uncounted(tx, known.seq, &before, &after, &moved)?;
    let job_due = if after.next_at == before.next_at {
        known.due
    } else {
        after.next_at
    };
    write_job(tx, job, known, rank, job_due, known.run, now)?;
    tx.count_transition(known.route, Some(before.status()), None);
    tx.count_transition(route, None, Some(after.status()));
    Ok(())
}

/// Moves waiting runs from the queue of the old route, priority and key to that of the new ones.
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
