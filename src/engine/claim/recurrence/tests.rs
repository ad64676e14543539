#![allow(clippy::unwrap_used)]

use super::*;
use crate::engine::claim::timetable::MAX_CRON_POINTS_PER_STEP;
use crate::model::{JobId, Rule};
use crate::store::JobSeq;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000;

fn recurrence(rule: Rule) -> Recurrence {
    Recurrence::new(rule)
}

fn every(interval: i64) -> Recurrence {
    recurrence(Rule::Every {
        interval,
        anchor: START,
    })
}

fn cron(text: &str) -> Recurrence {
    recurrence(Rule::Cron {
        text: text.into(),
        tz: "UTC".into(),
    })
}

fn series(next_at: i64, runs: i64, live: i64) -> SeriesSnapshot {
    SeriesSnapshot {
        job: JobSeq::new(7),
        id: JobId::generate(),
        version: 3,
        recurrence: "".into(),
        next_at: Some(next_at),
        runs,
        live,
        claimed_by_others: false,
        busy: Vec::new(),
        settled: Settled::default(),
        ended: false,
        accounted_to: None,
    }
}

/// The plan at `now`, of which there is one.
fn plan(rule: &Recurrence, series: &SeriesSnapshot, now: i64) -> SeriesAdvance {
    super::plan(rule, series, now).unwrap().unwrap()
}

fn gap(kind: GapKind, first: i64, last: i64, count: i64) -> OccurrenceGap {
    OccurrenceGap {
        kind,
        first,
        last,
        count,
    }
}

fn run(scheduled_at: i64, missed: i64) -> Occurrence {
    Occurrence { scheduled_at, missed }
}

fn missed(first: i64, last: i64, count: i64) -> OccurrenceGap {
    gap(GapKind::Down, first, last, count)
}

/// Every grid point must be a run, missed or skipped, exactly once, and the next occurrence must follow on them.
fn assert_accounted(rule: &Recurrence, from: i64, advance: &SeriesAdvance) {
    let timetable = Timetable::compile(rule).unwrap();
    let mut grid = std::iter::successors(Some(from), |at| timetable.after(*at));
    let mut ranges: Vec<(i64, i64, i64)> = advance
        .gaps
        .iter()
        .map(|gap| (gap.first, gap.last, gap.count))
        .collect();
    ranges.extend(
        advance
            .occurrences
            .iter()
            .map(|run| (run.scheduled_at, run.scheduled_at, 1)),
    );
    ranges.sort_unstable();
    for (first, last, count) in ranges {
        let points: Vec<i64> = grid.by_ref().take(usize::try_from(count).unwrap()).collect();
        assert_eq!((points.first(), points.last()), (Some(&first), Some(&last)));
    }
    assert_eq!(advance.next_at, grid.next());
}

#[test]
fn an_interval_begins_at_once_and_a_cron_strictly_later() {
    assert_eq!(Timetable::compile(&every(HOUR)).unwrap().first(START), Some(START));
    assert_eq!(
        Timetable::compile(&cron("0 * * * *")).unwrap().first(START),
        Some(START + HOUR)
    );
}

#[test]
fn a_past_start_sets_the_grid_and_the_first_run_is_at_or_after_now() {
    let rule = Recurrence {
        start_at: Some(START),
        ..every(HOUR)
    };
    let timetable = Timetable::compile(&rule).unwrap();
    assert_eq!(timetable.first(START + 5 * HOUR), Some(START + 5 * HOUR));
    assert_eq!(timetable.first(START + 5 * HOUR + 1), Some(START + 6 * HOUR));
    let rule = Recurrence {
        start_at: Some(START),
        ..cron("0 * * * *")
    };
    assert_eq!(
        Timetable::compile(&rule).unwrap().first(START + 5 * HOUR),
        Some(START + 5 * HOUR)
    );
}

#[test]
fn an_end_is_inclusive() {
    let rule = Recurrence {
        end_at: Some(START + HOUR),
        ..every(HOUR)
    };
    let timetable = Timetable::compile(&rule).unwrap();
    assert_eq!(timetable.after(START), Some(START + HOUR));
    assert_eq!(timetable.after(START + HOUR), None);
}

#[test]
fn an_occurrence_that_no_date_can_hold_does_not_exist() {
    let timetable = |rule: &Recurrence| Timetable::compile(rule).unwrap();
    let mut rule = every(9_000_000_000_000_000);
    assert_eq!(timetable(&rule).first(START), Some(START));
    assert_eq!(timetable(&rule).after(START), None);
    assert_eq!(plan(&rule, &series(START, 0, 0), START).next_at, None);
    rule = every(HOUR);
    rule.start_at = Some(8_640_000_000_000_000);
    assert_eq!(timetable(&rule).first(START), Some(8_640_000_000_000_000));
    rule.offset = 1;
    assert_eq!(timetable(&rule).first(START), None);
}

#[test]
fn spread_shifts_runs_and_not_the_schedule_grid() {
    let rule = Recurrence {
        offset: 90 * SECOND,
        end_at: Some(START + HOUR),
        ..cron("0 * * * *")
    };
    let timetable = Timetable::compile(&rule).unwrap();
    assert_eq!(timetable.first(START), Some(START + 90 * SECOND));
    assert_eq!(timetable.after(START + 90 * SECOND), Some(START + HOUR + 90 * SECOND));
    assert_eq!(timetable.after(START + HOUR + 90 * SECOND), None);
}

#[test]
fn a_run_in_time_is_one_run_and_nothing_is_missed() {
    let advance = plan(&every(HOUR), &series(START, 0, 0), START + 3);
    assert_eq!(advance.occurrences, [run(START, 0)]);
    assert_eq!((advance.gaps.len(), advance.next_at), (0, Some(START + HOUR)));
}

#[test]
fn a_run_is_late_while_its_successor_is_not_due() {
    let advance = plan(&every(HOUR), &series(START, 0, 0), START + HOUR - 1);
    assert_eq!(advance.occurrences, [run(START, 1)]);
    assert_eq!(advance.gaps, []);
}

#[test]
fn misfire_once_makes_one_run_for_the_whole_backlog() {
    let now = START + 5 * HOUR + 60 * SECOND;
    for rule in [every(HOUR), cron("0 * * * *")] {
        let advance = plan(&rule, &series(START, 0, 0), now);
        assert_eq!(advance.occurrences, [run(START + 5 * HOUR, 5)]);
        assert_eq!(advance.gaps, [missed(START, START + 4 * HOUR, 5)]);
        assert_accounted(&rule, START, &advance);
    }
}

#[test]
fn misfire_skip_drops_the_backlog_and_goes_on_with_the_grid() {
    let rule = Recurrence {
        misfire: Misfire::Skip,
        ..every(HOUR)
    };
    let advance = plan(&rule, &series(START, 0, 0), START + 5 * HOUR + 1);
    assert_eq!(advance.occurrences, []);
    assert_eq!(advance.gaps, [gap(GapKind::Misfire, START, START + 5 * HOUR, 6)]);
    assert_accounted(&rule, START, &advance);
}

#[test]
fn an_only_occurrence_that_is_later_than_its_grace_is_missed() {
    let rule = |misfire, grace| Recurrence {
        misfire,
        grace,
        ..every(DAY)
    };
    for (grace, lateness) in [(None, 60 * SECOND), (Some(5), 5), (Some(12 * HOUR), 12 * HOUR)] {
        let at = |misfire, lateness| plan(&rule(misfire, grace), &series(START, 0, 0), START + lateness);
        for misfire in [Misfire::Skip, Misfire::Once, Misfire::All] {
            assert_eq!(at(misfire, lateness).occurrences, [run(START, 0)]);
        }
        let skipped = at(Misfire::Skip, lateness + 1);
        assert_eq!(
            (skipped.occurrences, skipped.gaps),
            (vec![], vec![gap(GapKind::Misfire, START, START, 1)])
        );
        // It stands in for itself.
        assert_eq!(at(Misfire::Once, lateness + 1).occurrences, [run(START, 1)]);
        assert_eq!(at(Misfire::All, lateness + 1).occurrences, [run(START, 0)]);
    }
}

#[test]
fn misfire_all_makes_up_for_every_run_up_to_a_thousand() {
    for rule in [every(60 * SECOND), cron("* * * * *")] {
        let rule = Recurrence {
            misfire: Misfire::All,
            if_running: IfRunning::Allow,
            ..rule
        };
        let advance = plan(&rule, &series(START, 0, 0), START + 2 * DAY);
        assert_eq!(advance.occurrences.len(), 1_000);
        assert_eq!(
            advance.gaps,
            [gap(
                GapKind::Misfire,
                START,
                START + (2_880 - 1_000) * 60 * SECOND,
                2_881 - 1_000
            )]
        );
        assert_accounted(&rule, START, &advance);
    }
}

#[test]
fn misfire_all_without_overlap_is_one_run_at_a_time() {
    let rule = Recurrence {
        misfire: Misfire::All,
        ..every(HOUR)
    };
    let advance = plan(&rule, &series(START, 0, 0), START + 5 * HOUR);
    assert_eq!(advance.occurrences, [run(START, 0)]);
    assert_eq!((advance.next_at, advance.after_live_runs), (Some(START + HOUR), true));
    let last = plan(&rule, &series(START + 5 * HOUR, 5, 0), START + 5 * HOUR);
    assert_eq!((last.next_at, last.after_live_runs), (Some(START + 6 * HOUR), false));
}

#[test]
fn a_millisecond_interval_that_slept_for_a_year_is_one_step() {
    let rule = every(1);
    let advance = plan(&rule, &series(START, 0, 0), START + 365 * DAY);
    assert_eq!(advance.occurrences, [run(START + 365 * DAY, 365 * DAY)]);
    assert_eq!(advance.gaps, [missed(START, START + 365 * DAY - 1, 365 * DAY)]);
    assert_eq!(advance.next_at, Some(START + 365 * DAY + 1));
}

#[test]
fn a_long_cron_backlog_is_recorded_in_steps_before_one_run_catches_up() {
    let rule = cron("* * * * *");
    let now = START + 3 * 365 * DAY;
    let first = plan(&rule, &series(START, 0, 0), now);
    assert_eq!(
        (first.occurrences.len(), first.gaps[0].count),
        (0, MAX_CRON_POINTS_PER_STEP)
    );
    let next = first.next_at.unwrap();
    assert!(next <= now);
    let second = plan(&rule, &series(next, 0, 0), now);
    assert_eq!(second.occurrences.len(), 1);
    assert!(second.next_at.unwrap() > now);
}

#[test]
fn occurrences_that_fall_due_while_a_run_is_being_done_are_skipped() {
    let series = SeriesSnapshot {
        busy: vec![(START - 5, START + 2 * HOUR)],
        ..series(START, 1, 1)
    };
    let advance = plan(&every(HOUR), &series, START + 2 * HOUR);
    assert_eq!(advance.occurrences, []);
    assert_eq!(advance.gaps, [gap(GapKind::Overlap, START, START + 2 * HOUR, 3)]);
    assert_eq!(
        (advance.next_at, advance.after_live_runs),
        (Some(START + 3 * HOUR), false)
    );
}

#[test]
fn a_series_whose_run_nobody_does_waits_for_its_end() {
    for busy in [vec![], vec![(START - HOUR, START - 1)]] {
        let series = SeriesSnapshot {
            busy,
            ..series(START, 1, 1)
        };
        let advance = plan(&every(HOUR), &series, START + 2 * HOUR);
        assert_eq!((advance.occurrences.len(), advance.gaps.len()), (0, 0));
        assert_eq!((advance.next_at, advance.after_live_runs), (Some(START), true));
    }
}

#[test]
fn what_another_process_does_is_decided_as_far_as_that_was_seen() {
    let mut series = SeriesSnapshot {
        claimed_by_others: true,
        busy: vec![(START - HOUR, START - 1)],
        ..series(START, 1, 1)
    };
    assert_eq!(super::plan(&every(HOUR), &series, START + HOUR).unwrap(), None);
    series.busy = vec![(START - HOUR, START + 1)];
    let advance = plan(&every(HOUR), &series, START + HOUR);
    assert_eq!(advance.gaps, [gap(GapKind::Overlap, START, START, 1)]);
    assert_eq!((advance.next_at, advance.after_live_runs), (Some(START + HOUR), false));
}

#[test]
fn a_process_that_died_inside_a_run_costs_no_occurrence() {
    // It died after half an hour, and the run was done again from 3:10 to 4:10.
    let half = HOUR / 2;
    let now = START + 4 * HOUR + 10 * 60 * SECOND;
    let ended = |misfire| {
        let rule = Recurrence { misfire, ..every(HOUR) };
        let series = SeriesSnapshot {
            busy: vec![(START + 3 * HOUR + 10 * 60 * SECOND, now), (START, START + half)],
            ..series(START + HOUR, 1, 0)
        };
        (plan(&rule, &series, now), rule)
    };
    let overlap = gap(GapKind::Overlap, START + 4 * HOUR, START + 4 * HOUR, 1);
    let (once, rule) = ended(Misfire::Once);
    assert_eq!(once.occurrences, [run(START + 3 * HOUR, 3)]);
    assert_eq!(once.gaps, [missed(START + HOUR, START + 2 * HOUR, 2), overlap]);
    assert_accounted(&rule, START + HOUR, &once);
    let (skip, rule) = ended(Misfire::Skip);
    assert_eq!(
        skip.gaps,
        [gap(GapKind::Misfire, START + HOUR, START + 3 * HOUR, 3), overlap]
    );
    assert_accounted(&rule, START + HOUR, &skip);
    let (all, _) = ended(Misfire::All);
    assert_eq!((all.occurrences, all.gaps), (vec![run(START + HOUR, 0)], vec![]));
    assert_eq!((all.next_at, all.after_live_runs), (Some(START + 2 * HOUR), true));
}

#[test]
fn a_settled_point_behind_the_last_gap_is_remembered_until_the_next_one() {
    let rule = Recurrence {
        misfire: Misfire::Skip,
        ..every(HOUR)
    };
    let settled = vec![(START + HOUR, START + HOUR)];
    let series = SeriesSnapshot {
        settled: Settled {
            spans: settled.clone(),
            ..Settled::default()
        },
        ..series(START, 0, 0)
    };
    // The first point is missed, the second has its place.
    let first = plan(&rule, &series, START + HOUR + HOUR / 2);
    assert_eq!(first.gaps, [gap(GapKind::Misfire, START, START, 1)]);
    assert_eq!(
        (first.next_at, &first.settled.spans),
        (Some(START + 2 * HOUR), &settled)
    );
    assert!(!first.behind_settled);
    let behind = SeriesSnapshot {
        next_at: first.next_at,
        settled: first.settled,
        ..series
    };
    let second = plan(&rule, &behind, START + 3 * HOUR + HOUR / 2);
    assert_eq!(
        second.gaps,
        [gap(GapKind::Misfire, START + 2 * HOUR, START + 3 * HOUR, 2)]
    );
    assert!(second.behind_settled && second.settled.spans.is_empty());
}

#[test]
fn settled_points_are_passed_over_without_a_word() {
    let series = SeriesSnapshot {
        settled: Settled {
            spans: vec![(START + HOUR, START + 2 * HOUR), (START + 9 * HOUR, START + 9 * HOUR)],
            paused_at: None,
            since: None,
        },
        ..series(START, 0, 0)
    };
    let advance = plan(&every(HOUR), &series, START + 3 * HOUR);
    assert_eq!(advance.occurrences, [run(START + 3 * HOUR, 1)]);
    assert_eq!(advance.gaps, [missed(START, START, 1)]);
    assert_eq!(advance.settled.spans, [(START + 9 * HOUR, START + 9 * HOUR)]);
    let only_settled = SeriesSnapshot {
        next_at: Some(START + HOUR),
        ..series
    };
    let advance = plan(&every(HOUR), &only_settled, START + 2 * HOUR);
    assert_eq!((advance.occurrences.len(), advance.gaps.len()), (0, 0));
    assert_eq!(advance.next_at, Some(START + 3 * HOUR));
}

#[test]
fn overlap_is_allowed_when_asked_for() {
    let rule = Recurrence {
        if_running: IfRunning::Allow,
        ..every(HOUR)
    };
    let advance = plan(&rule, &series(START, 1, 1), START + 1);
    assert_eq!(advance.occurrences, [run(START, 0)]);
}

#[test]
fn the_limit_counts_runs_and_ends_the_series() {
    let rule = Recurrence {
        limit: Some(4),
        ..every(HOUR)
    };
    let third = plan(&rule, &series(START, 2, 0), START);
    assert_eq!((third.occurrences.len(), third.next_at), (1, Some(START + HOUR)));
    let last = plan(&rule, &series(START, 3, 0), START);
    assert_eq!((last.occurrences.len(), last.next_at), (1, None));
}

#[test]
fn a_limit_cuts_what_misfire_all_would_make_up_for() {
    let rule = Recurrence {
        limit: Some(2),
        misfire: Misfire::All,
        if_running: IfRunning::Allow,
        ..every(HOUR)
    };
    let advance = plan(&rule, &series(START, 0, 0), START + 5 * HOUR);
    assert_eq!(advance.occurrences, [run(START, 0), run(START + HOUR, 0)]);
    assert_eq!(advance.next_at, None);
    let rule = Recurrence {
        if_running: IfRunning::Skip,
        ..rule
    };
    let advance = plan(&rule, &series(START + HOUR, 1, 0), START + 5 * HOUR);
    assert_eq!(
        (advance.occurrences, advance.next_at),
        (vec![run(START + HOUR, 0)], None)
    );
}

#[test]
fn nothing_runs_after_the_end_and_the_backlog_before_it_is_still_caught_up() {
    let rule = Recurrence {
        end_at: Some(START + 2 * HOUR),
        ..every(HOUR)
    };
    let advance = plan(&rule, &series(START, 0, 0), START + 9 * HOUR);
    assert_eq!(advance.occurrences, [run(START + 2 * HOUR, 3)]);
    assert_eq!(advance.next_at, None);
}

#[test]
fn next_occurrences_follow_the_schedule_and_not_the_clock() {
    let rule = every(HOUR);
    let mut next = START;
    for step in 0..1_000 {
        let advance = plan(&rule, &series(next, step, 0), next + step % 997);
        next = advance.next_at.unwrap();
    }
    assert_eq!(next, START + 1_000 * HOUR);
}
