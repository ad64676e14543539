//! How a recurring job moves from one occurrence to the next.

use super::JobSeq;
use crate::clock::Millis;
use crate::model::{JobId, Recurrence};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Instants from the first to the second, both included.
pub type Span = (Millis, Millis);

/// A series as it is stored, with what is known of its runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSnapshot {
    /// The job's number.
    pub job: JobSeq,
    /// The job's public id.
    pub id: JobId,
    /// Changes with every change of the series; an advance with an old one does nothing.
    pub version: i64,
    /// JSON text of [`crate::model::Recurrence`].
    pub recurrence: Box<str>,
    /// The first grid point that is not accounted for; `None`: there is none to come.
    pub next_at: Option<Millis>,
    /// Runs created so far that count towards the limit.
    pub runs: i64,
    /// Runs that have not ended.
    pub live: i64,
    /// One of these is claimed by another process than the one that asks.
    pub claimed_by_others: bool,
    /// When runs were being done, as far as that is known and reaches to `next_at` or beyond; in no order.
    pub busy: Vec<Span>,
    /// Points from `next_at` on that are accounted for.
    pub settled: Settled,
    /// Whether it has ended.
    pub ended: bool,
    /// The last point that is accounted for. Told for changes of series that have no next point or are over, and by
    /// [`super::Store::series_after`], there not before the time of the dispatch.
    pub accounted_to: Option<Millis>,
}

impl SeriesSnapshot {
    /// For a change it matters what the last point was, since no next one tells it.
    pub(in crate::store) fn tells_accounted_to(&self) -> bool {
        self.ended || self.next_at.is_none()
    }

    /// The same, in the knowledge that nothing was being done within these spans, though runs began before and ended later.
    #[must_use]
    pub fn idle_within(&self, spans: &[Span]) -> Cow<'_, Self> {
        let touches = |(from, to): &Span| self.busy.iter().any(|(began, ended)| began <= to && from <= ended);
        if !spans.iter().any(touches) {
            return Cow::Borrowed(self);
        }
        let busy = spans.iter().fold(self.busy.clone(), |busy, span| without(&busy, *span));
        Cow::Owned(Self { busy, ..self.clone() })
    }
}

/// Which grid points from the next one on have their place already, and since when all of them have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Settled {
    /// Points within these are accounted for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// Since when the job is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Millis>,
    /// When the schedule came into force, by the clock as it was then; of the first one only told by [`super::Store::series_after`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
}

impl Settled {
    /// From its stored form; what cannot be read settles nothing.
    #[must_use]
    pub fn from_text(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// Whether it has points before `next_at`: those between that and what was accounted for last are kept.
    fn lies_before(&self, next_at: Option<Millis>) -> bool {
        next_at.is_some_and(|next_at| self.spans.iter().any(|(_, to)| *to < next_at))
    }

    /// The same for a job that is paused or not: one that was paused by a version that did not say when was so from its next
    /// occurrence on.
    pub(in crate::store) fn of_paused(mut self, paused: bool) -> Self {
        if paused && self.paused_at.is_none() {
            self.paused_at = Some(Millis::MIN);
        }
        self
    }

    /// The same for a schedule that came into force then, if it has no other.
    pub(in crate::store) fn in_force_since(mut self, created: Millis) -> Self {
        self.since.get_or_insert(created);
        self
    }

    /// Its stored form; `None`: it says nothing.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        serde_json::to_string(self).ok()
    }
}

/// What of these spans lies outside of another one.
#[must_use]
pub fn without(spans: &[Span], (from, to): Span) -> Vec<Span> {
    let outside = |span: &Span| {
        [
            (span.0, span.1.min(from.saturating_sub(1))),
            (span.0.max(to.saturating_add(1)), span.1),
        ]
    };
    spans
        .iter()
        .flat_map(outside)
        .filter(|(first, last)| first <= last)
        .collect()
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
    /// Nobody was there to run them in time; a later run stands in for them.
    Down = 0,
    /// A run of the series was being done.
    Overlap = 1,
    /// Nobody was there to run them in time, and the schedule makes no run of such.
    Misfire = 2,
    /// The job was paused.
    Paused = 3,
    /// They waited for a run to end when the schedule was replaced.
    Rescheduled = 4,
    /// The schedule excepts their date.
    Except = 5,
    /// Somebody asked for it.
    Request = 6,
}

impl GapKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Down,
        Self::Overlap,
        Self::Misfire,
        Self::Paused,
        Self::Rescheduled,
        Self::Except,
        Self::Request,
    ];

    /// By its number; one of a newer version counts as an overlap.
    #[must_use]
    pub fn from_code(code: i64) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| *kind as i64 == code)
            .unwrap_or(Self::Overlap)
    }

    /// Whether they are missed; all others are skipped.
    #[must_use]
    pub const fn is_missed(self) -> bool {
        matches!(self, Self::Down | Self::Misfire)
    }

    /// What a history calls it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Overlap => "overlap",
            Self::Misfire => "misfire",
            Self::Paused => "paused",
            Self::Rescheduled => "rescheduled",
            Self::Except => "except",
            Self::Request => "request",
        }
    }
}

/// One new run of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its scheduled time.
    pub scheduled_at: Millis,
    /// Occurrences that were missed and that it stands in for, itself among them if it is too late.
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
    /// Occurrences passed over, in order; those that follow each other for the same reason are one gap.
    pub gaps: Vec<OccurrenceGap>,
    /// Recorded gaps of the same kind and beginning that are cut off to this end and number; those with none are deleted.
    pub cut_gaps: Vec<OccurrenceGap>,
    /// The next occurrence; `None`: there is none, the job is completed when its last run ends.
    pub next_at: Option<Millis>,
    /// The next occurrence is not due before the runs that are going have ended, however late that is.
    pub after_live_runs: bool,
    /// What is accounted for from `next_at` on.
    pub settled: Settled,
    /// Whether something that was settled lies between what was accounted for last and the occurrence that it moves on from.
    pub behind_settled: bool,
}

impl SeriesAdvance {
    /// How many of its runs come before a gap.
    pub(in crate::store) fn runs_before(&self, gap: &OccurrenceGap) -> i64 {
        let before = self.occurrences.iter().filter(|run| run.scheduled_at < gap.first);
        i64::try_from(before.count()).unwrap_or(i64::MAX)
    }

    /// Whether this gap of it continues what was accounted for before, of a series that stood at `next_at`: nothing has another place
    /// in between. Within the advance, gaps that continue each other are one.
    pub(in crate::store) fn continues(&self, gap: &OccurrenceGap, next_at: Option<Millis>) -> bool {
        !self.behind_settled && next_at == Some(gap.first) && self.gaps.first() == Some(gap)
    }

    /// One that changes nothing of the series but its version.
    #[must_use]
    pub fn unchanged(series: &SeriesSnapshot) -> Self {
        Self {
            job: series.job,
            version: series.version,
            occurrences: Vec::new(),
            gaps: Vec::new(),
            cut_gaps: Vec::new(),
            next_at: series.next_at,
            after_live_runs: false,
            settled: series.settled.clone(),
            behind_settled: series.settled.lies_before(series.next_at),
        }
    }
}

/// What a change on request does to a series.
#[derive(Clone, Debug)]
pub struct SeriesMove {
    /// How it moves.
    pub advance: SeriesAdvance,
    /// Its new schedule, if it gets one.
    pub recurrence: Option<Recurrence>,
    /// A run besides, due at once, which does not count towards the limit.
    pub extra_run: Option<Millis>,
}

impl SeriesMove {
    /// Nothing but this advance.
    #[must_use]
    pub fn of(advance: SeriesAdvance) -> Self {
        Self {
            advance,
            recurrence: None,
            extra_run: None,
        }
    }
}

/// From a stored series to what a change makes of it; `None`: its state forbids it.
type Move = dyn Fn(&SeriesSnapshot) -> Option<SeriesMove> + Send + Sync;

/// Computes what a change on request does to a series. It is called within the transaction, on the locked series.
#[derive(Clone)]
pub struct ComputeMove(Arc<Move>);

impl ComputeMove {
    /// By this function.
    pub fn new(compute: impl Fn(&SeriesSnapshot) -> Option<SeriesMove> + Send + Sync + 'static) -> Self {
        Self(Arc::new(compute))
    }

    /// One that leaves every series as it is.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(|series| Some(SeriesMove::of(SeriesAdvance::unchanged(series))))
    }

    /// What becomes of this series.
    #[must_use]
    pub fn of(&self, series: &SeriesSnapshot) -> Option<SeriesMove> {
        (self.0)(series)
    }
}

impl fmt::Debug for ComputeMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComputeMove")
    }
}

/// From a series that is due to how it moves on; `None`: not yet.
type Plan = dyn Fn(&SeriesSnapshot) -> Option<SeriesAdvance> + Send + Sync;

/// Computes how a series that is due moves on. It is called within the transaction of a claim, again when that is repeated.
#[derive(Clone)]
pub struct PlanAdvance(Arc<Plan>);

impl PlanAdvance {
    /// By this function.
    pub fn new(plan: impl Fn(&SeriesSnapshot) -> Option<SeriesAdvance> + Send + Sync + 'static) -> Self {
        Self(Arc::new(plan))
    }

    /// How this series moves on.
    #[must_use]
    pub fn of(&self, series: &SeriesSnapshot) -> Option<SeriesAdvance> {
        (self.0)(series)
    }
}

impl fmt::Debug for PlanAdvance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlanAdvance")
    }
}
