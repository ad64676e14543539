//! The instants of a schedule: which ones come next, and which are due.
//!
//! Pure. Invariant: nothing is ever computed from the current time where the scheduled time is known.

use crate::clock::Millis;
use crate::cron::{
    CalendarDuration, CalendarSteps, CronExpr, DstPolicy, GapPolicy, MAX_INSTANT_MS, OverlapPolicy, Zone,
};
use crate::error::{Error, ErrorCode, Result};
use crate::model::schedule::{Dst, Gap, Overlap};
use crate::model::{Recurrence, Rule};
use crate::store::{GapKind, OccurrenceGap, Span};

/// Most runs that `misfire: 'all'` makes up for at once.
pub const MAX_CATCH_UP_RUNS: usize = 1_000;
/// Most grid points of a cron or of calendar steps looked at in one step: two years of minutes. Of a longer backlog the oldest
/// part is recorded as missed first, and the step is taken again.
pub const MAX_CRON_POINTS_PER_STEP: i64 = 1_000_000;

/// The instants of a schedule. They form a grid, of which the points on excepted dates do not run.
#[derive(Debug)]
pub struct Timetable {
    grid: Grid,
    start_at: Option<Millis>,
    end_at: Option<Millis>,
    /// Excepted dates, without the offset: spans in order, none of which touch, from their first instant to the first after
    /// them.
    excepted: Vec<(Millis, Millis)>,
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
    Interval {
        steps: CalendarSteps,
    },
}

impl Timetable {
    /// Prepares a stored schedule.
    ///
    /// # Errors
    /// `INVALID_CRON`, `INVALID_TIMEZONE` or `INVALID_SCHEDULE`, when this version of the package no longer knows the
    /// expression, a zone or the duration.
    pub fn compile(recurrence: &Recurrence) -> Result<Self> {
        let zone = |tz: &str| Zone::get(tz).map_err(|error| Error::new(ErrorCode::InvalidTimezone, error.to_string()));
        let timetable = match &recurrence.rule {
            Rule::Every { interval, anchor } => Self::of_interval(*interval, *anchor, recurrence),
            Rule::Cron { text, tz } => {
                let expression =
                    CronExpr::parse(text).map_err(|error| Error::new(ErrorCode::InvalidCron, error.to_string()))?;
                Self::of_cron(expression, zone(tz)?, recurrence)
            }
            Rule::Interval { duration, tz, anchor } => {
                let duration = CalendarDuration::parse(duration)
                    .map_err(|error| Error::new(ErrorCode::InvalidSchedule, error.to_string()))?;
                Self::of_calendar_steps(duration, *anchor, zone(tz)?, recurrence)
            }
        };
        Ok(match &recurrence.except {
            Some(dates) => timetable.excepting(&zone(&dates.tz)?, &dates.days),
            None => timetable,
        })
    }

    /// A cron expression and a zone that were read already; all else, but for excepted dates, as `recurrence` says.
    #[must_use]
    pub fn of_cron(expression: CronExpr, zone: Zone, recurrence: &Recurrence) -> Self {
        let grid = Grid::Cron {
            expression: Box::new(expression),
            zone,
            dst: dst_policy(recurrence.dst),
        };
        Self::on_grid(grid, recurrence)
    }

    /// Every `interval` ms from `anchor` on; all else, but for excepted dates, as `recurrence` says.
    #[must_use]
    pub fn of_interval(interval: i64, anchor: Millis, recurrence: &Recurrence) -> Self {
        let interval = interval.max(1);
        Self::on_grid(Grid::Every { interval, anchor }, recurrence)
    }

    /// Steps of the calendar from `anchor` on; all else, but for excepted dates, as `recurrence` says.
    #[must_use]
    pub fn of_calendar_steps(duration: CalendarDuration, anchor: Millis, zone: Zone, recurrence: &Recurrence) -> Self {
        let steps = CalendarSteps::new(duration, anchor, zone, dst_policy(recurrence.dst));
        Self::on_grid(Grid::Interval { steps }, recurrence)
    }

    fn on_grid(grid: Grid, recurrence: &Recurrence) -> Self {
        Self {
            grid,
            start_at: recurrence.start_at,
            end_at: recurrence.end_at,
            excepted: Vec::new(),
            offset: recurrence.offset,
        }
    }

    /// Whether its instants are those of `other`, apart from where they begin and end.
    #[must_use]
    pub fn has_same_instants(&self, other: &Self) -> bool {
        let same_grid = match (&self.grid, &other.grid) {
            (
                Grid::Cron { expression, zone, dst },
                Grid::Cron {
                    expression: cron,
                    zone: tz,
                    dst: policy,
                },
            ) => expression == cron && zone.name() == tz.name() && (dst == policy || expression.is_interval()),
            (
                Grid::Every { interval, anchor },
                Grid::Every {
                    interval: every,
                    anchor: begin,
                },
            ) => interval == every && anchor.checked_sub(*begin).is_some_and(|apart| apart % interval == 0),
            (Grid::Interval { steps }, Grid::Interval { steps: other }) => steps == other,
            _ => false,
        };
        same_grid && self.offset == other.offset
    }

    /// Whether it is about intervals rather than times of the day.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        match &self.grid {
            Grid::Cron { expression, .. } => expression.is_interval(),
            Grid::Every { .. } => true,
            Grid::Interval { .. } => false,
        }
    }

    /// The same without runs on these local dates, in days since 1970-01-01.
    #[must_use]
    pub fn excepting(self, zone: &Zone, days: &[i32]) -> Self {
        Self {
            excepted: zone.spans_of_days(days),
            ..self
        }
    }

    /// The first point of a series dispatched at `now`, which may be excepted.
    #[must_use]
    pub fn first(&self, now: Millis) -> Option<Millis> {
        let earliest = match (&self.grid, self.start_at) {
            // A cron without a start begins strictly after the dispatch, so that a dispatch at 9:00 does not run at once.
            (Grid::Cron { .. }, None) => now.saturating_add(1),
            (_, start) => start.unwrap_or(now).max(now),
        };
        self.at_or_after(earliest)
    }

    /// The first point that runs of a series dispatched at `now`.
    #[must_use]
    pub fn first_run(&self, now: Millis) -> Option<Millis> {
        self.run_at_or_after(self.first(now)?)
    }

    /// The first point of the grid later than `instant`, which may be excepted.
    #[must_use]
    pub fn after(&self, instant: Millis) -> Option<Millis> {
        self.at_or_after(instant.checked_add(1)?)
    }

    /// Whether this is one of its instants.
    #[must_use]
    pub fn has(&self, instant: Millis) -> bool {
        self.after(instant.saturating_sub(1)) == Some(instant)
    }

    /// The first point at or after `instant` that is not excepted.
    #[must_use]
    pub fn run_at_or_after(&self, instant: Millis) -> Option<Millis> {
        let mut point = self.at_or_after(instant)?;
        // Each round leaves a span behind for good.
        while let Some(end) = self.end_of_excepted(point) {
            point = self.at_or_after(end)?;
        }
        Some(point)
    }

    /// The first instant after the excepted dates that a point of the grid is on.
    fn end_of_excepted(&self, point: Millis) -> Option<Millis> {
        let (start, end) = self.excepted.get(self.first_excepted_after(point))?;
        (start.saturating_add(self.offset) <= point).then(|| end.saturating_add(self.offset))
    }

    /// The first span of excepted dates that ends after `instant`.
    fn first_excepted_after(&self, instant: Millis) -> usize {
        let unshifted = instant.saturating_sub(self.offset);
        self.excepted.partition_point(|(_, end)| *end <= unshifted)
    }

    /// The first point of the grid at or after `instant`. The end of the schedule applies to the point, not to the
    /// spread on top of it.
    fn at_or_after(&self, instant: Millis) -> Option<Millis> {
        let from = instant
            .checked_sub(self.offset)?
            .max(self.start_at.unwrap_or(Millis::MIN));
        let point = match &self.grid {
            Grid::Every { interval, anchor } => {
                // It has no beginning if nobody has given it one: a clock that was ahead may have.
                let endless = self.start_at.is_none() && self.offset < *interval;
                let anchor = if endless { anchor.rem_euclid(*interval) } else { *anchor };
                every_at_or_after(anchor, *interval, from)?
            }
            Grid::Cron { expression, zone, dst } => expression.next_after(from.checked_sub(1)?, zone, *dst)?,
            Grid::Interval { steps } => steps.at_or_after(from)?,
        };
        if self.end_at.is_some_and(|end| point > end) {
            return None;
        }
        // What no date can hold does not exist.
        point.checked_add(self.offset).filter(|at| *at <= MAX_INSTANT_MS)
    }

    /// The spans from `from` to `to` whose points are excepted, in order, each from its first to its last instant. A point of
    /// the grid is on a date by its time without the spread.
    #[must_use]
    pub fn excepted_spans(&self, from: Millis, to: Millis) -> Vec<Span> {
        let shifted = |(start, end): &(Millis, Millis)| {
            let last = end.saturating_add(self.offset).saturating_sub(1);
            (start.saturating_add(self.offset).max(from), last.min(to))
        };
        let spans = self.excepted.iter().skip(self.first_excepted_after(from)).map(shifted);
        spans.take_while(|(start, last)| start <= last).collect()
    }

    /// These gaps, in order, with those as one that follow each other for the same reason and have no point of the grid between them.
    #[must_use]
    pub fn joined(&self, gaps: Vec<OccurrenceGap>) -> Vec<OccurrenceGap> {
        let mut joined: Vec<OccurrenceGap> = Vec::with_capacity(gaps.len());
        for gap in gaps {
            match joined.last_mut() {
                Some(last) if last.kind == gap.kind && self.after(last.last) == Some(gap.first) => {
                    last.last = gap.last;
                    last.count = last.count.saturating_add(gap.count);
                }
                _ => joined.push(gap),
            }
        }
        joined
    }

    /// The points of the grid from `first` (one itself) up to `now`, and the one after them; excepted ones among them.
    pub fn due(&self, first: Millis, now: Millis) -> DuePoints {
        match &self.grid {
            Grid::Every { interval, .. } => self.due_every(first, now, *interval),
            Grid::Cron { .. } | Grid::Interval { .. } => self.due_one_by_one(first, now),
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

    fn due_one_by_one(&self, first: Millis, now: Millis) -> DuePoints {
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
pub struct DuePoints {
    /// The earliest.
    pub first: Millis,
    /// How many.
    pub count: i64,
    /// The last one before `recent`.
    pub before: Option<Millis>,
    /// The last of them, at most [`MAX_CATCH_UP_RUNS`].
    pub recent: Vec<Millis>,
    /// The one after them.
    pub next: Option<Millis>,
    /// Whether `next` is not due yet.
    pub complete: bool,
}

impl DuePoints {
    /// The last of them.
    #[must_use]
    pub fn last(&self) -> Millis {
        self.recent.last().copied().unwrap_or(self.first)
    }

    /// The `n`th of them, counted from one; `None`: there is no such point, or it is neither the last one before
    /// [`Self::recent`] nor one of these.
    #[must_use]
    pub fn nth(&self, n: i64) -> Option<Millis> {
        let before_recent = self.count - self.recent.len() as i64;
        match n.checked_sub(before_recent)? {
            0 => self.before,
            after => self.recent.get(usize::try_from(after).ok()?.checked_sub(1)?).copied(),
        }
    }

    /// The range of the first `count` points, when there are any.
    #[must_use]
    pub fn gap(&self, kind: GapKind, count: i64, last: Millis) -> Option<OccurrenceGap> {
        (count > 0).then_some(OccurrenceGap {
            kind,
            first: self.first,
            last,
            count,
        })
    }
}

#[cfg(test)]
mod tests;
