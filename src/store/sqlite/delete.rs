//! Deletes jobs with all their rows.
//!
//! Invariant: no table has a row of a deleted job; a claimed run is never deleted.

use super::change_target::ChangeTarget;
use super::job_rows;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::queue;
use super::series::{self, Series};
use super::tx::Tx;
use crate::error::Result;
use crate::model::Status;
use crate::store::ChangeOutcome;

/// Deletes a job that is not running.
pub(super) fn apply(tx: &mut Tx<'_>, job: &JobKey, target: &ChangeTarget) -> Result<ChangeOutcome> {
    match target {
        ChangeTarget::OneOff(key, run_state) => {
            locate::remove(tx, key, run_state)?;
            if let RunState::Ended(last) = run_state {
                queue::delete_ended(tx.connection, run_state.status(), last.ended, job.seq)?;
            }
            tx.count_transition(job.route, Some(run_state.status()), None);
        }
        ChangeTarget::Series(series) => {
            // Paused, but its last run is still running.
            if series.state.live.running > 0 {
                return Ok(ChangeOutcome::Forbidden(Status::Running));
            }
            remove_live_runs(tx, job, series)?;
        }
    }
    job_rows::delete(tx.connection, job.seq, job.recurring)?;
    Ok(ChangeOutcome::done(job.seq))
}

fn remove_live_runs(tx: &mut Tx<'_>, job: &JobKey, series: &Series) -> Result<()> {
    for run in series::live_runs(tx.connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let run_state = locate::run(tx.connection, &key)?;
        locate::remove(tx, &key, &run_state)?;
    }
    let status = series.state.status();
    if let Some(ended_at) = series.state.ended_at {
        queue::delete_ended(tx.connection, status, ended_at, job.seq)?;
    }
    tx.count_transition(job.route, Some(status), None);
    Ok(())
}
