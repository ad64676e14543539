//! Calendar steps: the instants that lie whole numbers of a duration such as `P2W` or `P1M` after a start, at the start's
//! local time of day.
//!
//! It must not know jobs or where zone data comes from. Invariant: each step is counted from the start, never from
//! another step, so that a month end that was clamped does not drift; a search looks at a bounded number of steps.

use std::fmt;

use super::MAX_INSTANT_MS;
use super::calendar::{Date, MINUTES_PER_DAY, date_of, day_of, length_of_month};
use super::dst::{DstPolicy, GapPolicy, OverlapPolicy};
use super::error::quote_excerpt;
use super::search::{CYCLE_MINUTES, MILLISECONDS_PER_MINUTE, MIN_CALENDAR_CHANGE_MINUTES, cycles_beyond_table};
use super::spans::WallClock;
use super::zone::Zone;

/// Longest duration: 100 years, in months and in days.
const MAX_MONTHS: u32 = 1_200;
const MAX_DAYS: u32 = 36_525;
const MILLISECONDS_PER_DAY: i64 = MINUTES_PER_DAY * MILLISECONDS_PER_MINUTE;
/// Months and days in 400 years, after which the calendar repeats.
const MONTHS_PER_CYCLE: i64 = 4_800;
const DAYS_PER_CYCLE: i64 = super::calendar::DAYS_PER_CYCLE;
/// The search gives up after this many steps. Only steps in gaps are passed over, a few in a row at most, since clocks
/// change on another date each year.
const MAX_STEPS_TRIED: i64 = 1_000;

/// A duration of the calendar: months, and days on top of them. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarDuration {
    months: u32,
    days: u32,
}

impl CalendarDuration {
    /// Parses an ISO 8601 duration of whole years, months, weeks and days, up to 100 years.
    ///
    /// # Errors
    ///
    /// [`InvalidDuration`] for any other text, also for a duration with hours and shorter parts.
    pub fn parse(text: &str) -> Result<CalendarDuration, InvalidDuration> {
        parse_parts(text).map_err(|problem| InvalidDuration {
            text: text.to_owned(),
            problem,
        })
    }

    /// Its average length in days, times [`MONTHS_PER_CYCLE`].
    fn scaled_days(self) -> i64 {
        i64::from(self.months) * DAYS_PER_CYCLE + i64::from(self.days) * MONTHS_PER_CYCLE
    }
}

fn parse_parts(text: &str) -> Result<CalendarDuration, &'static str> {
    const MALFORMED: &str =
        "is not an ISO 8601 duration of years, months, weeks and days; write it as in `P2W` or `P1M`";
    const TOO_LONG: &str = "is longer than 100 years";
    let mut rest = text.strip_prefix('P').ok_or(MALFORMED)?;
    if rest.contains('T') {
        return Err("has a part of a day; use `every`, in ms, for hours and shorter intervals");
    }
    if rest.contains(['.', ',']) {
        return Err("has a fraction; use a whole number of a smaller unit");
    }
    if rest.contains('-') {
        return Err("is negative; steps go forward");
    }
    // Unit, and how many months and days one of it has; in this order, each at most once.
    let mut units = [('Y', 12, 0), ('M', 1, 0), ('W', 0, 7), ('D', 0, 1)].iter();
    let (mut months, mut days) = (0_u32, 0_u32);
    let mut parts = 0;
    while !rest.is_empty() {
        let tail = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let number = rest
            .strip_suffix(tail)
            .filter(|number| !number.is_empty())
            .ok_or(MALFORMED)?;
        let (_, of_months, of_days) = units
            .by_ref()
            .find(|(unit, ..)| tail.starts_with(*unit))
            .ok_or(MALFORMED)?;
        let count = number.parse::<u32>().map_err(|_| TOO_LONG)?;
        months = months.saturating_add(count.saturating_mul(*of_months));
        days = days.saturating_add(count.saturating_mul(*of_days));
        rest = tail.get(1..).unwrap_or_default();
        parts += 1;
    }
    match (months, days) {
        _ if parts == 0 => Err(MALFORMED),
        (0, 0) => Err("is zero"),
        _ if months > MAX_MONTHS || days > MAX_DAYS => Err(TOO_LONG),
        _ => Ok(CalendarDuration { months, days }),
    }
}

/// A text that is not a duration of the calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDuration {
    /// The text as it was given.
    pub text: String,
    problem: &'static str,
}

impl fmt::Display for InvalidDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", quote_excerpt(&self.text), self.problem)
    }
}

impl std::error::Error for InvalidDuration {}

/// A start, and what follows from it in steps of a duration.
///
/// Step k is k times the months and then k times the days after the date of the start: a month that lacks the day has it
/// on its last one. It is at the start's local time; where clocks change, as a fixed-time cron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarSteps {
    duration: CalendarDuration,
    zone: Zone,
    dst: DstPolicy,
    start: i64,
    /// The local date of the start, in days since 1970.
    day: i64,
    /// Its local time of day in ms.
    time: i64,
}

impl CalendarSteps {
    /// Steps from `start`, in milliseconds since 1970-01-01T00:00Z, which is step 0 itself.
    pub fn new(duration: CalendarDuration, start: i64, zone: Zone, dst: DstPolicy) -> CalendarSteps {
        let start = start.clamp(-MAX_INSTANT_MS, MAX_INSTANT_MS);
        let cycles = cycles_beyond_table(start.div_euclid(MILLISECONDS_PER_MINUTE));
        let folded = start - cycles * CYCLE_MINUTES * MILLISECONDS_PER_MINUTE;
        // The offset with its seconds: a start long ago sets the time of day of steps today.
        let local = start + i64::from(zone.offset_at(folded)) * 1_000;
        CalendarSteps {
            duration,
            zone,
            dst,
            start,
            day: local.div_euclid(MILLISECONDS_PER_DAY),
            time: local.rem_euclid(MILLISECONDS_PER_DAY),
        }
    }

    /// The first instant of the steps at or after `from`, both in milliseconds since 1970-01-01T00:00Z.
    ///
    /// `None` means never again: past the year 275760 with which ECMAScript dates end.
    pub fn at_or_after(&self, from: i64) -> Option<i64> {
        if from <= self.start {
            return Some(self.start);
        }
        if from > MAX_INSTANT_MS {
            return None;
        }
        let first = self.step_before(from);
        (first..first + MAX_STEPS_TRIED)
            .find_map(|step| self.instants_of(step).into_iter().find(|instant| *instant >= from))
            .filter(|instant| *instant <= MAX_INSTANT_MS)
    }

    /// A step from 1 on that is either 1 or before `from`, by a few steps at most. Dates of steps are within ten days of where
    /// the average length puts them, and a step of a month is longer than that.
    fn step_before(&self, from: i64) -> i64 {
        // Two days more than whole ones cover every offset.
        let days = from.div_euclid(MILLISECONDS_PER_DAY) - 2 - self.day;
        let step = (days * MONTHS_PER_CYCLE).div_euclid(self.duration.scaled_days()) - 1;
        step.max(1)
    }

    /// The instants of a step from 1 on, in order: none in a gap that is skipped, several in an overlap that runs all.
    fn instants_of(&self, step: i64) -> Vec<i64> {
        let day = self.day_of_step(step);
        let local = day * MINUTES_PER_DAY + self.time.div_euclid(MILLISECONDS_PER_MINUTE);
        let within_minute = self.time.rem_euclid(MILLISECONDS_PER_MINUTE);
        // As in the search for a cron: the far future is looked up in the last cycle that the zone's table holds.
        let beyond = cycles_beyond_table(local) * CYCLE_MINUTES;
        let instant = |minute: i64| (minute + beyond) * MILLISECONDS_PER_MINUTE;
        match self.zone.spans().wall_clock(local - beyond) {
            WallClock::Shown(mut minutes) => {
                match self.dst.overlap {
                    OverlapPolicy::First => minutes.truncate(1),
                    OverlapPolicy::Last => minutes = minutes.split_off(minutes.len().saturating_sub(1)),
                    OverlapPolicy::Both => {}
                }
                minutes
                    .into_iter()
                    .map(|minute| instant(minute) + within_minute)
                    .collect()
            }
            WallClock::Skipped { end, length } => {
                let made_up = self.dst.gap == GapPolicy::After && length < MIN_CALENDAR_CHANGE_MINUTES;
                made_up.then(|| instant(end)).into_iter().collect()
            }
        }
    }

    /// The local date of a step, in days since 1970.
    fn day_of_step(&self, step: i64) -> i64 {
        let days = step * i64::from(self.duration.days);
        if self.duration.months == 0 {
            return self.day + days;
        }
        let Date { year, month, day } = date_of(self.day);
        let months = year * 12 + i64::from(month) - 1 + step * i64::from(self.duration.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        let day = day.min(length_of_month(year, month));
        day_of(Date { year, month, day }) + days
    }
}

#[cfg(test)]
mod tests;
