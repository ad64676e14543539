//! The five fields of an expression: their order, names and ranges.
//!
//! A table without behaviour of its own; it must not know how a field is written or searched.

use std::fmt;

/// One of the five fields, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Minute of the hour, 0 to 59.
    Minute,
    /// Hour of the day, 0 to 23.
    Hour,
    /// Day of the month, 1 to 31.
    DayOfMonth,
    /// Month of the year, 1 to 12.
    Month,
    /// Day of the week, 0 to 7; both 0 and 7 are Sunday.
    DayOfWeek,
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    /// All fields, in the order in which they are written.
    pub const ALL: [Field; 5] = [
        Field::Minute,
        Field::Hour,
        Field::DayOfMonth,
        Field::Month,
        Field::DayOfWeek,
    ];

    /// The smallest value that may be written.
    pub(super) fn smallest(self) -> u32 {
        match self {
            Field::Minute | Field::Hour | Field::DayOfWeek => 0,
            Field::DayOfMonth | Field::Month => 1,
        }
    }

    /// The largest value that may be written.
    pub(super) fn largest(self) -> u32 {
        match self {
            Field::Minute => 59,
            Field::Hour => 23,
            Field::DayOfMonth => 31,
            Field::Month => 12,
            Field::DayOfWeek => 7,
        }
    }

    /// The last value of `*`: that of the field, but 6 for the weekday, whose 7 repeats 0.
    pub(super) fn largest_of_star(self) -> u32 {
        self.largest().min(match self {
            Field::DayOfWeek => 6,
            _ => u32::MAX,
        })
    }

    /// How many different values the field has, which is also its largest step.
    pub(super) fn value_count(self) -> u32 {
        self.largest_of_star() - self.smallest() + 1
    }

    /// The value of a three-letter name in this field, in any case.
    pub(super) fn value_of_name(self, name: &str) -> Option<u32> {
        let names: &[&str] = match self {
            Field::Month => &MONTHS,
            Field::DayOfWeek => &WEEKDAYS,
            _ => return None,
        };
        let index = names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        Some(index as u32 + self.smallest())
    }

    /// The field that `name` belongs to, if it is a month's or a weekday's name.
    pub(super) fn of_name(name: &str) -> Option<Field> {
        [Field::Month, Field::DayOfWeek]
            .into_iter()
            .find(|field| field.value_of_name(name).is_some())
    }

    /// What may be written in this field, for hints.
    pub(super) fn valid_values_hint(self) -> &'static str {
        match self {
            Field::Minute => "use 0-59",
            Field::Hour => "use 0-23",
            Field::DayOfMonth => "use 1-31, `L`, `LW` or `15W`",
            Field::Month => "use 1-12 or JAN-DEC",
            Field::DayOfWeek => "use 0-7 (0 and 7 are Sunday), SUN-SAT, `1#2` or `5L`",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::DayOfMonth => "day-of-month",
            Field::Month => "month",
            Field::DayOfWeek => "day-of-week",
        })
    }
}
