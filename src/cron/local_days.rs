//! Local dates: their texts, and when they are in a zone.
//!
//! It must not know expressions or where zone data comes from. A date is a number of days since 1970-01-01.

use super::calendar::{Date, MINUTES_PER_DAY, date_of, day_of, length_of_month};
use super::search::{CYCLE_MINUTES, MILLISECONDS_PER_MINUTE, cycles_beyond_table};
use super::zone::Zone;

/// Parses a date of the form `2026-12-25`, as days since 1970-01-01. `None` for any other text, and for a date that the
/// calendar does not have.
pub fn parse_day(text: &str) -> Option<i32> {
    let digits = |piece: &str| piece.bytes().all(|byte| byte.is_ascii_digit());
    let number = |from: usize, to: usize| text.get(from..to).filter(|piece| digits(piece))?.parse::<u32>().ok();
    if text.len() != 10 || text.get(4..5) != Some("-") || text.get(7..8) != Some("-") {
        return None;
    }
    let (year, month, day) = (i64::from(number(0, 4)?), number(5, 7)?, number(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=length_of_month(year, month)).contains(&day) {
        return None;
    }
    i32::try_from(day_of(Date { year, month, day })).ok()
}

/// The text of a day of the years 0 to 9999; the inverse of [`parse_day`].
pub fn day_text(day: i32) -> String {
    let Date { year, month, day } = date_of(i64::from(day));
    format!("{year:04}-{month:02}-{day:02}")
}

impl Zone {
    /// The instants at which the wall clock shows one of `days`: spans in order, from their first millisecond to the first
    /// after them, none of which touch. A day that the zone skips has none; one whose end clocks repeat has several.
    pub fn spans_of_days(&self, days: &[i32]) -> Vec<(i64, i64)> {
        let mut spans: Vec<(i64, i64)> = days.iter().flat_map(|day| self.spans_of_day(i64::from(*day))).collect();
        spans.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(spans.len());
        for (start, end) in spans {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    fn spans_of_day(&self, day: i64) -> Vec<(i64, i64)> {
        let local = day * MINUTES_PER_DAY;
        let beyond = cycles_beyond_table(local) * CYCLE_MINUTES;
        let local = local - beyond;
        let instant = |minute: i64| (minute + beyond) * MILLISECONDS_PER_MINUTE;
        let spans = self.spans().near_local(local).filter_map(|span| {
            let start = span.start.max(local - span.offset);
            let end = span.end.min(local - span.offset + MINUTES_PER_DAY);
            (start < end).then(|| (instant(start), instant(end)))
        });
        spans.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(zone: &str, days: &[&str]) -> Vec<(String, String)> {
        let zone = Zone::get(zone).unwrap();
        let days: Vec<i32> = days.iter().map(|day| parse_day(day).unwrap()).collect();
        let spans = zone.spans_of_days(&days);
        let iso = |instant| Zone::utc().to_iso(instant).replace("+00:00", "Z");
        spans.iter().map(|(start, end)| (iso(*start), iso(*end))).collect()
    }

    fn span(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn dates_are_read_and_written() {
        for text in [
            "0000-01-01",
            "1969-12-31",
            "1970-01-01",
            "2026-12-25",
            "2028-02-29",
            "9999-12-31",
        ] {
            assert_eq!(day_text(parse_day(text).expect(text)), text);
        }
        let wrong = [
            "",
            "2026-2-25",
            "2026-13-01",
            "2026-00-10",
            "2026-02-29",
            "2026-01-00",
            "2026-12-25T00:00",
            "25-12-2026",
        ];
        for text in wrong
            .into_iter()
            .chain(["+026-12-25", "2026/12/25", "2026-12-2é", "２026-1-1"])
        {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn days_begin_and_end_with_the_local_clock() {
        assert_eq!(
            spans("UTC", &["1970-01-01"]),
            [span("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z")]
        );
        // 23 and 25 hours.
        let expected = [span("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")];
        assert_eq!(spans("Europe/Berlin", &["2026-03-29"]), expected);
        let expected = [span("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")];
        assert_eq!(spans("Europe/Berlin", &["2026-10-25"]), expected);
        // Midnight is skipped: the day begins at 01:00.
        let expected = [span("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z")];
        assert_eq!(spans("Africa/Cairo", &["2026-04-24"]), expected);
    }

    #[test]
    fn days_in_a_row_are_one_span_whatever_their_order() {
        let days = ["2026-12-26", "2026-12-24", "2026-12-25", "2026-12-25", "2027-01-01"];
        let expected = [
            span("2026-12-23T23:00:00Z", "2026-12-26T23:00:00Z"),
            span("2026-12-31T23:00:00Z", "2027-01-01T23:00:00Z"),
        ];
        assert_eq!(spans("Europe/Berlin", &days), expected);
    }

    #[test]
    fn a_day_that_is_skipped_has_no_span_and_one_that_is_resumed_has_two() {
        assert_eq!(spans("Pacific/Apia", &["2011-12-30"]), []);
        // Clocks went back from 00:01 to 23:01: a minute of the 1st, an hour of the 31st, and then the rest of the 1st.
        let expected = [
            span("2009-11-01T02:30:00Z", "2009-11-01T02:31:00Z"),
            span("2009-11-01T03:30:00Z", "2009-11-02T03:30:00Z"),
        ];
        assert_eq!(spans("America/St_Johns", &["2009-11-01"]), expected);
        let expected = [
            span("2009-10-31T02:30:00Z", "2009-11-01T02:30:00Z"),
            span("2009-11-01T02:31:00Z", "2009-11-01T03:30:00Z"),
        ];
        assert_eq!(spans("America/St_Johns", &["2009-10-31"]), expected);
    }

    #[test]
    fn days_after_the_table_of_offsets_are_found_as_well() {
        let expected = [span("9999-07-01T04:00:00Z", "9999-07-02T04:00:00Z")];
        assert_eq!(spans("America/New_York", &["9999-07-01"]), expected);
    }
}
