//! A dispatch with the id of an existing job and `onConflict: 'replace'`.
//!
//! Invariant: history and counts stay; a run that is running, or waits for its next attempt, keeps its due time but moves
//! to the queue of the job's *new* route and priority, where it will be looked for.

use super::failure::DbResult;
use super::job_text::options_text;
use super::keys::Keys;
use super::old_runs;
use super::outbox::Event;
use super::param::params;
use super::queue;
use super::routed_job::RoutedJob;
use super::run_rows::{KeyId, Rank, int4};
use super::series_changes;
use super::series_moves;
use super::state::{RunState, StoredJob};
use super::steps;
use super::tags;
use super::tx::Tx;
use super::uniques;
use crate::clock::Millis;
use crate::model::{EventKind, Kind, Recurrence};
use crate::store::rules::replacement;
use crate::store::{ComputeMove, Inserted, JobSummary};

const UPDATE_JOB: &str = include_str!("sql/update_job.sql");
const UPDATE_ROUTE_OF_RUNNING: &str = include_str!("sql/update_route_of_running.sql");

/// Gives the job its new schedule, input, options, route and priority, if its state allows it.
pub(super) async fn apply(tx: &mut Tx<'_>, new: RoutedJob<'_>, known: StoredJob, now: Millis) -> DbResult<Inserted> {
    let (job, seq) = (new.job, known.job.seq);
    if let Some(key_owner) = uniques::key_owner(tx.session, new, now).await?
        && key_owner.job != seq
    {
        let key = job.options.unique.as_ref().map_or("", |unique| &*unique.key);
        return Ok(Inserted::Conflict(replacement::key_conflict(key, &key_owner.id)));
    }
    let would_be = Kind::of(job.recurrence.is_some());
    if let Some(conflict) = replacement::conflict(&job.id, known.kind(), known.status(), would_be) {
        return Ok(Inserted::Conflict(conflict));
    }
    let key = adopt(tx, new).await?;
    let summary = match &job.recurrence {
        Some(recurrence) => replace_series(tx, new, key, recurrence, known, now).await?,
        None => replace_one_off(tx, new, key, &known, now)?,
    };
    tx.wake();
    tx.add_event(Event::new(EventKind::Scheduled, seq, now));
    Ok(Inserted::Replaced(summary))
}

/// The concurrency key of the new dispatch, whose limit applies from now on.
async fn adopt(tx: &mut Tx<'_>, new: RoutedJob<'_>) -> DbResult<Option<KeyId>> {
    let keys = Keys::find(tx.session, [new.job].into_iter()).await?;
    keys.limit(tx, [new.job].into_iter()).await?;
    Ok(keys.of(new.job))
}

fn replace_one_off(
    tx: &mut Tx<'_>,
    new: RoutedJob<'_>,
    key: Option<KeyId>,
    known: &StoredJob,
    now: Millis,
) -> DbResult<JobSummary> {
    let (job, before) = (new.job, known.status());
    let mut has_history = false;
    for run in &known.runs {
        queue::remove(tx, known, run);
        if let RunState::Ended(last) = run.run_state {
            queue::delete_ended(tx, before, last.ended, known.job.seq);
        }
        has_history |= run.last.is_some();
    }
    let run = replacement::next_run(known.job.run, has_history);
    let due = job.due.unwrap_or(job.created);
    write_job(tx, new, key, known, Some(due), run, now)?;
    old_runs::delete(tx, known.job.seq, run);
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

async fn replace_series(
    tx: &mut Tx<'_>,
    new: RoutedJob<'_>,
    key: Option<KeyId>,
    recurrence: &Recurrence,
    mut known: StoredJob,
    now: Millis,
) -> DbResult<JobSummary> {
    let (seq, before) = (known.job.seq, (known.job.route, known.status()));
    let next_at = known.series.as_ref().and_then(|series| series.state.next_at);
    requeue_live_runs(tx, new, key, &known);
    // Runs that this makes go to the queue of the new route, where they are looked for.
    let mut moving = known.clone();
    (moving.job.route, moving.job.priority, moving.job.key) = (new.route, new.job.priority, key);
    let (replaced, to, due) = (new.replaced, recurrence.clone(), new.job.due);
    let compute = ComputeMove::new(move |series| Some(replaced(series, &to, due, now)));
    series_moves::begin(tx, &mut moving, &compute, now).await?;
    (known.series, known.runs) = (moving.series, moving.runs);
    if let Some(series) = &mut known.series {
        series.state.reschedule(recurrence.limit, now);
        if series.state.next_at != next_at {
            known.job.due = series.state.next_at;
        }
        series_changes::count(tx, before, (new.route, series.status()));
        series.clone().save(tx, seq);
    }
    write_job(tx, new, key, &known, known.job.due, known.job.run, now)?;
    Ok(known.summary())
}

/// Moves waiting runs from the queue of the old route and priority to that of the new ones.
fn requeue_live_runs(tx: &mut Tx<'_>, new: RoutedJob<'_>, key: Option<KeyId>, known: &StoredJob) {
    let (route, priority) = (new.route, new.job.priority);
    if (known.job.route, known.job.priority, known.job.key) == (route, priority, key) {
        return;
    }
    for run in &known.runs {
        if let RunState::Ready(due, waiting) | RunState::Blocked(due, waiting) = run.run_state {
            queue::remove(tx, known, run);
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
    let RoutedJob { job, route, .. } = new;
    tags::replace(tx, known.job.seq, &job.options.tags);
    uniques::release(tx, known.job.seq);
    tx.write_later(
        UPDATE_JOB,
        params![
            known.job.seq,
            route,
            job.priority,
            due,
            int4(job.retries),
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
