//! Finished steps of runs.
//!
//! Invariant: completed runs and deleted jobs have no steps.

use super::failure::DbResult;
use super::param::{params, rows, storable};
use super::session::Session;
use super::tx::Tx;
use crate::model::RunStatus;
use crate::store::step::StepRecording;
use crate::store::{ClaimRef, JobSeq, MAX_STEPS_PER_RUN, Step};

const INSERT_STEP: &str = include_str!("sql/insert_step.sql");
const DELETE_STEPS_OF_CLAIM: &str = include_str!("sql/delete_steps_of_claim.sql");
const SELECT_STEPS_OF_RUN: &str = include_str!("sql/select_steps_of_run.sql");
const UPDATE_STEPS_RUN: &str = include_str!("sql/update_steps_run.sql");
const UPDATE_STEPS_OF_LAST_FAILED_RUN: &str = include_str!("sql/update_steps_of_last_failed_run.sql");
/// Deletes all steps of a job.
pub(super) const DELETE_STEPS_OF_JOB: &str = include_str!("sql/delete_steps_of_job.sql");

/// The steps of a run, in the order in which they finished.
pub(super) async fn of_run(session: &Session, job: JobSeq, run: i64) -> DbResult<Vec<Step>> {
    let found = session.query(SELECT_STEPS_OF_RUN, &[&job, &run]).await?;
    let steps = found.iter().map(|row| {
        Ok(Step {
            tag: row.try_get(0)?,
            result: row.try_get(1)?,
        })
    });
    steps.collect()
}

/// Records a step if the claim on its run is valid. Idempotent.
pub(super) async fn record(session: &Session, holder: ClaimRef, step: &Step) -> DbResult<StepRecording> {
    let ClaimRef {
        job,
        run,
        instance,
        token,
    } = holder;
    let tag = storable(&step.tag).into_owned();
    let result = step.result.as_deref().map(|result| storable(result).into_owned());
    let row = session
        .query_opt(
            INSERT_STEP,
            &[&job, &run, &instance, &token, &tag, &result, &rows(MAX_STEPS_PER_RUN)],
        )
        .await?;
    let (claimed, room): (bool, bool) = match row {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (false, false),
    };
    Ok(match (claimed, room) {
        (false, _) => StepRecording::LeaseLost,
        (true, false) => StepRecording::TooMany,
        (true, true) => StepRecording::Stored,
    })
}

/// Deletes the steps of a run if the claim on it is valid.
pub(super) async fn delete_all(session: &Session, holder: ClaimRef) -> DbResult<StepRecording> {
    let ClaimRef {
        job,
        run,
        instance,
        token,
    } = holder;
    let row = session
        .query_opt(DELETE_STEPS_OF_CLAIM, &[&job, &run, &instance, &token])
        .await?;
    let claimed = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
    Ok(if claimed {
        StepRecording::Stored
    } else {
        StepRecording::LeaseLost
    })
}

/// Transfers the steps of the run `run` of a one-off to its next run.
pub(super) fn rerun(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.write_later(UPDATE_STEPS_RUN, params![job, run, run + 1]);
}

/// Transfers the steps of the last failed run of a series to its rerun `run`.
pub(super) fn rerun_failed(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.write_later(
        UPDATE_STEPS_OF_LAST_FAILED_RUN,
        params![job, run, RunStatus::Failed as i32],
    );
}
