//! Changes the due time or schedule of a job.
//!
//! Invariant: history, counts and a running run stay. A new due time is written where [`super::state`] looks for it: in
//! the history of a run that has some, else in the job.

use super::failure::DbResult;
use super::param::params;
use super::queue;
use super::run_rows::int4;
use super::series_changes;
use super::series_moves;
use super::state::{RunState, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::{ChangeOutcome, ComputeMove, JobSummary, Timing};

const UPDATE_JOB_DUE: &str = include_str!("sql/update_job_due.sql");
const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");
const UPDATE_NEXT_DUE: &str = include_str!("sql/update_next_due.sql");

/// Applies a new timing of the same kind as the job.
pub(super) async fn apply(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    timing: &Timing,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let job = stored_job.job.seq;
    let summary = match (stored_job.job.recurring, &timing.series) {
        (false, None) => one_off(tx, stored_job, timing.due.unwrap_or(now), now),
        (true, Some(compute)) => {
            let status = stored_job.status();
            match whole_series(tx, stored_job, compute, now).await? {
                Some(summary) => summary,
                None => return Ok(ChangeOutcome::Forbidden(status)),
            }
        }
        _ => return Ok(ChangeOutcome::OtherKind(stored_job.kind())),
    };
    tx.wake();
    Ok(ChangeOutcome::Done {
        job,
        running: Vec::new(),
        summary: Some(summary),
    })
}

pub(super) fn one_off(tx: &mut Tx<'_>, stored_job: StoredJob, due: Millis, now: Millis) -> JobSummary {
    let waiting = stored_job
        .runs
        .first()
        .and_then(|run| Some((run, stored_job.waiting(run)?.1)));
    let Some((run, waiting)) = waiting else {
        return stored_job.summary();
    };
    let (job, before) = (stored_job.job.seq, stored_job.status());
    queue::remove(tx, &stored_job, run);
    match run.last {
        Some(last) => {
            tx.write_later(UPDATE_NEXT_DUE, params![job, run.run, int4(last.attempt), due]);
            tx.write_later(UPDATE_JOB_UPDATED, params![job, now]);
        }
        None => tx.write_later(UPDATE_JOB_DUE, params![job, due, now]),
    }
    let rank = stored_job.rank(due);
    let after = if matches!(run.run_state, RunState::Paused(..)) {
        tx.inserts.paused.push((due, waiting));
        Status::Paused
    } else if run.last.is_none() {
        queue::enqueue_first(tx, rank, job, run.run, now)
    } else {
        queue::enqueue(tx, rank, waiting, now).status()
    };
    tx.count_transition(stored_job.job.route, Some(before), Some(after));
    JobSummary {
        status: after,
        scheduled_at: due,
        recurring: false,
        next_run_at: None,
    }
}

async fn whole_series(
    tx: &mut Tx<'_>,
    mut stored_job: StoredJob,
    compute: &ComputeMove,
    now: Millis,
) -> DbResult<Option<JobSummary>> {
    let (job, before) = (stored_job.job.seq, stored_job.status());
    let Some(limit) = series_moves::begin(tx, &mut stored_job, compute, now).await? else {
        return Ok(None);
    };
    if let Some(series) = &mut stored_job.series {
        series.state.reschedule(limit, now);
        tx.write_later(UPDATE_JOB_DUE, params![job, series.state.next_at, now]);
        let route = stored_job.job.route;
        series_changes::count(tx, (route, before), (route, series.status()));
        stored_job.job.due = series.state.next_at;
        series.clone().save(tx, job);
    }
    Ok(Some(stored_job.summary()))
}
