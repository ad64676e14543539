//! Where the run of a job is, and how many come before it.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{NewJob, RunStatus};
use crate::store::{RunLocation, RunPosition};

async fn of(s: &TestStore, text: &str) -> RunLocation {
    s.store.run_location(&id(text), 100).await.unwrap().unwrap()
}

pub async fn missing_job_has_no_location(s: &TestStore) {
    assert!(s.store.run_location(&id("x"), 100).await.unwrap().is_none());
}

pub async fn run_position_follows_its_lifecycle(s: &TestStore) {
    s.add(NewJob {
        due: Some(T0 + 5),
        retries: 1,
        ..one_off("x")
    })
    .await;
    s.add(NewJob {
        due: Some(T0 + 40 * DAY),
        ..one_off("far")
    })
    .await;
    let waiting = RunPosition::Waiting { due: T0 + 5 };
    assert_eq!(
        (of(s, "x").await.position, of(s, "x").await.last_attempt),
        (waiting, None)
    );
    assert_eq!(of(s, "far").await.position, RunPosition::Waiting { due: T0 + 40 * DAY });
    let process = s.process().await;
    s.claim_with(process, T0 + 6, 0).await;
    let ready = RunPosition::Ready { due: T0 + 5, ahead: 0 };
    assert_eq!(of(s, "x").await.position, ready);
    let run = s.claim_one(process, T0 + 7).await;
    let running = RunPosition::Running {
        instance: process,
        since: T0 + 7,
    };
    assert_eq!(of(s, "x").await.position, running);
    s.complete(process, &run, retry(T0 + 90), T0 + 8).await;
    let found = of(s, "x").await;
    assert_eq!(found.position, RunPosition::Waiting { due: T0 + 90 });
    assert_eq!(found.last_attempt, Some(RunStatus::Retried));
    let run = s.claim_one(process, T0 + 90).await;
    s.complete(process, &run, done(), T0 + 91).await;
    let found = of(s, "x").await;
    assert_eq!(
        (found.position, found.last_attempt),
        (RunPosition::Idle, Some(RunStatus::Completed))
    );
    assert_eq!(found.record.execution_count, 1);
}

pub async fn series_is_idle_between_runs(s: &TestStore) {
    s.add(series("x")).await;
    assert_eq!(of(s, "x").await.position, RunPosition::Idle);
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    assert_eq!(of(s, "x").await.position, RunPosition::Ready { due: T0, ahead: 0 });
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0 + 1).await;
    let found = of(s, "x").await;
    assert_eq!(found.position, RunPosition::Idle);
    assert_eq!(found.record.next_run_at, Some(T0 + 1_000));
}

pub async fn runs_before_a_ready_one_are_counted_up_to_a_bound(s: &TestStore) {
    let with = |text: &str, priority, due| NewJob {
        priority,
        due: Some(due),
        ..one_off(text)
    };
    s.insert(vec![
        with("later", 0, T0),
        with("better", -1, T0),
        with("x", 0, T0 - 1),
        with("worse", 1, T0 - 9),
        with("older", 0, T0 - 2),
        NewJob {
            route: route("b").into(),
            ..with("elsewhere", -9, T0 - 9)
        },
    ])
    .await;
    let ahead = |found: RunLocation| match found.position {
        RunPosition::Ready { ahead, .. } => Some(ahead),
        _ => None,
    };
    for (text, count) in [
        ("better", 0),
        ("older", 1),
        ("x", 2),
        ("later", 3),
        ("worse", 4),
        ("elsewhere", 0),
    ] {
        assert_eq!(ahead(of(s, text).await), Some(count), "{text}");
    }
    let bounded = s.store.run_location(&id("worse"), 2).await.unwrap().unwrap();
    assert_eq!(ahead(bounded), Some(2));
}
