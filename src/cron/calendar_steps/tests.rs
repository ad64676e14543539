use super::*;

fn parse(text: &str) -> CalendarDuration {
    CalendarDuration::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The first `count` steps at or after `from`, with their offsets.
fn steps_from(text: &str, zone: &str, dst: DstPolicy, start: &str, from: &str, count: usize) -> Vec<String> {
    let zone = Zone::get(zone).unwrap();
    let instant = |text: &str| zone.parse_date_time(text).unwrap();
    let steps = CalendarSteps::new(parse(text), instant(start), zone, dst);
    std::iter::successors(steps.at_or_after(instant(from)), |at| steps.at_or_after(at + 1))
        .take(count)
        .map(|at| zone.to_iso(at))
        .collect()
}

fn steps(text: &str, zone: &str, start: &str, count: usize) -> Vec<String> {
    steps_from(text, zone, DstPolicy::default(), start, start, count)
}

#[test]
fn durations_are_read() {
    let read = |text| (parse(text).months, parse(text).days);
    assert_eq!(read("P1D"), (0, 1));
    assert_eq!(read("P2W"), (0, 14));
    assert_eq!(read("P1Y"), (12, 0));
    assert_eq!(read("P1Y2M3W4D"), (14, 25));
    assert_eq!(read("P0Y1M0D"), (1, 0));
    assert_eq!(read("P100Y"), (1_200, 0));
    assert_eq!(read("P007D"), (0, 7));
}

#[test]
fn other_texts_are_refused_with_what_to_write_instead() {
    let refused = |text: &str| CalendarDuration::parse(text).expect_err(text).to_string();
    let malformed = [
        "", "P", "p1D", "2W", "P1", "PD", "P1D2", "P1D1W", "P1D1D", "P1M1Y", "P 1D", "P1X", "P1d", "P+1D", "P1é",
        "1 day",
    ];
    for text in malformed {
        assert!(refused(text).ends_with("write it as in `P2W` or `P1M`"), "{text}");
    }
    for text in ["PT1H", "P1DT12H", "PT"] {
        assert!(refused(text).contains("use `every`"), "{text}");
    }
    for text in ["P0D", "P0Y0M", "P000D"] {
        assert!(refused(text).ends_with("is zero"), "{text}");
    }
    for text in ["P0.5M", "P1,5W"] {
        assert!(refused(text).contains("fraction"), "{text}");
    }
    for text in ["P-1D", "P1M-1D"] {
        assert!(refused(text).contains("negative"), "{text}");
    }
    for text in [
        "P101Y",
        "P1201M",
        "P36526D",
        "P99999999999Y",
        "P4294967295W",
        "P357913942Y",
    ] {
        assert!(refused(text).contains("longer than 100 years"), "{text}");
    }
    assert!(refused(&"P1".repeat(1 << 20)).len() < 200);
}

#[test]
fn month_ends_are_clamped_without_drift() {
    let expected = [
        "2026-01-31T09:00:00+01:00",
        "2026-02-28T09:00:00+01:00",
        "2026-03-31T09:00:00+02:00",
        "2026-04-30T09:00:00+02:00",
        "2026-05-31T09:00:00+02:00",
    ];
    assert_eq!(steps("P1M", "Europe/Berlin", "2026-01-31T09:00", 5), expected);
}

#[test]
fn a_leap_day_returns_in_leap_years() {
    let dates: Vec<String> = steps("P1Y", "UTC", "2024-02-29", 5);
    let years = ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"];
    assert!(
        dates.iter().zip(years).all(|(date, year)| date.starts_with(year)),
        "{dates:?}"
    );
    let after_2100 = steps_from("P4Y", "UTC", DstPolicy::default(), "2024-02-29", "2096-01-01", 3);
    let years = ["2096-02-29", "2100-02-28", "2104-02-29"];
    assert!(
        after_2100.iter().zip(years).all(|(date, year)| date.starts_with(year)),
        "{after_2100:?}"
    );
}

#[test]
fn months_are_counted_before_days_each_from_the_start() {
    let dates = steps("P1M1D", "UTC", "2026-01-31", 4);
    let expected = ["2026-01-31", "2026-03-01", "2026-04-02", "2026-05-03"];
    assert!(
        dates.iter().zip(expected).all(|(date, day)| date.starts_with(day)),
        "{dates:?}"
    );
}

#[test]
fn the_local_time_stays_when_clocks_change() {
    let expected = [
        "2026-03-07T09:15:30.25-05:00",
        "2026-03-08T09:15:30.25-04:00",
        "2026-03-09T09:15:30.25-04:00",
    ];
    assert_eq!(steps("P1D", "America/New_York", "2026-03-07T09:15:30.250", 3), expected);
}

#[test]
fn a_time_that_a_day_lacks_follows_the_policy() {
    let days = |gap| {
        let dst = DstPolicy {
            gap,
            ..DstPolicy::default()
        };
        let start = "2026-03-07T02:30:15";
        steps_from("P1D", "America/New_York", dst, start, start, 3)
    };
    let expected = [
        "2026-03-07T02:30:15-05:00",
        "2026-03-08T03:00:00-04:00",
        "2026-03-09T02:30:15-04:00",
    ];
    assert_eq!(days(GapPolicy::After), expected);
    let expected = [
        "2026-03-07T02:30:15-05:00",
        "2026-03-09T02:30:15-04:00",
        "2026-03-10T02:30:15-04:00",
    ];
    assert_eq!(days(GapPolicy::Skip), expected);
    // A whole day is no daylight saving: it is never made up for.
    let expected = [
        "2011-12-29T12:00:00-10:00",
        "2011-12-31T12:00:00+14:00",
        "2012-01-01T12:00:00+14:00",
    ];
    assert_eq!(steps("P1D", "Pacific/Apia", "2011-12-29T12:00", 3), expected);
}

#[test]
fn a_time_that_occurs_twice_follows_the_policy() {
    let days = |overlap| {
        let dst = DstPolicy {
            overlap,
            ..DstPolicy::default()
        };
        steps_from("P1W", "America/New_York", dst, "2026-10-25T01:30", "2026-10-26", 2)
    };
    let (first, last) = ("2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00");
    let next = "2026-11-08T01:30:00-05:00";
    assert_eq!(days(OverlapPolicy::First), [first, next]);
    assert_eq!(days(OverlapPolicy::Last), [last, next]);
    assert_eq!(days(OverlapPolicy::Both), [first, last]);
}

#[test]
fn the_start_is_the_first_step_as_it_was_given() {
    // The second 01:30 of the day, although the policy would take the first.
    let start = "2026-11-01T01:30:00-05:00";
    let expected = [start, "2026-11-02T01:30:00-05:00"];
    assert_eq!(steps("P1D", "America/New_York", start, 2), expected);
}

#[test]
fn a_start_long_ago_sets_the_time_of_day() {
    // Local mean time, whose offset has seconds.
    let next = steps_from(
        "P1M",
        "America/New_York",
        DstPolicy::default(),
        "1850-01-31T09:00:00",
        "2026-02-01",
        1,
    );
    assert_eq!(next, ["2026-02-28T09:00:00-05:00"]);
}

#[test]
fn the_far_future_keeps_the_local_time_and_ends_with_dates() {
    let zone = Zone::get("America/New_York").unwrap();
    let start = zone.parse_date_time("2026-07-31T09:00").unwrap();
    let steps = CalendarSteps::new(parse("P1M"), start, zone, DstPolicy::default());
    // 9,600 years are 24 cycles of 400 years, of which each looks like the others.
    let cycles = 24 * 146_097 * MILLISECONDS_PER_DAY;
    let in_2200 = zone.parse_date_time("2200-07-01").unwrap();
    let expected = steps.at_or_after(in_2200).map(|at| at + cycles);
    assert_eq!(steps.at_or_after(in_2200 + cycles), expected);
    assert_eq!(steps.at_or_after(MAX_INSTANT_MS - MILLISECONDS_PER_DAY), None);
    assert_eq!(steps.at_or_after(MAX_INSTANT_MS + 1), None);
    assert_eq!(steps.at_or_after(i64::MAX), None);
    assert_eq!(steps.at_or_after(i64::MIN), Some(start));
    for start in [i64::MIN, -MAX_INSTANT_MS, MAX_INSTANT_MS, i64::MAX] {
        let steps = CalendarSteps::new(parse("P100Y"), start, zone, DstPolicy::default());
        for from in [i64::MIN, 0, MAX_INSTANT_MS, i64::MAX] {
            assert!(steps.at_or_after(from).is_none_or(|at| at >= from), "{start} {from}");
        }
    }
}

#[test]
fn steps_in_skipped_gaps_are_passed_over() {
    let dst = DstPolicy {
        gap: GapPolicy::Skip,
        ..DstPolicy::default()
    };
    // In a century the weekdays of a date repeat every 28 years, so that several steps in a row are in the gap.
    let next = steps_from("P28Y", "America/New_York", dst, "2026-03-07T02:30", "2026-03-08", 1);
    assert_eq!(next, ["2054-03-07T02:30:00-05:00"]);
    let next = steps_from("P28Y", "America/New_York", dst, "1998-03-08T02:30", "2026-03-08", 1);
    assert_eq!(next, ["2110-03-08T02:30:00-05:00"]);
}
