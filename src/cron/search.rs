//! The search for the next instant at which an expression fires.
//!
//! It must not know text or where zone data comes from. It walks the spans of constant offset
//! and, within one, jumps from match to match over the bit masks; nothing is allocated and
//! nothing steps minute by minute.
//!
//! Invariant: every loop is bounded by the 41 years after which a satisfiable expression must
//! have matched. 40 years is the longest wait: a leap day on a given weekday across 2100.

use super::MAX_INSTANT_MS;
use super::calendar::{DAYS_PER_CYCLE, Date, MINUTES_PER_DAY, date_of, day_of, length_of_month, weekday_of};
use super::dst::{DstPolicy, GapPolicy, OverlapPolicy};
use super::expr::CronExpr;
use super::spans::{Span, Spans};
use super::zone::{LAST_CYCLE_MINUTE, Zone};

pub(super) const MILLISECONDS_PER_MINUTE: i64 = 60_000;
/// The search gives up after this many minutes: 41 years.
const MAX_SEARCH_MINUTES: i64 = 41 * 366 * MINUTES_PER_DAY;
const MAX_SEARCH_MONTHS: u32 = 42 * 12;
/// A gap of this many minutes or more is a calendar change: its runs are not made up for.
pub(super) const MIN_CALENDAR_CHANGE_MINUTES: i64 = 180;
pub(super) const CYCLE_MINUTES: i64 = DAYS_PER_CYCLE * MINUTES_PER_DAY;

/// How many cycles of the calendar a minute must be moved back to lie within the zones' tables.
pub(super) fn cycles_beyond_table(minute: i64) -> i64 {
    (minute - LAST_CYCLE_MINUTE).div_euclid(CYCLE_MINUTES).max(0)
}

impl CronExpr {
    /// The first instant after `after` at which this expression fires on the wall clock of
    /// `zone`. Both are milliseconds since 1970-01-01T00:00Z; the result is a whole minute.
    ///
    /// `None` means never again: the expression matches no date, or only past the year 275760
    /// with which ECMAScript dates end, or, with [`GapPolicy::Skip`], all its times of 41 years fall
    /// into gaps, like 02:30 on second Sundays in March in New York.
    pub fn next_after(&self, after: i64, zone: &Zone, dst: DstPolicy) -> Option<i64> {
        if self.never_matches() || after >= MAX_INSTANT_MS {
            return None;
        }
        let first = after.max(-MAX_INSTANT_MS - 1).div_euclid(MILLISECONDS_PER_MINUTE) + 1;
        // The calendar and the zones' rules repeat every 400 years, so the far future is looked
        // up in the last cycle that the zone's table holds.
        let cycles = cycles_beyond_table(first);
        let folded = first - cycles * CYCLE_MINUTES;
        let minute = self.next_minute(folded, zone.spans(), dst)?;
        let instant = (minute + cycles * CYCLE_MINUTES) * MILLISECONDS_PER_MINUTE;
        (instant <= MAX_INSTANT_MS).then_some(instant)
    }

    /// The first minute at or after `from` at which this expression fires.
    fn next_minute(&self, from: i64, spans: &Spans, dst: DstPolicy) -> Option<i64> {
        let limit = from + MAX_SEARCH_MINUTES;
        let mut matches = LocalMatches::new(self, limit);
        let mut index = spans.index_at(from);
        let mut minute = from;
        while minute <= limit {
            let span = spans.get(index)?;
            if minute == span.start
                && self.runs_after_gap(dst, spans.minutes_forward_at(index))
                && matches.first_from(span.first_new_local) < span.first_local()
            {
                return Some(minute);
            }
            let (earliest, end) = self.eligible_local_minutes(span, dst);
            let local = matches.first_from(earliest.max(minute + span.offset));
            if local < end {
                return Some(local - span.offset);
            }
            minute = span.end;
            index += 1;
        }
        None
    }

    /// Tells whether runs missed in a gap of `forward` minutes happen right after it.
    fn runs_after_gap(&self, dst: DstPolicy, forward: i64) -> bool {
        !self.interval && dst.gap == GapPolicy::After && (1..MIN_CALENDAR_CHANGE_MINUTES).contains(&forward)
    }

    /// The local minutes of a span at which this expression may fire, as (first, end).
    fn eligible_local_minutes(&self, span: &Span, dst: DstPolicy) -> (i64, i64) {
        let (first, end) = (span.first_local(), span.end_local());
        match dst.overlap {
            _ if self.interval => (first, end),
            OverlapPolicy::First => (first.max(span.first_new_local), end),
            OverlapPolicy::Last => (first, end.min(span.first_repeated_local)),
            OverlapPolicy::Both => (first, end),
        }
    }

    /// The first matching minute of a day, at or after minute `from` of that day.
    fn time_from(&self, from: u32) -> Option<i64> {
        let (hour, minute) = (from / 60, from % 60);
        let minutes_left = self.minutes >> minute << minute;
        let (hour, minutes) = if self.hours & (1 << hour) != 0 && minutes_left != 0 {
            (hour, minutes_left)
        } else {
            let hours_left = self.hours >> (hour + 1) << (hour + 1);
            (hours_left.trailing_zeros(), self.minutes)
        };
        (hour < 24).then(|| i64::from(hour * 60 + minutes.trailing_zeros()))
    }

    /// The first matching day from `from` to `last`.
    fn day_from(&self, from: i64, last: i64) -> Option<i64> {
        let Date {
            mut year,
            mut month,
            day: mut first_day,
        } = date_of(from);
        for _ in 0..MAX_SEARCH_MONTHS {
            if self.months & (1 << month) != 0 {
                let before_first = day_of(Date { year, month, day: 1 }) - 1;
                let length = length_of_month(year, month);
                let selected = self.days.in_month(length, weekday_of(before_first + 1));
                let left = selected >> first_day << first_day;
                if left != 0 {
                    let day = before_first + i64::from(left.trailing_zeros());
                    return (day <= last).then_some(day);
                }
            }
            first_day = 1;
            (year, month) = self.month_after(year, month);
        }
        None
    }

    /// The next month of the expression after a given one.
    fn month_after(&self, year: i64, month: u32) -> (i64, u32) {
        match (self.months >> (month + 1) << (month + 1)).trailing_zeros() {
            u32::BITS => (year + 1, self.months.trailing_zeros().min(12)),
            next => (year, next),
        }
    }
}

/// The local times that match an expression, remembering the last answer: consecutive spans
/// mostly ask again for a match that is still ahead.
struct LocalMatches<'e> {
    expr: &'e CronExpr,
    last_day: i64,
    searched_from: i64,
    found: i64,
}

impl LocalMatches<'_> {
    fn new(expr: &CronExpr, limit: i64) -> LocalMatches<'_> {
        // Two days more than the limit cover every offset.
        let last_day = limit.div_euclid(MINUTES_PER_DAY) + 2;
        LocalMatches {
            expr,
            last_day,
            searched_from: i64::MAX,
            found: i64::MIN,
        }
    }

    /// The first matching local minute at or after `from`, `i64::MAX` if there is none.
    fn first_from(&mut self, from: i64) -> i64 {
        if !(self.searched_from..=self.found).contains(&from) {
            self.searched_from = from;
            self.found = self.search(from).unwrap_or(i64::MAX);
        }
        self.found
    }

    fn search(&self, from: i64) -> Option<i64> {
        let today = from.div_euclid(MINUTES_PER_DAY);
        let mut day = self.expr.day_from(today, self.last_day)?;
        let mut time = None;
        if day == today {
            time = self.expr.time_from(from.rem_euclid(MINUTES_PER_DAY) as u32);
            if time.is_none() {
                day = self.expr.day_from(today + 1, self.last_day)?;
            }
        }
        Some(day * MINUTES_PER_DAY + time.or_else(|| self.expr.time_from(0))?)
    }
}
