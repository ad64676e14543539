//! Several processes on one schema: nothing is claimed twice, nothing is lost, and deadlocks are resolved.

use super::super::PostgresStore;
use super::test_support::{Server, add, claim, served};
use crate::model::{NewJob, OnConflict, RunOutcome, Status};
use crate::store::contract::test_support::{DAY, T0, done, every, id, one_off, retry, route, series};
use crate::store::{
    Change, ClaimParams, CompleteParams, Completed, Completion, ComputeMove, InsertParams, InstanceId, JobSeq,
    Occurrence, RecoverParams, SeriesAdvance, SeriesMove, Store, Timing, begin_anew,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_claims_share_the_jobs() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("concurrent_claims_share_the_jobs");
    };
    let schema = server.schema();
    let first = schema.open().await;
    let jobs: Vec<NewJob> = (0..2_000).map(|n| one_off(&format!("j{n}"))).collect();
    first
        .insert(InsertParams {
            jobs,
            all_or_nothing: true,
            now: T0,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        })
        .await
        .unwrap();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let store = schema.open().await;
        tasks.push(tokio::spawn(async move {
            let instance = store.register(60_000, 10).await.unwrap();
            let mut mine = Vec::new();
            loop {
                let claimed = claim(&store, instance, 20).await.unwrap();
                assert!(claimed.runs.len() <= 20);
                if claimed.runs.is_empty() && !claimed.more {
                    return mine;
                }
                mine.extend(claimed.runs.iter().map(|run| run.job));
                complete_all(&store, instance, &claimed.runs, |_| done()).await;
            }
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    assert!(all.iter().all(|mine| !mine.is_empty()), "each got some");
    let total: usize = all.iter().map(Vec::len).sum();
    let distinct: HashSet<JobSeq> = all.into_iter().flatten().collect();
    assert_eq!((total, distinct.len()), (2_000, 2_000));
    assert_eq!(
        first.stats(None).await.unwrap().by_status[Status::Completed as usize],
        2_000
    );
    first.check_invariants().await;
}

async fn complete_all(
    store: &PostgresStore,
    instance: InstanceId,
    runs: &[crate::store::ClaimedRun],
    outcome: impl Fn(usize) -> RunOutcome,
) -> Vec<Completed> {
    let completions = runs
        .iter()
        .enumerate()
        .map(|(at, run)| Completion {
            job: run.job,
            run: run.run,
            token: run.token,
            recurring: run.recurring,
            started_at: T0,
            ended_at: T0 + 1,
            outcome: outcome(at),
        })
        .collect();
    store
        .complete(CompleteParams {
            now: T0 + 1,
            instance,
            completions,
        })
        .await
        .unwrap()
}

/// Number of job names that all tasks dispatch and change, so that they conflict.
const NAMES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_operations_keep_the_invariants() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("concurrent_operations_keep_the_invariants");
    };
    let schema = server.schema();
    let store = schema.open().await;
    let mut tasks = Vec::new();
    for task in 0..4_usize {
        let store = if task < 2 {
            Arc::clone(&store)
        } else {
            schema.open().await
        };
        tasks.push(tokio::spawn(async move { random_operations(&store, task).await }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    store.check_invariants().await;
}

async fn random_operations(store: &PostgresStore, task: usize) {
    let mut instance = store.register(60_000, 10).await.unwrap();
    for step in 0..150_usize {
        let dice = step * 7 + task * 13;
        let name = format!("n{}", (dice / 3) % NAMES);
        let now = T0 + i64::try_from(step).unwrap();
        match dice % 11 {
            0..=2 => dispatch(store, &name, dice, now).await,
            3..=5 => {
                let params = ClaimParams {
                    now,
                    instance,
                    served: served(store).await,
                    group_slots: vec![6],
                    slots: 6,
                    suspect: false,
                    passed_over: Default::default(),
                    planner: None,
                };
                let runs = store.claim(params).await.unwrap().runs;
                let outcome = |at: usize| match (at + step) % 4 {
                    0 => retry(now + 5),
                    1 => RunOutcome::Released,
                    _ => done(),
                };
                complete_all(store, instance, &runs, outcome).await;
            }
            6 => advance(store, now).await,
            7 if step % 40 == 7 => {
                // With its claims, which another process claims again.
                store.unregister(instance, now).await.unwrap();
                instance = store.register(60_000, 10).await.unwrap();
            }
            _ => change(store, &name, dice, now).await,
        }
    }
    store.unregister(instance, T0 + 500).await.unwrap();
}

async fn dispatch(store: &PostgresStore, name: &str, dice: usize, now: i64) {
    let base = if name.ends_with('3') || name.ends_with('7') {
        series(name)
    } else {
        one_off(name)
    };
    let job = NewJob {
        on_conflict: OnConflict::Replace,
        route: route(["a", "b"][dice % 2]).into(),
        priority: i32::try_from(dice % 3).unwrap(),
        due: Some(now + [0, 0, 50, DAY * 5][dice % 4]),
        created: now,
        ..base
    };
    let jobs = vec![job];
    store
        .insert(InsertParams {
            jobs,
            all_or_nothing: false,
            now,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        })
        .await
        .unwrap();
}

async fn advance(store: &PostgresStore, now: i64) {
    let params = ClaimParams {
        now,
        instance: InstanceId::new(0),
        served: Arc::new([]),
        group_slots: vec![],
        slots: 0,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    let series = store.claim(params).await.unwrap().series;
    let advances = series
        .iter()
        .map(|due| SeriesAdvance {
            occurrences: vec![Occurrence {
                scheduled_at: due.next_at.unwrap(),
                missed: 0,
            }],
            next_at: due.next_at.filter(|_| due.runs < 20).map(|at| at + 10),
            ..SeriesAdvance::unchanged(due)
        })
        .collect();
    store.advance(now, advances).await.unwrap();
}

async fn change(store: &PostgresStore, name: &str, dice: usize, now: i64) {
    let change = match dice % 7 {
        0 => Change::Cancel { reason: None },
        1 => Change::CancelRun {
            reason: Some("why\0not".into()),
        },
        2 => Change::Pause(ComputeMove::nothing()),
        3 | 4 => Change::Resume(ComputeMove::new(move |series| {
            Some(SeriesMove::of(SeriesAdvance {
                next_at: Some(now + 20),
                ..SeriesAdvance::unchanged(series)
            }))
        })),
        5 => {
            let recurrence = (name.ends_with('3') || name.ends_with('7')).then(|| every(2_000));
            Change::Reschedule(Timing {
                due: Some(now + 3),
                series: recurrence
                    .map(|new| ComputeMove::new(move |series| Some(begin_anew(series, &new, Some(now + 3), now)))),
            })
        }
        _ => Change::Retry { due: now },
    };
    if dice.is_multiple_of(5) {
        let filter = crate::store::ListFilter {
            limit: 8,
            ..Default::default()
        };
        let jobs = store.matching_jobs(filter).await.unwrap();
        store.change_many(jobs, vec![], change, now).await.unwrap();
    } else {
        store.change(&id(name), change, now).await.unwrap();
    }
}

#[tokio::test]
async fn dispatch_of_another_process_is_notified_at_once() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("dispatch_of_another_process_is_notified_at_once");
    };
    let schema = server.schema();
    let (here, there) = (schema.open().await, schema.open().await);
    let mut changes = here.changes();
    here.watch_other_processes(true);
    // The listening connection is opened in the background, and reports a change when it is there.
    tokio::time::timeout(Duration::from_secs(20), changes.changed())
        .await
        .unwrap()
        .unwrap();
    for n in 0..3 {
        changes.mark_unchanged();
        add(&there, &format!("x{n}")).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), changes.changed())
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn process_declared_dead_claims_nothing() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("process_declared_dead_claims_nothing");
    };
    let schema = server.schema();
    let store = schema.open().await;
    add(&store, "x").await.unwrap();
    // A lease that has expired when it begins, by the server's clock.
    let instance = store.register(-1, 10).await.unwrap();
    assert_eq!(store.recover(RecoverParams::new(T0, 3)).await.unwrap().instances, 1);
    assert!(claim(&store, instance, 5).await.unwrap().runs.is_empty());
    assert!(!store.renew(instance, 1_000).await.unwrap());
}

/// A process registers while the server's clock is a day ahead, and dies; the clock is put back.
#[tokio::test]
async fn lease_of_a_clock_that_was_ahead_ends_soon_after_the_clock_was_put_back() {
    let Some(s) = super::test_store().await else {
        return crate::store::contract::report_skipped("a lease of a clock that was ahead");
    };
    s.add(one_off("x")).await;
    let right = s.lease_clock.load(std::sync::atomic::Ordering::SeqCst);
    s.pass(DAY);
    let process = s.process().await;
    s.claim_one(process, T0).await;
    s.pass(-DAY);
    let recover = async || s.store.recover(RecoverParams::new(T0, 10)).await.unwrap().instances;
    s.pass(120_000);
    assert_eq!(recover().await, 0);
    s.store.retime_waiting(right + 120_000, DAY).await.unwrap();
    assert_eq!(recover().await, 0);
    // One that lives has renewed its lease by then.
    s.pass(60_001);
    assert_eq!(recover().await, 1);
}
