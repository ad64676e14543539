//! How attempts end: completed, failed, retried, snoozed, released or cancelled.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{NewJob, RunOutcome, RunStatus, Status};
use crate::store::{Cancellation, ChangeOutcome, Completed, JobSeq, RecoverParams};

pub async fn a_completed_run_ends_its_job(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(s.status("x").await, Status::Running);
    assert_eq!(
        s.complete(process, &run, done(), T0 + 5).await,
        Completed::Accepted(Status::Completed)
    );
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.completed_at, record.result.as_deref()),
        (Status::Completed, Some(T0 + 5), Some("42"))
    );
    assert_eq!(
        (record.execution_count, record.attempt, record.started_at),
        (1, 1, Some(T0 + 4))
    );
}

pub async fn a_failed_run_ends_its_job(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(
        s.complete(process, &run, failed(), T0 + 5).await,
        Completed::Accepted(Status::Failed)
    );
    let record = s.record("x").await;
    assert_eq!((record.status, record.error), (Status::Failed, Some(failure())));
}

pub async fn a_retry_waits_and_runs_as_the_next_attempt(s: &TestStore) {
    s.add(NewJob {
        retries: 2,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(
        s.complete(process, &run, retry(T0 + 50), T0 + 1).await,
        Completed::Accepted(Status::Scheduled)
    );
    let record = s.record("x").await;
    assert_eq!(
        (record.scheduled_at, record.attempt, record.error),
        (T0 + 50, 1, Some(failure()))
    );
    assert!(s.claim(process, T0 + 49).await.is_empty());
    let run = s.claim_one(process, T0 + 50).await;
    assert_eq!(
        (run.attempt, run.due, run.scheduled_at, run.retries),
        (2, T0 + 50, T0, 2)
    );
    // A retry that is due at once is queued at once.
    assert_eq!(
        s.complete(process, &run, retry(T0 + 60), T0 + 60).await,
        Completed::Accepted(Status::Queued)
    );
    let run = s.claim_one(process, T0 + 60).await;
    s.complete(process, &run, done(), T0 + 61).await;
    let record = s.record("x").await;
    assert_eq!((record.attempt, record.error, record.execution_count), (3, None, 1));
    let stats = s.store.stats(None).await.unwrap();
    assert_eq!((stats.first_try, stats.after_retry, stats.retries), (0, 1, 2));
}

pub async fn a_snooze_spends_no_attempt(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    for round in 1..4 {
        let run = s.claim_one(process, T0 + round * 10).await;
        assert_eq!(run.attempt, 1);
        let due = T0 + round * 10 + 10;
        s.complete(process, &run, RunOutcome::Snoozed { due }, T0 + round * 10)
            .await;
        assert_eq!(s.record("x").await.scheduled_at, due);
        s.check().await;
    }
    let run = s.claim_one(process, T0 + 90).await;
    s.complete(process, &run, done(), T0 + 91).await;
    assert_eq!(s.store.stats(None).await.unwrap().first_try, 1);
    let entries = s.store.history(&id("x"), 9).await.unwrap().unwrap().entries;
    assert_eq!((entries.len(), entries[0].status), (1, RunStatus::Completed));
}

pub async fn a_released_run_keeps_its_attempt(s: &TestStore) {
    s.add(NewJob {
        due: Some(T0 - 3),
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(
        s.complete(process, &run, RunOutcome::Released, T0).await,
        Completed::Accepted(Status::Queued)
    );
    let again = s.claim_one(process, T0).await;
    assert_eq!((again.attempt, again.crashes, again.due), (1, 0, T0 - 3));
    assert_ne!(again.token, run.token);
}

pub async fn a_completion_with_a_wrong_token_is_refused(s: &TestStore) {
    s.add(one_off("x")).await;
    let (process, other) = (s.process().await, s.process().await);
    let run = s.claim_one(process, T0).await;
    let mut forged = run.clone();
    forged.token = forged.token.plus(1);
    assert_eq!(s.complete(process, &forged, done(), T0).await, Completed::LeaseLost);
    assert_eq!(s.complete(other, &run, done(), T0).await, Completed::LeaseLost);
    assert_eq!(s.status("x").await, Status::Running);
}

pub async fn a_completion_counts_once(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0).await;
    assert_eq!(s.complete(process, &run, failed(), T0).await, Completed::LeaseLost);
    assert_eq!(s.status("x").await, Status::Completed);
}

pub async fn a_cancelled_job_never_runs(s: &TestStore) {
    for (text, due) in [("far", T0 + 40 * DAY), ("soon", T0 + 5), ("now", T0)] {
        s.add(NewJob {
            due: Some(due),
            ..one_off(text)
        })
        .await;
        let answer = s.store.cancel(&id(text), Some("no need"), T0).await.unwrap();
        assert!(
            matches!(answer, ChangeOutcome::Done { ref running, .. } if running.is_empty()),
            "{answer:?}"
        );
        let record = s.record(text).await;
        assert_eq!(
            (record.status, record.cancel_reason.as_deref()),
            (Status::Cancelled, Some("no need"))
        );
        assert_eq!((record.attempt, record.error, record.completed_at), (0, None, Some(T0)));
        let told = s.store.cancellation(record.job, 1).await.unwrap();
        let reason = Some("no need".into());
        assert_eq!(told, Some(Cancellation { reason }));
    }
    let process = s.process().await;
    assert!(s.claim(process, T0 + 90 * DAY).await.is_empty());
}

pub async fn running_job_is_cancelled_and_its_completion_refused(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    let answer = s.store.cancel(&id("x"), None, T0).await.unwrap();
    assert_eq!(
        answer,
        ChangeOutcome::Done {
            job: run.job,
            running: vec![(1, process, run.token)],
            summary: None,
        }
    );
    assert_eq!(s.complete(process, &run, done(), T0).await, Completed::LeaseLost);
    assert_eq!(s.status("x").await, Status::Cancelled);
}

pub async fn cancelled_run_is_not_requeued(s: &TestStore) {
    s.insert(vec![one_off("x"), one_off("y")]).await;
    let process = s.process().await;
    let runs = s.claim(process, T0).await;
    s.store.cancel(&id("x"), None, T0).await.unwrap();
    s.store.cancel(&id("y"), None, T0).await.unwrap();
    assert_eq!(
        s.complete(process, &runs[0], RunOutcome::Released, T0).await,
        Completed::LeaseLost
    );
    s.crash(process);
    assert_eq!(s.store.recover(RecoverParams::new(T0, 10)).await.unwrap().requeued, 0);
    let other = s.process().await;
    assert!(s.claim(other, T0).await.is_empty());
}

pub async fn an_ended_job_cannot_be_cancelled(s: &TestStore) {
    s.add(one_off("x")).await;
    s.store.cancel(&id("x"), None, T0).await.unwrap();
    assert_eq!(
        s.store.cancel(&id("x"), None, T0).await.unwrap(),
        ChangeOutcome::Forbidden(Status::Cancelled)
    );
}

pub async fn missing_job_cannot_be_cancelled(s: &TestStore) {
    assert_eq!(
        s.store.cancel(&id("x"), None, T0).await.unwrap(),
        ChangeOutcome::NotFound
    );
    assert_eq!(s.store.cancellation(JobSeq::new(1), 1).await.unwrap(), None);
}
