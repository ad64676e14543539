//! Changes of series on request: how a series moves is computed within the transaction, and written as an advance is.

use super::advance;
use super::failure::DbResult;
use super::job_text::spec_text;
use super::param::params;
use super::reschedule;
use super::series_changes;
use super::series_snapshot;
use super::state::StoredJob;
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Kind;
use crate::store::{ChangeOutcome, ComputeMove};

const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");

/// Computes how a series moves, writes its gaps and runs, and changes the series, which is not saved. Returns the limit of its new
/// schedule, if it gets one; `None`: its state forbids it, nothing was written.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    stored_job: &mut StoredJob,
    compute: &ComputeMove,
    now: Millis,
) -> DbResult<Option<Option<i64>>> {
    let Some(series) = &stored_job.series else {
        return Ok(None);
    };
    let snapshot = series_snapshot::of(tx.session, stored_job, series, now).await?;
    let Some(moved) = compute.of(&snapshot) else {
        return Ok(None);
    };
    advance::write(tx, stored_job, &moved.advance, now);
    if let Some(series) = &mut stored_job.series {
        if let Some(new) = &moved.recurrence {
            series.spec = spec_text(new)?.into();
        }
        if let Some(at) = moved.extra_run {
            let run = series.state.extra_run();
            advance::add_run(tx, stored_job, run, (at, at, 0));
        }
    }
    Ok(Some(moved.recurrence.and_then(|new| new.limit)))
}

/// Runs a job now that waits: a one-off at once, a series besides its schedule.
pub(super) async fn run_now(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    compute: &ComputeMove,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    if stored_job.series.is_some() {
        return apply(tx, stored_job, compute, now).await;
    }
    let job = stored_job.job.seq;
    let later = |due: Option<Millis>| due.is_some_and(|due| due > now);
    let summary = if later(stored_job.runs.first().and_then(|run| run.run_state.due())) {
        reschedule::one_off(tx, stored_job, now, now)
    } else {
        stored_job.summary()
    };
    tx.wake();
    Ok(ChangeOutcome::Done {
        job,
        running: Vec::new(),
        summary: Some(summary),
    })
}

/// Passes over occurrences of a series.
pub(super) async fn skip_next(
    tx: &mut Tx<'_>,
    stored_job: StoredJob,
    compute: &ComputeMove,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    if stored_job.series.is_none() {
        return Ok(ChangeOutcome::OtherKind(Kind::OneOff));
    }
    apply(tx, stored_job, compute, now).await
}

async fn apply(
    tx: &mut Tx<'_>,
    mut stored_job: StoredJob,
    compute: &ComputeMove,
    now: Millis,
) -> DbResult<ChangeOutcome> {
    let (job, before) = (stored_job.job.seq, (stored_job.job.route, stored_job.status()));
    if begin(tx, &mut stored_job, compute, now).await?.is_none() {
        return Ok(ChangeOutcome::Forbidden(before.1));
    }
    series_changes::count(tx, before, (before.0, stored_job.status()));
    let summary = stored_job.summary();
    if let Some(series) = stored_job.series {
        series.save(tx, job);
    }
    tx.write_later(UPDATE_JOB_UPDATED, params![job, now]);
    tx.wake();
    Ok(ChangeOutcome::Done {
        job,
        running: Vec::new(),
        summary: Some(summary),
    })
}
