//! The proleptic Gregorian calendar in whole days since 1970-01-01.
//!
//! Integer arithmetic only; it must not know time zones or expressions. Valid for the days of
//! any instant that an ECMAScript date can hold, and far beyond.

/// Minutes in a day without clock changes.
pub(crate) const MINUTES_PER_DAY: i64 = 1_440;
/// Milliseconds in a day without clock changes.
pub(crate) const MILLISECONDS_PER_DAY: i64 = MINUTES_PER_DAY * 60_000;
/// Days in 400 years, after which the calendar, weekdays included, repeats.
pub(crate) const DAYS_PER_CYCLE: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_0000: i64 = 719_468;

/// A calendar date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    /// Astronomical year: 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// The date of a day. Years are counted from March, so that the leap day comes last.
pub(crate) fn date_of(day: i64) -> Date {
    let since_march = day + EPOCH_FROM_MARCH_0000;
    let cycle = since_march.div_euclid(DAYS_PER_CYCLE);
    let in_cycle = since_march.rem_euclid(DAYS_PER_CYCLE);
    let year_of_cycle = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let day_of_year = in_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let before_january = month_from_march < 10;
    Date {
        year: cycle * 400 + year_of_cycle + i64::from(!before_january),
        month: (if before_january {
            month_from_march + 3
        } else {
            month_from_march - 9
        }) as u32,
        day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32,
    }
}

/// The day of a date; the inverse of [`date_of`].
pub(crate) fn day_of(date: Date) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let month_from_march = i64::from((date.month + 9) % 12);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(date.day) - 1;
    let in_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    year.div_euclid(400) * DAYS_PER_CYCLE + in_cycle - EPOCH_FROM_MARCH_0000
}

/// The weekday of a day, 0 for Sunday to 6 for Saturday.
pub(crate) fn weekday_of(day: i64) -> u32 {
    // 1970-01-01 was a Thursday.
    (day + 4).rem_euclid(7) as u32
}

/// How many days a month has.
pub(crate) fn length_of_month(year: i64, month: u32) -> u32 {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    month_length(month, leap)
}

/// The day so many months later, or earlier; in a month that lacks it the last one. `None` when that cannot be counted.
pub(crate) fn months_after(day: i64, months: i64) -> Option<i64> {
    let date = date_of(day);
    let count = (date.year * 12 + i64::from(date.month) - 1).checked_add(months)?;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) as u32 + 1);
    let day = date.day.min(length_of_month(year, month));
    // A year so far away is no date, and its days need not be countable.
    (year.abs() < 1_000_000).then(|| day_of(Date { year, month, day }))
}

/// How many days `month` has in a leap year or in another one.
pub(crate) fn month_length(month: u32, leap: bool) -> u32 {
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse_over_two_cycles() {
        let mut expected = Date {
            year: 1600,
            month: 1,
            day: 1,
        };
        let first = day_of(expected);
        for day in first..first + 2 * DAYS_PER_CYCLE {
            assert_eq!(date_of(day), expected);
            assert_eq!(day_of(expected), day);
            expected.day += 1;
            if expected.day > length_of_month(expected.year, expected.month) {
                expected.day = 1;
                expected.month += 1;
            }
            if expected.month > 12 {
                expected.month = 1;
                expected.year += 1;
            }
        }
    }

    #[test]
    fn the_epoch_was_a_thursday_and_the_day_before_a_wednesday() {
        assert_eq!(
            date_of(0),
            Date {
                year: 1970,
                month: 1,
                day: 1
            }
        );
        assert_eq!((weekday_of(0), weekday_of(-1)), (4, 3));
    }
}
