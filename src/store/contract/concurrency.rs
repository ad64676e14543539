//! Concurrency keys, which limit how many runs are running at the same time.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::clock::Millis;
use crate::model::{Concurrency, JobOptions, NewJob, Route, RunOutcome, Status};
use crate::store::{Change, ClaimParams, ClaimedRun, InstanceId, RecoverParams, RunPosition, ServedRoute};
use std::sync::Arc;

fn keyed(text: &str, key: &str, limit: i64) -> NewJob {
    NewJob {
        options: JobOptions {
            concurrency: Some(Concurrency { key: key.into(), limit }),
            ..JobOptions::default()
        },
        ..one_off(text)
    }
}

fn on(name: &str, job: NewJob) -> NewJob {
    NewJob {
        route: route(name).into(),
        ..job
    }
}

fn ids(runs: &[ClaimedRun]) -> Vec<String> {
    runs.iter().map(|run| run.id.to_string()).collect()
}

async fn claim_ids(s: &TestStore, process: InstanceId, now: Millis) -> Vec<String> {
    ids(&s.claim(process, now).await)
}

async fn position(s: &TestStore, text: &str) -> RunPosition {
    s.store.run_location(&id(text), 9).await.unwrap().unwrap().position
}

fn is_blocked(position: RunPosition, wanted: (i64, i64)) -> bool {
    matches!(position, RunPosition::Blocked { running, limit, .. } if (running, limit) == wanted)
}

pub async fn concurrency_limit_bounds_running_runs(s: &TestStore) {
    s.insert((0..9).map(|n| keyed(&n.to_string(), "k", 2)).collect()).await;
    let (one, other) = (s.process().await, s.process().await);
    let mut running = s.claim_with(one, T0, 1).await.runs;
    running.extend(s.claim(other, T0).await);
    assert_eq!(ids(&running), ["0", "1"]);
    assert!(s.claim(one, T0).await.is_empty());
    // In order, one for each run that ends, whichever process ran it.
    for next in 2..9 {
        let ended = running.remove(0);
        let holder = if ended.id == id("0") { one } else { other };
        s.complete(holder, &ended, done(), T0).await;
        running.extend(s.claim(other, T0).await);
        assert_eq!(ids(&running).last(), Some(&next.to_string()));
        assert_eq!(running.len(), 2);
    }
}

pub async fn runs_behind_a_full_key_do_not_delay_others(s: &TestStore) {
    let mut jobs: Vec<_> = (0..3_000)
        .map(|n| NewJob {
            priority: -1,
            ..keyed(&format!("k{n}"), "k", 1)
        })
        .collect();
    jobs.extend((0..5).map(|n| one_off(&n.to_string())));
    s.insert(jobs).await;
    let process = s.process().await;
    let mut claimed = Vec::new();
    // One claim blocks a bounded number of the runs behind the key.
    let mut more = true;
    while more {
        let claim = s.claim_with(process, T0, 100).await;
        claimed.extend(ids(&claim.runs));
        more = claim.more;
    }
    assert_eq!(claimed, ["k0", "0", "1", "2", "3", "4"]);
    assert_eq!(
        s.store.stats(None).await.unwrap().by_status[Status::Queued as usize],
        2_999
    );
    let a = s.route_id("a").await;
    assert_eq!(s.store.count_due(vec![a], T0, 10_000).await.unwrap(), 0);
    assert_eq!(s.store.count_blocked(vec![a], 10_000).await.unwrap(), 2_999);
    assert_eq!(s.store.count_blocked(vec![a], 10).await.unwrap(), 10);
    assert_eq!(s.store.count_blocked(vec![a.plus(1)], 10).await.unwrap(), 0);
}

pub async fn runs_of_a_key_start_by_priority_then_due_time(s: &TestStore) {
    let job = |text: &str, priority, due| NewJob {
        priority,
        due: Some(due),
        ..keyed(text, "k", 1)
    };
    s.insert(vec![job("c", 0, T0), job("e", 1, T0 - 9), job("b", 0, T0 - 1)])
        .await;
    let process = s.process().await;
    let mut run = s.claim_one(process, T0).await;
    // Dispatched while the key is full, and before the blocked runs by its priority.
    s.insert(vec![job("a", -1, T0), job("d", 0, T0)]).await;
    let mut order = vec![run.id.to_string()];
    for _ in 0..4 {
        s.complete(process, &run, done(), T0).await;
        run = s.claim_one(process, T0).await;
        order.push(run.id.to_string());
    }
    assert_eq!(order, ["b", "a", "c", "d", "e"]);
}

pub async fn concurrency_key_belongs_to_one_product_and_environment(s: &TestStore) {
    let elsewhere = |text: &str, product: &str, env: &str| {
        let mut job = keyed(text, "k", 1);
        job.route = Route {
            product: product.into(),
            env: env.into(),
            ..Route::clone(&job.route)
        }
        .into();
        job
    };
    s.insert(vec![
        keyed("1", "k", 1),
        on("b", keyed("2", "k", 1)),
        elsewhere("3", "shop", "dev"),
        elsewhere("4", "other", "prd"),
        keyed("5", "l", 1),
    ])
    .await;
    let process = s.process().await;
    // Two targets of one product share the key.
    assert_eq!(claim_ids(s, process, T0).await, ["1", "3", "4", "5"]);
}

pub async fn free_slot_goes_to_a_served_route(s: &TestStore) {
    s.insert(vec![
        on("b", keyed("first", "k", 1)),
        on("b", keyed("1", "k", 1)),
        on("a", keyed("2", "k", 1)),
        on("a", keyed("3", "k", 1)),
    ])
    .await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert!(s.claim(process, T0).await.is_empty());
    s.complete(process, &run, done(), T0).await;
    // The route of the first blocked run is not served any more.
    let served = [ServedRoute {
        route: s.route_id("a").await,
        group: 0,
    }];
    let params = || ClaimParams {
        now: T0,
        instance: process,
        served: Arc::new(served),
        group_slots: vec![9],
        slots: 9,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    let runs = s.store.claim(params()).await.unwrap().runs;
    assert_eq!(ids(&runs), ["2"]);
    s.complete(process, &runs[0], done(), T0).await;
    assert_eq!(ids(&s.store.claim(params()).await.unwrap().runs), ["3"]);
}

pub async fn raised_limit_lets_more_runs_start(s: &TestStore) {
    s.insert((0..9).map(|n| keyed(&n.to_string(), "k", 1)).collect()).await;
    let process = s.process().await;
    assert_eq!(claim_ids(s, process, T0).await, ["0"]);
    s.add(keyed("9", "k", 4)).await;
    assert_eq!(claim_ids(s, process, T0).await, ["1", "2", "3"]);
    // A dispatch that writes no job does not change the limit.
    s.add(keyed("9", "k", 8)).await;
    assert!(s.claim(process, T0).await.is_empty());
}

pub async fn greatly_raised_limit_is_fully_used(s: &TestStore) {
    s.insert((0..2_500).map(|n| keyed(&n.to_string(), "k", 1)).collect())
        .await;
    let process = s.process().await;
    while s.claim_with(process, T0, 10).await.more {}
    s.add(keyed("raise", "k", 2_400)).await;
    let mut claimed = 1;
    for _ in 0..40 {
        claimed += s.claim_with(process, T0, 500).await.runs.len();
    }
    assert_eq!(claimed, 2_400);
}

pub async fn a_lowered_limit_takes_effect_as_runs_end(s: &TestStore) {
    s.insert((0..6).map(|n| keyed(&n.to_string(), "k", 3)).collect()).await;
    let process = s.process().await;
    let runs = s.claim(process, T0).await;
    assert_eq!(runs.len(), 3);
    s.add(keyed("last", "k", 1)).await;
    assert!(is_blocked(position(s, "4").await, (3, 1)));
    for run in &runs[..2] {
        s.complete(process, run, done(), T0).await;
        assert!(s.claim(process, T0).await.is_empty());
    }
    s.complete(process, &runs[2], done(), T0).await;
    assert_eq!(claim_ids(s, process, T0).await, ["3"]);
}

pub async fn every_end_of_a_run_frees_its_slot(s: &TestStore) {
    let outcomes = [done(), failed(), retry(T0 + DAY), RunOutcome::Snoozed { due: T0 + DAY }];
    s.insert((0..9).map(|n| keyed(&n.to_string(), "k", 1)).collect()).await;
    let process = s.process().await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let run = s.claim_one(process, T0).await;
        assert_eq!(run.id.to_string(), n.to_string());
        s.complete(process, &run, outcome, T0).await;
    }
    s.claim_one(process, T0).await;
    s.store.cancel(&id("4"), None, T0).await.unwrap();
    s.claim_one(process, T0).await;
    s.change("5", Change::CancelRun { reason: None }, T0).await;
    // A released run comes first again.
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, RunOutcome::Released, T0).await;
    assert_eq!(s.claim_one(process, T0).await.id, id("6"));
    s.store.unregister(process, T0).await.unwrap();
    let other = s.process().await;
    assert_eq!(s.claim_one(other, T0).await.id, id("6"));
    s.crash(other);
    s.store.recover(RecoverParams::new(T0, 9)).await.unwrap();
    let last = s.process().await;
    let run = s.claim_one(last, T0).await;
    assert_eq!((run.id.clone(), run.crashes), (id("6"), 1));
    s.complete(last, &run, done(), T0).await;
    assert_eq!(s.claim_one(last, T0).await.id, id("7"));
}

pub async fn lost_claim_does_not_free_a_second_slot(s: &TestStore) {
    s.insert((0..4).map(|n| keyed(&n.to_string(), "k", 1)).collect()).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.store.cancel(&id("0"), None, T0).await.unwrap();
    s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0).await;
    assert!(s.claim(process, T0).await.is_empty());
}

pub async fn a_retry_waits_for_its_key_as_well(s: &TestStore) {
    s.insert(vec![keyed("x", "k", 1), keyed("y", "k", 1)]).await;
    let process = s.process().await;
    let x = s.claim_one(process, T0).await;
    s.complete(process, &x, retry(T0 + 5), T0).await;
    let y = s.claim_one(process, T0).await;
    assert!(s.claim(process, T0 + 5).await.is_empty());
    assert!(is_blocked(position(s, "x").await, (1, 1)));
    s.complete(process, &y, done(), T0 + 6).await;
    let again = s.claim_one(process, T0 + 6).await;
    assert_eq!((again.id, again.attempt, again.due), (id("x"), 2, T0 + 5));
}

pub async fn runs_of_a_series_obey_its_key(s: &TestStore) {
    s.add(NewJob {
        recurrence: Some(every(1_000)),
        ..keyed("x", "k", 1)
    })
    .await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    s.run_due_occurrence(T0 + 1_000, Some(T0 + 2_000)).await;
    let process = s.process().await;
    let first = s.claim_one(process, T0 + 1_000).await;
    assert_eq!(first.run, 1);
    assert!(s.claim(process, T0 + 1_000).await.is_empty());
    assert_eq!(s.status("x").await, Status::Running);
    s.complete(process, &first, done(), T0 + 1_001).await;
    assert_eq!(s.claim_one(process, T0 + 1_001).await.run, 2);
}

pub async fn blocked_run_is_shown_as_queued(s: &TestStore) {
    s.insert(vec![keyed("x", "k", 1), keyed("y", "k", 1), one_off("z")])
        .await;
    assert!(matches!(position(s, "y").await, RunPosition::Ready { ahead: 1, .. }));
    let process = s.process().await;
    s.claim_with(process, T0, 1).await;
    // Also before a claim has moved it behind the key.
    for _ in 0..2 {
        let held = RunPosition::Blocked {
            due: T0,
            running: 1,
            limit: 1,
        };
        assert_eq!(position(s, "y").await, held);
        let record = s.record("y").await;
        assert_eq!((record.status, record.scheduled_at), (Status::Queued, T0));
        s.claim(process, T0).await;
    }
    let queued = crate::store::ListFilter {
        statuses: vec![Status::Queued],
        limit: 9,
        ..Default::default()
    };
    assert_eq!(s.list(queued).await, ["y"]);
}

pub async fn blocked_run_can_be_changed_like_a_waiting_run(s: &TestStore) {
    s.insert((0..6).map(|n| keyed(&n.to_string(), "k", 1)).collect()).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert!(s.claim(process, T0).await.is_empty());
    s.store.cancel(&id("1"), None, T0).await.unwrap();
    s.change("2", pause(), T0).await;
    s.change("3", Change::Delete, T0).await;
    let timing = crate::store::Timing {
        due: Some(T0 + 50),
        series: None,
    };
    s.change("4", Change::Reschedule(timing), T0).await;
    let statuses = [s.status("1").await, s.status("2").await, s.status("4").await];
    assert_eq!(statuses, [Status::Cancelled, Status::Paused, Status::Scheduled]);
    s.check().await;
    s.change("2", resume(None), T0).await;
    assert!(is_blocked(position(s, "2").await, (1, 1)));
    s.complete(process, &run, done(), T0).await;
    for next in ["2", "5", "4"] {
        let run = s.claim_one(process, T0 + 60).await;
        assert_eq!(run.id, id(next));
        s.complete(process, &run, done(), T0 + 60).await;
    }
}

pub async fn removed_unblocked_run_unblocks_the_next(s: &TestStore) {
    s.insert((0..5).map(|n| keyed(&n.to_string(), "k", 1)).collect()).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert!(s.claim(process, T0).await.is_empty());
    s.complete(process, &run, done(), T0).await;
    s.store.cancel(&id("1"), None, T0).await.unwrap();
    s.change("2", pause(), T0).await;
    s.change("3", Change::Delete, T0).await;
    assert_eq!(claim_ids(s, process, T0).await, ["4"]);
}

pub async fn a_replaced_job_waits_for_its_new_key(s: &TestStore) {
    let jobs = ["busy", "moved", "free", "other"].map(|text| keyed(text, "k", 1));
    s.insert(jobs.into()).await;
    let process = s.process().await;
    s.claim_one(process, T0).await;
    assert!(s.claim(process, T0).await.is_empty());
    s.add(replacing(keyed("moved", "l", 1))).await;
    s.add(replacing(one_off("free"))).await;
    assert_eq!(claim_ids(s, process, T0).await, ["moved", "free"]);
    s.add(replacing(keyed("other", "l", 1))).await;
    assert!(is_blocked(position(s, "other").await, (1, 1)));
}

pub async fn running_run_keeps_its_old_key_when_its_series_is_replaced(s: &TestStore) {
    let recurring = |key: Option<&str>| {
        let job = key.map_or(one_off("x"), |key| keyed("x", key, 1));
        replacing(NewJob {
            recurrence: Some(every(1_000)),
            ..job
        })
    };
    s.add(recurring(Some("k"))).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.insert(vec![keyed("k1", "k", 1), keyed("l1", "l", 1)]).await;
    s.add(recurring(Some("l"))).await;
    // It counts against the old key while it is running, and its retry waits for the new one.
    assert_eq!(claim_ids(s, process, T0).await, ["l1"]);
    s.complete(process, &run, retry(T0), T0).await;
    assert_eq!(claim_ids(s, process, T0).await, ["k1"]);
    assert!(is_blocked(position(s, "x").await, (1, 1)));
    s.add(recurring(None)).await;
    let again = s.claim_one(process, T0).await;
    assert_eq!((again.id.clone(), again.attempt), (id("x"), 2));
    s.add(recurring(Some("l"))).await;
    s.complete(process, &again, RunOutcome::Released, T0).await;
    assert!(is_blocked(position(s, "x").await, (1, 1)));
}

pub async fn unused_key_is_deleted(s: &TestStore) {
    s.add(keyed("x", "k", 1)).await;
    s.change("x", Change::Delete, T0).await;
    s.check().await;
    s.insert(vec![keyed("y", "k", 2), keyed("z", "k", 2)]).await;
    let process = s.process().await;
    assert_eq!(claim_ids(s, process, T0).await, ["y", "z"]);
}

pub async fn unblocked_run_notifies_watchers(s: &TestStore) {
    s.insert(vec![keyed("x", "k", 1), keyed("y", "k", 1)]).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert!(s.claim(process, T0).await.is_empty());
    let mut changes = s.store.changes();
    changes.mark_unchanged();
    s.complete(process, &run, done(), T0).await;
    assert!(changes.has_changed().unwrap());
}
