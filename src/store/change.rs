//! What a user can do to jobs that are stored, and what came of it.
//!
//! Data only. Knows no schedule arithmetic: how a series moves is computed by a function that is passed in.

use super::{ComputeMove, InstanceId, JobSeq, JobSummary, Token};
use crate::clock::Millis;
use crate::model::{Action, EventKind, JobId, Kind, Status};

/// A change of a job.
#[derive(Clone, Debug)]
pub enum Change {
    /// Ends the job, with every run of it.
    Cancel {
        /// Why.
        reason: Option<Box<str>>,
    },
    /// Ends the run that is going, else the oldest that waits; a one-off ends with its run, a series goes on.
    CancelRun {
        /// Why.
        reason: Option<Box<str>>,
    },
    /// Lets no attempt start any more; one that is going ends by itself. A series moves like this.
    Pause(ComputeMove),
    /// Lets the job go on: what is overdue at once, and a series like this.
    Resume(ComputeMove),
    /// Gives it another time or schedule; history and counts stay, and a paused job stays paused.
    Reschedule(Timing),
    /// Runs a one-off that failed or was cancelled again, as its next run; of a series, the last run that failed.
    Retry {
        /// When.
        due: Millis,
    },
    /// Runs a one-off that waits at once; a series makes the run that this says.
    RunNow(ComputeMove),
    /// Passes over occurrences of a series, as this says.
    SkipNext(ComputeMove),
    /// Takes the job away with all it has left behind.
    Delete,
}

impl Change {
    /// What the table of states calls it.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::Cancel { .. } => Action::Cancel,
            Self::CancelRun { .. } => Action::CancelRun,
            Self::Pause(_) => Action::Pause,
            Self::Resume(_) => Action::Resume,
            Self::Reschedule(_) => Action::Reschedule,
            Self::Retry { .. } => Action::Retry,
            Self::RunNow(_) => Action::RunNow,
            Self::SkipNext(_) => Action::SkipNext,
            Self::Delete => Action::Delete,
        }
    }

    /// What is told of it. A deleted job has nothing to be told about it.
    #[must_use]
    pub fn event(&self) -> Option<EventKind> {
        match self {
            Self::Cancel { .. } | Self::CancelRun { .. } => Some(EventKind::Cancelled),
            Self::Pause(_) => Some(EventKind::Paused),
            Self::Resume(_) => Some(EventKind::Resumed),
            Self::Reschedule(_) | Self::Retry { .. } | Self::RunNow(_) | Self::SkipNext(_) => {
                Some(EventKind::Scheduled)
            }
            Self::Delete => None,
        }
    }
}

/// A new time, or a new schedule.
#[derive(Clone, Debug)]
pub struct Timing {
    /// When the run of a one-off is due.
    pub due: Option<Millis>,
    /// What a series does, and gets as its schedule; `None`: for a one-off.
    pub series: Option<ComputeMove>,
}

/// That a run was cancelled, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// As the caller gave it.
    pub reason: Option<Box<str>>,
}

/// A run that was going, with its holder's proof.
pub type RevokedClaim = (i64, InstanceId, Token);

/// What a change of one job did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// No such job.
    NotFound,
    /// The job's state, which is this, forbids it.
    Forbidden(Status),
    /// The job is in this state and has no run to do it to.
    NoRun(Status),
    /// The schedule is for a job of the other kind; this one's is given.
    OtherKind(Kind),
    /// It is done.
    Done {
        /// The job's number.
        job: JobSeq,
        /// Runs that were going and are no longer their holders': their handlers must be told.
        running: Vec<RevokedClaim>,
        /// Where the job stands, after a change of its times.
        summary: Option<JobSummary>,
    },
}

impl ChangeOutcome {
    /// Done, with nothing more to say.
    #[must_use]
    pub fn done(job: JobSeq) -> Self {
        Self::Done {
            job,
            running: Vec::new(),
            summary: None,
        }
    }
}

/// What a change of several jobs did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkChangeOutcome {
    /// Jobs that were changed; the others were in a state that forbids it, or gone.
    pub jobs: Vec<JobSeq>,
    /// Their public ids, in the same order.
    pub ids: Vec<JobId>,
    /// Runs that were going and are no longer their holders'.
    pub running: Vec<RevokedClaim>,
}

impl BulkChangeOutcome {
    /// Adds what was done to other jobs.
    pub fn extend(&mut self, other: Self) {
        self.jobs.extend(other.jobs);
        self.ids.extend(other.ids);
        self.running.extend(other.running);
    }
}
