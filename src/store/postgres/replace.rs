//! A second dispatch under the id of a job that is there, with `onConflict: 'replace'`.
//!
//! Invariant: history and counts stay; a run that is going, or waits for another attempt, keeps its place in the
//! queue of the job's *new* route and priority, which is where it will be looked for.

use super::failure::DbResult;
use super::insert::{RoutedJob, options_text, spec_text};
use super::keys::{KeyId, Keys};
use super::outbox::Event;
use super::queue::{self, Rank};
use super::series::{self, Series};
use super::state::{RunState, StoredJob};
use super::steps;
use super::tags;
use super::tx::{Tx, params};
use super::uniques;
use crate::clock::Millis;
use crate::model::{Action, EventKind, Kind, NewJob, Recurrence};
use crate::store::{Inserted, JobSeq, JobSummary};

const UPDATE_JOB: &str = include_str!("sql/update_job.sql");
const UPDATE_ROUTE_OF_RUNNING: &str = include_str!("sql/update_route_of_running.sql");
const DELETE_OLD_RUNS: &str = include_str!("sql/delete_old_runs.sql");

/// Runs of a one-off that are kept when it is dispatched again and again.
const MAX_KEPT_RUNS: i64 = 1_000;

/// Gives the job its new schedule, input, options, route and priority, if its state allows it.
pub(super) async fn apply(tx: &mut Tx<'_>, new: RoutedJob<'_>, known: StoredJob, now: Millis) -> DbResult<Inserted> {
    let (job, seq) = (new.job, known.job.seq);
    if let Some(key_owner) = uniques::key_owner(tx.session, new, now).await?
        && key_owner.job != seq
    {
        let key = job.options.unique.as_ref().map_or("", |unique| &*unique.key);
        return Ok(Inserted::Conflict(format!(
            "the unique key '{key}' is taken by the job {}",
            key_owner.id
        )));
    }
    let summary = match (&job.recurrence, known.job.recurring) {
        (Some(recurrence), true) => {
            let key = adopt(tx, new).await?;
            replace_series(tx, new, key, recurrence, known, now)?
        }
        (None, false) => {
            if !known.status().allows(Action::ReplaceOneOff, Kind::OneOff) {
                return Ok(Inserted::Conflict(format!("the job with the id {} is running", job.id)));
            }
            let key = adopt(tx, new).await?;
            replace_one_off(tx, new, key, &known, now)?
        }
        (Some(_), false) => return Ok(kind_conflict(job, "runs once", "recurs")),
        (None, true) => return Ok(kind_conflict(job, "recurs", "runs once")),
    };
    tx.wake();
    tx.add_event(Event::new(EventKind::Scheduled, seq, now));
    Ok(Inserted::Replaced(summary))
}

/// The concurrency key of the new dispatch, whose limit counts from now on.
async fn adopt(tx: &mut Tx<'_>, new: RoutedJob<'_>) -> DbResult<Option<KeyId>> {
    let keys = Keys::find(tx.session, [new.job].into_iter()).await?;
    keys.limit(tx, [new.job].into_iter()).await?;
    Ok(keys.of(new.job))
}

fn kind_conflict(job: &NewJob, is: &str, would_be: &str) -> Inserted {
    Inserted::Conflict(format!(
        "the job with the id {} {is} and cannot be replaced by one that {would_be}; cancel it and use another id",
        job.id
    ))
}

fn replace_one_off(
    tx: &mut Tx<'_>,
    new: RoutedJob<'_>,
    key: Option<KeyId>,
    known: &StoredJob,
    now: Millis,
) -> DbResult<JobSummary> {
    let (job, before) = (new.job, known.status());
    let mut fresh = true;
    for run in &known.runs {
        known.remove(tx, run);
        if let RunState::Ended(last) = run.run_state {
            queue::delete_ended(tx, before, last.ended, known.job.seq);
        }
        // A run with history cannot begin at its first attempt again: the new dispatch is a run of its own.
        fresh &= run.last.is_none();
    }
    let run = if fresh { known.job.run } else { known.job.run + 1 };
    let due = job.due.unwrap_or(job.created);
    write_job(tx, new, key, known, Some(due), run, now)?;
    delete_old_runs(tx, known.job.seq, run);
    tx.write_later(steps::DELETE_STEPS_OF_JOB, params![known.job.seq]);
    let rank = Rank {
        route: new.route,
        priority: job.priority,
        due,
        key,
    };
    let status = queue::enqueue_first(tx, rank, known.job.seq, run, now);
    tx.count_transition(known.job.route, Some(before), None);
    tx.count_transition(new.route, None, Some(status));
    Ok(JobSummary {
        status,
        scheduled_at: due,
        recurring: false,
        next_run_at: None,
    })
}

/// Deletes history of a one-off beyond its last runs, before it gets the run `run`.
pub(super) fn delete_old_runs(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    if run > MAX_KEPT_RUNS {
        tx.write_later(DELETE_OLD_RUNS, params![job, run - MAX_KEPT_RUNS]);
    }
}

/// Whether the limit of a schedule leaves room for another run.
pub(super) fn has_runs_left(recurrence: &Recurrence, series: &Series) -> bool {
    recurrence.limit.is_none_or(|limit| series.counted_runs() < limit)
}

fn replace_series(
    tx: &mut Tx<'_>,
    new: RoutedJob<'_>,
    key: Option<KeyId>,
    recurrence: &Recurrence,
    mut known: StoredJob,
    now: Millis,
) -> DbResult<JobSummary> {
    let (seq, before) = (known.job.seq, (known.job.route, known.status()));
    requeue_live_runs(tx, new, key, &known);
    if known
        .series
        .as_ref()
        .is_some_and(|series| is_schedule_unchanged(series, recurrence))
    {
        write_job(tx, new, key, &known, known.job.due, known.job.run, now)?;
        series::count(tx, before, (new.route, before.1));
        return Ok(known.summary());
    }
    write_job(tx, new, key, &known, new.job.due, known.job.run, now)?;
    if let Some(series) = &mut known.series {
        if let Some(ended_at) = series.ended_at {
            queue::delete_ended(tx, before.1, ended_at, seq);
        }
        series.next_at = new.job.due.filter(|_| has_runs_left(recurrence, series));
        series.spec = spec_text(recurrence)?.into();
        series.after_live_runs = false;
        series.reopen();
        series.end_if_over(tx, seq, now);
        // A paused series stays paused: what is dispatched at every start must not undo that.
        series::count(tx, before, (new.route, series.status()));
        series.clone().save(tx, seq);
    }
    known.job.due = new.job.due;
    Ok(known.summary())
}

/// Whether the series goes on and has this schedule already. What is dispatched at every start then changes nothing about
/// when it runs: occurrences that were missed meanwhile are made up for, and an interval does not begin anew.
fn is_schedule_unchanged(series: &Series, recurrence: &Recurrence) -> bool {
    // One that cannot be read is replaced.
    let is_same = |known: Recurrence| known.is_same_schedule(recurrence);
    series.ended_at.is_none() && serde_json::from_str::<Recurrence>(&series.spec).is_ok_and(is_same)
}

/// Moves runs that wait in the queue of the old route and priority to that of the new ones.
fn requeue_live_runs(tx: &mut Tx<'_>, new: RoutedJob<'_>, key: Option<KeyId>, known: &StoredJob) {
    let (route, priority) = (new.route, new.job.priority);
    if (known.job.route, known.job.priority, known.job.key) == (route, priority, key) {
        return;
    }
    for run in &known.runs {
        if let RunState::Ready(due, waiting) | RunState::Blocked(due, waiting) = run.run_state {
            known.remove(tx, run);
            let rank = Rank {
                route,
                priority,
                due,
                key,
            };
            tx.inserts.ready.push((rank, waiting));
        }
    }
    tx.write_later(UPDATE_ROUTE_OF_RUNNING, params![known.job.seq, route, priority]);
}

fn write_job(
    tx: &mut Tx<'_>,
    new: RoutedJob<'_>,
    key: Option<KeyId>,
    known: &StoredJob,
    due: Option<Millis>,
    run: i64,
    now: Millis,
) -> DbResult<()> {
    let RoutedJob { job, route } = new;
    tags::replace(tx, known.job.seq, &job.options.tags);
    uniques::release(tx, known.job.seq);
    tx.write_later(
        UPDATE_JOB,
        params![
            known.job.seq,
            route,
            job.priority,
            due,
            queue::int4(job.retries),
            run,
            now,
            options_text(&job.options)?,
            job.input.clone(),
            key,
        ],
    );
    uniques::take_for(tx, new, known.job.seq, now);
    Ok(())
}
