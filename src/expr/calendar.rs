//! Calendar arithmetic, and the text form of dates, in a given time zone.
//!
//! It must not know expressions: it works on instants in ms since the epoch, and on plain text.

use crate::clock::Millis;
use crate::cron::calendar::{Date, MILLISECONDS_PER_DAY, date_of, weekday_of};
use crate::cron::{MAX_INSTANT_MS, Zone};
use std::fmt::Write;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A fixed length, ms.
    Milliseconds(i64),
    /// A number of calendar days.
    Days(i64),
    /// A number of calendar months.
    Months(i64),
}

impl Unit {
    pub(super) const NAMES: [&'static str; 8] = [
        "milliseconds",
        "seconds",
        "minutes",
        "hours",
        "days",
        "weeks",
        "months",
        "years",
    ];

    /// The unit of that name, singular or plural.
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name.strip_suffix('s').unwrap_or(name) {
            "millisecond" => Self::Milliseconds(1),
            "second" => Self::Milliseconds(SECOND_MS),
            "minute" => Self::Milliseconds(MINUTE_MS),
            "hour" => Self::Milliseconds(HOUR_MS),
            "day" => Self::Days(1),
            "week" => Self::Days(7),
            "month" => Self::Months(1),
            "year" => Self::Months(12),
            _ => return None,
        })
    }
}

/// Whether `text` is a date in ISO 8601.
pub(super) fn is_date(text: &str) -> bool {
    parse_date(text, Zone::utc()).is_some()
}

/// Parses a date in ISO 8601; one without an offset is local time in `zone`.
pub(super) fn parse_date(text: &str, zone: Zone) -> Option<Millis> {
    zone.parse_date_time(text).ok()
}

/// Whether a JavaScript `Date` can hold the instant.
pub(super) fn is_representable(date: Millis) -> bool {
    date.unsigned_abs() <= MAX_INSTANT_MS.unsigned_abs()
}

/// The date `count` units later; `None` if it is out of range.
///
/// Days and longer units follow the zone's calendar and keep the time of day. A day that the month lacks becomes its
/// last day; a local time that a clock change skips moves on by the length of the gap.
pub(super) fn add_units(date: Millis, count: i64, unit: Unit, zone: Zone) -> Option<Millis> {
    match unit {
        Unit::Milliseconds(length) => date.checked_add(count.checked_mul(length)?),
        Unit::Days(length) => zone.after_days(date, 0, count.checked_mul(length)?),
        Unit::Months(length) => zone.after_days(date, count.checked_mul(length)?, 0),
    }
    .filter(|ms| is_representable(*ms))
}

/// A time as the wall clock shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalTime {
    date: Date,
    /// Sunday is 0.
    weekday: u32,
    hour: i64,
    minute: i64,
    second: i64,
}

/// The wall-clock time in the zone at an instant.
pub(super) fn local_time(date: Millis, zone: Zone) -> LocalTime {
    let local = zone.local_at(date);
    let (day, second) = (
        local.div_euclid(MILLISECONDS_PER_DAY),
        local.rem_euclid(MILLISECONDS_PER_DAY) / SECOND_MS,
    );
    LocalTime {
        date: date_of(day),
        weekday: weekday_of(day),
        hour: second / 3_600,
        minute: second / 60 % 60,
        second: second % 60,
    }
}

/// A longer token comes before its prefixes, so that `MMMM` is not read as `MM` twice.
const FORMAT_TOKENS: [&str; 18] = [
    "YYYY", "MMMM", "dddd", "MMM", "ddd", "YY", "MM", "DD", "HH", "hh", "mm", "ss", "M", "D", "H", "h", "m", "s",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Formats a date; text in square brackets is copied verbatim, as are characters that belong to no token.
pub(super) fn format_date(local_time: LocalTime, pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some((quoted, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            text.push_str(quoted);
            rest = after;
        } else if let Some(token) = FORMAT_TOKENS.iter().find(|token| rest.starts_with(**token)) {
            push_formatted(&mut text, local_time, token);
            rest = rest.get(token.len()..).unwrap_or_default();
        } else {
            match first {
                'A' => text.push_str(if local_time.hour < 12 { "AM" } else { "PM" }),
                'a' => text.push_str(if local_time.hour < 12 { "am" } else { "pm" }),
                other => text.push(other),
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    text
}

fn push_formatted(text: &mut String, local_time: LocalTime, token: &str) {
    let Date { year, month, day } = local_time.date;
    let month_name = MONTHS
        .get((month as usize).saturating_sub(1))
        .copied()
        .unwrap_or_default();
    let weekday = WEEKDAYS.get(local_time.weekday as usize).copied().unwrap_or_default();
    let hour12 = (local_time.hour + 11) % 12 + 1;
    // Writing to a String cannot fail.
    let _ = match token {
        "YYYY" => write!(text, "{year:04}"),
        "YY" => write!(text, "{:02}", year.rem_euclid(100)),
        "MMMM" => text.write_str(month_name),
        "MMM" => text.write_str(month_name.get(..3).unwrap_or_default()),
        "MM" => write!(text, "{month:02}"),
        "M" => write!(text, "{month}"),
        "DD" => write!(text, "{day:02}"),
        "D" => write!(text, "{day}"),
        "dddd" => text.write_str(weekday),
        "ddd" => text.write_str(weekday.get(..3).unwrap_or_default()),
        "HH" => write!(text, "{:02}", local_time.hour),
        "H" => write!(text, "{}", local_time.hour),
        "hh" => write!(text, "{hour12:02}"),
        "h" => write!(text, "{hour12}"),
        "mm" => write!(text, "{:02}", local_time.minute),
        "m" => write!(text, "{}", local_time.minute),
        "ss" => write!(text, "{:02}", local_time.second),
        _ => write!(text, "{}", local_time.second),
    };
}
