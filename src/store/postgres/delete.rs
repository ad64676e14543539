//! Deletes jobs with all their rows.
//!
//! Invariant: no table has a row of a deleted job; a claimed run is never deleted.

use super::job_rows;
use super::queue;
use super::state::{RunState, StoredJob};
use super::tx::Tx;
use crate::model::Status;
use crate::store::ChangeOutcome;

/// Deletes a job that is not running.
pub(super) fn apply(tx: &mut Tx<'_>, stored_job: &StoredJob) -> ChangeOutcome {
    let (job, status) = (&stored_job.job, stored_job.status());
    if stored_job
        .series
        .as_ref()
        .is_some_and(|series| series.state.live.running > 0)
    {
        // Paused, but its last run is still running.
        return ChangeOutcome::Forbidden(Status::Running);
    }
    for run in &stored_job.runs {
        queue::remove(tx, stored_job, run);
    }
    let ended = match (&stored_job.series, stored_job.runs.first().map(|run| run.run_state)) {
        (Some(series), _) => series.state.ended_at,
        (None, Some(RunState::Ended(last))) => Some(last.ended),
        (None, _) => None,
    };
    if let Some(ended) = ended {
        queue::delete_ended(tx, status, ended, job.seq);
    }
    tx.count_transition(job.route, Some(status), None);
    job_rows::delete(tx, job.seq);
    ChangeOutcome::done(job.seq)
}
