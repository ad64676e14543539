//! Finished steps of runs.
//!
//! Invariant: completed runs and deleted jobs have no steps.

use super::failure::DbResult;
use super::param::{params, rows, storable};
use super::session::Session;
use super::tx::Tx;
use crate::model::RunStatus;
use crate::store::step::StepRecording;
use crate::store::{ClaimRef, EARLIER_RUN_PREFIX, JobSeq, MAX_STEPS_PER_RUN, Step};

const INSERT_STEP: &str = include_str!("sql/insert_step.sql");
const DELETE_STEPS_OF_CLAIM: &str = include_str!("sql/delete_steps_of_claim.sql");
const SELECT_STEPS_OF_RUN: &str = include_str!("sql/select_steps_of_run.sql");
const UPDATE_STEPS_RUN: &str = include_str!("sql/update_steps_run.sql");
const UPDATE_STEPS_OF_LAST_FAILED_RUN: &str = include_str!("sql/update_steps_of_last_failed_run.sql");
const INSERT_EARLIER_RUN: &str = include_str!("sql/insert_earlier_run.sql");
const INSERT_EARLIER_RUN_OF_ONE_OFF: &str = "INSERT INTO ductape.steps (job, run, tag) VALUES ($1, $2, $3)";
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

/// Deletes steps of a run if the claim on it is valid.
pub(super) async fn delete(session: &Session, holder: ClaimRef, tags: &[Box<str>]) -> DbResult<StepRecording> {
    let ClaimRef {
        job,
        run,
        instance,
        token,
    } = holder;
    let tags: Vec<_> = tags.iter().map(|tag| storable(tag).into_owned()).collect();
    let row = session
        .query_opt(DELETE_STEPS_OF_CLAIM, &[&job, &run, &instance, &token, &tags])
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
    let earlier_run = format!("{EARLIER_RUN_PREFIX}{run}");
    tx.write_later(INSERT_EARLIER_RUN_OF_ONE_OFF, params![job, run + 1, earlier_run]);
}

/// Transfers the steps of the last failed run of a series to its rerun `run`.
pub(super) fn rerun_failed(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    let failed = RunStatus::Failed as i32;
    tx.write_later(UPDATE_STEPS_OF_LAST_FAILED_RUN, params![job, run, failed]);
    let prefix = EARLIER_RUN_PREFIX.to_owned();
    tx.write_later(INSERT_EARLIER_RUN, params![job, run, failed, prefix]);
}
