//! Where the run of a job is, and how many come before it.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::kit::*;
use crate::model::{NewJob, RunStatus};
use crate::store::{RunPlace, Whereabouts};

async fn of(s: &Subject, text: &str) -> Whereabouts {
    s.store.whereabouts(&id(text), 100).await.unwrap().unwrap()
}

pub async fn a_job_that_is_not_there_is_nowhere(s: &Subject) {
    assert!(s.store.whereabouts(&id("x"), 100).await.unwrap().is_none());
}

pub async fn a_run_is_found_wherever_it_goes(s: &Subject) {
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
    let waiting = RunPlace::Waiting { due: T0 + 5 };
    assert_eq!((of(s, "x").await.place, of(s, "x").await.last_attempt), (waiting, None));
    assert_eq!(of(s, "far").await.place, RunPlace::Waiting { due: T0 + 40 * DAY });
    let process = s.process().await;
    s.claim_with(process, T0 + 6, 0).await;
    let ready = RunPlace::Ready { due: T0 + 5, ahead: 0 };
    assert_eq!(of(s, "x").await.place, ready);
    let run = s.claim_one(process, T0 + 7).await;
    let running = RunPlace::Running {
        instance: process,
        since: T0 + 7,
    };
    assert_eq!(of(s, "x").await.place, running);
    s.complete(process, &run, retry(T0 + 90), T0 + 8).await;
    let found = of(s, "x").await;
    assert_eq!(found.place, RunPlace::Waiting { due: T0 + 90 });
    assert_eq!(found.last_attempt, Some(RunStatus::Retried));
    let run = s.claim_one(process, T0 + 90).await;
    s.complete(process, &run, done(), T0 + 91).await;
    let found = of(s, "x").await;
    assert_eq!(
        (found.place, found.last_attempt),
        (RunPlace::AtRest, Some(RunStatus::Completed))
    );
    assert_eq!(found.record.execution_count, 1);
}

pub async fn a_series_rests_between_its_runs(s: &Subject) {
    s.add(series("x")).await;
    assert_eq!(of(s, "x").await.place, RunPlace::AtRest);
    s.occur(T0, Some(T0 + 1_000)).await;
    assert_eq!(of(s, "x").await.place, RunPlace::Ready { due: T0, ahead: 0 });
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0 + 1).await;
    let found = of(s, "x").await;
    assert_eq!(found.place, RunPlace::AtRest);
    assert_eq!(found.record.next_run_at, Some(T0 + 1_000));
}

pub async fn runs_before_a_ready_one_are_counted_up_to_a_bound(s: &Subject) {
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
    let ahead = |found: Whereabouts| match found.place {
        RunPlace::Ready { ahead, .. } => Some(ahead),
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
    let bounded = s.store.whereabouts(&id("worse"), 2).await.unwrap().unwrap();
    assert_eq!(ahead(bounded), Some(2));
}
