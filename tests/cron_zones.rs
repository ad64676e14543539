//! Time zones by name, and parsing of local date-times.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::time::Instant;

use ductape::cron::{CronExpr, DstPolicy, Zone, tzdb_version};

fn zone(name: &str) -> Zone {
    Zone::get(name).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn zone_names_ignore_case_and_are_normalized() {
    assert_eq!(zone("america/NEW_YORK").name(), "America/New_York");
    assert_eq!(zone("utc").name(), "UTC");
    assert_eq!(zone("UTC"), Zone::utc());
    assert_ne!(zone("Europe/London"), Zone::utc());
}

#[test]
fn mistyped_zone_name_suggests_the_nearest() {
    let nearest = |name: &str| Zone::get(name).expect_err(name).nearest;
    let cases = [
        ("America/NewYork", "America/New_York"),
        ("America/New York", "America/New_York"),
        ("New_York", "America/New_York"),
        ("london", "Europe/London"),
        ("Europe/Londn", "Europe/London"),
        ("Asia/Calcuta", "Asia/Calcutta"),
        ("Australia/Sidney", "Australia/Sydney"),
    ];
    for (name, expected) in cases {
        assert_eq!(nearest(name).as_deref(), Some(expected), "{name}");
    }
    for name in ["", "PST", "Nope/Zone", "../../etc/passwd", "Middle/Earth"] {
        assert_eq!(nearest(name), None, "{name}");
    }
    assert_eq!(nearest(&"x".repeat(1 << 20)), None);
    assert_eq!(
        Zone::get("Europe/Londn").expect_err("a misspelled name").to_string(),
        "`Europe/Londn` is not a known time zone; did you mean `Europe/London`?"
    );
}

#[test]
fn the_database_is_recent_enough_for_the_zones_that_changed_in_2026() {
    assert!(tzdb_version() >= "2026c", "{}", tzdb_version());
    let december = Zone::utc().parse_date_time("2026-12-01").expect("a date");
    assert_eq!(zone("America/Vancouver").offset_at(december), -7 * 3_600);
    assert_eq!(zone("Africa/Casablanca").offset_at(december), 0);
}

#[test]
fn a_date_time_without_an_offset_is_local() {
    let new_york = zone("America/New_York");
    let read = |text: &str| new_york.parse_date_time(text).map(|at| Zone::utc().to_iso(at));
    let cases = [
        ("2026-11-24T09:00:00", "2026-11-24T14:00:00+00:00"),
        ("2026-11-24T09:00", "2026-11-24T14:00:00+00:00"),
        ("2026-11-24", "2026-11-24T05:00:00+00:00"),
        ("2026-11-24T09:00:00.250Z", "2026-11-24T09:00:00.25+00:00"),
        ("2026-11-24T09:00:00+05:30", "2026-11-24T03:30:00+00:00"),
        // A local time in a gap moves forward by its length; of a repeated one the first is meant.
        ("2025-03-09T02:30", "2025-03-09T07:30:00+00:00"),
        ("2025-11-02T01:30", "2025-11-02T05:30:00+00:00"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
    let invalid = [
        "",
        "tomorrow",
        "2026-02-30",
        "2026-11-24T25:00",
        "09:00",
        "2026-11-24T09:00[Asia/Tokyo]",
    ];
    for text in invalid {
        let error = new_york.parse_date_time(text).expect_err(text);
        assert!(error.to_string().contains("is not an ISO 8601 date-time"), "{error}");
    }
}

#[test]
fn dates_are_read_and_written_up_to_the_ends_of_what_javascript_can_hold() {
    const MAX: i64 = 8_640_000_000_000_000;
    let utc = Zone::utc();
    let dates = [
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00", 253_402_300_799_000),
        (
            "+009999-12-31T23:59:59Z",
            "9999-12-31T23:59:59+00:00",
            253_402_300_799_000,
        ),
        ("+010000-01-01", "+010000-01-01T00:00:00+00:00", 253_402_300_800_000),
        (
            "+010000-01-01T05:30:00.25+05:30",
            "+010000-01-01T00:00:00.25+00:00",
            253_402_300_800_250,
        ),
        (
            "+012000-02-29T12:00:00Z",
            "+012000-02-29T12:00:00+00:00",
            316_521_345_600_000,
        ),
        ("+275760-09-13T00:00:00.000Z", "+275760-09-13T00:00:00+00:00", MAX),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00+00:00", -62_167_219_200_000),
        (
            "-000001-12-31T23:59:59Z",
            "-000001-12-31T23:59:59+00:00",
            -62_167_219_201_000,
        ),
        (
            "-010000-01-01T00:00:00Z",
            "-010000-01-01T00:00:00+00:00",
            -377_736_739_200_000,
        ),
        ("-271821-04-20T00:00:00.000Z", "-271821-04-20T00:00:00+00:00", -MAX),
    ];
    for (text, iso, instant) in dates {
        assert_eq!(utc.parse_date_time(text), Ok(instant), "{text}");
        assert_eq!(utc.to_iso(instant), iso, "{text}");
    }
    for text in [
        "+275760-09-13T00:00:00.001Z",
        "-271821-04-19T23:59:59Z",
        "+999999-01-01",
        "+275760-09-13T00:00:00-01:00",
    ] {
        let error = utc.parse_date_time(text).expect_err(text).to_string();
        assert!(error.contains("is beyond the dates of JavaScript"), "{error}");
    }
    for text in [
        "-000000-01-01",
        "+10000-01-01",
        "10000-01-01",
        "+010000-02-30",
        "+010001-02-29T00:00Z",
    ] {
        let error = utc.parse_date_time(text).expect_err(text).to_string();
        assert!(error.contains("is not an ISO 8601 date-time"), "{error}");
    }
    // Whatever the number, there is a text.
    for instant in [i64::MIN, i64::MAX] {
        assert!(utc.to_iso(instant).ends_with("+00:00"));
        zone("America/New_York").offset_at(instant);
    }
}

#[test]
fn daylight_saving_goes_on_after_the_last_year_of_the_database() {
    let new_york = zone("America/New_York");
    for (text, iso) in [
        ("+010400-01-15T12:00", "+010400-01-15T12:00:00-05:00"),
        ("+010400-07-15T12:00", "+010400-07-15T12:00:00-04:00"),
        ("+275760-07-15T12:00", "+275760-07-15T12:00:00-04:00"),
    ] {
        let instant = new_york.parse_date_time(text).expect(text);
        assert_eq!(new_york.to_iso(instant), iso);
        let at_nine = CronExpr::parse("0 9 * * *")
            .expect("valid")
            .next_after(instant, &new_york, DstPolicy::default());
        assert_eq!(at_nine, Some(instant + 21 * 3_600_000), "{text}");
    }
    // Long before the first clock change it is local mean time.
    let long_ago = new_york.parse_date_time("-012000-01-01").expect("a date");
    assert_eq!(new_york.offset_at(long_ago), -(4 * 3_600 + 56 * 60 + 2));
}

#[test]
fn durations_cross_the_last_year_of_the_database() {
    let new_york = zone("America/New_York");
    let after = |text: &str, duration: &str| {
        let start = new_york.parse_date_time(text).expect(text);
        new_york.after_duration(start, duration).map(|at| new_york.to_iso(at))
    };
    for (text, duration, expected) in [
        ("2026-01-31T09:00", "P1M", Some("2026-02-28T09:00:00-05:00")),
        ("2026-03-07T09:00", "P1D", Some("2026-03-08T09:00:00-04:00")),
        ("2026-03-07T09:00", "PT24H", Some("2026-03-08T10:00:00-04:00")),
        ("2026-03-07T02:30", "P1D", Some("2026-03-08T03:30:00-04:00")),
        (
            "2026-03-07T09:00",
            "P1Y2M3W4DT5H6M7.5S",
            Some("2027-06-01T14:06:07.5-04:00"),
        ),
        ("2026-07-01T00:00", "P9000Y", Some("+011026-07-01T00:00:00-04:00")),
        ("9999-12-31T23:00", "PT2H", Some("+010000-01-01T01:00:00-05:00")),
        ("2026-07-01T00:00", "-P1D", None),
        ("2026-07-01T00:00", "P1M-1D", None),
        ("2026-07-01T00:00", "1 day", None),
        ("+275760-09-12", "P1Y", None),
    ] {
        assert_eq!(after(text, duration).as_deref(), expected, "{text} {duration}");
    }
}

/// The table of spans ends in 2543; later instants are computed in an equivalent earlier cycle of the
/// calendar, which must agree with the database.
#[test]
fn offsets_are_correct_in_every_century() {
    let nine = CronExpr::parse("0 9 1 1,7 *").expect("valid");
    for name in [
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Tokyo",
        "Europe/Dublin",
    ] {
        let zone = zone(name);
        for year in (1950..9_990).step_by(20) {
            let after = zone
                .parse_date_time(&format!("{year}-03-31T12:00"))
                .expect("a date-time");
            let next = nine.next_after(after, &zone, DstPolicy::default()).expect("an instant");
            let expected = zone
                .parse_date_time(&format!("{year}-07-01T09:00"))
                .expect("a date-time");
            assert_eq!(next, expected, "{name} {year}");
        }
    }
}

#[test]
fn every_zone_can_be_loaded_and_searched() {
    let start = Instant::now();
    let names = [
        "Europe/London",
        "America/Scoresbysund",
        "Antarctica/Vostok",
        "Etc/GMT+12",
        "EST5EDT",
        "Africa/Monrovia",
    ];
    for name in names {
        let daily = CronExpr::parse("30 2 * * *").expect("valid");
        let mut at = -3_000_000_000_000;
        for _ in 0..20_000 {
            let next = daily
                .next_after(at, &zone(name), DstPolicy::default())
                .expect("an instant");
            assert!(next - at <= 50 * 3_600_000 && next > at, "{name} {at} {next}");
            at = next;
        }
    }
    assert!(start.elapsed().as_secs() < 30);
}
