//! What can happen to a job, as listeners and webhooks are told of it.
//!
//! Names and numbers only. The numbers are kept in stores: they never change.

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum EventKind {
    /// A dispatch of it was committed, the first or one that replaced it.
    Scheduled = 0,
    /// An attempt starts.
    Started = 1,
    /// A run completed.
    Completed = 2,
    /// A run failed for good.
    Failed = 3,
    /// An attempt failed, another one follows.
    Retrying = 4,
    /// The job was cancelled.
    Cancelled = 5,
    /// The job was paused.
    Paused = 6,
    /// The job goes on after a pause.
    Resumed = 7,
}

impl EventKind {
    /// All of them, by number.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Started,
        Self::Completed,
        Self::Failed,
        Self::Retrying,
        Self::Cancelled,
        Self::Paused,
        Self::Resumed,
    ];

    /// Those that webhooks are told of: a retry is an affair of the process that runs the job.
    pub const DELIVERED_TO_WEBHOOKS: [Self; 7] = [
        Self::Scheduled,
        Self::Started,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Paused,
        Self::Resumed,
    ];

    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "job.scheduled",
            Self::Started => "job.started",
            Self::Completed => "job.completed",
            Self::Failed => "job.failed",
            Self::Retrying => "job.retrying",
            Self::Cancelled => "job.cancelled",
            Self::Paused => "job.paused",
            Self::Resumed => "job.resumed",
        }
    }

    /// The event with that number in a store.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == code)
    }

    /// Its bit in a mask of events.
    #[must_use]
    pub fn bit(self) -> u32 {
        1 << self as u32
    }
}
