//! Takes jobs away with everything they have left behind.
//!
//! Invariant: of a deleted job no table holds a row; a run that a process has is never taken from under it.

use super::queue;
use super::state::{RunState, StoredJob};
use super::tx::{Tx, params};
use crate::model::Status;
use crate::store::{ChangeOutcome, JobSeq};

/// Everything a job that is in no queue has left behind, by its number; [`super::tags`] go first, as they are found by
/// its row.
const DELETE_JOB_ROWS: [&str; 10] = [
    super::tags::DELETE_TAGS,
    super::uniques::DELETE_UNIQUE_KEY,
    "DELETE FROM ductape.jobs WHERE seq = $1",
    "DELETE FROM ductape.series WHERE job = $1",
    "DELETE FROM ductape.occurrences WHERE job = $1",
    "DELETE FROM ductape.runs WHERE job = $1",
    "DELETE FROM ductape.gaps WHERE job = $1",
    "DELETE FROM ductape.progress WHERE job = $1",
    "DELETE FROM ductape.logs WHERE job = $1",
    super::steps::DELETE_STEPS_OF_JOB,
];

/// Deletes a job that is not running.
pub(super) fn apply(tx: &mut Tx<'_>, stored_job: &StoredJob) -> ChangeOutcome {
    let (job, status) = (&stored_job.job, stored_job.status());
    if stored_job.series.as_ref().is_some_and(|series| series.live.running > 0) {
        // Paused, and its last run is still going.
        return ChangeOutcome::Forbidden(Status::Running);
    }
    for run in &stored_job.runs {
        stored_job.remove(tx, run);
    }
    let ended = match (&stored_job.series, stored_job.runs.first().map(|run| run.run_state)) {
        (Some(series), _) => series.ended_at,
        (None, Some(RunState::Ended(last))) => Some(last.ended),
        (None, _) => None,
    };
    if let Some(ended) = ended {
        queue::delete_ended(tx, status, ended, job.seq);
    }
    tx.count_transition(job.route, Some(status), None);
    delete_job(tx, job.seq);
    ChangeOutcome::done(job.seq)
}

/// Deletes all rows of a job that is in no queue.
pub(super) fn delete_job(tx: &mut Tx<'_>, job: JobSeq) {
    for statement in DELETE_JOB_ROWS {
        tx.write_later(statement, params![job]);
    }
}
