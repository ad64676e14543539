//! The kinds of events that listeners and webhooks receive.
//!
//! Names and numbers only. The numbers are stored, so they never change.

/// A kind of event in the life of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum EventKind {
    /// A dispatch was committed: of a new job, or one that replaced an existing job.
    Scheduled = 0,
    /// An attempt starts.
    Started = 1,
    /// A run completed.
    Completed = 2,
    /// A run failed for good.
    Failed = 3,
    /// An attempt failed and another one follows.
    Retrying = 4,
    /// The job was cancelled.
    Cancelled = 5,
    /// The job was paused.
    Paused = 6,
    /// The job was resumed.
    Resumed = 7,
}

impl EventKind {
    /// All kinds, by number.
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

    /// The kinds that webhooks receive. Retries are reported in the process that runs the job only.
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

    /// The kind with this name in the API.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind with this number in a store.
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
