use super::*;
use crate::cron::parse_day;
use crate::model::ExceptedDates;
use std::time::{Duration, Instant};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn at(text: &str) -> Millis {
    Zone::utc().parse_date_time(text).unwrap()
}

fn days(dates: &[&str]) -> Box<[i32]> {
    dates.iter().map(|date| parse_day(date).unwrap()).collect()
}

fn excepting(rule: Rule, tz: &str, dates: &[&str]) -> Recurrence {
    Recurrence {
        except: Some(ExceptedDates {
            tz: tz.into(),
            days: days(dates),
        }),
        ..Recurrence::new(rule)
    }
}

fn cron(text: &str, tz: &str) -> Rule {
    let (text, tz) = (text.into(), tz.into());
    Rule::Cron { text, tz }
}

fn every(interval: i64, anchor: &str) -> Rule {
    let anchor = at(anchor);
    Rule::Every { interval, anchor }
}

fn steps(duration: &str, tz: &str, anchor: &str) -> Rule {
    Rule::Interval {
        duration: duration.into(),
        tz: tz.into(),
        anchor: at(anchor),
    }
}

fn compiled(recurrence: &Recurrence) -> Timetable {
    Timetable::compile(recurrence).unwrap()
}

/// The next `count` points that run after `from`.
fn runs(timetable: &Timetable, from: &str, count: usize) -> Vec<String> {
    std::iter::successors(timetable.run_at_or_after(at(from)), |at| {
        timetable.run_at_or_after(at + 1)
    })
    .take(count)
    .map(|at| Zone::utc().to_iso(at).replace(":00+00:00", "Z"))
    .collect()
}

#[test]
fn calendar_steps_begin_with_their_start_and_end_with_the_schedule() {
    let recurrence = Recurrence {
        start_at: Some(at("2026-01-31T09:00Z")),
        end_at: Some(at("2026-04-30T09:00Z")),
        ..Recurrence::new(steps("P1M", "UTC", "2026-01-31T09:00Z"))
    };
    let timetable = compiled(&recurrence);
    assert_eq!(timetable.first(at("2026-01-01")), recurrence.start_at);
    assert_eq!(timetable.first(at("2026-01-31T09:00Z")), recurrence.start_at);
    assert_eq!(timetable.first(at("2026-01-31T09:01Z")), Some(at("2026-02-28T09:00Z")));
    assert_eq!(timetable.after(at("2026-03-31T09:00Z")), recurrence.end_at);
    assert_eq!(timetable.after(at("2026-04-30T09:00Z")), None);
}

#[test]
fn due_calendar_steps_are_counted() {
    let timetable = compiled(&Recurrence::new(steps("P1D", "Europe/Berlin", "2026-03-01T08:00Z")));
    let due = timetable.due(at("2026-03-01T08:00Z"), at("2026-04-01"));
    assert_eq!((due.count, due.recent.len(), due.complete), (31, 31, true));
    assert_eq!(due.last(), at("2026-03-31T07:00Z"));
    assert_eq!(due.next, Some(at("2026-04-01T07:00Z")));
    let due = timetable.due(at("2026-03-01T08:00Z"), at("2030-03-01T08:00Z"));
    assert_eq!((due.count, due.recent.len()), (1_462, MAX_CATCH_UP_RUNS));
}

#[test]
fn a_stored_interval_that_cannot_be_computed_is_refused() {
    let refused = |rule: Rule| Timetable::compile(&Recurrence::new(rule)).unwrap_err().code;
    assert_eq!(refused(steps("P0D", "UTC", "2026-01-01")), ErrorCode::InvalidSchedule);
    assert_eq!(
        refused(steps("P1D", "No/Where", "2026-01-01")),
        ErrorCode::InvalidTimezone
    );
    let dates = excepting(every(DAY, "2026-01-01"), "No/Where", &["2026-12-25"]);
    assert_eq!(Timetable::compile(&dates).unwrap_err().code, ErrorCode::InvalidTimezone);
}

#[test]
fn excepted_dates_are_passed_over_by_what_runs_and_are_points_of_the_grid() {
    let holidays = ["2026-12-26", "2026-12-25"];
    for rule in [
        cron("0 9 * * *", "Europe/Berlin"),
        every(DAY, "2026-12-01T08:00Z"),
        steps("P1D", "Europe/Berlin", "2026-12-01T08:00Z"),
    ] {
        let timetable = compiled(&excepting(rule, "Europe/Berlin", &holidays));
        let expected = ["2026-12-24T08:00Z", "2026-12-27T08:00Z"];
        assert_eq!(runs(&timetable, "2026-12-24T08:00Z", 2), expected);
        assert_eq!(
            timetable.first_run(at("2026-12-24T12:00Z")),
            Some(at("2026-12-27T08:00Z"))
        );
        assert_eq!(timetable.after(at("2026-12-24T08:00Z")), Some(at("2026-12-25T08:00Z")));
        let due = timetable.due(at("2026-12-24T08:00Z"), at("2026-12-26T12:00Z"));
        assert_eq!((due.count, due.next), (3, Some(at("2026-12-27T08:00Z"))));
        let spans = timetable.excepted_spans(at("2026-12-24T08:00Z"), at("2027-01-01"));
        assert_eq!(spans, [(at("2026-12-24T23:00Z"), at("2026-12-26T23:00Z") - 1)]);
    }
}

#[test]
fn dates_are_those_of_the_zone() {
    // 23:30 in UTC is the next day in Tokyo.
    let timetable = compiled(&excepting(
        every(DAY, "2026-12-01T23:30Z"),
        "Asia/Tokyo",
        &["2026-12-25"],
    ));
    assert_eq!(
        runs(&timetable, "2026-12-23T00:00Z", 2),
        ["2026-12-23T23:30Z", "2026-12-25T23:30Z"]
    );
}

#[test]
fn a_date_is_that_of_the_point_without_the_spread() {
    let recurrence = Recurrence {
        offset: 2 * HOUR,
        ..excepting(cron("0 23 * * *", "UTC"), "UTC", &["2026-12-25"])
    };
    let timetable = compiled(&recurrence);
    assert_eq!(
        runs(&timetable, "2026-12-25T00:00Z", 2),
        ["2026-12-25T01:00Z", "2026-12-27T01:00Z"]
    );
    let spans = timetable.excepted_spans(at("2026-12-01"), at("2027-01-01"));
    assert_eq!(spans, [(at("2026-12-25T02:00Z"), at("2026-12-26T02:00Z") - 1)]);
}

#[test]
fn excepted_spans_are_those_within_the_instants() {
    let timetable = compiled(&excepting(
        every(HOUR, "2026-01-01"),
        "UTC",
        &["2026-12-24", "2026-12-26", "2026-12-28"],
    ));
    let spans = |from, to| timetable.excepted_spans(at(from), at(to));
    assert_eq!(spans("2026-12-01", "2026-12-23"), []);
    assert_eq!(spans("2026-12-25", "2026-12-25T23:00"), []);
    assert_eq!(spans("2026-12-29", "2026-12-30"), []);
    assert_eq!(
        spans("2026-12-26T10:00", "2026-12-26T10:00"),
        [(at("2026-12-26T10:00"), at("2026-12-26T10:00"))]
    );
    let expected = [
        (at("2026-12-24T10:00"), at("2026-12-25") - 1),
        (at("2026-12-26"), at("2026-12-27") - 1),
        (at("2026-12-28"), at("2026-12-28T05:00")),
    ];
    assert_eq!(spans("2026-12-24T10:00", "2026-12-28T05:00"), expected);
}

#[test]
fn a_schedule_whose_last_points_are_excepted_ends_before_them() {
    let recurrence = Recurrence {
        end_at: Some(at("2026-12-25T12:00Z")),
        ..excepting(cron("0 9 * * *", "UTC"), "UTC", &["2026-12-25"])
    };
    let timetable = compiled(&recurrence);
    assert_eq!(runs(&timetable, "2026-12-24T00:00Z", 5), ["2026-12-24T09:00Z"]);
    assert_eq!(timetable.first_run(at("2026-12-24T10:00Z")), None);
}

#[test]
fn excepted_dates_cost_no_more_than_their_number() {
    let begun = Instant::now();
    let first = parse_day("2026-01-01").unwrap();
    // Every other day, so that each is a span of its own.
    let dates = ExceptedDates {
        tz: "Europe/Berlin".into(),
        days: (0..1_000).map(|k| first + 2 * k).collect(),
    };
    let recurrence = Recurrence {
        except: Some(dates),
        ..Recurrence::new(every(1, "2026-01-01"))
    };
    let timetable = compiled(&recurrence);
    let mut from = at("2025-12-31T23:00Z");
    for _ in 0..1_000 {
        from = timetable.run_at_or_after(from).unwrap();
        from += DAY;
    }
    assert_eq!(timetable.excepted_spans(Millis::MIN, Millis::MAX).len(), 1_000);
    // Walked through point by point, it would take hours.
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn schedules_stored_by_older_versions_are_read() {
    let stored = r#"{"rule":{"every":{"interval":1000,"anchor":5}},"dst":{"gap":"after","overlap":"first"},
        "misfire":"once","ifRunning":"skip","offset":7}"#;
    let recurrence: Recurrence = serde_json::from_str(stored).unwrap();
    assert_eq!(
        (recurrence.except.is_none(), recurrence.offset, recurrence.spread),
        (true, 7, 0)
    );
    let written = serde_json::to_string(&excepting(steps("P1M", "UTC", "2026-01-01"), "UTC", &["2026-12-25"])).unwrap();
    assert!(written.contains(r#""except":{"tz":"UTC","days":[20812]}"#), "{written}");
    assert!(
        written.contains(r#""rule":{"interval":{"duration":"P1M","tz":"UTC","anchor":1767225600000}}"#),
        "{written}"
    );
}
