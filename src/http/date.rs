//! `Retry-After`: seconds, or an HTTP date in one of the three forms that receivers have to read. Pure.

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The delay that a `Retry-After` value asks for at `now`, ms; `None`: the value has neither form.
pub(super) fn retry_after(value: &str, now: i64) -> Option<i64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is longer than any wait.
        let seconds: i64 = value.parse().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1_000));
    }
    Some(parse_http_date(value, now)?.saturating_sub(now).max(0))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, or `Sunday, 06-Nov-94 08:49:37 GMT` of RFC 850, or `Sun Nov  6 08:49:37 1994` of C's
/// `asctime`, as ms since the epoch.
pub(super) fn parse_http_date(text: &str, now: i64) -> Option<i64> {
    let words: Vec<&str> = text.split([' ', '-']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match (words.as_slice(), text.contains('-')) {
        (&[weekday, day, month, year, time, "GMT"], false) if weekday.ends_with(',') => {
            (day, month, number(year, 4)?, time)
        }
        (&[weekday, day, month, year, time, "GMT"], true) if weekday.ends_with(',') => {
            (day, month, full_year(number(year, 2)?, now), time)
        }
        (&[_, month, day, time, year], false) => (day, month, number(year, 4)?, time),
        _ => return None,
    };
    let month = 1 + i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let day = number(day, day.len().clamp(1, 2))?;
    let mut time = time.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let sound = (1..=31).contains(&day) && (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second < 61;
    (sound && time.next().is_none())
        .then(|| ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
        .map(|seconds| seconds * 1_000)
}

/// A number of so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// The year of two digits that is nearest to `now`: at most 50 years after it.
fn full_year(two_digits: i64, now: i64) -> i64 {
    const AVERAGE_YEAR_MS: i64 = 31_556_952_000;
    let this_year = 1970 + now.div_euclid(AVERAGE_YEAR_MS);
    let year = this_year - this_year.rem_euclid(100) + two_digits;
    if year > this_year + 50 {
        year - 100
    } else if year < this_year - 49 {
        year + 100
    } else {
        year
    }
}

/// Days since the epoch of a Gregorian date. Years are counted from March, so that a leap day comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_accepts_seconds_and_dates() {
        assert_eq!(retry_after("120", 0), Some(120_000));
        assert_eq!(retry_after("99999999999999999999", 0), Some(i64::MAX));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000 - 5_000),
            Some(5_000)
        );
        assert_eq!(retry_after("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800_000), Some(0));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:00:01 GMT", 0), Some(1_000));
    }

    #[test]
    fn dates_of_other_forms_are_read() {
        let now = 784_111_777_000 - 5_000;
        for text in [
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
        ] {
            assert_eq!(retry_after(text, now), Some(5_000), "{text}");
        }
        // The year of two digits is near: 2026 and 2000 from 2025 and 1999, 1999 from 2000.
        let at = |text: &str| parse_http_date(text, 0);
        for (two_digits, text, now) in [
            (
                "Thursday, 01-Jan-26 00:00:00 GMT",
                "Thu, 01 Jan 2026 00:00:00 GMT",
                "Mon, 06 Jan 2025 00:00:00 GMT",
            ),
            (
                "Saturday, 01-Jan-00 00:00:00 GMT",
                "Sat, 01 Jan 2000 00:00:00 GMT",
                "Fri, 31 Dec 1999 00:00:00 GMT",
            ),
            (
                "Friday, 31-Dec-99 00:00:00 GMT",
                "Fri, 31 Dec 1999 00:00:00 GMT",
                "Thu, 03 Feb 2000 00:00:00 GMT",
            ),
        ] {
            assert_eq!(parse_http_date(two_digits, at(now).unwrap()), at(text), "{two_digits}");
        }
    }

    #[test]
    fn retry_after_date_in_the_past_is_zero() {
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", i64::MAX / 2), Some(0));
    }

    #[test]
    fn invalid_retry_after_is_ignored() {
        for value in [
            "",
            "soon",
            "-1",
            "1.5",
            "Sun, 06 Nov 1994",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:+7 GMT",
            "Sun Nov 6 1994 08:49:37",
        ] {
            assert_eq!(retry_after(value, 0), None, "{value}");
        }
    }
}
