//! The meaning of a valid expression, defined a second time as simply as possible: one predicate
//! for dates and one for times of day, with `chrono` for the calendar. The engine is tested
//! against it, so it shares no code with the engine.
#![allow(dead_code, reason = "each test uses its part")]

use chrono::{Datelike, NaiveDate, Weekday};

const MONTHS: &str = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
const WEEKDAYS: &str = "SUNMONTUEWEDTHUFRISAT";

/// An expression with its fields expanded.
#[derive(Clone)]
pub struct Definition {
    fields: [String; 5],
    pub minutes: [bool; 60],
    pub hours: [bool; 24],
    months: [bool; 13],
    /// Whether an item of the minute or hour field begins with `*`.
    pub interval: bool,
}

impl Definition {
    /// Parses a text that the engine has accepted.
    pub fn of(text: &str) -> Definition {
        let text = match text.trim_matches([' ', '\t']).to_uppercase().as_str() {
            "@YEARLY" | "@ANNUALLY" => "0 0 1 1 *".to_owned(),
            "@MONTHLY" => "0 0 1 * *".to_owned(),
            "@WEEKLY" => "0 0 * * SUN".to_owned(),
            "@DAILY" | "@MIDNIGHT" => "0 0 * * *".to_owned(),
            "@HOURLY" => "0 * * * *".to_owned(),
            other => other.to_owned(),
        };
        let fields: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let fields: [String; 5] = fields.try_into().expect("five fields");
        let starts_with_star = |field: &String| field.split(',').any(|item| item.starts_with('*'));
        Definition {
            minutes: std::array::from_fn(|value| list_contains(&fields[0], value as u32, 0, 59)),
            hours: std::array::from_fn(|value| list_contains(&fields[1], value as u32, 0, 23)),
            months: std::array::from_fn(|value| {
                list_contains(&replace_names(&fields[3], MONTHS, 1), value as u32, 1, 12)
            }),
            interval: starts_with_star(&fields[0]) || starts_with_star(&fields[1]),
            fields,
        }
    }

    /// Whether the date fields match, with `is_star` telling which day field is unrestricted.
    pub fn date_matches_if(&self, date: NaiveDate, is_star: fn(&str) -> bool) -> bool {
        let (day, weekday) = (self.day_matches(date), self.weekday_matches(date));
        let days = match (is_star(&self.fields[2]), is_star(&self.fields[4])) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        self.months[date.month() as usize] && days
    }

    /// Whether the date fields match: day fields are ORed unless one is exactly `*` or `?`.
    pub fn date_matches(&self, date: NaiveDate) -> bool {
        self.date_matches_if(date, |field| matches!(field, "*" | "?"))
    }

    pub fn time_matches(&self, minute_of_day: u32) -> bool {
        self.hours[minute_of_day as usize / 60] && self.minutes[minute_of_day as usize % 60]
    }

    /// Whether a local time, in minutes since 1970-01-01T00:00 on the wall clock, matches.
    pub fn matches(&self, local_minute: i64) -> bool {
        let date = date_of_day(local_minute.div_euclid(1440));
        self.time_matches(local_minute.rem_euclid(1440) as u32) && self.date_matches(date)
    }

    fn day_matches(&self, date: NaiveDate) -> bool {
        let length = date.num_days_in_month() as u32;
        let workday_near = |day: u32| {
            let distance = |other: u32| other.abs_diff(day);
            (1..=length)
                .filter(|other| {
                    let weekday = date.with_day(*other).expect("a day of the month").weekday();
                    !matches!(weekday, Weekday::Sat | Weekday::Sun)
                })
                .min_by_key(|other| distance(*other))
        };
        self.fields[2].split(',').any(|item| match item {
            "?" => true,
            "L" => date.day() == length,
            "LW" => workday_near(length) == Some(date.day()),
            item => match item.strip_suffix('W') {
                Some(day) => {
                    let day: u32 = day.parse().expect("a day");
                    day <= length && workday_near(day) == Some(date.day())
                }
                None => list_contains(item, date.day(), 1, 31),
            },
        })
    }

    fn weekday_matches(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday();
        let is_this_weekday =
            |text: &str| replace_names(text, WEEKDAYS, 0).parse::<u32>().expect("a weekday") % 7 == weekday;
        let last_of_kind = date.day() + 7 > date.num_days_in_month() as u32;
        self.fields[4].split(',').any(|item| {
            if item == "?" {
                return true;
            }
            if let Some((text, nth)) = item.split_once('#') {
                let ordinal = date.day().div_ceil(7).to_string();
                return is_this_weekday(text)
                    && (if nth == "L" {
                        last_of_kind
                    } else {
                        nth.trim_start_matches('0') == ordinal
                    });
            }
            if let Some(text) = item.strip_suffix('L') {
                return is_this_weekday(text) && last_of_kind;
            }
            let item = match item.split_once("-SUN") {
                Some((first, step)) if !replace_names(first, WEEKDAYS, 0).trim_matches('0').is_empty() => {
                    format!("{first}-7{step}")
                }
                _ => item.to_owned(),
            };
            let item = replace_names(&item, WEEKDAYS, 0);
            // 7 can end a range and then means Sunday.
            let last = if item.starts_with('*') { 6 } else { 7 };
            list_contains(&item, weekday, 0, last) || (weekday == 0 && list_contains(&item, 7, 0, last))
        })
    }
}

/// The date of a day since 1970-01-01.
pub fn date_of_day(day: i64) -> NaiveDate {
    NaiveDate::from_epoch_days(day as i32).expect("a date")
}

fn list_contains(field: &str, value: u32, smallest: u32, largest: u32) -> bool {
    field.split(',').any(|item| {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (smallest, largest),
            Some((first, last)) => (number(first), number(last)),
            None => (number(range), number(range)),
        };
        (first..=last).contains(&value) && (value - first).is_multiple_of(number(step))
    })
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is not a number"))
}

/// Replaces three-letter names by their numbers.
fn replace_names(text: &str, names: &str, first: usize) -> String {
    if !text.contains(char::is_alphabetic) {
        return text.to_owned();
    }
    (0..names.len() / 3).fold(text.to_owned(), |text, index| {
        text.replace(&names[index * 3..index * 3 + 3], &(index + first).to_string())
    })
}
