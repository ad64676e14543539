//! Which runs are due, and which process claims them in which order.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{NewJob, Status};
use crate::store::{ClaimParams, RouteMark, ServedRoute};
use std::sync::Arc;

pub async fn claims_come_by_priority_then_due_time_then_dispatch(s: &TestStore) {
    let job = |text, priority, due| NewJob {
        priority,
        due: Some(due),
        ..one_off(text)
    };
    let jobs = vec![
        job("e", 1, T0 - 9),
        job("c", 0, T0),
        job("d", 0, T0),
        job("b", 0, T0 - 1),
        job("a", -1, T0),
    ];
    s.insert(jobs).await;
    let process = s.process().await;
    let order: Vec<String> = s
        .claim(process, T0)
        .await
        .iter()
        .map(|run| run.id.to_string())
        .collect();
    assert_eq!(order, ["a", "b", "c", "d", "e"]);
}

pub async fn a_claim_takes_no_more_than_its_slots(s: &TestStore) {
    s.insert((0..10).map(|n| one_off(&n.to_string())).collect()).await;
    let process = s.process().await;
    assert_eq!(s.claim_with(process, T0, 3).await.runs.len(), 3);
    assert_eq!(s.claim(process, T0).await.len(), 7);
    assert!(s.claim(process, T0).await.is_empty());
}

pub async fn claims_are_bounded_by_the_bytes_of_their_inputs(s: &TestStore) {
    let large = |text: &str| NewJob {
        input: format!("\"{}\"", "x".repeat(40 << 20)).into(),
        ..one_off(text)
    };
    for text in ["a", "b", "c"] {
        s.add(large(text)).await;
    }
    let process = s.process().await;
    let first = s.claim_with(process, T0, 100).await;
    let ids: Vec<String> = first.runs.iter().map(|run| run.id.to_string()).collect();
    assert_eq!((&*ids.concat(), first.more), ("ab", true));
    assert_eq!(s.status("c").await, Status::Queued);
    s.check().await;
    assert_eq!(s.claim_one(process, T0).await.id, id("c"));
}

pub async fn group_without_slots_claims_nothing(s: &TestStore) {
    let on = |text: &str, name| NewJob {
        route: route(name).into(),
        ..one_off(text)
    };
    s.insert(vec![
        on("1", "a"),
        on("2", "a"),
        on("3", "b"),
        on("4", "b"),
        on("5", "c"),
    ])
    .await;
    let process = s.process().await;
    let [a, b, c] = [s.route_id("a").await, s.route_id("b").await, s.route_id("c").await];
    let served = [(a, 0), (b, 1), (c, 2)].map(|(route, group)| ServedRoute { route, group });
    let params = ClaimParams {
        now: T0,
        instance: process,
        served: Arc::new(served),
        group_slots: vec![1, 0, 5],
        slots: 9,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    let ids: Vec<String> = s
        .store
        .claim(params)
        .await
        .unwrap()
        .runs
        .iter()
        .map(|run| run.id.to_string())
        .collect();
    assert_eq!(ids, ["1", "5"]);
}

pub async fn unserved_route_is_not_claimed(s: &TestStore) {
    s.insert(vec![
        one_off("x"),
        NewJob {
            route: route("b").into(),
            ..one_off("y")
        },
    ])
    .await;
    let (process, b) = (s.process().await, s.route_id("b").await);
    let served = Arc::new([ServedRoute { route: b, group: 0 }]);
    let params = ClaimParams {
        now: T0,
        instance: process,
        served,
        group_slots: vec![9],
        slots: 9,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    let runs = s.store.claim(params).await.unwrap().runs;
    assert_eq!((runs.len(), runs[0].id.to_string()), (1, "y".into()));
    assert_eq!(s.store.ready_routes().await.unwrap(), [s.route_id("a").await]);
}

pub async fn job_scheduled_by_day_runs_on_its_day(s: &TestStore) {
    let due = T0 + 40 * DAY + 7;
    s.add(NewJob {
        due: Some(due),
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    for now in [T0, due - 3 * DAY, due - DAY, due - 1] {
        let claimed = s.claim_with(process, now, 9).await;
        assert!(claimed.runs.is_empty());
        let look = claimed.next_due.unwrap();
        assert!(look > now && look <= due, "{look} is not between {now} and {due}");
    }
    assert_eq!(s.claim_one(process, due).await.due, due);
    // Also after the machine was suspended for all of that time.
    s.add(NewJob {
        due: Some(due),
        ..one_off("y")
    })
    .await;
    assert_eq!(s.claim_one(process, due + 90 * DAY).await.due, due);
}

pub async fn a_claim_without_slots_only_moves_what_is_due(s: &TestStore) {
    s.add(NewJob {
        due: Some(T0 + 1),
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    assert!(s.claim_with(process, T0 + 1, 0).await.runs.is_empty());
    assert_eq!(s.status("x").await, Status::Queued);
}

pub async fn claim_reports_the_next_due_time(s: &TestStore) {
    let process = s.process().await;
    assert_eq!(s.claim_with(process, T0, 9).await.next_due, None);
    s.insert(vec![
        NewJob {
            due: Some(T0 + 500),
            ..one_off("x")
        },
        NewJob {
            due: Some(T0 + 300),
            ..series("y")
        },
    ])
    .await;
    let claimed = s.claim_with(process, T0, 9).await;
    assert_eq!((claimed.next_due, claimed.more), (Some(T0 + 300), false));
    // The due series was reported to the claimer; the next due time is that of the job.
    let claimed = s.claim_with(process, T0 + 300, 9).await;
    assert_eq!((claimed.series.len(), claimed.next_due), (1, Some(T0 + 500)));
}

pub async fn more_than_a_thousand_due_jobs_are_moved_in_several_claims(s: &TestStore) {
    s.insert(
        (0..1_500)
            .map(|n| NewJob {
                due: Some(T0 + 1),
                ..one_off(&n.to_string())
            })
            .collect(),
    )
    .await;
    let process = s.process().await;
    let first = s.claim_with(process, T0 + 1, 2_000).await;
    assert_eq!((first.runs.len(), first.more), (1_000, true));
    let second = s.claim_with(process, T0 + 1, 2_000).await;
    assert_eq!((second.runs.len(), second.more), (500, false));
}

pub async fn a_claim_reports_the_newest_route(s: &TestStore) {
    let process = s.process().await;
    assert_eq!(s.claim_with(process, T0, 0).await.newest_route, RouteMark::new(0));
    s.insert(vec![
        one_off("x"),
        NewJob {
            route: route("b").into(),
            ..one_off("y")
        },
    ])
    .await;
    let newest = s.claim_with(process, T0, 0).await.newest_route;
    assert_eq!(newest, s.routes().await.last().unwrap().mark);
}

pub async fn a_process_that_is_not_registered_claims_nothing(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    s.store.unregister(process, T0).await.unwrap();
    assert!(s.claim(process, T0).await.is_empty());
    assert_eq!(s.status("x").await, Status::Queued);
}

pub async fn many_routes_are_merged_into_one_order(s: &TestStore) {
    let jobs = (0..600).map(|n: i64| {
        let priority = i32::try_from(n * 7 % 5).unwrap();
        NewJob {
            route: route(&format!("r{}", n % 60)).into(),
            priority,
            due: Some(T0 - n * 31 % 97),
            ..one_off(&n.to_string())
        }
    });
    s.insert(jobs.collect()).await;
    let process = s.process().await;
    let mut claimed = Vec::new();
    for slots in [1, 7, 250, 600] {
        claimed.extend(s.claim_with(process, T0, slots).await.runs);
    }
    let order: Vec<_> = claimed.iter().map(|run| (run.priority, run.due, run.job)).collect();
    assert_eq!(order.len(), 600);
    assert!(order.is_sorted());
}

pub async fn due_runs_are_counted_by_route(s: &TestStore) {
    let at = |text: &str, due| NewJob {
        due: Some(due),
        ..one_off(text)
    };
    s.insert(vec![
        one_off("1"),
        at("2", T0 + 1),
        at("3", T0 + 5 * DAY),
        at("4", T0 + 9 * DAY),
    ])
    .await;
    s.insert(vec![
        NewJob {
            route: route("b").into(),
            ..one_off("5")
        },
        series("6"),
    ])
    .await;
    let a = s.route_id("a").await;
    for (now, limit, expected) in [(T0, 9, 2), (T0 + 1, 9, 3), (T0 + 1, 1, 1), (T0 + 6 * DAY, 9, 4)] {
        assert_eq!(
            s.store.count_due(vec![a], now, limit).await.unwrap(),
            expected,
            "at {now}"
        );
    }
}
