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
