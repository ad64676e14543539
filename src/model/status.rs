//! States of jobs and of runs, and which action is allowed in which state.

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Waits for its time: the first, a retry's, or the next occurrence.
    Scheduled = 0,
    /// Due, waits for a process.
    Queued = 1,
    /// A process has it.
    Running = 2,
    /// Ended well; a recurring job: after its last run.
    Completed = 3,
    /// Ended with an error, no retry left.
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

    /// Whether nothing will happen to the job by itself any more.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether `action` is allowed on a job in this state.
    #[must_use]
    pub fn allows(self, action: Action) -> bool {
        match action {
            Action::Cancel => !self.is_ended(),
            Action::ReplaceOneOff => self != Self::Running,
        }
    }
}

/// What a user can do to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End it, running or not.
    Cancel,
    /// Dispatch a one-off job again under its `job_id` with `onConflict: 'replace'`.
    ReplaceOneOff,
}

/// How one attempt of a run ended, as history keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RunStatus {
    /// Ended well; the run is over.
    Completed = 3,
    /// Failed for good; the run is over.
    Failed = 4,
    /// Cancelled; the run is over.
    Cancelled = 5,
    /// Failed and goes on with another attempt later.
    Retried = 7,
    /// The handler asked to be called again later; no attempt spent.
    Snoozed = 8,
    /// The process died; goes on in another one, no retry spent.
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
