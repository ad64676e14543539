//! Changes of stored jobs: pause, resume, reschedule, retry, delete, one by one and in bulk.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::clock::Millis;
use crate::model::{Kind, NewJob, Recurrence, RunStatus, Status};
use crate::store::{Cancellation, Change, ChangeOutcome, Completed, JobSeq, ListFilter, Timing};

pub fn at(due: Millis) -> Change {
    Change::Reschedule(Timing {
        due: Some(due),
        series: None,
    })
}

fn again(due: Millis) -> Change {
    Change::Retry { due }
}

fn only_run() -> Change {
    Change::CancelRun {
        reason: Some("too slow".into()),
    }
}

fn is_done(changed: &ChangeOutcome) -> bool {
    matches!(changed, ChangeOutcome::Done { .. })
}

pub async fn a_paused_job_waits_until_it_is_resumed(s: &TestStore) {
    let process = s.process().await;
    s.insert(vec![
        one_off("ready"),
        NewJob {
            due: Some(T0 + 5),
            ..one_off("soon")
        },
        NewJob {
            due: Some(T0 + 40 * DAY),
            ..one_off("far")
        },
    ])
    .await;
    for text in ["ready", "soon", "far"] {
        let due = s.record(text).await.scheduled_at;
        assert!(is_done(&s.change(text, pause(), T0).await));
        let record = s.record(text).await;
        assert_eq!((record.status, record.scheduled_at), (Status::Paused, due));
        s.check().await;
    }
    assert!(s.claim(process, T0 + 50 * DAY).await.is_empty());
    assert_eq!(s.store.stats(None).await.unwrap().by_status[6], 3);
    for text in ["ready", "soon", "far"] {
        assert!(is_done(&s.change(text, resume(None), T0 + 6).await));
    }
    s.check().await;
    assert_eq!(s.claim(process, T0 + 6).await.len(), 2);
    assert_eq!(s.status("far").await, Status::Scheduled);
    assert_eq!(s.claim_one(process, T0 + 40 * DAY).await.id, id("far"));
}

pub async fn a_job_that_waits_for_a_retry_is_paused_with_its_attempts(s: &TestStore) {
    let process = s.process().await;
    s.add(one_off("x")).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, retry(T0 + 10), T0).await;
    s.change("x", pause(), T0).await;
    assert!(s.claim(process, T0 + 20).await.is_empty());
    s.change("x", resume(None), T0 + 5).await;
    assert_eq!(s.status("x").await, Status::Scheduled);
    let run = s.claim_one(process, T0 + 10).await;
    assert_eq!((run.run, run.attempt, run.due), (1, 2, T0 + 10));
}

pub async fn a_change_is_refused_where_the_state_forbids_it(s: &TestStore) {
    let process = s.process().await;
    s.add(one_off("x")).await;
    let forbidden = |status| ChangeOutcome::Forbidden(status);
    assert_eq!(s.change("x", resume(None), T0).await, forbidden(Status::Queued));
    assert_eq!(s.change("x", again(T0), T0).await, forbidden(Status::Queued));
    let run = s.claim_one(process, T0).await;
    for change in [pause(), again(T0), Change::Delete, at(T0)] {
        assert_eq!(s.change("x", change, T0).await, forbidden(Status::Running));
    }
    s.complete(process, &run, done(), T0).await;
    for change in [pause(), again(T0), resume(None), at(T0), only_run()] {
        assert_eq!(s.change("x", change, T0).await, forbidden(Status::Completed));
    }
    assert_eq!(s.change("y", pause(), T0).await, ChangeOutcome::NotFound);
}

pub async fn a_retry_that_was_put_off_waits_on_after_a_pause(s: &TestStore) {
    s.add(series("x")).await;
    let process = s.process().await;
    s.run_due_occurrence(T0, Some(T0 + 9_000)).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, failed(), T0 + 1).await;
    s.change("x", Change::Retry { due: T0 + 5_000 }, T0 + 2).await;
    s.change("x", pause(), T0 + 3).await;
    s.change("x", resume(Some(T0 + 9_000)), T0 + 4).await;
    s.check().await;
    assert_eq!(s.status("x").await, Status::Scheduled);
    assert!(s.claim(process, T0 + 4_999).await.is_empty());
    assert_eq!(s.claim_one(process, T0 + 5_000).await.run, 2);
}

pub async fn paused_series_finishes_its_live_run_and_starts_no_other(s: &TestStore) {
    let process = s.process().await;
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let run = s.claim_one(process, T0).await;
    let due = s.due_series(T0 + 1_000).await.remove(0);
    assert!(is_done(&s.change("x", pause(), T0).await));
    let record = s.record("x").await;
    assert_eq!((record.status, record.next_run_at), (Status::Paused, None));
    assert!(s.due_series(T0 + 5_000).await.is_empty());
    let late = s.store.advance(T0 + 1_000, vec![step(&due, None)]).await.unwrap();
    assert_eq!(late, 0);
    let counted = s.complete(process, &run, done(), T0).await;
    assert_eq!(counted, Completed::Accepted(Status::Paused));
    assert_eq!(
        s.change("x", pause(), T0).await,
        ChangeOutcome::Forbidden(Status::Paused)
    );
    s.change("x", resume(Some(T0 + 9_000)), T0 + 8_500).await;
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.next_run_at, record.execution_count),
        (Status::Scheduled, Some(T0 + 9_000), 1)
    );
}

pub async fn waiting_run_is_paused_with_its_series(s: &TestStore) {
    let process = s.process().await;
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let first = s.claim_one(process, T0).await;
    s.run_due_occurrence(T0 + 1_000, Some(T0 + 2_000)).await;
    s.change("x", pause(), T0 + 1_000).await;
    s.check().await;
    // The running attempt may end, and its retry is paused.
    s.complete(process, &first, retry(T0 + 1_500), T0 + 1_000).await;
    s.check().await;
    assert!(s.claim(process, T0 + 1_900).await.is_empty());
    s.change("x", resume(Some(T0 + 3_000)), T0 + 1_200).await;
    assert_eq!(s.claim_one(process, T0 + 1_200).await.run, 2);
    assert_eq!(s.claim_one(process, T0 + 1_500).await.attempt, 2);
}

pub async fn resumed_series_without_future_occurrences_ends(s: &TestStore) {
    s.add(series("x")).await;
    s.change("x", pause(), T0).await;
    s.change("x", resume(None), T0).await;
    assert_eq!(s.status("x").await, Status::Completed);
}

pub async fn a_paused_series_stays_paused_when_it_is_replaced(s: &TestStore) {
    s.add(series("x")).await;
    s.change("x", pause(), T0).await;
    s.add(series("x")).await;
    assert_eq!(s.status("x").await, Status::Paused);
    assert!(s.due_series(T0).await.is_empty());
    s.change("x", Change::Cancel { reason: None }, T0).await;
    assert_eq!(s.status("x").await, Status::Cancelled);
}

pub async fn a_failed_job_runs_again_as_its_next_run(s: &TestStore) {
    let process = s.process().await;
    s.add(one_off("x")).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, failed(), T0).await;
    assert!(is_done(&s.change("x", again(T0 + 5), T0 + 1).await));
    assert_eq!(s.status("x").await, Status::Scheduled);
    let run = s.claim_one(process, T0 + 5).await;
    assert_eq!((run.run, run.attempt), (2, 1));
    s.complete(process, &run, done(), T0 + 6).await;
    let history = s.store.history(&id("x"), 9).await.unwrap().unwrap();
    assert_eq!((history.executions, history.succeeded, history.failed), (2, 1, 1));
}

pub async fn a_cancelled_job_runs_again_on_request(s: &TestStore) {
    s.add(one_off("x")).await;
    s.change("x", Change::Cancel { reason: None }, T0).await;
    assert!(is_done(&s.change("x", again(T0), T0).await));
    assert_eq!(s.status("x").await, Status::Queued);
}

pub async fn a_series_runs_its_last_failed_run_again(s: &TestStore) {
    let process = s.process().await;
    s.add(series("x")).await;
    assert_eq!(
        s.change("x", again(T0), T0).await,
        ChangeOutcome::NoRun(Status::Scheduled)
    );
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, failed(), T0).await;
    assert!(is_done(&s.change("x", again(T0 + 30), T0 + 20).await));
    assert_eq!(
        s.change("x", again(T0), T0 + 20).await,
        ChangeOutcome::Forbidden(Status::Scheduled)
    );
    s.check().await;
    let run = s.claim_one(process, T0 + 30).await;
    assert_eq!((run.run, run.scheduled_at, run.due), (2, T0, T0 + 30));
    s.complete(process, &run, done(), T0 + 31).await;
    assert_eq!(
        s.change("x", again(T0), T0 + 40).await,
        ChangeOutcome::NoRun(Status::Scheduled)
    );
    // A manual retry is no run of the schedule, so it does not count towards its limit.
    assert_eq!(s.due_series(T0 + 1_000).await[0].runs, 1);
}

pub async fn completed_series_is_reopened_to_retry_its_failed_run(s: &TestStore) {
    let process = s.process().await;
    s.add(series("x")).await;
    s.run_due_occurrence(T0, None).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, failed(), T0).await;
    assert_eq!(s.status("x").await, Status::Completed);
    s.change("x", again(T0), T0).await;
    assert_eq!(s.status("x").await, Status::Queued);
    s.check().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0).await;
    assert_eq!(s.status("x").await, Status::Completed);
}

pub async fn waiting_job_is_rescheduled(s: &TestStore) {
    let process = s.process().await;
    s.add(one_off("x")).await;
    for due in [T0 + 40 * DAY, T0 + 7, T0 + DAY, T0 + 5] {
        let changed = s.change("x", at(due), T0).await;
        assert!(
            matches!(changed, ChangeOutcome::Done { summary: Some(ref summary), .. } if summary.scheduled_at == due),
            "{changed:?}"
        );
        s.check().await;
    }
    let run = s.claim_one(process, T0 + 5).await;
    s.complete(process, &run, retry(T0 + 10), T0 + 5).await;
    s.change("x", at(T0 + 8), T0 + 6).await;
    s.check().await;
    let run = s.claim_one(process, T0 + 8).await;
    assert_eq!((run.attempt, run.scheduled_at), (2, T0 + 5));
}

pub async fn a_paused_job_stays_paused_at_its_new_time(s: &TestStore) {
    let process = s.process().await;
    s.add(one_off("x")).await;
    s.change("x", pause(), T0).await;
    s.change("x", at(T0 + 9), T0).await;
    assert_eq!(s.status("x").await, Status::Paused);
    s.change("x", resume(None), T0).await;
    assert!(s.claim(process, T0 + 8).await.is_empty());
    s.claim_one(process, T0 + 9).await;
}

pub async fn series_is_rescheduled_during_a_run(s: &TestStore) {
    let process = s.process().await;
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let run = s.claim_one(process, T0).await;
    let changed = s.change("x", by(every(50), Some(T0 + 50)), T0).await;
    assert!(
        matches!(changed, ChangeOutcome::Done { summary: Some(ref summary), .. } if summary.next_run_at == Some(T0 + 50)),
        "{changed:?}"
    );
    s.complete(process, &run, done(), T0 + 1).await;
    let record = s.record("x").await;
    assert_eq!((record.execution_count, record.next_run_at), (1, Some(T0 + 50)));
    // Earlier runs count towards the new limit.
    let limited = Recurrence {
        limit: Some(1),
        ..every(50)
    };
    s.change("x", by(limited, Some(T0 + 50)), T0).await;
    assert_eq!(s.status("x").await, Status::Completed);
}

pub async fn a_schedule_of_the_other_kind_is_refused(s: &TestStore) {
    s.insert(vec![one_off("once"), series("often")]).await;
    assert_eq!(
        s.change("once", by(every(50), Some(T0)), T0).await,
        ChangeOutcome::OtherKind(Kind::OneOff)
    );
    assert_eq!(
        s.change("often", at(T0), T0).await,
        ChangeOutcome::OtherKind(Kind::Recurring)
    );
}

pub async fn a_cancelled_run_does_not_end_its_series(s: &TestStore) {
    let process = s.process().await;
    s.add(series("x")).await;
    assert_eq!(
        s.change("x", only_run(), T0).await,
        ChangeOutcome::NoRun(Status::Scheduled)
    );
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let run = s.claim_one(process, T0).await;
    let answer = s.change("x", only_run(), T0 + 1).await;
    assert!(
        matches!(answer, ChangeOutcome::Done { ref running, .. } if *running == [(1, process, run.token)]),
        "{answer:?}"
    );
    assert_eq!(s.complete(process, &run, done(), T0 + 2).await, Completed::LeaseLost);
    let told = s.store.cancellation(run.job, 1).await.unwrap();
    let reason = Some("too slow".into());
    assert_eq!(told, Some(Cancellation { reason }));
    let record = s.record("x").await;
    assert_eq!((record.status, record.execution_count), (Status::Scheduled, 1));
    let history = s.store.history(&id("x"), 9).await.unwrap().unwrap();
    assert_eq!(history.entries[0].status, RunStatus::Cancelled);
}

pub async fn a_deleted_job_leaves_nothing_behind(s: &TestStore) {
    let process = s.process().await;
    s.insert(vec![
        one_off("ended"),
        tagged("waiting", &["red"]),
        series("often"),
        NewJob {
            due: Some(T0 + 40 * DAY),
            ..one_off("far")
        },
    ])
    .await;
    s.change("waiting", pause(), T0).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    for text in ["ended", "waiting", "often", "far"] {
        assert!(is_done(&s.change(text, Change::Delete, T0).await));
        assert!(s.store.get(&id(text)).await.unwrap().is_none());
        s.check().await;
    }
    assert_eq!(s.store.stats(None).await.unwrap().by_status, [0; 7]);
}

pub async fn series_with_a_running_run_is_not_deleted(s: &TestStore) {
    let process = s.process().await;
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    s.claim_one(process, T0).await;
    s.change("x", pause(), T0).await;
    assert_eq!(
        s.change("x", Change::Delete, T0).await,
        ChangeOutcome::Forbidden(Status::Running)
    );
}

pub async fn bulk_change_skips_forbidden_jobs(s: &TestStore) {
    s.insert((0..9).map(|n| one_off(&n.to_string())).collect()).await;
    for text in ["1", "2"] {
        s.change(text, pause(), T0).await;
    }
    let filter = || ListFilter {
        limit: 4,
        ..ListFilter::default()
    };
    let found = s.store.matching_jobs(filter()).await.unwrap();
    let later = ListFilter {
        before: found.last().copied(),
        ..filter()
    };
    let rest = s.store.matching_jobs(later).await.unwrap();
    assert_eq!((found.len(), rest.len()), (4, 4));
    let all: Vec<_> = found.into_iter().chain(rest).chain([JobSeq::new(12_345)]).collect();
    let cancel = || Change::Cancel { reason: None };
    let paused = s
        .store
        .change_many(all.clone(), vec![Status::Paused], cancel(), T0)
        .await
        .unwrap();
    assert_eq!(paused.jobs.len(), 2);
    let others = s.store.change_many(all, vec![], cancel(), T0).await.unwrap();
    assert_eq!(others.jobs.len(), 6);
}

fn tagged(text: &str, tags: &[&str]) -> NewJob {
    let mut job = one_off(text);
    job.options.tags = tags.iter().map(|tag| Box::from(*tag)).collect();
    job
}

pub async fn jobs_are_found_by_all_of_their_tags(s: &TestStore) {
    s.insert(vec![
        tagged("1", &["red", "red"]),
        tagged("2", &["red", "big"]),
        tagged("3", &["big"]),
        one_off("4"),
    ])
    .await;
    s.change("1", pause(), T0).await;
    let found = async |tags: &[&str], statuses: &[Status]| {
        let filter = ListFilter {
            tags: tags.iter().map(|tag| Box::from(*tag)).collect(),
            statuses: statuses.to_vec(),
            limit: 9,
            count_up_to: Some(9),
            ..ListFilter::default()
        };
        let page = s.store.list(filter.clone()).await.unwrap();
        assert_eq!(page.total, Some(page.jobs.len()));
        assert_eq!(
            s.store.matching_jobs(filter.clone()).await.unwrap().len(),
            page.jobs.len()
        );
        s.list(filter).await
    };
    assert_eq!(found(&["red"], &[]).await, ["2", "1"]);
    assert_eq!(found(&["red", "big"], &[]).await, ["2"]);
    assert_eq!(found(&["red"], &[Status::Paused]).await, ["1"]);
    assert_eq!(found(&["blue"], &[]).await, Vec::<String>::new());
    s.add(replacing(tagged("2", &["blue"]))).await;
    assert_eq!(found(&["red"], &[]).await, ["1"]);
    assert_eq!(found(&["blue"], &[]).await, ["2"]);
}
