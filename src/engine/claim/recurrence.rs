//! When a series runs, and how it moves on from a due occurrence.
//!
//! Pure: a schedule, the state of a series and `now` go in, a plan comes out; the store applies it in one transaction.
//! Invariant: every grid point ends up in exactly one of: a run, a missed range, a skipped range. Nothing is ever
//! computed from the current time where the scheduled time is known.

use crate::clock::Millis;
use crate::cron::{CronExpr, DstPolicy, GapPolicy, OverlapPolicy, Zone};
use crate::error::{Error, ErrorCode, Result};
use crate::model::schedule::{Dst, Gap, Overlap};
use crate::model::{IfRunning, Misfire, Recurrence, Rule};
use crate::store::{DueSeries, GapKind, Occurrence, OccurrenceGap, SeriesAdvance};

/// Most runs that `misfire: 'all'` makes up for at once.
const MAX_CATCH_UP_RUNS: usize = 1_000;
/// Most grid points of a cron looked at in one step: two years of minutes. Of a longer backlog the oldest part is
/// recorded as missed first, and the step is taken again.
const MAX_CRON_POINTS_PER_STEP: i64 = 1_000_000;

/// The instants of a schedule.
#[derive(Debug)]
pub struct Timetable {
    grid: Grid,
    start_at: Option<Millis>,
    end_at: Option<Millis>,
    offset: i64,
}

#[derive(Debug)]
enum Grid {
    Cron {
        expression: Box<CronExpr>,
        zone: Zone,
        dst: DstPolicy,
    },
    Every {
        interval: i64,
        anchor: Millis,
    },
}

impl Timetable {
    /// Prepares a stored schedule.
    ///
    /// # Errors
    /// `INVALID_CRON` or `INVALID_TIMEZONE`, when this version of the package no longer knows the expression or the zone.
    pub fn compile(recurrence: &Recurrence) -> Result<Self> {
        match &recurrence.rule {
            Rule::Every { interval, anchor } => Ok(Self::of_interval(*interval, *anchor, recurrence)),
            Rule::Cron { text, tz } => {
                let expression =
                    CronExpr::parse(text).map_err(|error| Error::new(ErrorCode::InvalidCron, error.to_string()))?;
                let zone = Zone::get(tz).map_err(|error| Error::new(ErrorCode::InvalidTimezone, error.to_string()))?;
                Ok(Self::of_cron(expression, zone, recurrence))
            }
        }
    }

    /// A cron expression and a zone that were read already; all else as `recurrence` says.
    #[must_use]
    pub fn of_cron(expression: CronExpr, zone: Zone, recurrence: &Recurrence) -> Self {
        let grid = Grid::Cron {
            expression: Box::new(expression),
            zone,
            dst: dst_policy(recurrence.dst),
        };
        Self::on_grid(grid, recurrence)
    }

    /// Every `interval` ms from `anchor` on; all else as `recurrence` says.
    #[must_use]
    pub fn of_interval(interval: i64, anchor: Millis, recurrence: &Recurrence) -> Self {
        let interval = interval.max(1);
        Self::on_grid(Grid::Every { interval, anchor }, recurrence)
    }

    fn on_grid(grid: Grid, recurrence: &Recurrence) -> Self {
        Self {
            grid,
            start_at: recurrence.start_at,
            end_at: recurrence.end_at,
            offset: recurrence.offset,
        }
    }

    /// The first occurrence of a series dispatched at `now`.
    #[must_use]
    pub fn first(&self, now: Millis) -> Option<Millis> {
        let earliest = match (&self.grid, self.start_at) {
            // A cron without a start begins strictly after the dispatch, so that a dispatch at 9:00 does not run at once.
            (Grid::Cron { .. }, None) => now.saturating_add(1),
            (_, start) => start.unwrap_or(now).max(now),
        };
        self.at_or_after(earliest)
    }

    /// The first occurrence later than `instant`.
    #[must_use]
    pub fn after(&self, instant: Millis) -> Option<Millis> {
        self.at_or_after(instant.checked_add(1)?)
    }

    /// The first occurrence at or after `instant`. The end of the schedule applies to the grid point, not to the
    /// spread on top of it.
    fn at_or_after(&self, instant: Millis) -> Option<Millis> {
        let from = instant
            .checked_sub(self.offset)?
            .max(self.start_at.unwrap_or(Millis::MIN));
        let point = match &self.grid {
            Grid::Every { interval, anchor } => every_at_or_after(*anchor, *interval, from)?,
            Grid::Cron { expression, zone, dst } => expression.next_after(from.checked_sub(1)?, zone, *dst)?,
        };
        if self.end_at.is_some_and(|end| point > end) {
            return None;
        }
        point.checked_add(self.offset)
    }

    /// Occurrences from `first` (one itself) up to `now`, and the one after them.
    fn due(&self, first: Millis, now: Millis) -> DuePoints {
        match &self.grid {
            Grid::Every { interval, .. } => self.due_every(first, now, *interval),
            Grid::Cron { .. } => self.due_cron(first, now),
        }
    }

    fn due_every(&self, first: Millis, now: Millis, interval: i64) -> DuePoints {
        let end = self.end_at.map_or(now, |end| end.saturating_add(self.offset).min(now));
        let steps = end.saturating_sub(first) / interval;
        let point = |k: i64| first.saturating_add(k.saturating_mul(interval));
        let from = steps.saturating_add(1).saturating_sub(MAX_CATCH_UP_RUNS as i64).max(0);
        let recent = (from..=steps).map(point).collect();
        let before = (from > 0).then(|| point(from - 1));
        DuePoints {
            first,
            count: steps.saturating_add(1),
            before,
            recent,
            next: self.after(point(steps)),
            complete: true,
        }
    }

    fn due_cron(&self, first: Millis, now: Millis) -> DuePoints {
        let mut recent = std::collections::VecDeque::from([first]);
        let (mut count, mut before) = (1, None);
        let mut next = self.after(first);
        while let Some(at) = next.filter(|at| *at <= now && count < MAX_CRON_POINTS_PER_STEP) {
            if recent.len() == MAX_CATCH_UP_RUNS {
                before = recent.pop_front();
            }
            recent.push_back(at);
            count += 1;
            next = self.after(at);
        }
        let complete = next.is_none_or(|at| at > now);
        DuePoints {
            first,
            count,
            before,
            recent: recent.into(),
            next,
            complete,
        }
    }
}

fn every_at_or_after(anchor: Millis, interval: i64, from: Millis) -> Option<Millis> {
    if from <= anchor {
        return Some(anchor);
    }
    let behind = from.checked_sub(anchor)?;
    let steps = behind / interval + i64::from(behind % interval != 0);
    anchor.checked_add(steps.checked_mul(interval)?)
}

fn dst_policy(dst: Dst) -> DstPolicy {
    DstPolicy {
        gap: match dst.gap {
            Gap::After => GapPolicy::After,
            Gap::Skip => GapPolicy::Skip,
        },
        overlap: match dst.overlap {
            Overlap::First => OverlapPolicy::First,
            Overlap::Last => OverlapPolicy::Last,
            Overlap::Both => OverlapPolicy::Both,
        },
    }
}

/// The grid points that are due: never empty.
struct DuePoints {
    first: Millis,
    /// How many.
    count: i64,
    /// The last one before `recent`.
    before: Option<Millis>,
    /// The last of them, at most [`MAX_CATCH_UP_RUNS`].
    recent: Vec<Millis>,
    /// The one after them.
    next: Option<Millis>,
    /// Whether `next` is not due yet.
    complete: bool,
}

impl DuePoints {
    fn last(&self) -> Millis {
        self.recent.last().copied().unwrap_or(self.first)
    }

    /// The range of the first `count` points, when there are any.
    fn gap(&self, kind: GapKind, count: i64, last: Millis) -> Option<OccurrenceGap> {
        (count > 0).then_some(OccurrenceGap {
            kind,
            first: self.first,
            last,
            count,
        })
    }
}

/// How `series` moves on at `now`.
///
/// # Errors
/// As [`Timetable::compile`].
pub fn plan(recurrence: &Recurrence, series: &DueSeries, now: Millis) -> Result<SeriesAdvance> {
    let timetable = Timetable::compile(recurrence)?;
    let due = timetable.due(series.next_at, now);
    let overlapping = recurrence.if_running == IfRunning::Skip && series.live > 0;
    let (occurrences, gaps) = if overlapping {
        (Vec::new(), skip_all_due(&due))
    } else {
        catch_up(recurrence.misfire, &due)
    };
    if recurrence.misfire == Misfire::All && recurrence.if_running == IfRunning::Skip && occurrences.len() > 1 {
        return Ok(catch_up_one_by_one(recurrence, series, &due, gaps));
    }
    let room = recurrence
        .limit
        .map_or(i64::MAX, |limit| limit.saturating_sub(series.runs))
        .max(0);
    let occurrences: Vec<Occurrence> = occurrences
        .into_iter()
        .take(usize::try_from(room).unwrap_or(usize::MAX))
        .collect();
    let exhausted = room <= occurrences.len() as i64;
    Ok(SeriesAdvance {
        job: series.job,
        version: series.version,
        occurrences,
        gaps,
        next_at: due.next.filter(|_| !exhausted),
        after_live_runs: false,
    })
}

/// The next occurrence of a series that is resumed at `now` and has made `runs` runs; those it has missed meanwhile are
/// not made up for.
///
/// # Errors
/// As [`Timetable::compile`].
pub fn next_after_resume(recurrence: &Recurrence, runs: i64, now: Millis) -> Result<Option<Millis>> {
    if recurrence.limit.is_some_and(|limit| runs >= limit) {
        return Ok(None);
    }
    Ok(Timetable::compile(recurrence)?.after(now))
}

/// A backlog of which every point gets its run, without two at a time: one run now, the next point when it has ended.
fn catch_up_one_by_one(
    recurrence: &Recurrence,
    series: &DueSeries,
    due: &DuePoints,
    gaps: Vec<OccurrenceGap>,
) -> SeriesAdvance {
    let (job, version) = (series.job, series.version);
    let mut points = due.recent.iter().copied();
    let room = recurrence
        .limit
        .map_or(i64::MAX, |limit| limit.saturating_sub(series.runs));
    let occurrences = points.next().filter(|_| room > 0).map(|scheduled_at| Occurrence {
        scheduled_at,
        missed: 0,
    });
    let next_at = points.next().filter(|_| room > 1);
    SeriesAdvance {
        job,
        version,
        occurrences: occurrences.into_iter().collect(),
        gaps,
        next_at,
        after_live_runs: next_at.is_some(),
    }
}

/// A run is still going: all that came due meanwhile is passed over.
fn skip_all_due(due: &DuePoints) -> Vec<OccurrenceGap> {
    due.gap(GapKind::Skipped, due.count, due.last()).into_iter().collect()
}

/// Nothing is going. A point is missed when its successor is due too.
fn catch_up(misfire: Misfire, due: &DuePoints) -> (Vec<Occurrence>, Vec<OccurrenceGap>) {
    let on_time = |scheduled_at| Occurrence {
        scheduled_at,
        missed: 0,
    };
    match misfire {
        _ if !due.complete => (
            Vec::new(),
            due.gap(GapKind::Missed, due.count, due.last()).into_iter().collect(),
        ),
        _ if due.count == 1 => (vec![on_time(due.first)], Vec::new()),
        Misfire::Skip => (
            Vec::new(),
            due.gap(GapKind::Missed, due.count, due.last()).into_iter().collect(),
        ),
        Misfire::Once => {
            let last_missed = due.recent.iter().rev().nth(1).copied().unwrap_or(due.first);
            let gap = due.gap(GapKind::Missed, due.count - 1, last_missed);
            (
                vec![Occurrence {
                    scheduled_at: due.last(),
                    missed: due.count - 1,
                }],
                gap.into_iter().collect(),
            )
        }
        Misfire::All => {
            let dropped = due.count - due.recent.len() as i64;
            let gap = due.gap(GapKind::Missed, dropped, due.before.unwrap_or(due.first));
            (
                due.recent.iter().copied().map(on_time).collect(),
                gap.into_iter().collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests;
