//! `Retry-After`: seconds, or an HTTP date. Pure.

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
    Some((parse_http_date(value)? - now).max(0))
}

/// Reads a date such as `Sun, 06 Nov 1994 08:49:37 GMT` as ms since the epoch.
fn parse_http_date(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: i64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = 1 + i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut time = parts.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let sound = (1..=31).contains(&day) && (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second < 61;
    let over = parts.next() == Some("GMT") && parts.next().is_none() && time.next().is_none();
    (sound && over && hour.min(minute).min(second) >= 0)
        .then(|| ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
        .map(|seconds| seconds * 1_000)
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
        ] {
            assert_eq!(retry_after(value, 0), None, "{value}");
        }
    }
}
