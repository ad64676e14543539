//! How series move: on request, by what others compute, and what a store tells those who compute it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{NewJob, Status};
use crate::store::{
    Change, ChangeOutcome, ClaimParams, ComputeMove, GapKind, InsertParams, Inserted, InstanceId, JobSeq, Occurrence,
    OccurrenceGap, PlanAdvance, SeriesAdvance, SeriesMove, SeriesSnapshot, Settled,
};
use std::sync::Arc;

pub async fn a_replaced_series_moves_as_the_caller_computes_it(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let skipped = |series: &SeriesSnapshot, at| OccurrenceGap {
        kind: GapKind::Rescheduled,
        first: series.next_at.unwrap(),
        last: at,
        count: 1,
    };
    let params = InsertParams {
        jobs: vec![NewJob {
            recurrence: Some(every(70)),
            input: "1".into(),
            ..series("x")
        }],
        all_or_nothing: false,
        now: T0 + 1_000,
        since: std::time::Instant::now(),
        replaced: |series, new, first, now| SeriesMove {
            recurrence: Some(new.clone()),
            ..SeriesMove::of(SeriesAdvance {
                occurrences: vec![Occurrence {
                    scheduled_at: series.next_at.unwrap(),
                    missed: 3,
                }],
                gaps: vec![OccurrenceGap {
                    kind: GapKind::Rescheduled,
                    first: series.next_at.unwrap(),
                    last: now,
                    count: 1,
                }],
                next_at: first.map(|first| first + 9_000),
                settled: Settled {
                    spans: vec![(now + 10_000, now + 20_000)],
                    paused_at: None,
                    since: None,
                },
                ..SeriesAdvance::unchanged(series)
            })
        },
    };
    let before = s.due_series(T0 + 1_000).await.remove(0);
    let inserted = s.store.insert(params).await.unwrap();
    assert!(matches!(&inserted[..], [Inserted::Replaced(summary)] if summary.next_run_at == Some(T0 + 9_000)));
    s.check().await;
    let process = s.process().await;
    let runs = s.claim(process, T0 + 1_000).await;
    assert_eq!((runs.len(), runs[1].missed, runs[1].run), (2, 3, 2));
    let due = s.due_series(T0 + 9_000).await.remove(0);
    assert_eq!(due.settled.spans, [(T0 + 11_000, T0 + 21_000)]);
    assert_eq!(&*due.recurrence, serde_json::to_string(&every(70)).unwrap());
    let gaps = s.store.history(&id("x"), 9).await.unwrap().unwrap().gaps;
    assert_eq!(gaps, [skipped(&before, T0 + 1_000)]);
}

/// The last point that is accounted for is told when no next one tells it.
pub async fn a_series_without_a_next_point_tells_its_last_one(s: &TestStore) {
    let replaced_when = |now| InsertParams {
        jobs: vec![series("x")],
        all_or_nothing: false,
        now,
        since: std::time::Instant::now(),
        replaced: |series, new, _, _| SeriesMove {
            recurrence: Some(new.clone()),
            ..SeriesMove::of(SeriesAdvance {
                next_at: series.accounted_to,
                ..SeriesAdvance::unchanged(series)
            })
        },
    };
    s.add(series("x")).await;
    s.run_due_occurrence(T0, None).await;
    let inserted = s.store.insert(replaced_when(T0 + 1)).await.unwrap();
    assert!(matches!(&inserted[..], [Inserted::Replaced(summary)] if summary.next_run_at == Some(T0)));
    let series = s.due_series(T0).await.remove(0);
    let gap = OccurrenceGap {
        kind: GapKind::Misfire,
        first: T0,
        last: T0 + 70,
        count: 2,
    };
    let over = SeriesAdvance {
        gaps: vec![gap],
        next_at: None,
        ..SeriesAdvance::unchanged(&series)
    };
    s.store.advance(T0 + 80, vec![over]).await.unwrap();
    let inserted = s.store.insert(replaced_when(T0 + 90)).await.unwrap();
    assert!(matches!(&inserted[..], [Inserted::Replaced(summary)] if summary.next_run_at == Some(T0 + 70)));
}

/// What a store tells of when a run was being done.
pub async fn attempts_of_a_series_are_told_until_their_process_was_last_seen(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0 + 5).await;
    let seen_by = |instance, now| ClaimParams {
        now,
        instance,
        served: std::sync::Arc::new([]),
        group_slots: vec![],
        slots: 0,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    let due = |instance, now| async move { s.store.claim(seen_by(instance, now)).await.unwrap().series.remove(0) };
    let own = due(process, T0 + 3_000).await;
    assert_eq!(
        (own.live, own.claimed_by_others, own.busy),
        (1, false, vec![(T0 + 6, T0 + 3_000)])
    );
    let others = due(InstanceId::new(0), T0 + 3_000).await;
    assert!(
        others.claimed_by_others
            && others
                .busy
                .iter()
                .all(|(from, to)| *from == T0 + 6 && *to <= T0 + 3_000)
    );
    // A failure, the wait for its retry, and the second attempt.
    s.complete(process, &run, retry(T0 + 2_500), T0 + 1_501).await;
    let waiting = due(process, T0 + 3_000).await;
    assert_eq!((waiting.live, &waiting.busy[..]), (1, &[(T0 + 1_501, T0 + 2_500)][..]));
    // Also of points after the end of the attempt.
    let advance = SeriesAdvance {
        next_at: Some(T0 + 2_000),
        ..SeriesAdvance::unchanged(&waiting)
    };
    s.store.advance(T0 + 3_000, vec![advance]).await.unwrap();
    assert_eq!(due(process, T0 + 3_000).await.busy, [(T0 + 1_501, T0 + 2_500)]);
}

pub async fn series_that_are_passed_over_are_left_out(s: &TestStore) {
    for name in ["x", "y"] {
        s.add(series(name)).await;
    }
    let all = s.due_series(T0).await;
    let passing = |version| ClaimParams {
        now: T0,
        instance: InstanceId::new(0),
        served: std::sync::Arc::new([]),
        group_slots: vec![],
        slots: 0,
        suspect: false,
        passed_over: [(all[0].job, version)].into(),
        planner: None,
    };
    let left = s.store.claim(passing(all[0].version)).await.unwrap().series;
    assert_eq!(left.iter().map(|series| series.job).collect::<Vec<_>>(), [all[1].job]);
    // It has changed since.
    assert_eq!(
        s.store.claim(passing(all[0].version - 1)).await.unwrap().series.len(),
        2
    );
}

/// Whether it plans within the claim or leaves that to its caller.
pub async fn a_claim_with_a_planner_brings_the_run_that_fell_due(s: &TestStore) {
    for name in ["x", "y", "later"] {
        let due = if name == "later" { T0 + 500 } else { T0 };
        s.add(NewJob {
            due: Some(due),
            ..series(name)
        })
        .await;
    }
    let process = s.process().await;
    let served = s.served().await;
    // The other one has nothing to go by yet.
    let plan = |due: &SeriesSnapshot| (due.id == id("x")).then(|| step(due, due.next_at.map(|at| at + 1_000)));
    let asking = |now| ClaimParams {
        now,
        instance: process,
        served: Arc::clone(&served),
        group_slots: vec![10],
        slots: 10,
        suspect: false,
        passed_over: Default::default(),
        planner: Some(PlanAdvance::new(plan)),
    };
    for (number, now) in [(1, T0), (2, T0 + 1_000)] {
        let mut claimed = s.store.claim(asking(now)).await.unwrap();
        if !claimed.series.is_empty() {
            assert_eq!(claimed.runs, []);
            let advances = claimed.series.iter().filter_map(plan).collect();
            assert_eq!(s.store.advance(now, advances).await.unwrap(), 1);
            claimed = s.store.claim(asking(now)).await.unwrap();
        }
        assert!(!claimed.more);
        let runs: Vec<_> = claimed
            .runs
            .iter()
            .map(|run| (run.id.clone(), run.run, run.scheduled_at))
            .collect();
        assert_eq!(runs, [(id("x"), number, now)]);
        let next_due = if number == 1 { T0 + 500 } else { T0 + 2_000 };
        assert_eq!(claimed.next_due, Some(next_due));
        assert_eq!(s.record("x").await.next_run_at, Some(now + 1_000));
        s.check().await;
        // No second run of the same occurrence.
        assert_eq!(s.store.claim(asking(now)).await.unwrap().runs, []);
        s.complete(process, &claimed.runs[0], done(), now + 1).await;
    }
}

/// A range of the history holds nothing that has another place.
pub async fn a_gap_does_not_go_on_behind_what_was_settled(s: &TestStore) {
    let gap = |at| OccurrenceGap {
        kind: GapKind::Misfire,
        first: at,
        last: at,
        count: 1,
    };
    for (name, settled, gaps) in [
        ("x", vec![], vec![(T0, T0 + 20, 2)]),
        ("y", vec![(T0 + 10, T0 + 10)], vec![(T0 + 20, T0 + 20, 1), (T0, T0, 1)]),
    ] {
        s.add(series(name)).await;
        let due = s.due_series(T0).await.remove(0);
        let first = SeriesAdvance {
            gaps: vec![gap(T0)],
            occurrences: vec![],
            settled: Settled {
                spans: settled,
                ..Settled::default()
            },
            ..step(&due, Some(T0 + 20))
        };
        s.store.advance(T0, vec![first]).await.unwrap();
        let due = s.due_series(T0 + 20).await.remove(0);
        let second = SeriesAdvance {
            gaps: vec![gap(T0 + 20)],
            occurrences: vec![],
            ..step(&due, Some(T0 + 30_000))
        };
        s.store.advance(T0 + 20, vec![second]).await.unwrap();
        let found = s.store.history(&id(name), 9).await.unwrap().unwrap().gaps;
        let found: Vec<_> = found.iter().map(|gap| (gap.first, gap.last, gap.count)).collect();
        assert_eq!(found, gaps, "{name}");
    }
}

pub async fn recorded_gaps_can_be_cut_off(s: &TestStore) {
    s.add(series("x")).await;
    let gap = |first, last, count| OccurrenceGap {
        kind: GapKind::Down,
        first,
        last,
        count,
    };
    let due = s.due_series(T0).await.remove(0);
    let advance = SeriesAdvance {
        occurrences: vec![],
        gaps: vec![
            gap(T0, T0 + 9, 4),
            OccurrenceGap {
                kind: GapKind::Overlap,
                ..gap(T0 + 20, T0 + 29, 2)
            },
        ],
        ..step(&due, Some(T0 + 30))
    };
    s.store.advance(T0, vec![advance]).await.unwrap();
    let due = s.due_series(T0 + 30).await.remove(0);
    let cut = SeriesAdvance {
        cut_gaps: vec![
            gap(T0, T0 + 3, 2),
            OccurrenceGap {
                kind: GapKind::Overlap,
                ..gap(T0 + 20, T0 + 29, 0)
            },
        ],
        ..SeriesAdvance::unchanged(&due)
    };
    assert_eq!(s.store.advance(T0 + 30, vec![cut]).await.unwrap(), 1);
    let gaps = s.store.history(&id("x"), 9).await.unwrap().unwrap().gaps;
    assert_eq!(gaps, [gap(T0, T0 + 3, 2)]);
}

pub async fn a_series_makes_runs_on_request(s: &TestStore) {
    s.add(series("x")).await;
    let run_now = |at| {
        Change::RunNow(ComputeMove::new(move |series| {
            Some(SeriesMove {
                extra_run: Some(at),
                ..SeriesMove::of(SeriesAdvance::unchanged(series))
            })
        }))
    };
    let answer = s.change("x", run_now(T0 - 500), T0 - 500).await;
    let summary = match answer {
        ChangeOutcome::Done { summary, .. } => summary.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (summary.status, summary.scheduled_at, summary.next_run_at),
        (Status::Queued, T0 - 500, Some(T0))
    );
    s.check().await;
    let process = s.process().await;
    let run = s.claim_one(process, T0 - 500).await;
    assert_eq!((run.run, run.scheduled_at, run.missed), (1, T0 - 500, 0));
    s.complete(process, &run, done(), T0 - 400).await;
    // It does not count towards a limit.
    assert_eq!(s.due_series(T0).await[0].runs, 0);
    let never = Change::RunNow(ComputeMove::new(|_| None));
    assert_eq!(
        s.change("x", never, T0).await,
        ChangeOutcome::Forbidden(Status::Scheduled)
    );
    // A one-off that waits is due at once.
    s.add(NewJob {
        due: Some(T0 + DAY * 3),
        ..one_off("y")
    })
    .await;
    s.change("y", Change::RunNow(ComputeMove::nothing()), T0 + 1).await;
    assert_eq!(
        (s.status("y").await, s.record("y").await.scheduled_at),
        (Status::Queued, T0 + 1)
    );
    let skip = Change::SkipNext(ComputeMove::nothing());
    assert!(matches!(s.change("y", skip, T0 + 1).await, ChangeOutcome::Forbidden(_)));
    s.check().await;
}

pub async fn all_series_that_go_on_are_told_in_order_paused_ones_too(s: &TestStore) {
    for name in ["x", "y", "z"] {
        s.add(series(name)).await;
    }
    s.store.cancel(&id("x"), None, T0).await.unwrap();
    let paused = Change::Pause(ComputeMove::new(|series| {
        let settled = Settled {
            spans: vec![],
            paused_at: Some(T0 + 7),
            since: None,
        };
        Some(SeriesMove::of(SeriesAdvance {
            settled,
            ..SeriesAdvance::unchanged(series)
        }))
    }));
    s.change("y", paused, T0 + 7).await;
    let all = s.store.series_after(JobSeq::MIN, 10).await.unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|series| (series.id.to_string(), series.settled.paused_at))
        .collect();
    assert_eq!(told, [("y".to_owned(), Some(T0 + 7)), ("z".to_owned(), None)]);
    let behind = s.store.series_after(all[0].job, 10).await.unwrap();
    assert_eq!(behind, all[1..]);
}

pub async fn a_run_that_a_pause_makes_is_paused(s: &TestStore) {
    s.add(series("x")).await;
    let overdue = Change::Pause(ComputeMove::new(|series| {
        let at = series.next_at.unwrap();
        Some(SeriesMove::of(SeriesAdvance {
            occurrences: vec![Occurrence {
                scheduled_at: at,
                missed: 0,
            }],
            next_at: Some(at + 1_000),
            settled: Settled {
                spans: vec![],
                paused_at: Some(at + 5),
                since: None,
            },
            ..SeriesAdvance::unchanged(series)
        }))
    }));
    s.change("x", overdue, T0 + 5).await;
    s.check().await;
    assert_eq!(s.status("x").await, Status::Paused);
    let process = s.process().await;
    assert!(s.claim(process, T0 + 5).await.is_empty());
    s.change("x", resume(Some(T0 + 9_000)), T0 + 8_000).await;
    s.check().await;
    assert_eq!(s.claim_one(process, T0 + 8_000).await.scheduled_at, T0);
}
