//! Unique keys: each is owned by one job at a time.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::clock::Millis;
use crate::model::{JobId, JobOptions, NewJob, Status, Unique};
use crate::store::{Change, InsertParams, Inserted, JobSummary, Retention, RetentionLimit};

fn unique(text: &str, key: &str, period: Option<i64>) -> NewJob {
    NewJob {
        options: JobOptions {
            unique: Some(Unique {
                key: key.into(),
                period,
            }),
            ..JobOptions::default()
        },
        ..one_off(text)
    }
}

fn summary(status: Status, scheduled_at: Millis) -> JobSummary {
    JobSummary {
        status,
        scheduled_at,
        recurring: false,
        next_run_at: None,
    }
}

fn duplicate(text: &str, status: Status) -> Inserted {
    Inserted::Duplicate(id(text), summary(status, T0))
}

/// Completes the only due run.
async fn run_it(s: &TestStore, now: Millis) {
    let process = s.process().await;
    let run = s.claim_one(process, now).await;
    s.complete(process, &run, done(), now).await;
}

pub async fn unique_key_blocks_duplicates_until_the_job_ends(s: &TestStore) {
    let later = NewJob {
        due: Some(T0 + 5),
        ..unique("x", "k", None)
    };
    assert_eq!(s.add(later).await, Inserted::Created);
    let scheduled = Inserted::Duplicate(id("x"), summary(Status::Scheduled, T0 + 5));
    assert_eq!(s.add(unique("y", "k", None)).await, scheduled);
    assert!(s.store.get(&id("y")).await.unwrap().is_none());
    let process = s.process().await;
    let run = s.claim_one(process, T0 + 5).await;
    let answer = s.add(unique("y", "k", None)).await;
    assert!(matches!(answer, Inserted::Duplicate(of, found) if of == id("x") && found.status == Status::Running));
    s.complete(process, &run, retry(T0 + 9), T0 + 6).await;
    assert!(matches!(s.add(unique("y", "k", None)).await, Inserted::Duplicate(..)));
    let run = s.claim_one(process, T0 + 9).await;
    s.complete(process, &run, done(), T0 + 9).await;
    assert_eq!(s.add(unique("y", "k", None)).await, Inserted::Created);
    assert_eq!(s.store.stats(None).await.unwrap().by_status[Status::Queued as usize], 1);
}

pub async fn a_unique_key_belongs_to_its_route(s: &TestStore) {
    let on = |text: &str, name: &str| NewJob {
        route: route(name).into(),
        ..unique(text, "k", None)
    };
    assert_eq!(s.add(on("1", "a")).await, Inserted::Created);
    assert_eq!(s.add(on("2", "b")).await, Inserted::Created);
    assert_eq!(s.add(unique("3", "other", None)).await, Inserted::Created);
    assert_eq!(s.add(on("4", "b")).await, duplicate("2", Status::Queued));
}

pub async fn period_keeps_the_key_of_an_ended_job(s: &TestStore) {
    s.add(unique("x", "k", Some(1_000))).await;
    run_it(s, T0).await;
    let again = |text: &str| unique(text, "k", Some(1_000));
    let early = s.insert_at(vec![again("y")], T0 + 999).await.remove(0);
    assert_eq!(early, duplicate("x", Status::Completed));
    let late = s.insert_at(vec![again("y")], T0 + 1_000).await.remove(0);
    assert_eq!(late, Inserted::Created);
    // A job that has not ended keeps its key beyond the period.
    let later = s.insert_at(vec![again("z")], T0 + DAY).await.remove(0);
    assert_eq!(later, duplicate("y", Status::Queued));
}

pub async fn a_period_outlives_the_job_that_retention_deletes(s: &TestStore) {
    s.insert(vec![unique("x", "k", Some(DAY)), unique("y", "l", None)])
        .await;
    let process = s.process().await;
    for run in s.claim(process, T0).await {
        s.complete(process, &run, failed(), T0).await;
    }
    let none = RetentionLimit {
        age: None,
        count: Some(0),
    };
    let retention = Retention {
        completed: none,
        failed: none,
        cancelled: none,
        runs: none,
    };
    assert_eq!(s.store.sweep(retention, T0, 100).await.unwrap(), 2);
    assert!(s.store.get(&id("x")).await.unwrap().is_none());
    let answers = s
        .insert(vec![unique("new", "k", None), unique("other", "l", None)])
        .await;
    assert_eq!(answers, [duplicate("x", Status::Failed), Inserted::Created]);
    // The sweep deletes the key when the period is over.
    assert_eq!(s.store.sweep(retention, T0 + DAY, 100).await.unwrap(), 0);
    let answer = s.insert_at(vec![unique("new", "k", None)], T0 + DAY).await.remove(0);
    assert_eq!(answer, Inserted::Created);
}

pub async fn duplicates_by_unique_key_in_one_batch_make_one_job(s: &TestStore) {
    let jobs = vec![
        unique("1", "k", None),
        unique("2", "k", None),
        one_off("3"),
        unique("4", "k", Some(9)),
    ];
    let params = InsertParams {
        jobs,
        all_or_nothing: true,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    let expected = [
        Inserted::Created,
        duplicate("1", Status::Queued),
        Inserted::Created,
        duplicate("1", Status::Queued),
    ];
    assert_eq!(s.store.insert(params).await.unwrap(), expected);
}

pub async fn rolled_back_batch_leaves_no_keys(s: &TestStore) {
    s.add(one_off("taken")).await;
    let taken = NewJob {
        on_conflict: crate::model::OnConflict::Error,
        ..one_off("taken")
    };
    let params = InsertParams {
        jobs: vec![unique("x", "k", Some(DAY)), taken],
        all_or_nothing: true,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    s.store.insert(params).await.unwrap();
    assert_eq!(s.add(unique("y", "k", None)).await, Inserted::Created);
}

pub async fn id_is_checked_before_unique_key(s: &TestStore) {
    s.insert(vec![unique("x", "k", None), one_off("y")]).await;
    assert!(matches!(s.add(unique("y", "k", None)).await, Inserted::Existing(_)));
    let answer = s.add(replacing(unique("y", "k", None))).await;
    assert!(
        matches!(answer, Inserted::Conflict(ref why) if why.contains("'k'") && why.contains("job x")),
        "{answer:?}"
    );
    // Its own unique key does not make it a duplicate.
    assert!(matches!(
        s.add(replacing(unique("x", "k", None))).await,
        Inserted::Replaced(_)
    ));
    let sent_again = NewJob {
        id: JobId::generate(),
        ..unique("x", "l", None)
    };
    assert_eq!(s.add(sent_again.clone()).await, Inserted::Created);
    assert_eq!(s.add(sent_again).await, Inserted::Created);
}

pub async fn a_replaced_job_has_the_unique_key_of_the_last_dispatch(s: &TestStore) {
    s.add(unique("x", "k", Some(DAY))).await;
    s.add(replacing(unique("x", "l", None))).await;
    let answers = s.insert(vec![unique("1", "k", None), unique("2", "l", None)]).await;
    assert_eq!(answers, [Inserted::Created, duplicate("x", Status::Queued)]);
    s.add(replacing(one_off("x"))).await;
    assert_eq!(s.add(unique("2", "l", None)).await, Inserted::Created);
}

pub async fn a_replaced_job_counts_its_period_from_then_on(s: &TestStore) {
    s.add(unique("x", "k", Some(100))).await;
    let again = replacing(unique("x", "k", Some(100)));
    s.insert_at(vec![again], T0 + 90).await;
    run_it(s, T0 + 90).await;
    let new = || vec![unique("y", "k", None)];
    let early = s.insert_at(new(), T0 + 189).await.remove(0);
    assert!(matches!(early, Inserted::Duplicate(..)));
    assert_eq!(s.insert_at(new(), T0 + 190).await, [Inserted::Created]);
}

pub async fn a_deleted_job_frees_its_unique_key(s: &TestStore) {
    s.add(unique("x", "k", Some(DAY))).await;
    s.change("x", Change::Delete, T0).await;
    assert_eq!(s.add(unique("y", "k", None)).await, Inserted::Created);
}

pub async fn a_cancelled_job_frees_its_unique_key_after_its_period(s: &TestStore) {
    s.insert(vec![unique("x", "k", None), unique("y", "l", Some(10))]).await;
    for text in ["x", "y"] {
        s.store.cancel(&id(text), None, T0).await.unwrap();
    }
    let answers = s.insert(vec![unique("1", "k", None), unique("2", "l", None)]).await;
    assert_eq!(answers, [Inserted::Created, duplicate("y", Status::Cancelled)]);
}

pub async fn retried_job_reacquires_its_unique_key_if_free(s: &TestStore) {
    s.insert(vec![unique("x", "k", None), unique("y", "l", None)]).await;
    let process = s.process().await;
    for run in s.claim(process, T0).await {
        s.complete(process, &run, failed(), T0).await;
    }
    assert_eq!(s.add(unique("taker", "l", None)).await, Inserted::Created);
    for text in ["x", "y"] {
        s.change(text, Change::Retry { due: T0 }, T0).await;
    }
    let answers = s.insert(vec![unique("1", "k", None), unique("2", "l", None)]).await;
    assert_eq!(
        answers,
        [duplicate("x", Status::Queued), duplicate("taker", Status::Queued)]
    );
    // A job whose key was taken over does not free it.
    s.change("y", Change::Delete, T0).await;
    assert_eq!(s.add(unique("2", "l", None)).await, duplicate("taker", Status::Queued));
}

pub async fn a_series_keeps_its_unique_key_between_its_runs(s: &TestStore) {
    let recurring = |text: &str| NewJob {
        recurrence: Some(every(1_000)),
        ..unique(text, "k", None)
    };
    s.add(recurring("x")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    run_it(s, T0).await;
    let Inserted::Duplicate(of, found) = s.add(recurring("y")).await else {
        panic!("no duplicate")
    };
    assert_eq!(
        (of, found.status, found.next_run_at),
        (id("x"), Status::Scheduled, Some(T0 + 1_000))
    );
    s.store.cancel(&id("x"), None, T0).await.unwrap();
    assert_eq!(s.add(recurring("y")).await, Inserted::Created);
}

pub async fn a_paused_job_keeps_its_unique_key(s: &TestStore) {
    s.add(unique("x", "k", None)).await;
    s.change("x", pause(), T0).await;
    assert_eq!(s.add(unique("y", "k", None)).await, duplicate("x", Status::Paused));
}
