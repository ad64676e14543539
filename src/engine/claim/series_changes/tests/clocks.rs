//! A clock that was wrong, and is set.

use super::*;

#[test]
fn a_clock_that_was_a_day_ahead_for_seconds_costs_no_run_and_doubles_none() {
    // At 8:10 the clock went to 8:10 of the next day: one run was made of the latest point, the others were missed.
    for rule in [hourly(), cron("0 * * * *"), cron("0 0-23 * * *")] {
        let (now, ahead) = (START + 8 * HOUR + 600_000, START + 32 * HOUR + 600_000);
        let known = series(&rule, START + 9 * HOUR, 0);
        let jumped = super::super::super::recurrence::plan(&rule, &known, ahead)
            .unwrap()
            .unwrap();
        let jumped_series = after(&known, &jumped);
        let corrected = replanned(&jumped_series, &jumped.gaps, now + 5_000, &[(now, ahead)]).unwrap();
        assert_eq!(corrected.next_at, Some(START + 9 * HOUR));
        assert_eq!(
            corrected.cut_gaps,
            [gap(GapKind::Down, START + 9 * HOUR, START + 31 * HOUR, 0)]
        );
        // Then each has its run, and the one that had one already is not run again.
        let corrected_series = after(&jumped_series, &corrected);
        let later = super::super::super::recurrence::plan(&rule, &corrected_series, START + 33 * HOUR)
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
    let planned = super::super::super::recurrence::plan(&daily, &after(&known, &corrected), point)
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
        // By a process that is late to notice, what was run since is not run again.
        let ran = SeriesSnapshot {
            next_at: Some(first + HOUR),
            ..after(&made, &corrected)
        };
        let again = replanned(&ran, &[], first - 1, &[(now, ahead)]).unwrap();
        let settled = again
            .settled
            .spans
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&first));
        assert!(settled, "{rule:?}: {again:?}");
        // The first run of the interval was made when it was dispatched.
        assert!(corrected.settled.spans.iter().all(|(from, _)| *from >= ahead));
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
fn a_gap_of_an_earlier_schedule_within_another_does_not_make_what_is_behind_it_count_as_run() {
    // At 0:30 the clock was 32 hours ahead, and the schedule before this one had been ahead by 10.
    let (now, ahead) = (START + HOUR / 2, START + 32 * HOUR + HOUR / 2);
    let known = series(&hourly(), START + 33 * HOUR, 0);
    let at = |hour, minutes: i64| START + hour * HOUR + minutes * 60_000;
    let earlier = gap(GapKind::Overlap, at(10, 7), at(10, 7), 1);
    let missed = gap(GapKind::Down, at(1, 0), at(31, 0), 31);
    let corrected = replanned(&known, &[missed, earlier], now, &[(now, ahead)]).unwrap();
    assert_eq!(corrected.cut_gaps, [OccurrenceGap { count: 0, ..missed }]);
    assert_eq!(corrected.next_at, Some(at(1, 0)));
    // The run of 32:00 alone.
    assert_eq!(corrected.settled.spans, [(at(31, 0) + 1, ahead)]);
}

#[test]
fn what_was_skipped_on_request_stays_skipped_when_a_clock_is_set_back() {
    let known = series(&hourly(), START + HOUR, 0);
    let skipped = of(&skip_next(2, START + 5), &known);
    let series = after(&known, &skipped);
    assert_eq!(replanned(&series, &skipped.gaps, START + 3, &[]), None);
}
