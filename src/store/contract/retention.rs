//! What retention deletes, and what it keeps.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{NewJob, Status};
use crate::store::{Retention, RetentionLimit};

const FOREVER: RetentionLimit = RetentionLimit { age: None, count: None };

fn keep(completed: RetentionLimit, runs: RetentionLimit) -> Retention {
    Retention {
        completed,
        failed: FOREVER,
        cancelled: FOREVER,
        runs,
    }
}

async fn run_some(s: &TestStore, count: i64) {
    let process = s.process().await;
    for n in 0..count {
        s.add(one_off(&n.to_string())).await;
        let run = s.claim_one(process, T0).await;
        s.complete(process, &run, done(), T0 + n).await;
    }
}

pub async fn ended_jobs_are_deleted_after_their_time(s: &TestStore) {
    run_some(s, 6).await;
    s.add(one_off("waiting")).await;
    let aged = keep(
        RetentionLimit {
            age: Some(1_000),
            count: None,
        },
        FOREVER,
    );
    assert_eq!(s.store.sweep(aged, T0 + 1_003, 100).await.unwrap(), 3);
    assert!(s.store.get(&id("2")).await.unwrap().is_none());
    assert!(s.store.history(&id("2"), 5).await.unwrap().is_none());
    assert_eq!(s.status("3").await, Status::Completed);
    assert_eq!(s.store.sweep(aged, T0 + DAY, 100).await.unwrap(), 3);
    assert_eq!(s.status("waiting").await, Status::Queued);
}

pub async fn more_ended_jobs_than_are_kept_are_deleted_oldest_first(s: &TestStore) {
    run_some(s, 6).await;
    s.store.cancel(&id("5"), None, T0).await.unwrap();
    let few = keep(
        RetentionLimit {
            age: None,
            count: Some(2),
        },
        FOREVER,
    );
    assert_eq!(s.store.sweep(few, T0, 100).await.unwrap(), 4);
    assert_eq!(
        s.store.stats(None).await.unwrap().by_status[Status::Completed as usize],
        2
    );
    assert_eq!(
        (s.status("4").await, s.status("5").await),
        (Status::Completed, Status::Completed)
    );
}

pub async fn a_sweep_is_bounded(s: &TestStore) {
    run_some(s, 6).await;
    let none = keep(
        RetentionLimit {
            age: None,
            count: Some(0),
        },
        FOREVER,
    );
    assert_eq!(s.store.sweep(none, T0, 4).await.unwrap(), 4);
    assert_eq!(s.store.sweep(none, T0, 4).await.unwrap(), 2);
}

async fn occur_and_complete(s: &TestStore, runs: i64) {
    let process = s.process().await;
    for n in 0..runs {
        s.run_due_occurrence(T0 + n, Some(T0 + n + 1)).await;
        let run = s.claim_one(process, T0 + n).await;
        s.complete(process, &run, done(), T0 + n).await;
    }
}

pub async fn history_of_a_series_is_trimmed_by_count_and_age(s: &TestStore) {
    s.add(series("x")).await;
    occur_and_complete(s, 10).await;
    s.store
        .sweep(
            keep(
                FOREVER,
                RetentionLimit {
                    age: None,
                    count: Some(6),
                },
            ),
            T0,
            10,
        )
        .await
        .unwrap();
    let history = s.store.history(&id("x"), 99).await.unwrap().unwrap();
    assert_eq!((history.entries.len(), history.executions), (6, 10));
    assert_eq!(history.entries[5].run, 5);
    s.store
        .sweep(
            keep(
                FOREVER,
                RetentionLimit {
                    age: Some(100),
                    count: None,
                },
            ),
            T0 + 108,
            10,
        )
        .await
        .unwrap();
    let history = s.store.history(&id("x"), 99).await.unwrap().unwrap();
    assert_eq!((history.entries.len(), history.succeeded), (2, 10));
}

pub async fn history_of_a_live_run_is_kept(s: &TestStore) {
    s.add(NewJob {
        retries: 3,
        ..series("x")
    })
    .await;
    s.run_due_occurrence(T0, Some(T0 + 1)).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, retry(T0 + DAY), T0).await;
    s.store
        .sweep(
            keep(
                FOREVER,
                RetentionLimit {
                    age: Some(1),
                    count: Some(0),
                },
            ),
            T0 + DAY,
            10,
        )
        .await
        .unwrap();
    s.check().await;
    let run = s.claim(process, T0 + DAY).await.remove(0);
    assert_eq!(run.attempt, 2);
}
