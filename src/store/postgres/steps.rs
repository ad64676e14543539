//! Steps that runs have finished.
//!
//! Invariant: a run that has completed has none, and neither has a job that is gone.

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
/// All of a job.
pub(super) const DELETE_STEPS_OF_JOB: &str = include_str!("sql/delete_steps_of_job.sql");

/// The steps of a run, in the order they were finished.
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

/// Writes a step down, if its run is held as it should be. Done twice, it does the same as once.
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

/// Forgets the steps of a run, if it is held as it should be.
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

/// The run `run` of a one-off is run again as the next one.
pub(super) fn rerun(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.write_later(UPDATE_STEPS_RUN, params![job, run, run + 1]);
}

/// The run of a series that failed last is run again as `run`.
pub(super) fn rerun_failed(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.write_later(
        UPDATE_STEPS_OF_LAST_FAILED_RUN,
        params![job, run, RunStatus::Failed as i32],
    );
}
