//! How the state of a job follows from where its runs are.

use crate::clock::Millis;
use crate::model::{RunStatus, Status};

/// How many runs of a series are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct LiveRuns {
    pub(in crate::store) queued: i64,
    pub(in crate::store) running: i64,
    pub(in crate::store) waiting: i64,
}

/// Where a run that has not ended is, as far as the state of its job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Phase {
    /// For its time, or until its job is resumed.
    Waiting,
    /// For a process.
    Queued,
    /// In a process.
    Running,
}

impl Phase {
    /// The state of a one-off in this phase.
    pub(in crate::store) fn status(self) -> Status {
        match self {
            Self::Waiting => Status::Scheduled,
            Self::Queued => Status::Queued,
            Self::Running => Status::Running,
        }
    }
}

impl LiveRuns {
    /// Live runs in any phase.
    pub(in crate::store) fn total(self) -> i64 {
        self.queued + self.running + self.waiting
    }

    #[cfg(test)]
    pub(in crate::store) fn one(phase: Phase) -> Self {
        let mut one = Self::default();
        *one.at(phase) = 1;
        one
    }

    /// After a run has moved; `None`: it is new, or over.
    pub(in crate::store) fn moved(mut self, from: Option<Phase>, to: Option<Phase>) -> Self {
        if let Some(from) = from {
            *self.at(from) -= 1;
        }
        if let Some(to) = to {
            *self.at(to) += 1;
        }
        self
    }

    fn at(&mut self, phase: Phase) -> &mut i64 {
        match phase {
            Phase::Waiting => &mut self.waiting,
            Phase::Queued => &mut self.queued,
            Phase::Running => &mut self.running,
        }
    }

    /// The state of a series that goes on.
    pub(in crate::store) fn status(self, paused: bool) -> Status {
        if paused {
            Status::Paused
        } else if self.running > 0 {
            Status::Running
        } else if self.queued > 0 {
            Status::Queued
        } else {
            Status::Scheduled
        }
    }
}

/// The last attempt of a run that ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct LastAttempt {
    pub(in crate::store) attempt: u32,
    pub(in crate::store) status: RunStatus,
    pub(in crate::store) started: Option<Millis>,
    pub(in crate::store) ended: Millis,
    pub(in crate::store) next_due: Option<Millis>,
}

impl LastAttempt {
    /// The state of a one-off whose run ended with this attempt.
    pub(in crate::store) fn job_status(self) -> Status {
        match self.status {
            RunStatus::Failed => Status::Failed,
            RunStatus::Cancelled => Status::Cancelled,
            _ => Status::Completed,
        }
    }
}
