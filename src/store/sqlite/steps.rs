//! Finished steps of runs.
//!
//! Invariant: completed runs and deleted jobs have no steps. A transaction checks once whether there are any steps at all,
//! so that jobs without steps cost nothing.

use super::run_rows::rows;
use super::tx::Tx;
use crate::error::Result;
use crate::model::RunStatus;
use crate::store::rules::completion::StepsAfterRun;
use crate::store::step::StepRecording;
use crate::store::{ClaimRef, EARLIER_RUN_PREFIX, JobSeq, MAX_STEPS_PER_RUN, Step};
use rusqlite::Connection;

const SELECT_ANY_STEP: &str = include_str!("sql/select_any_step.sql");
const SELECT_CLAIM: &str = include_str!("sql/select_claim.sql");
const SELECT_STEP: &str = include_str!("sql/select_step.sql");
const COUNT_STEPS_OF_RUN: &str = include_str!("sql/count_steps_of_run.sql");
const INSERT_STEP: &str = include_str!("sql/insert_step.sql");
const SELECT_STEPS_OF_RUN: &str = include_str!("sql/select_steps_of_run.sql");
const DELETE_STEP: &str = "DELETE FROM steps WHERE job = ?1 AND run = ?2 AND tag = ?3";
const DELETE_STEPS_OF_RUN: &str = include_str!("sql/delete_steps_of_run.sql");
const DELETE_STEPS_OF_JOB: &str = include_str!("sql/delete_steps_of_job.sql");
/// Deletes the steps of earlier, ended runs of a series.
const DELETE_STEPS_OF_EARLIER_RUNS: &str = include_str!("sql/delete_steps_of_earlier_runs.sql");
const UPDATE_STEPS_RUN: &str = include_str!("sql/update_steps_run.sql");
const UPDATE_STEPS_OF_LAST_FAILED_RUN: &str = include_str!("sql/update_steps_of_last_failed_run.sql");
const INSERT_EARLIER_RUN: &str = include_str!("sql/insert_earlier_run.sql");

/// The steps of a run, in the order in which they finished.
pub(super) fn of_run(connection: &Connection, job: JobSeq, run: i64) -> Result<Vec<Step>> {
    let mut select = connection.prepare_cached(SELECT_STEPS_OF_RUN)?;
    let steps = select.query_map((job, run), |row| {
        Ok(Step {
            tag: row.get(0)?,
            result: row.get(1)?,
        })
    })?;
    Ok(steps.collect::<rusqlite::Result<_>>()?)
}

/// Records a step if the claim on its run is valid.
pub(super) fn record(tx: &mut Tx<'_>, holder: ClaimRef, step: &Step) -> Result<StepRecording> {
    let connection = tx.connection;
    let ClaimRef { job, run, .. } = holder;
    if !is_claimed(connection, holder)? {
        return Ok(StepRecording::LeaseLost);
    }
    if connection.prepare_cached(SELECT_STEP)?.exists((job, run, &step.tag))? {
        return Ok(StepRecording::Stored);
    }
    let count: i64 = connection
        .prepare_cached(COUNT_STEPS_OF_RUN)?
        .query_row((job, run), |row| row.get(0))?;
    if count >= rows(MAX_STEPS_PER_RUN) && !step.is_internal() {
        return Ok(StepRecording::TooMany);
    }
    connection
        .prepare_cached(INSERT_STEP)?
        .execute((job, run, &step.tag, &step.result))?;
    tx.has_steps = Some(true);
    Ok(StepRecording::Stored)
}

/// Deletes steps of a run if the claim on it is valid.
pub(super) fn delete(tx: &mut Tx<'_>, holder: ClaimRef, tags: &[Box<str>]) -> Result<StepRecording> {
    if !is_claimed(tx.connection, holder)? {
        return Ok(StepRecording::LeaseLost);
    }
    let mut delete = tx.connection.prepare_cached(DELETE_STEP)?;
    for tag in tags {
        delete.execute((holder.job, holder.run, tag))?;
    }
    Ok(StepRecording::Stored)
}

fn is_claimed(connection: &Connection, holder: ClaimRef) -> Result<bool> {
    let ClaimRef {
        job,
        run,
        instance,
        token,
    } = holder;
    Ok(connection
        .prepare_cached(SELECT_CLAIM)?
        .exists((job, run, instance, token))?)
}

/// Whether any run has steps.
pub(super) fn any_exist(tx: &mut Tx<'_>) -> Result<bool> {
    if let Some(known) = tx.has_steps {
        return Ok(known);
    }
    let found = tx.connection.prepare_cached(SELECT_ANY_STEP)?.exists([])?;
    tx.has_steps = Some(found);
    Ok(found)
}

/// Keeps or deletes the steps of an ended run.
pub(super) fn run_ended(tx: &mut Tx<'_>, job: JobSeq, run: i64, steps: StepsAfterRun) -> Result<()> {
    if steps == StepsAfterRun::Kept || !any_exist(tx)? {
        return Ok(());
    }
    if steps == StepsAfterRun::Forgotten {
        return delete_steps_of_run(tx.connection, job, run);
    }
    tx.connection
        .prepare_cached(DELETE_STEPS_OF_EARLIER_RUNS)?
        .execute((job, run))?;
    Ok(())
}

/// Transfers the steps of the run `run` of a one-off to its next run.
pub(super) fn rerun(tx: &mut Tx<'_>, job: JobSeq, run: i64) -> Result<()> {
    if any_exist(tx)? {
        tx.connection
            .prepare_cached(UPDATE_STEPS_RUN)?
            .execute((job, run, run + 1))?;
    }
    let earlier_run = format!("{EARLIER_RUN_PREFIX}{run}");
    tx.connection
        .prepare_cached(INSERT_STEP)?
        .execute((job, run + 1, earlier_run, None::<&str>))?;
    tx.has_steps = Some(true);
    Ok(())
}

/// Transfers the steps of the last failed run of a series to its rerun `run`.
pub(super) fn rerun_failed(tx: &mut Tx<'_>, job: JobSeq, run: i64) -> Result<()> {
    let failed = RunStatus::Failed as i64;
    if any_exist(tx)? {
        tx.connection
            .prepare_cached(UPDATE_STEPS_OF_LAST_FAILED_RUN)?
            .execute((job, run, failed))?;
    }
    tx.connection
        .prepare_cached(INSERT_EARLIER_RUN)?
        .execute((job, run, failed, EARLIER_RUN_PREFIX))?;
    tx.has_steps = Some(true);
    Ok(())
}

/// Deletes the steps of a one-off that is replaced.
pub(super) fn replaced(tx: &mut Tx<'_>, job: JobSeq) -> Result<()> {
    if any_exist(tx)? {
        tx.connection.prepare_cached(DELETE_STEPS_OF_JOB)?.execute([job])?;
    }
    Ok(())
}

/// Deletes the steps of a run whose history is deleted.
pub(super) fn delete_steps_of_run(connection: &Connection, job: JobSeq, run: i64) -> Result<()> {
    connection.prepare_cached(DELETE_STEPS_OF_RUN)?.execute((job, run))?;
    Ok(())
}
