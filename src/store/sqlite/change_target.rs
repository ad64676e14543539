//! A job to change, with what its state is derived from.

use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::series::{self, Series};
use super::tx::Tx;
use crate::error::Result;
use crate::model::Status;

/// A job to change, in its present state.
pub(super) enum ChangeTarget {
    /// A one-off with its current run.
    OneOff(RunKey, RunState),
    /// A recurring job.
    Series(Box<Series>),
}

impl ChangeTarget {
    pub(super) fn of(tx: &Tx<'_>, job: &JobKey) -> Result<Self> {
        if job.recurring {
            return Ok(Self::Series(Box::new(series::expect(tx.connection, job.seq)?)));
        }
        let key = RunKey::of_one_off(job);
        let run_state = locate::run(tx.connection, &key)?;
        Ok(Self::OneOff(key, run_state))
    }

    pub(super) fn status(&self) -> Status {
        match self {
            Self::OneOff(_, run_state) => run_state.status(),
            Self::Series(series) => series.state.status(),
        }
    }
}
