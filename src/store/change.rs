//! What a user can do to jobs that are stored, and what came of it.
//!
//! Data only. Knows no schedule arithmetic: what follows in a schedule is computed by a function that is passed in.

use super::{InstanceId, JobSeq, JobSummary, Token};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{Action, EventKind, JobId, Kind, Recurrence, Status};
use std::fmt;
use std::sync::Arc;

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
    /// Lets no attempt start any more; one that is going ends by itself.
    Pause,
    /// Lets the job go on: a series at its next occurrence from now on, what is overdue at once.
    Resume(NextOccurrence),
    /// Gives it another time or schedule; history and counts stay, and a paused job stays paused.
    Reschedule(Timing),
    /// Runs a one-off that failed or was cancelled again, as its next run; of a series, the last run that failed.
    Retry {
        /// When.
        due: Millis,
    },
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
            Self::Pause => Action::Pause,
            Self::Resume(_) => Action::Resume,
            Self::Reschedule(_) => Action::Reschedule,
            Self::Retry { .. } => Action::Retry,
            Self::Delete => Action::Delete,
        }
    }

    /// What is told of it. A deleted job has nothing to be told about it.
    #[must_use]
    pub fn event(&self) -> Option<EventKind> {
        match self {
            Self::Cancel { .. } | Self::CancelRun { .. } => Some(EventKind::Cancelled),
            Self::Pause => Some(EventKind::Paused),
            Self::Resume(_) => Some(EventKind::Resumed),
            Self::Reschedule(_) | Self::Retry { .. } => Some(EventKind::Scheduled),
            Self::Delete => None,
        }
    }
}

/// A new time, or a new schedule.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The run of a one-off, or the next occurrence of a series; `None`: it has none to come.
    pub due: Option<Millis>,
    /// The schedule of a series; `None`: for a one-off.
    pub recurrence: Option<Recurrence>,
}

/// From the JSON text of a [`Recurrence`] and the number of runs that count towards its limit to an occurrence.
type ComputeNext = dyn Fn(&str, i64) -> Result<Option<Millis>> + Send + Sync;

/// Computes the next occurrence of a series that is resumed.
#[derive(Clone)]
pub struct NextOccurrence(pub Arc<ComputeNext>);

impl fmt::Debug for NextOccurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextOccurrence")
    }
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
        /// Where the job stands, after [`Change::Reschedule`].
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
