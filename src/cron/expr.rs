//! A parsed expression: what it matches, without any notion of zones.
//!
//! It must not know text or instants. Invariant: a value is complete and valid; only `parse`
//! makes one.

use super::calendar::month_length;
use super::days::DayRule;

/// A parsed cron expression: bit masks and day rules, a few dozen bytes, no heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CronExpr {
    /// Bit n: minute n.
    pub(super) minutes: u64,
    /// Bit n: hour n.
    pub(super) hours: u32,
    /// Bit n: month n, 1 for January.
    pub(super) months: u32,
    pub(super) days: DayRule,
    pub(super) interval: bool,
    never: bool,
}

impl CronExpr {
    /// Completes an expression from its fields; the masks must not be empty.
    pub(super) fn new(minutes: u64, hours: u32, months: u32, days: DayRule, interval: bool) -> CronExpr {
        let never = !matches_some_date(months, &days);
        CronExpr {
            minutes,
            hours,
            months,
            days,
            interval,
            never,
        }
    }

    /// Tells whether no date of the calendar matches, as in `0 0 30 2 *`. Such an expression is
    /// well formed, but never fires.
    pub fn never_matches(&self) -> bool {
        self.never
    }

    /// Tells whether this is an interval cron: an item of its minute or hour field begins with
    /// `*`. It then fires at every real minute whose wall clock matches, in both passes of a
    /// repeated hour, and [`DstPolicy`](super::DstPolicy) has no say. Every other expression is
    /// fixed-time.
    pub fn is_interval(&self) -> bool {
        self.interval
    }
}

/// Decides for good whether a date matches: a year is one of 14 types, by the weekday on which
/// it begins and its length.
fn matches_some_date(months: u32, days: &DayRule) -> bool {
    [false, true].into_iter().any(|leap| {
        (0..7).any(|weekday_of_new_year| {
            let mut first = weekday_of_new_year;
            (1..=12).any(|month| {
                let length = month_length(month, leap);
                let matches = months & (1 << month) != 0 && days.in_month(length, first) != 0;
                first = (first + length) % 7;
                matches
            })
        })
    })
}
