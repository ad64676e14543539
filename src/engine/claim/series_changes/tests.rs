#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::{JobId, Misfire};
use crate::store::{JobSeq, Occurrence};

mod clocks;

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
}

#[test]
fn the_overdue_point_of_a_schedule_that_cannot_be_computed_has_its_place_when_another_replaces_it() {
    let in_zone = |change: fn(&mut Recurrence)| {
        let mut recurrence = Recurrence::new(Rule::Cron {
            text: "0 * * * *".into(),
            tz: "Mars/Olympus".into(),
        });
        change(&mut recurrence);
        series(&recurrence, START, 0)
    };
    let unreadable = SeriesSnapshot {
        recurrence: "{\"rule\":{\"moon\":\"full\"}}".into(),
        ..series(&hourly(), START, 0)
    };
    let running = SeriesSnapshot {
        live: 1,
        ..in_zone(|_| {})
    };
    let paused = SeriesSnapshot {
        settled: Settled {
            paused_at: Some(START - 5),
            ..Settled::default()
        },
        ..in_zone(|_| {})
    };
    let run = |missed| Some((START, missed));
    for (unknown, late, made, kind) in [
        (in_zone(|_| {}), 5, run(0), None),
        (in_zone(|_| {}), 2 * HOUR, run(1), None),
        (in_zone(|it| it.spread = 9), 2 * HOUR, run(1), None),
        (in_zone(|it| it.misfire = Misfire::All), 2 * HOUR, run(0), None),
        (
            in_zone(|it| it.misfire = Misfire::Skip),
            2 * HOUR,
            None,
            Some(GapKind::Misfire),
        ),
        (unreadable, 5, run(0), None),
        (running, 5, None, Some(GapKind::Rescheduled)),
        (paused, 5, None, Some(GapKind::Paused)),
        // It is still to come.
        (in_zone(|_| {}), -5, None, None),
    ] {
        let (now, first) = (START + late, Some(START + 3 * HOUR));
        let moved = replaced(&unknown, &hourly(), first, now).advance;
        let runs: Vec<_> = moved
            .occurrences
            .iter()
            .map(|run| (run.scheduled_at, run.missed))
            .collect();
        assert_eq!(runs, Vec::from_iter(made), "{unknown:?} {late}");
        assert_eq!(
            moved.gaps,
            Vec::from_iter(kind.map(|kind| gap(kind, START, START, 1))),
            "{unknown:?} {late}"
        );
        assert_eq!((moved.next_at, moved.after_live_runs), (first, false));
    }
}

#[test]
fn a_series_that_ended_while_it_was_dispatched_again_does_not_run_its_last_point_twice() {
    let end = START + 3 * HOUR;
    let rule = Recurrence {
        start_at: Some(START),
        end_at: Some(end),
        ..hourly()
    };
    // Dispatched a little before the end, stored a little after it.
    let now = end - 20;
    for (ended, live) in [(true, 0), (false, 1)] {
        let over = SeriesSnapshot {
            next_at: None,
            ended,
            live,
            accounted_to: Some(end),
            ..series(&rule, end, live)
        };
        let moved = replaced(&over, &rule, Some(end), now).advance;
        let begun = SeriesSnapshot {
            ended: false,
            ..after(&over, &moved)
        };
        let planned = super::super::recurrence::plan(&rule, &begun, end + 30)
            .unwrap()
            .unwrap();
        assert_eq!((planned.occurrences.len(), planned.gaps.len()), (0, 0), "{ended}");
        // What is much later was run by another clock, and is still to come.
        let earlier = replaced(&over, &rule, Some(START + HOUR), START + 5).advance;
        assert_eq!((earlier.next_at, earlier.settled.spans.len()), (Some(START + HOUR), 0));
    }
}

#[test]
fn another_schedule_that_begins_at_the_point_of_the_old_one_does_not_run_it_again() {
    let now = START + 2 * HOUR;
    let every_two = Recurrence {
        start_at: Some(START),
        ..Recurrence::new(Rule::Every {
            interval: 2 * HOUR,
            anchor: START,
        })
    };
    let moved = replaced(&series(&hourly(), now, 0), &every_two, Some(now), now).advance;
    assert_eq!(moved.occurrences.len(), 1);
    assert_eq!(moved.settled.spans, [(now, now)]);
}
