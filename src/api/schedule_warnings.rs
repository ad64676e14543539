//! What the log is told of schedules and times that are valid and hardly meant. Pure.

use super::fields::{Fields, number};
use crate::clock::Millis;
use crate::cron::{MAX_INSTANT_MS, Zone};
use crate::engine::timetable::Timetable;
use crate::model::Recurrence;

/// 1971-01-01T00:00:00Z. An earlier number is mostly one of seconds, or a duration.
const END_OF_1970_MS: f64 = 31_536_000_000.0;

/// Why a recurrence has no run at all, for the log.
pub(super) fn never_runs(recurrence: &Recurrence, now: Millis) -> String {
    let iso = |at| Zone::utc().to_iso(at);
    let endless = Recurrence {
        end_at: None,
        ..recurrence.clone()
    };
    let first = Timetable::compile(&endless)
        .ok()
        .and_then(|timetable| timetable.first_run(now));
    let why = match (recurrence.end_at, first) {
        (Some(end), Some(first)) => {
            format!(
                "its `endDate` {} leaves no run, since the first would be at {}",
                iso(end),
                iso(first)
            )
        }
        _ => format!(
            "it has no run up to {}, where the dates of JavaScript end",
            iso(MAX_INSTANT_MS)
        ),
    };
    format!("{why}: the job is kept as completed and never runs")
}

/// Why a recurring job has no run to come although its schedule has times, for the log.
pub(super) fn limit_used_up(limit: i64) -> String {
    format!(
        "its `limit` of {limit} is used up by the runs that it has had: the job is kept as completed and runs no more; give it a \
         higher `limit`, or none"
    )
}

/// What to warn of when the field is a number that means a time in 1970, and that year is over.
pub(super) fn warn_of_1970(fields: &Fields<'_>, name: &str, now: Millis) -> Option<String> {
    if (now as f64) < END_OF_1970_MS {
        return None;
    }
    let given = number(fields.raw(name)?).filter(|value| *value > 0.0 && *value < END_OF_1970_MS)?;
    // So one says where the points of an interval lie: five minutes past, or at three.
    if name == "start_at" && fields.raw("every").is_some() && given < 86_400_000.0 {
        return None;
    }
    let shown = Zone::utc().to_iso(given as Millis);
    let path = fields.path(name);
    Some(format!(
        "{path}: {given} is {shown}, since numbers are ms since 1970; a time in seconds is to be multiplied by 1000, and \
         a duration added to the present time"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::schedule::read_plan_of;
    use super::*;

    /// 2026-01-01T00:00:00Z
    const NOW: Millis = 1_767_225_600_000;

    fn warning(schedule: &str) -> Option<String> {
        read_plan_of(schedule, "UTC", "seed", NOW).unwrap().warning
    }

    #[test]
    fn a_time_in_1970_is_warned_of_since_it_is_mostly_one_in_seconds() {
        let warned = warning(r#"{"start_at":1800000000}"#).unwrap();
        assert!(
            warned.contains("schedule.start_at: 1800000000 is 1970-01-21T20:00:00+00:00"),
            "{warned}"
        );
        for schedule in [
            r#"{"start_at":5000}"#,
            r#"{"cron":"* * * * *","start_at":1800000000}"#,
            r#"{"every":1000,"start_at":1800000000}"#,
        ] {
            assert!(
                warning(schedule).is_some_and(|text| text.contains("in seconds")),
                "{schedule}"
            );
        }
        let warned = warning(r#"{"every":1000,"endDate":1800000000}"#).unwrap();
        assert!(warned.contains("schedule.endDate: 1800000000"), "{warned}");
        assert!(warned.contains("leaves no run"), "{warned}");
        for schedule in [
            r#"{"start_at":0}"#,
            r#"{"start_at":"1970-01-02"}"#,
            r#"{"start_at":1800000000000}"#,
            r#"{"every":3600000,"start_at":300000}"#,
        ] {
            assert_eq!(warning(schedule), None, "{schedule}");
        }
        let early = read_plan_of(r#"{"start_at":1800000000}"#, "UTC", "seed", 0).unwrap();
        assert_eq!(early.warning, None);
    }

    #[test]
    fn a_schedule_without_a_run_says_truly_why() {
        for (schedule, why) in [
            (
                r#"{"cron":"0 0 1 7 *","endDate":"2026-06-30"}"#,
                "its `endDate` 2026-06-30T00:00:00+00:00 leaves no run, since the first would be at 2026-07-01T00:00:00+00:00",
            ),
            (
                r#"{"cron":"0 0 L * *","endDate":"2026-01-30"}"#,
                "its `endDate` 2026-01-30T00:00:00+00:00 leaves no run, since the first would be at 2026-01-31T00:00:00+00:00",
            ),
            (
                r#"{"every":60000,"endDate":"2025-12-31"}"#,
                "its `endDate` 2025-12-31T00:00:00+00:00 leaves no run, since the first would be at 2026-01-01T00:00:00+00:00",
            ),
            (
                r#"{"cron":"* * * * *","start_at":8640000000000000,"spread":60000}"#,
                "it has no run up to +275760-09-13T00:00:00+00:00, where the dates of JavaScript end",
            ),
        ] {
            let warned = warning(schedule).unwrap();
            assert!(warned.contains(why), "{warned}");
            assert!(!warned.contains("past"), "{warned}");
        }
    }
}
