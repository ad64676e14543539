//! What waits for its next attempt when the clock is put back.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{NewJob, RunOutcome, Status};
use crate::store::{Occurrence, RecoverParams, SeriesAdvance};

const SECOND: i64 = 1_000;

fn retried(text: &str) -> NewJob {
    NewJob {
        retries: 3,
        ..one_off(text)
    }
}

pub async fn a_retry_set_by_a_clock_that_was_ahead_is_brought_forward(s: &TestStore) {
    s.add(retried("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0 + DAY).await;
    s.complete(process, &run, retry(T0 + DAY + 30 * SECOND), T0 + DAY).await;
    // Two seconds later the clock is put back.
    let now = T0 + 2 * SECOND;
    assert_eq!(s.store.retime_waiting(now, DAY).await.unwrap(), 1);
    assert_eq!(s.record("x").await.scheduled_at, T0 + 30 * SECOND);
    let history = s.store.history(&id("x"), 10).await.unwrap().unwrap();
    assert_eq!(history.entries[0].ended_at, T0);
    assert_eq!(s.store.retime_waiting(now, DAY).await.unwrap(), 0);
    s.check().await;
    assert!(s.claim(process, T0 + 30 * SECOND - 1).await.is_empty());
    let run = s.claim_one(process, T0 + 30 * SECOND).await;
    assert_eq!(run.attempt, 2);
}

pub async fn a_correction_of_unknown_size_counts_the_wait_from_now_on(s: &TestStore) {
    s.add(retried("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0 + DAY).await;
    s.complete(process, &run, retry(T0 + DAY + 30 * SECOND), T0 + DAY).await;
    // By how much the clock was put back is not known.
    assert_eq!(s.store.retime_waiting(T0, 0).await.unwrap(), 1);
    assert_eq!(s.record("x").await.scheduled_at, T0 + 30 * SECOND);
}

/// The attempts of a series end with the last sign of life of their process, before the clock went ahead; the crash is found after that.
pub async fn a_wait_after_crashes_found_by_a_clock_that_was_ahead_is_brought_forward(s: &TestStore) {
    s.add(series("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 2 * DAY)).await;
    for _ in 0..2 {
        let process = s.process().await;
        s.claim_one(process, T0 + SECOND).await;
        s.crash(process);
        s.store.recover(RecoverParams::new(T0 + DAY, 10)).await.unwrap();
    }
    let now = T0 + 5 * SECOND;
    assert_eq!(s.store.retime_waiting(now, DAY).await.unwrap(), 1);
    assert_eq!(s.store.retime_waiting(now, DAY).await.unwrap(), 0);
    s.check().await;
    let history = s.store.history(&id("x"), 10).await.unwrap().unwrap();
    let last = &history.entries[0];
    assert_eq!((last.started_at, last.ended_at), (Some(T0 + SECOND), T0 + SECOND));
    let process = s.process().await;
    assert_eq!(s.claim_one(process, now).await.attempt, 3);
}

/// One waits for its next attempt, one has not begun.
pub async fn runs_of_series_that_were_paused_when_the_clock_was_put_back_are_not_in_its_way(s: &TestStore) {
    s.insert(vec![series("retried"), series("new")]).await;
    for due in s.due_series(T0 + DAY).await {
        let occurrence = Occurrence {
            scheduled_at: T0 + DAY,
            missed: 0,
        };
        let advance = SeriesAdvance {
            occurrences: vec![occurrence],
            ..step(&due, Some(T0 + 2 * DAY))
        };
        assert_eq!(s.store.advance(T0 + DAY, vec![advance]).await.unwrap(), 1);
    }
    s.change("new", pause(), T0 + DAY).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0 + DAY).await;
    s.complete(process, &run, retry(T0 + DAY + 30 * SECOND), T0 + DAY).await;
    s.change("retried", pause(), T0 + DAY + SECOND).await;
    let now = T0 + 5 * SECOND;
    s.store.retime_waiting(now, DAY).await.unwrap();
    for text in ["retried", "new"] {
        s.change(text, resume(Some(T0 + 2 * DAY)), now).await;
    }
    s.check().await;
    assert_eq!(
        (s.status("new").await, s.status("retried").await),
        (Status::Queued, Status::Scheduled)
    );
    assert_eq!(s.claim(process, now + 30 * SECOND).await.len(), 2);
}

pub async fn snoozed_runs_and_runs_of_series_are_brought_forward_to_be_due_at_once(s: &TestStore) {
    s.add(one_off("x")).await;
    s.add(series("y")).await;
    s.run_due_occurrence(T0 + DAY, Some(T0 + 2 * DAY)).await;
    let process = s.process().await;
    for run in s.claim(process, T0 + DAY).await {
        let outcome = if run.recurring {
            retry(T0 + DAY + SECOND)
        } else {
            RunOutcome::Snoozed { due: T0 + DAY + SECOND }
        };
        s.complete(process, &run, outcome, T0 + DAY).await;
    }
    let now = T0 + 5 * SECOND;
    assert_eq!(s.store.retime_waiting(now, DAY).await.unwrap(), 2);
    s.check().await;
    assert_eq!(
        (s.status("x").await, s.status("y").await),
        (Status::Scheduled, Status::Scheduled)
    );
    assert_eq!(s.claim(process, now).await.len(), 2);
}

pub async fn what_was_set_by_a_right_clock_stays(s: &TestStore) {
    let far = NewJob {
        due: Some(T0 + DAY),
        ..one_off("far")
    };
    s.insert(vec![far, retried("x"), retried("paused")]).await;
    let process = s.process().await;
    for run in s.claim(process, T0).await {
        s.complete(process, &run, retry(T0 + DAY), T0).await;
    }
    s.change("paused", pause(), T0).await;
    assert_eq!(s.store.retime_waiting(T0, DAY).await.unwrap(), 0);
    assert_eq!(s.record("x").await.scheduled_at, T0 + DAY);
    assert_eq!(s.record("far").await.scheduled_at, T0 + DAY);
}

pub async fn more_than_one_step_of_waiting_runs_is_brought_forward(s: &TestStore) {
    const COUNT: usize = 1_100;
    s.insert((0..COUNT).map(|n| retried(&n.to_string())).collect()).await;
    let process = s.process().await;
    let mut waiting = 0;
    while waiting < COUNT {
        let runs = s.claim_with(process, T0 + DAY, 1_000).await.runs;
        waiting += runs.len();
        for run in runs {
            s.complete(process, &run, retry(T0 + 2 * DAY + run.job.get()), T0 + DAY)
                .await;
        }
    }
    assert_eq!(s.store.retime_waiting(T0, DAY).await.unwrap(), COUNT);
    assert_eq!(s.store.retime_waiting(T0, DAY).await.unwrap(), 0);
}
