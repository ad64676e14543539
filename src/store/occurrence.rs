//! How a recurring job moves from one occurrence to the next.

use super::JobSeq;
use crate::clock::Millis;
use crate::model::JobId;

/// A series whose next occurrence is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DueSeries {
    /// The job's number.
    pub job: JobSeq,
    /// The job's public id.
    pub id: JobId,
    /// Changes with every change of the series; an advance with an old one does nothing.
    pub version: i64,
    /// JSON text of [`crate::model::Recurrence`].
    pub recurrence: Box<str>,
    /// The occurrence that is due.
    pub next_at: Millis,
    /// Runs created so far.
    pub runs: i64,
    /// Runs that have not ended.
    pub live: i64,
}

/// Occurrences of a series that were not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OccurrenceGap {
    /// Why.
    pub kind: GapKind,
    /// First of them.
    pub first: Millis,
    /// Last of them.
    pub last: Millis,
    /// How many.
    pub count: i64,
}

/// Why occurrences were not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GapKind {
    /// Nothing was there to run them in time.
    Missed = 0,
    /// A run of the series had not ended.
    Skipped = 1,
}

/// One new run of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its scheduled time.
    pub scheduled_at: Millis,
    /// Occurrences before it that it stands in for.
    pub missed: i64,
}

/// How a series moves on from a due occurrence.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAdvance {
    /// The series.
    pub job: JobSeq,
    /// The version it was computed from.
    pub version: i64,
    /// Runs to create, due at once, numbered on from the last.
    pub occurrences: Vec<Occurrence>,
    /// Occurrences passed over.
    pub gaps: Vec<OccurrenceGap>,
    /// The next occurrence; `None`: there is none, the job is completed when its last run ends.
    pub next_at: Option<Millis>,
    /// The next occurrence is not due before the runs that are going have ended, however late that is.
    pub after_live_runs: bool,
}
