#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::{JobId, Misfire};
use crate::store::{JobSeq, Occurrence};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000;

fn hourly() -> Recurrence {
    Recurrence::new(Rule::Every {
        interval: HOUR,
        anchor: START,
    })
}

fn cron(text: &str) -> Recurrence {
    Recurrence::new(Rule::Cron {
        text: text.into(),
        tz: "UTC".into(),
    })
}

fn series(rule: &Recurrence, next_at: i64, live: i64) -> SeriesSnapshot {
    SeriesSnapshot {
        job: JobSeq::new(7),
        id: JobId::generate(),
        version: 3,
        recurrence: serde_json::to_string(rule).unwrap().into(),
        next_at: Some(next_at),
        runs: 0,
        live,
        claimed_by_others: false,
        busy: Vec::new(),
        settled: Settled::default(),
        ended: false,
        accounted_to: None,
    }
}

fn gap(kind: GapKind, first: i64, last: i64, count: i64) -> OccurrenceGap {
    OccurrenceGap {
        kind,
        first,
        last,
        count,
    }
}

fn of(compute: &ComputeMove, series: &SeriesSnapshot) -> SeriesAdvance {
    compute.of(series).unwrap().advance
}

/// The series after the advance.
fn after(series: &SeriesSnapshot, advance: &SeriesAdvance) -> SeriesSnapshot {
    SeriesSnapshot {
        next_at: advance.next_at,
        settled: advance.settled.clone(),
        ..series.clone()
    }
}

#[test]
fn what_falls_due_during_a_pause_is_skipped_and_what_was_overdue_before_gets_its_run() {
    let rule = hourly();
    let paused_at = START + HOUR + 5;
    let overdue = series(&rule, START + HOUR, 0);
    let pausing = of(&pause(paused_at), &overdue);
    assert_eq!(pausing.occurrences.len(), 1);
    assert_eq!(pausing.next_at, Some(START + 2 * HOUR));
    let paused = after(&overdue, &pausing);
    let resuming = of(&resume(START + 4 * HOUR), &paused);
    assert_eq!(
        resuming.gaps,
        [gap(GapKind::Paused, START + 2 * HOUR, START + 4 * HOUR, 3)]
    );
    assert_eq!(resuming.next_at, Some(START + 5 * HOUR));
    assert_eq!(resuming.settled, Settled::default());
    let soon = of(&resume(paused_at + 9), &paused);
    assert_eq!((soon.gaps.len(), soon.next_at), (0, Some(START + 2 * HOUR)));
}

#[test]
fn what_waited_for_a_run_to_end_before_a_pause_still_does_after_it() {
    let rule = hourly();
    let waiting = series(&rule, START + HOUR, 1);
    let pausing = of(&pause(START + 2 * HOUR + 5), &waiting);
    assert_eq!(
        (pausing.gaps.len(), pausing.next_at, pausing.after_live_runs),
        (0, Some(START + HOUR), true)
    );
    let paused = after(&waiting, &pausing);
    let resuming = of(&resume(START + 4 * HOUR), &paused);
    assert_eq!(
        resuming.gaps,
        [gap(GapKind::Paused, START + 3 * HOUR, START + 4 * HOUR, 2)]
    );
    assert_eq!((resuming.next_at, resuming.after_live_runs), (Some(START + HOUR), true));
    // When that run has ended, the two before the pause are made up for, and those during it are not.
    let now = START + 4 * HOUR + 1;
    let resumed = SeriesSnapshot {
        live: 0,
        ..after(&paused, &resuming)
    };
    let planned = super::super::recurrence::plan(&rule, &resumed, now).unwrap().unwrap();
    assert_eq!(
        planned.occurrences,
        [Occurrence {
            scheduled_at: START + 2 * HOUR,
            missed: 2
        }]
    );
    assert_eq!(planned.gaps, [gap(GapKind::Down, START + HOUR, START + HOUR, 1)]);
    assert_eq!(planned.next_at, Some(START + 5 * HOUR));
}

#[test]
fn a_series_that_was_paused_by_an_older_version_goes_on_after_now() {
    let paused = SeriesSnapshot {
        settled: Settled {
            spans: Vec::new(),
            paused_at: Some(i64::MIN),
            since: None,
        },
        ..series(&hourly(), START + HOUR, 0)
    };
    let resuming = of(&resume(START + 3 * HOUR), &paused);
    assert_eq!(resuming.gaps, [gap(GapKind::Paused, START + HOUR, START + 3 * HOUR, 3)]);
    assert_eq!(resuming.next_at, Some(START + 4 * HOUR));
}

#[test]
fn details_change_and_an_overdue_run_keeps_its_place() {
    let rule = cron("0 9 * * *");
    let nine = START + 9 * HOUR;
    let overdue = series(&rule, nine, 0);
    let now = nine + 5 * 60_000;
    for details in [
        Recurrence {
            end_at: Some(nine + 30 * DAY),
            ..cron("0 9 * * *")
        },
        Recurrence {
            limit: Some(9),
            misfire: Misfire::All,
            ..cron("0  9 * * *")
        },
        Recurrence {
            start_at: Some(START),
            ..cron("00 9 * * *")
        },
    ] {
        let moved = replaced(&overdue, &details, Some(nine + DAY), now);
        assert_eq!(moved.advance.next_at, Some(nine));
        assert_eq!(moved.advance.gaps, []);
        assert_eq!(moved.recurrence, Some(details));
    }
}

#[test]
fn an_interval_without_a_start_keeps_its_grid_when_its_details_change() {
    let known = series(&hourly(), START + HOUR, 0);
    let again = Recurrence {
        limit: Some(9),
        ..Recurrence::new(Rule::Every {
            interval: HOUR,
            anchor: START + 17,
        })
    };
    let moved = replaced(&known, &again, Some(START + 17), START + 17);
    assert_eq!(moved.advance.next_at, Some(START + HOUR));
    assert_eq!(
        moved.recurrence,
        Some(Recurrence {
            limit: Some(9),
            ..hourly()
        })
    );
    // With a start of its own it is another grid, unless that is on the old one.
    let elsewhere = Recurrence {
        start_at: Some(START + 17),
        ..again.clone()
    };
    let first = Some(START + HOUR + 17);
    assert_eq!(replaced(&known, &elsewhere, first, START + 20).advance.next_at, first);
    let same = Recurrence {
        start_at: Some(START - 5 * HOUR),
        ..Recurrence::new(Rule::Every {
            interval: HOUR,
            anchor: START - 5 * HOUR,
        })
    };
    assert_eq!(
        replaced(&known, &same, Some(START + HOUR), START + 20).advance.next_at,
        Some(START + HOUR)
    );
}

#[test]
fn what_is_overdue_when_the_grid_changes_is_dealt_with_by_the_old_schedule() {
    let overdue = series(&hourly(), START + HOUR, 0);
    let new = cron("30 * * * *");
    let (now, first) = (START + 3 * HOUR + 5, Some(START + 3 * HOUR + HOUR / 2));
    let moved = replaced(&overdue, &new, first, now);
    assert_eq!(
        moved.advance.occurrences,
        [Occurrence {
            scheduled_at: START + 3 * HOUR,
            missed: 2
        }]
    );
    assert_eq!(
        moved.advance.gaps,
        [gap(GapKind::Down, START + HOUR, START + 2 * HOUR, 2)]
    );
    assert_eq!(moved.advance.next_at, first);
    // What waits for a run to end is passed over.
    let waiting = series(&hourly(), START + HOUR, 1);
    let moved = replaced(&waiting, &new, first, now);
    assert_eq!(
        moved.advance.gaps,
        [gap(GapKind::Rescheduled, START + HOUR, START + 3 * HOUR, 3)]
    );
    assert_eq!((moved.advance.next_at, moved.advance.after_live_runs), (first, false));
}

#[test]
fn a_paused_series_that_gets_another_grid_stays_paused_from_then_on() {
    let paused = SeriesSnapshot {
        settled: Settled {
            spans: Vec::new(),
            paused_at: Some(START + 5),
            since: None,
        },
        ..series(&hourly(), START + HOUR, 0)
    };
    let now = START + 2 * HOUR + 1;
    let moved = replaced(&paused, &cron("30 * * * *"), Some(START + 5 * HOUR / 2), now);
    assert_eq!(
        moved.advance.gaps,
        [gap(GapKind::Paused, START + HOUR, START + 2 * HOUR, 2)]
    );
    assert_eq!(moved.advance.settled.paused_at, Some(now));
}

#[test]
fn an_end_before_what_is_overdue_does_not_take_its_run_away() {
    let overdue = series(&hourly(), START + HOUR, 0);
    let ended = Recurrence {
        end_at: Some(START + 5),
        ..hourly()
    };
    let moved = replaced(&overdue, &ended, None, START + HOUR + 5);
    assert_eq!(moved.advance.occurrences.len(), 1);
    assert_eq!(moved.advance.next_at, None);
    let moved = replaced(&overdue, &ended, None, START + 10);
    assert_eq!((moved.advance.occurrences.len(), moved.advance.next_at), (0, None));
}

#[test]
fn occurrences_to_come_are_skipped_on_request() {
    let known = series(&hourly(), START + HOUR, 0);
    let skipped = of(&skip_next(2, START + 5), &known);
    assert_eq!(skipped.gaps, [gap(GapKind::Request, START + HOUR, START + 2 * HOUR, 2)]);
    assert_eq!(skipped.next_at, Some(START + 3 * HOUR));
    let more = of(&skip_next(1, START + 6), &after(&known, &skipped));
    assert_eq!(
        more.gaps,
        [gap(GapKind::Request, START + 3 * HOUR, START + 3 * HOUR, 1)]
    );
    // What waits for a run to end is none of them.
    let waiting = series(&hourly(), START, 1);
    let skipped = of(&skip_next(1, START + 5), &waiting);
    assert_eq!((skipped.next_at, skipped.after_live_runs), (Some(START), true));
    assert_eq!(skipped.gaps, [gap(GapKind::Request, START + HOUR, START + HOUR, 1)]);
    assert_eq!(skipped.settled.spans, [(START + HOUR, START + HOUR)]);
    let over = Recurrence {
        end_at: Some(START),
        ..hourly()
    };
    let at_its_end = SeriesSnapshot {
        next_at: None,
        ..series(&over, START, 0)
    };
    assert!(skip_next(1, START + 5).of(&at_its_end).is_none());
}

#[test]
fn a_run_besides_does_not_overlap_unless_runs_may() {
    let now = START + 5;
    let moved = run_now(now).of(&series(&hourly(), START + HOUR, 0)).unwrap();
    assert_eq!(
        (moved.extra_run, moved.advance.next_at),
        (Some(now), Some(START + HOUR))
    );
    assert!(run_now(now).of(&series(&hourly(), START + HOUR, 1)).is_none());
    let overlapping = Recurrence {
        if_running: IfRunning::Allow,
        ..hourly()
    };
    assert!(run_now(now).of(&series(&overlapping, START + HOUR, 1)).is_some());
}

#[test]
fn a_clock_that_was_a_day_ahead_for_seconds_costs_no_run_and_doubles_none() {
    // At 8:10 the clock went to 8:10 of the next day: one run was made of the latest point, the others were missed.
    for rule in [hourly(), cron("0 * * * *"), cron("0 0-23 * * *")] {
        let (now, ahead) = (START + 8 * HOUR + 600_000, START + 32 * HOUR + 600_000);
        let known = series(&rule, START + 9 * HOUR, 0);
        let jumped = super::super::recurrence::plan(&rule, &known, ahead).unwrap().unwrap();
        let jumped_series = after(&known, &jumped);
        let corrected = replanned(&jumped_series, &jumped.gaps, now + 5_000, &[(now, ahead)]).unwrap();
        assert_eq!(corrected.next_at, Some(START + 9 * HOUR));
        assert_eq!(
            corrected.cut_gaps,
            [gap(GapKind::Down, START + 9 * HOUR, START + 31 * HOUR, 0)]
        );
        // Then each has its run, and the one that had one already is not run again.
        let corrected_series = after(&jumped_series, &corrected);
        let later = super::super::recurrence::plan(&rule, &corrected_series, START + 33 * HOUR)
            .unwrap()
            .unwrap();
        assert_eq!(
            later.occurrences,
            [Occurrence {
                scheduled_at: START + 33 * HOUR,
                missed: 23
            }]
        );
        assert_eq!(
            later.gaps,
            [gap(GapKind::Down, START + 9 * HOUR, START + 31 * HOUR, 23)]
        );
        assert_eq!(replanned(&corrected_series, &[], now + 6_000, &[(now, ahead)]), None);
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_an_interval_and_does_not_repeat_a_time_of_the_day() {
    // It was right for days, and went from 10:00:30 to 9:00:30.
    let now = START + 9 * HOUR + 30_000;
    let minutely = cron("* * * * *");
    let known = series(&minutely, START + 10 * HOUR + 60_000, 0);
    let corrected = replanned(&known, &[], now, &[]).unwrap();
    assert_eq!(corrected.next_at, Some(START + 9 * HOUR + 60_000));
    assert_eq!(corrected.settled, Settled::default());
    let daily = cron("30 9 * * *");
    let known = series(&daily, START + 33 * HOUR + HOUR / 2, 0);
    let corrected = replanned(&known, &[], now, &[]).unwrap();
    let point = START + 9 * HOUR + HOUR / 2;
    assert_eq!(
        (corrected.next_at, corrected.settled.spans.first().copied()),
        (Some(point), Some((now + 1, START + 33 * HOUR + HOUR / 2 - 1)))
    );
    let planned = super::super::recurrence::plan(&daily, &after(&known, &corrected), point)
        .unwrap()
        .unwrap();
    assert_eq!((planned.occurrences.len(), planned.gaps.len()), (0, 0));
    assert_eq!(planned.next_at, known.next_at);
}

#[test]
fn a_paused_series_is_resumed_by_a_clock_that_was_set_back_meanwhile() {
    let paused_at = START + 5 * HOUR;
    let known = SeriesSnapshot {
        settled: Settled {
            spans: vec![],
            paused_at: Some(paused_at),
            since: None,
        },
        ..series(&hourly(), START + 6 * HOUR, 0)
    };
    let now = START + HOUR / 2;
    let corrected = replanned(&known, &[], now, &[]).unwrap();
    assert_eq!(
        (corrected.next_at, corrected.settled.paused_at),
        (Some(START + HOUR), Some(now))
    );
    let resumed = of(&resume(START + 2 * HOUR + 5), &after(&known, &corrected));
    assert_eq!(resumed.next_at, Some(START + 3 * HOUR));
    assert_eq!(resumed.gaps, [gap(GapKind::Paused, START + HOUR, START + 2 * HOUR, 2)]);
}

#[test]
fn a_schedule_that_was_made_while_the_clock_was_ahead_does_not_stand_still() {
    let (now, ahead) = (START + 8 * HOUR + 5, START + 32 * HOUR + 5);
    let interval = Recurrence {
        rule: Rule::Every {
            interval: HOUR,
            anchor: ahead,
        },
        ..hourly()
    };
    for (rule, first) in [
        (cron("0 * * * *"), START + 9 * HOUR),
        (cron("0 0-23 * * *"), START + 9 * HOUR),
        (hourly(), START + 9 * HOUR),
        (interval, now + HOUR),
    ] {
        let known = series(&rule, START + 33 * HOUR, 0);
        let made = SeriesSnapshot {
            settled: Settled {
                since: Some(ahead),
                ..Settled::default()
            },
            ..known
        };
        let corrected = replanned(&made, &[], now, &[(now, ahead)]).unwrap();
        assert_eq!(corrected.next_at, Some(first));
        // The first run of the interval was made when it was dispatched.
        assert!(corrected.settled.spans.iter().all(|(from, _)| *from >= ahead));
    }
}

#[test]
fn what_was_skipped_on_request_stays_skipped_in_another_schedule() {
    let known = series(&cron("0 * * * *"), START + HOUR, 0);
    let skipped = after(&known, &of(&skip_next(2, START + 5), &known));
    let now = START + 10;
    for other in [cron("0,30 * * * *"), cron("0 */1 1-31 * *")] {
        let moved = replaced(&skipped, &other, Timetable::compile(&other).unwrap().first(now), now);
        let changed = SeriesSnapshot {
            recurrence: serde_json::to_string(&other).unwrap().into(),
            ..after(&skipped, &moved.advance)
        };
        let plan = |at| super::super::recurrence::plan(&other, &changed, at).unwrap();
        let ran = plan(START + 2 * HOUR).map(|plan| plan.occurrences).unwrap_or_default();
        assert!(
            ran.iter().all(|run| run.scheduled_at == START + HOUR + HOUR / 2),
            "{ran:?}"
        );
    }
}

#[test]
fn points_of_a_pause_behind_a_run_come_again_when_a_clock_is_set_back() {
    // A run of 4:00 is there that nobody does, 5:00 waits for its end; paused from 5:30 to 7:30.
    let held = SeriesSnapshot {
        settled: Settled {
            spans: vec![],
            paused_at: Some(START + 5 * HOUR + HOUR / 2),
            since: None,
        },
        ..series(&hourly(), START + 5 * HOUR, 1)
    };
    let resumed = of(&resume(START + 7 * HOUR + HOUR / 2), &held);
    assert_eq!(
        resumed.gaps,
        [gap(GapKind::Paused, START + 6 * HOUR, START + 7 * HOUR, 2)]
    );
    assert_eq!(resumed.settled.spans.len(), 1);
    let now = START + HOUR / 2;
    let corrected = replanned(&after(&held, &resumed), &resumed.gaps, now, &[]).unwrap();
    assert_eq!(
        corrected.cut_gaps,
        [gap(GapKind::Paused, START + 6 * HOUR, START + 7 * HOUR, 0)]
    );
    let settled = |at| {
        corrected
            .settled
            .spans
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&at))
    };
    assert!(
        !settled(START + 6 * HOUR) && !settled(START + 7 * HOUR),
        "{corrected:?}"
    );
}

#[test]
fn a_gap_of_an_earlier_schedule_stays_since_its_points_do_not_come_again() {
    // Every five minutes from 8:05 on was missed until the next day; then the schedule became an hourly one, and the clock right.
    let (first, now) = (START + 8 * HOUR + 300_000, START + 8 * HOUR + 17 * 60_000);
    let missed = gap(GapKind::Down, first, first + 288 * 300_000, 289);
    let known = series(&hourly(), START + 33 * HOUR, 0);
    let corrected = replanned(&known, &[missed], now, &[]).unwrap();
    assert_eq!(
        (corrected.cut_gaps, corrected.next_at),
        (vec![], Some(START + 9 * HOUR))
    );
    assert_eq!(corrected.settled, Settled::default());
    // From 9:00 on: both schedules have these points, and other ones between them.
    let missed = gap(GapKind::Down, START + 9 * HOUR, START + 10 * HOUR, 13);
    let corrected = replanned(&known, &[missed], now, &[]).unwrap();
    assert_eq!(
        (corrected.cut_gaps, corrected.next_at),
        (vec![], Some(START + 9 * HOUR))
    );
    let own = gap(GapKind::Down, START + 8 * HOUR, START + 10 * HOUR, 3);
    let corrected = replanned(&known, &[own], now, &[]).unwrap();
    assert_eq!(
        corrected.cut_gaps,
        [gap(GapKind::Down, START + 8 * HOUR, START + 8 * HOUR, 1)]
    );
}

#[test]
fn what_was_skipped_on_request_stays_skipped_when_a_clock_is_set_back() {
    let known = series(&hourly(), START + HOUR, 0);
    let skipped = of(&skip_next(2, START + 5), &known);
    let series = after(&known, &skipped);
    assert_eq!(replanned(&series, &skipped.gaps, START + 3, &[]), None);
}

#[test]
fn a_schedule_that_cannot_be_computed_is_left_alone() {
    let unknown = SeriesSnapshot {
        recurrence: "{\"rule\":{\"moon\":\"full\"}}".into(),
        ..series(&hourly(), START, 0)
    };
    for compute in [pause(START + HOUR), resume(START + HOUR)] {
        let advance = of(&compute, &unknown);
        assert_eq!((advance.next_at, advance.gaps.len()), (Some(START), 0));
    }
    assert!(skip_next(1, START).of(&unknown).is_none());
    assert_eq!(replanned(&unknown, &[], START - DAY, &[]), None);
    let moved = replaced(&unknown, &hourly(), Some(START + HOUR), START + 5);
    assert_eq!(moved.advance.next_at, Some(START + HOUR));
}
