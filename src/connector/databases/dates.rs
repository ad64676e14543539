//! Timestamps in the text forms of databases: UTC, in microseconds since 1970.
//!
//! Pure. A date without a time is midnight; a time without an offset is UTC.

/// Microseconds per millisecond, second and day.
const MICROS_PER_MILLI: i64 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Year, month and day of a number of days since 1970.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day comes last; 146,097 days are 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, date)
}

/// Days since 1970; `None`: not a valid date.
fn days(year: i64, month: i64, date: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&date) || !(-290_000..=290_000).contains(&year) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march + 2) / 5 + date - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    (date_from_days(days) == (year, month, date)).then_some(days)
}

/// Text form of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimestampStyle {
    /// `2026-01-31T09:00:00.000Z`, with microseconds only if not zero.
    Iso,
    /// `2026-01-31 09:00:00.000000`, as MySQL reads it.
    #[cfg_attr(not(feature = "mysql"), allow(dead_code, reason = "used by its own feature"))]
    Micros,
    /// `2026-01-31 09:00:00`, with milliseconds only if not zero: SQLite's own form.
    Plain,
}

/// Formats a timestamp.
pub(super) fn format_timestamp(micros: i64, style: TimestampStyle) -> String {
    let (day, rest) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    let (seconds, fraction) = (rest / MICROS_PER_SECOND, rest % MICROS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let date = format_date(day);
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    let millis = fraction / MICROS_PER_MILLI;
    match style {
        TimestampStyle::Iso if fraction % MICROS_PER_MILLI == 0 => format!("{date}T{time}.{millis:03}Z"),
        TimestampStyle::Iso => format!("{date}T{time}.{fraction:06}Z"),
        TimestampStyle::Micros => format!("{date} {time}.{fraction:06}"),
        TimestampStyle::Plain if millis == 0 => format!("{date} {time}"),
        TimestampStyle::Plain => format!("{date} {time}.{millis:03}"),
    }
}

/// Formats a date, given as days since 1970.
pub(in crate::connector) fn format_date(day: i64) -> String {
    let (year, month, date) = date_from_days(day);
    match year {
        0..=9_999 => format!("{year:04}-{month:02}-{date:02}"),
        // Expanded years, as in ISO 8601 and JavaScript.
        10_000.. => format!("+{year:06}-{month:02}-{date:02}"),
        _ => format!("-{:06}-{month:02}-{date:02}", -year),
    }
}

/// A date and time of PostgreSQL, which counts years before the first one as `BC` and writes those after 9999 with all
/// their digits.
pub(super) fn with_era(iso: &str) -> String {
    let plain = |year: &str, rest: &str| format!("{:0>4}{rest}", year.trim_start_matches('0'));
    let split = |text: &str| {
        text.split_once('-')
            .map(|(year, rest)| (year.to_owned(), format!("-{rest}")))
    };
    if let Some((year, rest)) = iso.strip_prefix('+').and_then(split) {
        return plain(&year, &rest);
    }
    let before = match iso.strip_prefix('-') {
        Some(rest) => split(rest),
        None => split(iso).filter(|(year, _)| year == "0000"),
    };
    match before.and_then(|(year, rest)| Some((digits(&year)? + 1, rest))) {
        Some((year, rest)) => format!("{} BC", plain(&year.to_string(), &rest)),
        None => iso.to_owned(),
    }
}

/// The date of a timestamp, as days since 1970.
pub(super) fn day_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_DAY)
}

/// The year of a timestamp; the year before 1 is 0, and the one before that -1.
pub(super) fn year_of(micros: i64) -> i64 {
    date_from_days(day_of(micros)).0
}

/// Parses a timestamp: a date, or a date and a time with or without an offset.
pub(in crate::connector) fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let (day, rest) = parse_date(text)?;
    let midnight = day.checked_mul(MICROS_PER_DAY)?;
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else {
        return rest.is_empty().then_some(midnight);
    };
    let at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(at);
    midnight
        .checked_add(parse_time(time.trim_end())?)?
        .checked_sub(parse_offset(offset)?)
}

/// Parses a date as days since 1970, and returns the rest of the text.
fn parse_date(text: &str) -> Option<(i64, &str)> {
    let (sign, body) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => (1, text),
    };
    let dash = body.find('-')?;
    let year = body.get(..dash).filter(|year| year.len() == 4 || year.len() == 6)?;
    let rest = body.get(dash + 1..)?;
    let month = digits(rest.get(..2)?)?;
    let date = digits(rest.get(2..)?.strip_prefix('-')?.get(..2)?)?;
    Some((days(sign * digits(year)?, month, date)?, rest.get(5..)?))
}

fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?)?;
    let minute = digits(parts.next()?)?;
    let second = parts.next().map_or(Some(0), digits)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = 0;
    for place in 0..6 {
        let digit = fraction.as_bytes().get(place).copied().unwrap_or(b'0');
        micros = micros * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((hour * 3_600 + minute * 60 + second) * MICROS_PER_SECOND + micros)
}

fn parse_offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first() {
        None => return Some(0),
        Some(b'Z' | b'z') => return (text.len() == 1).then_some(0),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let body = text.get(1..)?.replace(':', "");
    let (hours, minutes) = match body.len() {
        2 => (digits(&body)?, 0),
        4 => (digits(body.get(..2)?)?, digits(body.get(2..)?)?),
        _ => return None,
    };
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60 * MICROS_PER_SECOND)
}

fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

/// Microseconds of a JSON number of milliseconds, whose fraction is cut off.
pub(super) fn from_millis(number: &str) -> Option<i64> {
    let millis: f64 = number.parse().ok()?;
    // The range of JavaScript's Date.
    (millis.abs() <= 8.64e15).then(|| millis.trunc() as i64 * MICROS_PER_MILLI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_parsed_in_all_supported_forms() {
        let expected = Some(1_769_850_000_123_000);
        for text in [
            "2026-01-31T09:00:00.123Z",
            "2026-01-31 09:00:00.123",
            "2026-01-31T10:00:00.123+01:00",
            "2026-01-31T03:30:00.123-0530",
            "2026-01-31T09:00:00.123000+00",
            "+002026-01-31T09:00:00.123Z",
        ] {
            assert_eq!(parse_timestamp(text), expected, "{text}");
        }
        assert_eq!(parse_timestamp("1970-01-01"), Some(0));
        assert_eq!(parse_timestamp("1969-12-31T23:59"), Some(-60 * MICROS_PER_SECOND));
        assert_eq!(
            parse_timestamp("2024-02-29").map(day_of).map(format_date).as_deref(),
            Some("2024-02-29")
        );
    }

    #[test]
    fn invalid_dates_are_rejected() {
        for text in [
            "",
            "now",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-01-31T25:00",
            "2026-01-31T09:00:00.x",
            "2026-01-31Tjunk",
            "2026-01-31'; drop",
            "2026-01-31T09:00:00+99:00",
            "99999999-01-01",
            "é026-01-01",
            "2026-é1-01",
            "2026-01-é1",
            "2026-01-31T09:00é",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn years_of_other_lengths_have_the_form_of_postgres() {
        for (iso, expected) in [
            ("2026-01-31T09:00:00.000Z", "2026-01-31T09:00:00.000Z"),
            ("+012000-01-31T09:00:00.000Z", "12000-01-31T09:00:00.000Z"),
            ("0000-02-29", "0001-02-29 BC"),
            ("-000001-12-31T00:00:00.000Z", "0002-12-31T00:00:00.000Z BC"),
        ] {
            assert_eq!(with_era(iso), expected);
        }
        assert_eq!(year_of(-62_167_219_200_000_000), 0);
        assert_eq!(year_of(-62_167_219_200_000_001), -1);
    }

    #[test]
    fn timestamps_round_trip() {
        for micros in [
            0,
            1,
            -1,
            1_769_850_000_123_456,
            -62_135_596_800_000_000,
            253_402_300_800_000_000,
        ] {
            assert_eq!(
                parse_timestamp(&format_timestamp(micros, TimestampStyle::Iso)),
                Some(micros),
                "{micros}"
            );
        }
        assert_eq!(
            format_timestamp(1_769_850_000_123_000, TimestampStyle::Iso),
            "2026-01-31T09:00:00.123Z"
        );
        assert_eq!(
            format_timestamp(1_769_850_000_123_456, TimestampStyle::Micros),
            "2026-01-31 09:00:00.123456"
        );
        assert_eq!(
            format_timestamp(1_769_850_000_000_000, TimestampStyle::Plain),
            "2026-01-31 09:00:00"
        );
    }
}
