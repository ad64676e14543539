//! Changes of series on request: how a series moves is computed within the transaction, and written as an advance is.

use super::advance;
use super::change_target::ChangeTarget;
use super::job_text::spec_text;
use super::jobs::{self, JobKey};
use super::queue;
use super::read;
use super::reschedule;
use super::run_rows::Waiting;
use super::series::{self, Series, SeriesDetails};
use super::series_snapshot;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Kind;
use crate::store::rules::series::SeriesState;
use crate::store::{ChangeOutcome, ComputeMove, JobSeq, SeriesMove};

const UPDATE_JOB_UPDATED: &str = include_str!("sql/update_job_updated.sql");
const INSERT_OCCURRENCE: &str = include_str!("sql/retry_insert_occurrence.sql");

/// Computes how a series moves and writes its gaps and runs; returns its new state, to be [saved](save). `None`: its state
/// forbids it, nothing was written.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    job: &JobKey,
    series: &Series,
    compute: &ComputeMove,
    now: Millis,
) -> Result<Option<(SeriesMove, SeriesState)>> {
    let snapshot = series_snapshot::of(tx.connection, job, series, now)?;
    let Some(moved) = compute.of(&snapshot) else {
        return Ok(None);
    };
    let mut after = advance::write(tx, job, &series.state, &moved.advance, now)?;
    if let Some(at) = moved.extra_run {
        let run = after.extra_run();
        tx.connection
            .prepare_cached(INSERT_OCCURRENCE)?
            .execute((job.seq, run, at, at))?;
        queue::insert_ready(tx, job.rank(at), Waiting::first(job.seq, run))?;
    }
    Ok(Some((moved, after)))
}

/// Saves a series that has moved from the state `before` to `after`.
pub(super) fn save(
    tx: &mut Tx<'_>,
    job: &JobKey,
    before: &SeriesState,
    after: &SeriesState,
    moved: &SeriesMove,
) -> Result<()> {
    save_uncounted(tx, job.seq, before, after, moved)?;
    tx.count_transition(job.route, Some(before.status()), Some(after.status()));
    Ok(())
}

/// The same without the counters.
pub(super) fn save_uncounted(
    tx: &mut Tx<'_>,
    job: JobSeq,
    before: &SeriesState,
    after: &SeriesState,
    moved: &SeriesMove,
) -> Result<()> {
    let spec = moved.recurrence.as_ref().map(spec_text).transpose()?;
    let details = SeriesDetails {
        spec: spec.as_deref(),
        ..advance::details(&moved.advance)
    };
    series::save(tx, job, before, after, details)
}

/// Runs a job now that waits: a one-off at once, a series besides its schedule.
pub(super) fn run_now(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    compute: &ComputeMove,
    now: Millis,
) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            if run_state.waiting(key).is_some_and(|(due, _)| due > now) {
                reschedule::one_off(tx, job, key, run_state, now, now)?;
            }
        }
        ChangeTarget::Series(series) => return apply(tx, job, series, compute, now),
    }
    done(tx, job)
}

/// Passes over occurrences of a series.
pub(super) fn skip_next(
    tx: &mut Tx<'_>,
    job: &JobKey,
    target: &ChangeTarget,
    compute: &ComputeMove,
    now: Millis,
) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(..) => Ok(ChangeOutcome::OtherKind(Kind::OneOff)),
        ChangeTarget::Series(series) => apply(tx, job, series, compute, now),
    }
}

fn apply(tx: &mut Tx<'_>, job: &JobKey, series: &Series, compute: &ComputeMove, now: Millis) -> Result<ChangeOutcome> {
    let Some((moved, after)) = begin(tx, job, series, compute, now)? else {
        return Ok(ChangeOutcome::Forbidden(series.state.status()));
    };
    save(tx, job, &series.state, &after, &moved)?;
    tx.connection
        .prepare_cached(UPDATE_JOB_UPDATED)?
        .execute((job.seq, now))?;
    done(tx, job)
}

/// It is done; the job stands where it stands now.
pub(super) fn done(tx: &mut Tx<'_>, job: &JobKey) -> Result<ChangeOutcome> {
    tx.wake();
    let changed = jobs::expect(tx.connection, job.seq)?;
    Ok(ChangeOutcome::Done {
        job: job.seq,
        running: Vec::new(),
        summary: Some(read::summary(tx.connection, &changed)?),
    })
}
