//! Dates, times and durations of servers as text.
//!
//! Pure. Points in time are in UTC, as of databases; fractions of seconds have the digits that they need, at least three in
//! points in time.

use crate::connector::databases::dates::format_date;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// `2026-01-31`, of days since 1970.
pub(super) fn date(days: i64) -> String {
    format_date(days)
}

/// `2026-01-31T09:00:00.000`, of seconds since 1970 and nanoseconds.
pub(super) fn date_time(seconds: i64, nanos: i64) -> String {
    let (day, rest) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    format!("{}T{}{}", format_date(day), clock(rest), fraction(nanos, 3))
}

/// `09:30:00`, of nanoseconds since midnight.
pub(super) fn time(nanos: i64) -> String {
    let (seconds, nanos) = (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND));
    format!("{}{}", clock(seconds.rem_euclid(SECONDS_PER_DAY)), fraction(nanos, 0))
}

/// `+01:00` or `Z`.
pub(super) fn offset(seconds: i64) -> String {
    if seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    let rest = seconds.unsigned_abs() % 60;
    let seconds = if rest == 0 {
        String::new()
    } else {
        format!(":{rest:02}")
    };
    format!("{sign}{:02}:{:02}{seconds}", minutes / 60, minutes % 60)
}

/// `P1M2DT3.5S`
pub(super) fn duration(months: i64, days: i64, seconds: i64, nanos: i64) -> String {
    let mut text = String::from("P");
    if months != 0 {
        text.push_str(&format!("{months}M"));
    }
    if days != 0 {
        text.push_str(&format!("{days}D"));
    }
    if seconds != 0 || nanos != 0 || text.len() == 1 {
        // Of a negative duration the nanoseconds count upwards from the second below.
        let (sign, seconds, nanos) = if seconds < 0 && nanos > 0 {
            ("-", (seconds + 1).unsigned_abs(), NANOS_PER_SECOND - nanos)
        } else {
            (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs(), nanos)
        };
        text.push_str(&format!("T{sign}{seconds}{}S", fraction(nanos, 0)));
    }
    text
}

fn clock(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// `.123`, with 3, 6 or 9 digits.
fn fraction(nanos: i64, least: usize) -> String {
    let digits = format!("{:09}", nanos.rem_euclid(NANOS_PER_SECOND));
    let needed = digits.trim_end_matches('0').len().div_ceil(3) * 3;
    match digits.get(..needed.max(least)) {
        None | Some("") => String::new(),
        Some(shown) => format!(".{shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_digits_that_they_need() {
        assert_eq!(date(20_484), "2026-01-31");
        assert_eq!(date(-719_529), "-000001-12-31");
        assert_eq!(date_time(1_769_850_000, 0), "2026-01-31T09:00:00.000");
        assert_eq!(date_time(1_769_850_000, 123_456_000), "2026-01-31T09:00:00.123456");
        assert_eq!(date_time(-1, 1), "1969-12-31T23:59:59.000000001");
        assert_eq!(time(34_200 * NANOS_PER_SECOND), "09:30:00");
        assert_eq!(time(34_200 * NANOS_PER_SECOND + 500_000_000), "09:30:00.500");
        assert_eq!(
            (offset(0), offset(3_600), offset(-19_800)),
            ("Z".into(), "+01:00".into(), "-05:30".into())
        );
    }

    #[test]
    fn durations_are_those_of_iso_8601() {
        for (parts, text) in [
            ((14, 3, 3_600, 0), "P14M3DT3600S"),
            ((0, 0, 0, 0), "PT0S"),
            ((0, 0, 1, 500_000_000), "PT1.500S"),
            ((0, 0, -2, 500_000_000), "PT-1.500S"),
            ((0, 0, -1, 500_000_000), "PT-0.500S"),
            ((-1, 0, 0, 0), "P-1M"),
        ] {
            assert_eq!(duration(parts.0, parts.1, parts.2, parts.3), text);
        }
    }
}
