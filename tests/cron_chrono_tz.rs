//! Offsets of all zones from 1970 to 2037, compared with the `chrono-tz` crate: in steps of a few days, and around each of our
//! clock changes. Where they differ, a [`Difference`] says why, and an example pins both; any other fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::collections::BTreeSet;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use ductape::cron::{Zone, tzdb_version};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

/// 1970-01-01T00:00Z and 2038-01-01T00:00Z, in seconds.
const FIRST: i64 = 0;
const END: i64 = 2_145_916_800;
/// Five days and seven hours, so that all hours of the day are met.
const STEP: usize = 5 * 86_400 + 7 * 3_600;

/// Where `chrono-tz` has other offsets: its data are of version 2025b of the IANA database, ours of a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// Clocks are changed by other rules since, or will be: with the older data jobs run an hour off.
    NewRules,
    /// What the database had of the past was wrong.
    CorrectedPast,
}

use Difference::*;

/// The zones that differ, with their other names, and the first and last date on which they do. Newer data, there or here, change
/// this table.
const DIFFERENCES: &[(Difference, &[&str], &str, &str)] = &[
    // Permanently UTC from 2026 on.
    (
        NewRules,
        &["Africa/Casablanca", "Africa/El_Aaiun"],
        "2026-09-20",
        "2037-12-31",
    ),
    // Summer time stays.
    (
        NewRules,
        &["America/Vancouver", "Canada/Pacific"],
        "2026-11-01",
        "2037-12-31",
    ),
    (
        NewRules,
        &[
            "America/Edmonton",
            "Canada/Mountain",
            "America/Yellowknife",
            "America/Inuvik",
        ],
        "2026-11-01",
        "2037-12-31",
    ),
    (
        NewRules,
        &["America/Winnipeg", "Canada/Central", "America/Rainy_River"],
        "2026-11-01",
        "2037-12-31",
    ),
    // Summer time stays for a winter.
    (NewRules, &["America/Havana", "Cuba"], "2026-11-01", "2027-03-14"),
    // Changes at the hour of the European Union since 2022.
    (
        NewRules,
        &["Europe/Chisinau", "Europe/Tiraspol"],
        "2022-03-27",
        "2037-10-25",
    ),
    // Summer time as in California.
    (
        CorrectedPast,
        &[
            "America/Tijuana",
            "America/Ensenada",
            "America/Santa_Isabel",
            "Mexico/BajaNorte",
        ],
        "1970-04-26",
        "1975-10-26",
    ),
    // A change on another day.
    (CorrectedPast, &["America/Bogota"], "1992-05-02", "1992-05-03"),
    (CorrectedPast, &["Asia/Tehran", "Iran"], "1979-05-25", "1979-05-26"),
];

/// Why the offsets of a zone may differ at a second.
fn known_difference(name: &str, second: i64) -> Option<Difference> {
    let date = Zone::utc().to_iso(second * 1_000)[..10].to_owned();
    let known = DIFFERENCES
        .iter()
        .find(|(_, names, first, last)| names.contains(&name) && (*first..=*last).contains(&date.as_str()));
    known.map(|(difference, ..)| *difference)
}

fn theirs(tz: Tz, second: i64) -> i32 {
    let at = DateTime::from_timestamp(second, 0).expect("an instant").naive_utc();
    tz.offset_from_utc_datetime(&at).fix().local_minus_utc()
}

fn ours(zone: Zone, second: i64) -> i32 {
    zone.offset_at(second * 1_000)
}

/// The seconds at which a zone is compared.
fn compared_seconds(database: &TimeZoneDatabase, name: &str) -> Vec<i64> {
    let zone = database.get(name).expect("a zone");
    let first = Timestamp::from_second(FIRST).expect("an instant");
    let changes = zone.following(first).map(|change| change.timestamp().as_second());
    let around = changes
        .take_while(|second| *second < END)
        .flat_map(|second| [second - 1, second]);
    (FIRST..END).step_by(STEP).chain(around).collect()
}

#[test]
fn all_offsets_from_1970_to_2037_agree_but_for_newer_data() {
    let database = TimeZoneDatabase::bundled();
    let mut seen = BTreeSet::new();
    let mut compared = 0;
    for tz in TZ_VARIANTS {
        let name = tz.name();
        let zone = Zone::get(name).unwrap_or_else(|unknown| panic!("{unknown}"));
        for second in compared_seconds(&database, name) {
            compared += 1;
            let (right, found) = (ours(zone, second), theirs(tz, second));
            if right != found {
                let at = Zone::utc().to_iso(second * 1_000);
                let difference = known_difference(name, second);
                assert!(difference.is_some(), "{name} at {at}: {found} there, {right} here");
                seen.insert(name);
            }
        }
    }
    assert!(compared > 2_000_000, "{compared}");
    // None of those that are known has gone.
    let known: BTreeSet<&str> = DIFFERENCES
        .iter()
        .flat_map(|(_, names, ..)| names.iter().copied())
        .collect();
    assert_eq!(seen, known);
}

/// Hours from UTC at a time in UTC: there, and here.
fn hours(name: &str, at: &str) -> [f64; 2] {
    let zone = Zone::get(name).expect("a zone");
    let second = Zone::utc().parse_date_time(at).expect("a time") / 1_000;
    let tz: Tz = name.parse().expect("a zone");
    [theirs(tz, second), ours(zone, second)].map(|offset| f64::from(offset) / 3_600.0)
}

#[test]
fn example_of_new_rules() {
    assert!(chrono_tz::IANA_TZDB_VERSION < tzdb_version());
    assert_eq!(hours("America/Vancouver", "2026-12-01"), [-8.0, -7.0]);
    assert_eq!(hours("Africa/Casablanca", "2026-12-01"), [1.0, 0.0]);
}

#[test]
fn example_of_corrected_past() {
    assert_eq!(hours("America/Tijuana", "1970-07-01"), [-8.0, -7.0]);
}

/// After the years that are compared, the crate knows no summer time from 2100 on.
#[test]
fn summer_time_goes_on_after_2099_unlike_in_the_crate() {
    assert_eq!(hours("America/New_York", "2099-07-01"), [-4.0, -4.0]);
    assert_eq!(hours("America/New_York", "2100-07-01"), [-5.0, -4.0]);
}
