//! States of jobs and runs, and which actions each state allows.

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Waits for its due time: the first run, a retry, or the next occurrence.
    Scheduled = 0,
    /// Due; waits for a process.
    Queued = 1,
    /// A process has claimed it.
    Running = 2,
    /// Ended successfully; a recurring job, after its last run.
    Completed = 3,
    /// Ended with an error and without another retry.
    Failed = 4,
    /// Ended on request.
    Cancelled = 5,
    /// Stopped on request until resumed.
    Paused = 6,
}

impl Status {
    /// All states, by number.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Paused,
    ];

    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Paused => "paused",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// The state with that number in a store.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as i64 == code)
    }

    /// Whether the job has ended: nothing more happens unless a user asks for it.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether `action` is allowed on a job of this kind in this state, whichever runs it has.
    #[must_use]
    pub fn allows(self, action: Action, kind: Kind) -> bool {
        let rows = TRANSITIONS.iter().filter(|row| row.0 == action);
        rows.map(|row| match kind {
            Kind::OneOff => row.1,
            Kind::Recurring => row.2,
        })
        .any(|states| states.contains(&self))
    }
}

/// Whether a job runs once or on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Once.
    OneOff,
    /// On a schedule.
    Recurring,
}

impl Kind {
    /// The kind of a job that is recurring or not.
    #[must_use]
    pub fn of(recurring: bool) -> Self {
        if recurring { Self::Recurring } else { Self::OneOff }
    }
}

/// What a user can do to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End the job, running or not.
    Cancel,
    /// End the current run; of a one-off, that ends the job.
    CancelRun,
    /// Start no attempt until the job is resumed.
    Pause,
    /// Continue after a pause.
    Resume,
    /// Change its due time or schedule.
    Reschedule,
    /// Run a failed or cancelled job again.
    Retry,
    /// Run it now, whatever its schedule says.
    RunNow,
    /// Pass over occurrences to come.
    SkipNext,
    /// Delete the job with its history.
    Delete,
    /// Dispatch a one-off job again under its `job_id` with `onConflict: 'replace'`.
    ReplaceOneOff,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 10] = [
        Self::Cancel,
        Self::CancelRun,
        Self::Pause,
        Self::Resume,
        Self::Reschedule,
        Self::Retry,
        Self::RunNow,
        Self::SkipNext,
        Self::Delete,
        Self::ReplaceOneOff,
    ];

    /// The past participle for messages, as in "cannot be paused".
    #[must_use]
    pub fn past_participle(self) -> &'static str {
        match self {
            Self::Cancel | Self::CancelRun => "cancelled",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Reschedule => "rescheduled",
            Self::Retry => "retried",
            Self::RunNow => "run now",
            Self::SkipNext => "skipped",
            Self::Delete => "deleted",
            Self::ReplaceOneOff => "replaced",
        }
    }

    /// The states in which the action is allowed for at least one kind of job.
    pub fn states(self) -> impl Iterator<Item = Status> {
        Status::ALL
            .into_iter()
            .filter(move |status| status.allows(self, Kind::OneOff) || status.allows(self, Kind::Recurring))
    }
}

const SCHEDULED: Status = Status::Scheduled;
const QUEUED: Status = Status::Queued;
const RUNNING: Status = Status::Running;
const COMPLETED: Status = Status::Completed;
const FAILED: Status = Status::Failed;
const CANCELLED: Status = Status::Cancelled;
const PAUSED: Status = Status::Paused;

/// Each action with the states that allow it: for one-off jobs, and for recurring ones. A recurring job allows more while
/// it is running, since it continues after the run; [`Action::Retry`] reopens one that is `completed`.
const TRANSITIONS: [(Action, &[Status], &[Status]); 10] = [
    (
        Action::Cancel,
        &[SCHEDULED, QUEUED, RUNNING, PAUSED],
        &[SCHEDULED, QUEUED, RUNNING, PAUSED],
    ),
    (
        Action::CancelRun,
        &[SCHEDULED, QUEUED, RUNNING, PAUSED],
        &[SCHEDULED, QUEUED, RUNNING, PAUSED],
    ),
    (Action::Pause, &[SCHEDULED, QUEUED], &[SCHEDULED, QUEUED, RUNNING]),
    (Action::Resume, &[PAUSED], &[PAUSED]),
    (
        Action::Reschedule,
        &[SCHEDULED, QUEUED, PAUSED],
        &[SCHEDULED, QUEUED, RUNNING, PAUSED],
    ),
    (Action::Retry, &[FAILED, CANCELLED], &[SCHEDULED, COMPLETED]),
    (Action::RunNow, &[SCHEDULED, QUEUED], &[SCHEDULED, QUEUED, RUNNING]),
    (Action::SkipNext, &[], &[SCHEDULED, QUEUED, RUNNING, PAUSED]),
    (
        Action::Delete,
        &[SCHEDULED, QUEUED, COMPLETED, FAILED, CANCELLED, PAUSED],
        &[SCHEDULED, QUEUED, COMPLETED, FAILED, CANCELLED, PAUSED],
    ),
    (
        Action::ReplaceOneOff,
        &[SCHEDULED, QUEUED, COMPLETED, FAILED, CANCELLED, PAUSED],
        &[],
    ),
];

/// How an attempt ended, as stored in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RunStatus {
    /// Succeeded; the run is over.
    Completed = 3,
    /// Failed for good; the run is over.
    Failed = 4,
    /// Cancelled; the run is over.
    Cancelled = 5,
    /// Failed; another attempt follows.
    Retried = 7,
    /// The handler asked to be called again later; the attempt is not counted.
    Snoozed = 8,
    /// The process died; another attempt follows, no retry is spent.
    Crashed = 9,
}

impl RunStatus {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Crashed => "crashed",
        }
    }

    /// The state with that number in a store.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        [
            Self::Completed,
            Self::Failed,
            Self::Cancelled,
            Self::Retried,
            Self::Snoozed,
            Self::Crashed,
        ]
        .into_iter()
        .find(|status| *status as i64 == code)
    }

    /// Whether the run is over with this attempt.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row for each state and kind, one column for each of [`Action::ALL`]; `+` means allowed.
    const EXPECTED: [(Status, Kind, &str); 14] = [
        // Cancel, CancelRun, Pause, Resume, Reschedule, Retry, RunNow, SkipNext, Delete, ReplaceOneOff
        (SCHEDULED, Kind::OneOff, "+++-+-+-++"),
        (QUEUED, Kind::OneOff, "+++-+-+-++"),
        (RUNNING, Kind::OneOff, "++--------"),
        (COMPLETED, Kind::OneOff, "--------++"),
        (FAILED, Kind::OneOff, "-----+--++"),
        (CANCELLED, Kind::OneOff, "-----+--++"),
        (PAUSED, Kind::OneOff, "++-++---++"),
        (SCHEDULED, Kind::Recurring, "+++-+++++-"),
        (QUEUED, Kind::Recurring, "+++-+-+++-"),
        (RUNNING, Kind::Recurring, "+++-+-++--"),
        (COMPLETED, Kind::Recurring, "-----+--+-"),
        (FAILED, Kind::Recurring, "--------+-"),
        (CANCELLED, Kind::Recurring, "--------+-"),
        (PAUSED, Kind::Recurring, "++-++--++-"),
    ];

    #[test]
    fn every_state_and_action_pair_has_an_expected_result() {
        for (status, kind, row) in EXPECTED {
            let allowed: String = Action::ALL
                .into_iter()
                .map(|action| if status.allows(action, kind) { '+' } else { '-' })
                .collect();
            assert_eq!(allowed, row, "{status:?} {kind:?}");
        }
        for status in Status::ALL {
            for kind in [Kind::OneOff, Kind::Recurring] {
                assert!(EXPECTED.iter().any(|row| (row.0, row.1) == (status, kind)));
            }
        }
    }

    #[test]
    fn each_action_has_one_transition_row() {
        for action in Action::ALL {
            assert_eq!(
                TRANSITIONS.iter().filter(|row| row.0 == action).count(),
                1,
                "{action:?}"
            );
        }
    }
}
