//! Series: occurrences, overlaps, gaps, replacement, and their end.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{JobId, NewJob, Recurrence, RunOutcome, RunStatus, Status};
use crate::store::{Change, ChangeOutcome, Completed, GapKind, Inserted, Occurrence, OccurrenceGap, SeriesAdvance};

pub async fn an_occurrence_becomes_a_run_and_the_series_moves_on(s: &TestStore) {
    s.add(series("x")).await;
    assert_eq!(s.status("x").await, Status::Scheduled);
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.scheduled_at, record.next_run_at),
        (Status::Queued, T0, Some(T0 + 1_000))
    );
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert!(run.recurring && run.run == 1 && run.scheduled_at == T0);
    assert_eq!(
        s.complete(process, &run, done(), T0 + 3).await,
        Completed::Accepted(Status::Scheduled)
    );
    let record = s.record("x").await;
    assert_eq!(
        (record.scheduled_at, record.execution_count, record.completed_at),
        (T0 + 1_000, 1, None)
    );
    assert_eq!(record.result.as_deref(), Some("42"));
    assert!(record.recurrence.is_some());
}

/// When many fall due at once, most of their runs begin late, and who begins them need not ask for each.
pub async fn a_late_run_says_how_late_it_may_be(s: &TestStore) {
    let recurrence = |grace| Recurrence { grace, ..every(60_000) };
    let process = s.process().await;
    for (number, (grace, now, found)) in [
        (None, T0 + 1_000, None),
        (None, T0 + 1_001, Some(60_000)),
        (Some(5_000), T0 + 1_001, Some(5_000)),
    ]
    .into_iter()
    .enumerate()
    {
        let name = number.to_string();
        s.add(NewJob {
            recurrence: Some(recurrence(grace)),
            ..series(&name)
        })
        .await;
        s.run_due_occurrence(T0, Some(T0 + 60_000)).await;
        assert_eq!(s.claim_one(process, now).await.grace, found, "{grace:?} at {now}");
        s.add(one_off(&format!("once-{name}"))).await;
        assert_eq!(s.claim_one(process, now).await.grace, None);
    }
}

pub async fn an_identical_series_without_a_chosen_id_is_reported(s: &TestStore) {
    let anonymous = |job: NewJob| NewJob {
        id: JobId::generate(),
        ..job
    };
    let first = anonymous(series("x"));
    let id = first.id.clone();
    assert_eq!(s.add(first).await, Inserted::Created);
    assert_eq!(
        s.add(anonymous(series("x"))).await,
        Inserted::CreatedDuplicateSeries(id)
    );
    let other_input = NewJob {
        input: "{\"other\":1}".into(),
        ..series("x")
    };
    assert_eq!(s.add(anonymous(other_input)).await, Inserted::Created);
    // With an id of its own a second series is intended.
    assert_eq!(s.add(series("x")).await, Inserted::Created);
}

pub async fn a_run_that_was_taken_back_leaves_its_occurrence_to_its_series(s: &TestStore) {
    for next_at in [Some(T0 + 1_000), None] {
        s.add(series("x")).await;
        let process = s.process().await;
        s.run_due_occurrence(T0, next_at).await;
        let run = s.claim_one(process, T0 + 500).await;
        let answer = s.complete(process, &run, RunOutcome::TakenBack, T0 + 500).await;
        assert_eq!(answer, Completed::Accepted(Status::Scheduled));
        s.check().await;
        let known = s.due_series(T0 + 500).await.remove(0);
        assert_eq!((known.next_at, known.live, known.runs), (Some(T0), 0, 0));
        let behind: Vec<_> = next_at.map(|next_at| (T0 + 1, next_at - 1)).into_iter().collect();
        assert_eq!(known.settled.spans, behind);
        let history = s.store.history(&id("x"), 9).await.unwrap().unwrap();
        assert_eq!((history.entries.len(), history.gaps.len()), (0, 0));
        assert_eq!(s.record("x").await.execution_count, 0);
        // It is made again, as another run.
        s.run_due_occurrence(T0 + 500, None).await;
        let again = s.claim_one(process, T0 + 500).await;
        assert_eq!((again.run, again.scheduled_at, again.attempt), (2, T0, 1));
        s.complete(process, &again, done(), T0 + 501).await;
        assert_eq!(s.status("x").await, Status::Completed);
        let deleted = s.change("x", Change::Delete, T0 + 502).await;
        assert!(matches!(deleted, ChangeOutcome::Done { .. }));
    }
}

pub async fn an_interrupted_run_does_not_wait_for_its_occurrence_any_more(s: &TestStore) {
    s.add(series("x")).await;
    let process = s.process().await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let run = s.claim_one(process, T0).await;
    assert_eq!((run.scheduled_at, run.due), (T0, T0));
    let interrupted = RunOutcome::Interrupted { at: T0 + 7 };
    s.complete(process, &run, interrupted, T0 + 7).await;
    let run = s.claim_one(process, T0).await;
    assert_eq!((run.scheduled_at, run.due, run.attempt), (T0, T0 + 7, 1));
}

pub async fn deferred_occurrence_waits_for_the_live_run(s: &TestStore) {
    s.add(series("x")).await;
    let due = s.due_series(T0 + 9).await.remove(0);
    let held = SeriesAdvance {
        after_live_runs: true,
        ..step(&due, Some(T0 + 1))
    };
    assert_eq!(s.store.advance(T0 + 9, vec![held]).await.unwrap(), 1);
    assert!(s.due_series(T0 + 9).await.is_empty());
    let process = s.process().await;
    let run = s.claim_one(process, T0 + 9).await;
    assert!(s.due_series(T0 + 9).await.is_empty());
    let before = *s.store.changes().borrow();
    s.complete(process, &run, done(), T0 + 9).await;
    assert!(*s.store.changes().borrow() > before, "whoever waits to claim is told");
    assert_eq!(s.due_series(T0 + 9).await.remove(0).next_at, Some(T0 + 1));
}

pub async fn an_advance_from_an_old_version_does_nothing(s: &TestStore) {
    s.add(series("x")).await;
    let due = s.due_series(T0).await.remove(0);
    assert_eq!(s.store.advance(T0, vec![step(&due, Some(T0 + 1))]).await.unwrap(), 1);
    assert_eq!(s.store.advance(T0, vec![step(&due, Some(T0 + 1))]).await.unwrap(), 0);
    let due = s.due_series(T0 + 1).await.remove(0);
    s.add(NewJob {
        due: Some(T0 + 5),
        recurrence: Some(every(2_000)),
        ..series("x")
    })
    .await;
    assert_eq!(s.store.advance(T0 + 1, vec![step(&due, None)]).await.unwrap(), 0);
    assert_eq!(s.record("x").await.next_run_at, Some(T0 + 5));
}

pub async fn a_series_ends_with_its_last_run(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, None).await;
    assert_eq!(s.status("x").await, Status::Queued);
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(
        s.complete(process, &run, failed(), T0 + 4).await,
        Completed::Accepted(Status::Completed)
    );
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.completed_at, record.scheduled_at),
        (Status::Completed, Some(T0 + 4), T0)
    );
    // A series without a last run ends with the advance.
    s.add(series("y")).await;
    let due = s.due_series(T0).await.remove(0);
    let nothing = SeriesAdvance {
        occurrences: vec![],
        ..step(&due, None)
    };
    s.store.advance(T0, vec![nothing]).await.unwrap();
    assert_eq!(s.status("y").await, Status::Completed);
}

pub async fn series_without_future_occurrences_completes_at_once(s: &TestStore) {
    assert_eq!(
        s.add(NewJob {
            due: None,
            ..series("x")
        })
        .await,
        Inserted::Created
    );
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.next_run_at, record.execution_count),
        (Status::Completed, None, 0)
    );
    assert!(s.due_series(T0 + DAY).await.is_empty());
}

pub async fn a_failed_run_does_not_end_its_series(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(
        s.complete(process, &run, failed(), T0).await,
        Completed::Accepted(Status::Scheduled)
    );
    let history = s.store.history(&id("x"), 9).await.unwrap().unwrap();
    assert_eq!((history.executions, history.succeeded, history.failed), (1, 0, 1));
    assert_eq!(s.store.stats(None).await.unwrap().failed_runs, 1);
}

pub async fn a_replaced_series_keeps_its_counts_and_history(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0).await;
    let new = NewJob {
        due: Some(T0 + 70),
        recurrence: Some(every(70)),
        input: "1".into(),
        ..series("x")
    };
    let Inserted::Replaced(summary) = s.add(new).await else {
        panic!("not replaced")
    };
    assert_eq!((summary.next_run_at, summary.recurring), (Some(T0 + 70), true));
    let record = s.record("x").await;
    assert_eq!((record.execution_count, &*record.input), (1, "1"));
    s.run_due_occurrence(T0 + 70, None).await;
    assert_eq!(s.claim_one(process, T0 + 70).await.run, 2);
    assert_eq!(s.store.history(&id("x"), 9).await.unwrap().unwrap().entries.len(), 1);
}

pub async fn a_replaced_series_moves_its_live_runs_to_the_new_route(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1)).await;
    s.run_due_occurrence(T0 + 1, Some(T0 + 2)).await;
    let process = s.process().await;
    let run = s.claim_with(process, T0 + 1, 1).await.runs.remove(0);
    s.add(NewJob {
        route: route("b").into(),
        priority: 5,
        due: Some(T0 + 9),
        ..series("x")
    })
    .await;
    s.check().await;
    let other = s.claim_one(process, T0 + 1).await;
    assert_eq!((other.route, other.priority, other.run), (s.route_id("b").await, 5, 2));
    // The run that was running returns to the queue of the new route, too.
    s.complete(process, &run, crate::model::RunOutcome::Released, T0 + 1)
        .await;
    assert_eq!(s.claim_one(process, T0 + 1).await.route, s.route_id("b").await);
}

pub async fn ended_series_is_reopened(s: &TestStore) {
    s.add(NewJob {
        due: None,
        ..series("x")
    })
    .await;
    assert!(matches!(s.add(series("x")).await, Inserted::Replaced(_)));
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.next_run_at, record.completed_at),
        (Status::Scheduled, Some(T0), None)
    );
    s.store.cancel(&id("x"), Some("enough"), T0).await.unwrap();
    s.add(series("x")).await;
    assert_eq!(
        (s.status("x").await, s.record("x").await.cancel_reason),
        (Status::Scheduled, None)
    );
}

pub async fn replacement_with_exhausted_limit_ends_the_series(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let limited = Recurrence {
        limit: Some(1),
        ..every(1_000)
    };
    s.add(NewJob {
        due: Some(T0 + 1_000),
        recurrence: Some(limited),
        ..series("x")
    })
    .await;
    assert_eq!(
        (s.status("x").await, s.record("x").await.next_run_at),
        (Status::Queued, None)
    );
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(
        s.complete(process, &run, done(), T0).await,
        Completed::Accepted(Status::Completed)
    );
}

pub async fn cancelling_a_series_ends_all_its_runs(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1)).await;
    s.run_due_occurrence(T0 + 1, Some(T0 + 2)).await;
    let process = s.process().await;
    let run = s.claim_with(process, T0 + 1, 1).await.runs.remove(0);
    let answer = s.store.cancel(&id("x"), Some("enough"), T0 + 2).await.unwrap();
    assert_eq!(
        answer,
        ChangeOutcome::Done {
            job: run.job,
            running: vec![(1, process, run.token)],
            summary: None,
        }
    );
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.cancel_reason.as_deref()),
        (Status::Cancelled, Some("enough"))
    );
    assert_eq!((record.next_run_at, record.execution_count), (None, 2));
    assert!(s.due_series(T0 + DAY).await.is_empty() && s.claim(process, T0 + DAY).await.is_empty());
    assert_eq!(s.complete(process, &run, done(), T0 + 3).await, Completed::LeaseLost);
    let entries = s.store.history(&id("x"), 9).await.unwrap().unwrap().entries;
    assert!(entries.iter().all(|entry| entry.status == RunStatus::Cancelled));
    assert_eq!(entries.iter().map(|entry| entry.attempt).collect::<Vec<_>>(), [0, 1]);
}

pub async fn overlapping_runs_determine_the_series_state(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1)).await;
    let process = s.process().await;
    let first = s.claim_one(process, T0).await;
    s.run_due_occurrence(T0 + 1, Some(T0 + 2)).await;
    assert_eq!(s.status("x").await, Status::Running);
    assert_eq!(s.due_series(T0 + 2).await[0].live, 2);
    assert_eq!(
        s.complete(process, &first, retry(T0 + 50), T0 + 1).await,
        Completed::Accepted(Status::Queued)
    );
    let second = s.claim_one(process, T0 + 1).await;
    assert_eq!(
        s.complete(process, &second, done(), T0 + 1).await,
        Completed::Accepted(Status::Scheduled)
    );
    assert_eq!(s.record("x").await.scheduled_at, T0 + 50);
    let again = s.claim_one(process, T0 + 50).await;
    assert_eq!((again.run, again.attempt, again.scheduled_at), (1, 2, T0));
}

pub async fn adjacent_gaps_are_merged(s: &TestStore) {
    s.add(series("x")).await;
    let gap = |first, last, count| OccurrenceGap {
        kind: GapKind::Overlap,
        first,
        last,
        count,
    };
    for (at, gaps, runs) in [
        (0, vec![gap(T0, T0, 1)], 0),
        (1, vec![gap(T0 + 1, T0 + 3, 3)], 1),
        (4, vec![gap(T0 + 4, T0 + 4, 1)], 0),
    ] {
        let due = s.due_series(T0 + at).await.remove(0);
        let occurrences = vec![
            Occurrence {
                scheduled_at: T0 + at,
                missed: 0
            };
            runs
        ];
        let advance = SeriesAdvance {
            occurrences,
            gaps,
            ..step(&due, Some(T0 + at + 1))
        };
        s.store.advance(T0 + at, vec![advance]).await.unwrap();
    }
    let gaps = s.store.history(&id("x"), 9).await.unwrap().unwrap().gaps;
    assert_eq!(gaps, [gap(T0 + 4, T0 + 4, 1), gap(T0, T0 + 3, 4)]);
}

pub async fn gaps_on_both_sides_of_a_run_stay_apart(s: &TestStore) {
    s.add(series("x")).await;
    let gap = |first, last, count| OccurrenceGap {
        kind: GapKind::Overlap,
        first,
        last,
        count,
    };
    let (before, after) = (gap(T0, T0 + 1_000, 2), gap(T0 + 3_000, T0 + 4_000, 2));
    let due = s.due_series(T0 + 4_500).await.remove(0);
    let advance = SeriesAdvance {
        occurrences: vec![Occurrence {
            scheduled_at: T0 + 2_000,
            missed: 0,
        }],
        gaps: vec![before, after],
        ..step(&due, Some(T0 + 5_000))
    };
    s.store.advance(T0 + 4_500, vec![advance]).await.unwrap();
    // What follows continues the last one.
    let due = s.due_series(T0 + 5_500).await.remove(0);
    let advance = SeriesAdvance {
        occurrences: vec![],
        gaps: vec![gap(T0 + 5_000, T0 + 5_000, 1)],
        ..step(&due, Some(T0 + 6_000))
    };
    s.store.advance(T0 + 5_500, vec![advance]).await.unwrap();
    let gaps = s.store.history(&id("x"), 9).await.unwrap().unwrap().gaps;
    assert_eq!(gaps, [gap(T0 + 3_000, T0 + 5_000, 3), before]);
}

pub async fn gaps_around_an_occurrence_that_is_undecided_stay_apart(s: &TestStore) {
    s.add(series("x")).await;
    let gap = |first, last, count| OccurrenceGap {
        kind: GapKind::Request,
        first,
        last,
        count,
    };
    // The occurrence at T0 + 2 waits for a run to end; what comes behind it is passed over meanwhile, also twice in one go.
    for (gaps, next_at) in [
        (vec![gap(T0, T0 + 1, 2)], 2),
        (vec![gap(T0 + 3, T0 + 3, 1)], 2),
        (vec![gap(T0 + 5, T0 + 5, 1), gap(T0 + 7, T0 + 7, 1)], 2),
    ] {
        let due = s.due_series(T0 + 9).await.remove(0);
        let advance = SeriesAdvance {
            occurrences: vec![],
            gaps,
            ..step(&due, Some(T0 + next_at))
        };
        s.store.advance(T0 + 9, vec![advance]).await.unwrap();
    }
    let gaps = s.store.history(&id("x"), 9).await.unwrap().unwrap().gaps;
    let alone = |at| gap(T0 + at, T0 + at, 1);
    assert_eq!(gaps, [alone(7), alone(5), alone(3), gap(T0, T0 + 1, 2)]);
}

pub async fn catch_up_run_reports_missed_occurrences(s: &TestStore) {
    s.add(series("x")).await;
    let due = s.due_series(T0 + 9_500).await.remove(0);
    let advance = SeriesAdvance {
        occurrences: vec![Occurrence {
            scheduled_at: T0 + 9_000,
            missed: 9,
        }],
        gaps: vec![OccurrenceGap {
            kind: GapKind::Down,
            first: T0,
            last: T0 + 8_000,
            count: 9,
        }],
        ..step(&due, Some(T0 + 10_000))
    };
    s.store.advance(T0 + 9_500, vec![advance]).await.unwrap();
    let process = s.process().await;
    let run = s.claim_one(process, T0 + 9_500).await;
    assert_eq!((run.missed, run.scheduled_at), (9, T0 + 9_000));
}
