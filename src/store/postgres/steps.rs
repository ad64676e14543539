//! Steps that runs have finished.
//!
//! Invariant: a run that has completed has none, and neither has a job that is gone.

use super::failure::Attempt;
use super::param::{rows, storable};
use super::session::Session;
use super::tx::{Tx, params};
use crate::model::RunStatus;
use crate::store::step::Recorded;
use crate::store::{Holder, JobSeq, MAX_STEPS, Step};

const RECORD: &str = include_str!("sql/steps_record.sql");
const FORGET: &str = include_str!("sql/steps_forget.sql");
const OF_RUN: &str = "SELECT tag, result FROM ductape.steps WHERE job = $1 AND run = $2 ORDER BY number";
const ENDED: &str = include_str!("sql/steps_ended.sql");
const MOVE: &str = "UPDATE ductape.steps SET run = $3 WHERE job = $1 AND run = $2";
const RERUN_FAILED: &str = include_str!("sql/steps_rerun_failed.sql");
const DROP_RUN: &str = "DELETE FROM ductape.steps WHERE job = $1 AND run = $2";
/// All of a job.
pub(super) const DROP_JOB: &str = "DELETE FROM ductape.steps WHERE job = $1";

/// The steps of a run, in the order they were finished.
pub(super) async fn of_run(session: &Session, job: JobSeq, run: i64) -> Attempt<Vec<Step>> {
    let found = session.query(OF_RUN, &[&job, &run]).await?;
    let steps = found.iter().map(|row| {
        Ok(Step {
            tag: row.try_get(0)?,
            result: row.try_get(1)?,
        })
    });
    steps.collect()
}

/// Writes a step down, if its run is held as it should be. Done twice, it does the same as once.
pub(super) async fn record(session: &Session, holder: Holder, step: &Step) -> Attempt<Recorded> {
    let Holder {
        job,
        run,
        instance,
        token,
    } = holder;
    let tag = storable(&step.tag).into_owned();
    let result = step.result.as_deref().map(|result| storable(result).into_owned());
    let row = session
        .query_opt(
            RECORD,
            &[&job, &run, &instance, &token, &tag, &result, &rows(MAX_STEPS)],
        )
        .await?;
    let (held, room): (bool, bool) = match row {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (false, false),
    };
    Ok(match (held, room) {
        (false, _) => Recorded::LeaseLost,
        (true, false) => Recorded::TooMany,
        (true, true) => Recorded::Kept,
    })
}

/// Forgets the steps of a run, if it is held as it should be.
pub(super) async fn forget(session: &Session, holder: Holder) -> Attempt<Recorded> {
    let Holder {
        job,
        run,
        instance,
        token,
    } = holder;
    let row = session.query_opt(FORGET, &[&job, &run, &instance, &token]).await?;
    let held = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
    Ok(if held { Recorded::Kept } else { Recorded::LeaseLost })
}

/// Runs of series that are over.
#[derive(Debug, Default)]
pub(super) struct Over {
    jobs: Vec<JobSeq>,
    runs: Vec<i64>,
    failed: Vec<bool>,
}

impl Over {
    /// Adds one: one that failed keeps its steps, in case it is run again.
    pub(super) fn add(&mut self, job: JobSeq, run: i64, how: RunStatus) {
        self.jobs.push(job);
        self.runs.push(run);
        self.failed.push(how == RunStatus::Failed);
    }

    /// Forgets what is to be forgotten.
    pub(super) fn apply(self, tx: &mut Tx<'_>) {
        if !self.jobs.is_empty() {
            tx.later(ENDED, params![self.jobs, self.runs, self.failed]);
        }
    }
}

/// The run `run` of a one-off is run again as the next one.
pub(super) fn rerun(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.later(MOVE, params![job, run, run + 1]);
}

/// The run of a series that failed last is run again as `run`.
pub(super) fn rerun_failed(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.later(RERUN_FAILED, params![job, run, RunStatus::Failed as i32]);
}

/// A run of a series was cancelled.
pub(super) fn drop_run(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.later(DROP_RUN, params![job, run]);
}
