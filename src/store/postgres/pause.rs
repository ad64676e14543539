//! Pause and resume: waiting runs move to the table `paused`, and a series makes no new ones.
//!
//! Invariant: while a job is paused, none of its runs is in a table from which it could be claimed or promoted. A running
//! run is not interrupted; its next attempt waits with the others.

use super::failure::DbResult;
use super::param::params;
use super::queue;
use super::run_rows::int4;
use super::series_changes;
use super::series_moves;
use super::state::{Run, RunState, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::rules::placement::Place;
use crate::store::rules::waits;
use crate::store::{ChangeOutcome, ComputeMove};

const UPDATE_NEXT_DUE: &str = include_str!("sql/update_next_due.sql");
const UPDATE_OCCURRENCE_DUE: &str = include_str!("sql/update_occurrence_due.sql");

/// Pauses a job that has not ended, a series as `compute` says.
pub(super) async fn pause(
    tx: &mut Tx<'_>,
    mut stored_job: StoredJob,
    compute: &ComputeMove,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let (job, before) = (stored_job.job.clone(), stored_job.status());
    let known = stored_job.runs.len();
    if stored_job.series.is_some() && series_moves::begin(tx, &mut stored_job, compute, now).await?.is_none() {
        return Ok(ChangeOutcome::Forbidden(before));
    }
    let mut series = stored_job.series.clone();
    for (place, run) in stored_job.runs.iter().enumerate() {
        // Those that were made just now are in no table yet.
        let paused = if place < known {
            pause_run(tx, &stored_job, run)
        } else {
            pause_new_run(tx, &stored_job, run)
        };
        if paused && let Some(series) = &mut series {
            series
                .state
                .run_changed_phase(run.run_state.phase(), Place::Paused.phase());
        }
    }
    let mut after = Status::Paused;
    if let Some(mut series) = series {
        series.state.pause();
        after = series.status();
        series.save(tx, job.seq);
    }
    tx.count_transition(job.route, Some(before), Some(after));
    Ok(ChangeOutcome::done(job.seq))
}

fn pause_new_run(tx: &mut Tx<'_>, stored_job: &StoredJob, run: &Run) -> bool {
    let Some((due, waiting)) = stored_job.waiting(run) else {
        return false;
    };
    tx.inserts.ready.retain(|(_, ready)| *ready != waiting);
    tx.inserts.paused.push((due, waiting));
    true
}

/// Moves a waiting run to `paused`.
fn pause_run(tx: &mut Tx<'_>, stored_job: &StoredJob, run: &Run) -> bool {
    let Some((due, waiting)) = stored_job.waiting(run) else {
        return false;
    };
    queue::remove(tx, stored_job, run);
    tx.inserts.paused.push((due, waiting));
    true
}

/// Resumes a paused job, a series as `compute` says.
pub(super) async fn resume(
    tx: &mut Tx<'_>,
    mut stored_job: StoredJob,
    compute: &ComputeMove,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    if stored_job.series.is_some() && series_moves::begin(tx, &mut stored_job, compute, now).await?.is_none() {
        return Ok(ChangeOutcome::Forbidden(Status::Paused));
    }
    let job = stored_job.job.clone();
    let mut series = stored_job.series.clone();
    let mut after = Status::Paused;
    for run in &stored_job.runs {
        let RunState::Paused(due, waiting) = run.run_state else {
            continue;
        };
        queue::remove(tx, &stored_job, run);
        let due = due_by_clock(tx, &stored_job, run, due, now);
        let phase = queue::enqueue(tx, stored_job.rank(due), waiting, now);
        after = phase.status();
        if let Some(series) = &mut series {
            series.state.run_changed_phase(Some(Place::Paused.phase()), phase);
        }
    }
    if let Some(mut series) = series {
        series.state.resume(now);
        after = series.status();
        series.save(tx, job.seq);
    }
    series_changes::count(tx, (job.route, Status::Paused), (job.route, after));
    tx.wake();
    Ok(ChangeOutcome::done(job.seq))
}

/// When a run is due whose wait may have begun by a clock that was ahead.
fn due_by_clock(tx: &mut Tx<'_>, stored_job: &StoredJob, run: &Run, due: Millis, now: Millis) -> Millis {
    let (job, crashes) = (stored_job.job.seq, run.run_state.attempt().1);
    let made_when_due = stored_job.series.is_some() && run.first_due == run.scheduled_at;
    let excess = waits::excess(due, crashes, run.last, made_when_due, now);
    let earlier = due.saturating_sub(excess);
    if excess > 0 {
        match run.last.filter(|last| last.next_due.is_some()) {
            Some(last) => tx.write_later(UPDATE_NEXT_DUE, params![job, run.run, int4(last.attempt), earlier]),
            None => tx.write_later(UPDATE_OCCURRENCE_DUE, params![job, run.run, earlier]),
        }
    }
    earlier
}
