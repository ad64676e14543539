//! What a call, a server's clock or a stranger can ask of a process: times, connections, bytes and wake-ups have bounds.

use super::super::{Address, PostgresConfig, PostgresStore};
use super::test_support::{add, claim, schema, served};
use crate::error::ErrorCode;
use crate::model::{JobId, NewJob};
use crate::store::contract::test_support::{T0, one_off, series, step};
use crate::store::{ClaimParams, InsertParams, InstanceId, Occurrence, SeriesAdvance, Store};
use crate::testing::eventually::eventually;
use crate::testing::proxy::Proxy;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOUR: i64 = 3_600_000;

/// Waits until `store` is woken by what `other` dispatches.
async fn until_it_listens(store: &PostgresStore, other: &PostgresStore) {
    store.watch_other_processes(true);
    let mut changes = store.changes();
    eventually("it listens", async || {
        changes.mark_unchanged();
        add(other, &JobId::generate().to_string()).await.unwrap();
        tokio::time::timeout(Duration::from_millis(300), changes.changed())
            .await
            .is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_behind_others_fail_with_them_when_nobody_answers() {
    let Some(schema) = schema("calls_that_wait_behind_others_fail_with_them_when_nobody_answers") else {
        return;
    };
    let proxy = Proxy::to(&schema.server()).await;
    let store = schema.open_at(proxy.port(), "&connections=2").await.unwrap();
    add(&store, "first").await.unwrap();
    proxy.stall(true);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            // One after the other, so that each is a batch of its own.
            tokio::time::sleep(Duration::from_millis(20 * n)).await;
            let began = Instant::now();
            let error = match n % 2 {
                0 => add(&store, &format!("job {n}")).await.unwrap_err(),
                _ => store.get(&JobId::Custom("first".into())).await.unwrap_err(),
            };
            (began.elapsed(), error)
        });
    }
    while let Some(call) = calls.join_next().await {
        let (took, error) = call.unwrap();
        assert_eq!(error.code, ErrorCode::ConnectionError, "{error}");
        assert!(took < Duration::from_secs(14), "{took:?}: {error}");
    }
    proxy.stall(false);
    // It does not take long to be as before.
    eventually("a call is answered", async || add(&store, "last").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_nobody_waits_for_are_cancelled_and_connections_stay_within_their_number() {
    let Some(schema) =
        schema("statements_that_nobody_waits_for_are_cancelled_and_connections_stay_within_their_number")
    else {
        return;
    };
    // Its connections are known by the schema's name.
    let url = schema.url_with(&format!("&application_name={}", schema.name));
    let store = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .unwrap();
    add(&store, "first").await.unwrap();
    let [locking, watching] = [schema.client().await, schema.client().await];
    let lock = format!("BEGIN; LOCK TABLE \"{}\".jobs IN ACCESS EXCLUSIVE MODE", schema.name);
    locking.batch_execute(&lock).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..12 {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            match n % 3 {
                0 => add(&store, &format!("job {n}")).await.map(|_| ()),
                _ => store.get(&JobId::Custom("first".into())).await.map(|_| ()),
            }
        });
    }
    let count = |state: &'static str| {
        let (watching, name) = (&watching, &schema.name);
        async move {
            let text = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state LIKE $2";
            watching
                .query_one(text, &[name, &state])
                .await
                .unwrap()
                .get::<_, i64>(0)
        }
    };
    let mut most = 0;
    while !calls.is_empty() {
        most = most.max(count("%").await);
        tokio::select! {
            ended = calls.join_next() => {
                let error = ended.unwrap().unwrap().unwrap_err();
                assert_eq!(error.code, ErrorCode::ConnectionError, "{error}");
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    // Four for calls, one for leases.
    assert!((4..=5).contains(&most), "{most} connections");
    // The lock is still there, and nothing waits for it.
    eventually("statements are cancelled", async || count("active").await == 0).await;
    locking.batch_execute("ROLLBACK").await.unwrap();
    eventually("a call is answered", async || add(&store, "last").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_is_renewed_at_once_after_a_renewal_that_was_given_up() {
    let Some(schema) = schema("lease_is_renewed_at_once_after_a_renewal_that_was_given_up") else {
        return;
    };
    let proxy = Proxy::to(&schema.server()).await;
    let store = schema.open_at(proxy.port(), "").await.unwrap();
    let instance = store.register(60_000, 1).await.unwrap();
    proxy.stall(true);
    assert!(store.renew(instance, 60_000).await.is_err());
    // What was begun meanwhile gets no answer any more, new connections do.
    proxy.stall(false);
    assert!(store.renew(instance, 60_000).await.unwrap());
}

#[tokio::test]
async fn listening_connection_that_died_is_replaced_within_seconds() {
    let Some(schema) = schema("listening_connection_that_died_is_replaced_within_seconds") else {
        return;
    };
    let proxy = Proxy::to(&schema.server()).await;
    let store = schema.open_at(proxy.port(), "").await.unwrap();
    let other = schema.open().await;
    until_it_listens(&store, &other).await;
    let before = proxy.connections();
    let began = Instant::now();
    proxy.stall(true);
    eventually("it connects again", async || proxy.connections() > before).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn notifications_of_strangers_wake_nobody_and_floods_of_others_rarely() {
    let Some(schema) = schema("notifications_of_strangers_wake_nobody_and_floods_of_others_rarely") else {
        return;
    };
    let (store, other) = (schema.open().await, schema.open().await);
    until_it_listens(&store, &other).await;
    let mut changes = store.changes();
    let client = schema.client().await;
    let mark = format!(
        "SELECT value FROM \"{}\".marks WHERE name = 'notification channel'",
        schema.name
    );
    let channel: String = client.query_one(&mark, &[]).await.unwrap().get(0);
    // Whoever knows the schema's name does not know the channel's.
    assert!(!channel.contains(&schema.name) && channel.len() > 30, "{channel}");
    // The last notifications of the other process have come by then.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let flood = "SELECT pg_notify($1, n::text) FROM generate_series(1, 2000) AS n";
    let (before, began) = (*changes.borrow_and_update(), Instant::now());
    for _ in 0..5 {
        client.query(flood, &[&channel]).await.unwrap();
    }
    eventually("they have come", async || *changes.borrow() > before).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let woken = *changes.borrow_and_update() - before;
    let most = began.elapsed().as_millis() as u64 / 10 + 2;
    assert!(woken <= most, "woken {woken} times in {:?}", began.elapsed());
}

/// Claims by the clock of who claims; returns how many runs.
async fn claimed_at(store: &PostgresStore, instance: InstanceId, now: i64) -> usize {
    claim_at(store, instance, now, 10).await
}

async fn claim_at(store: &PostgresStore, instance: InstanceId, now: i64, slots: usize) -> usize {
    let params = ClaimParams {
        now,
        instance,
        served: served(store).await,
        group_slots: vec![slots],
        slots,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    store.claim(params).await.unwrap().runs.len()
}

#[tokio::test]
async fn statement_beside_a_server_whose_clock_is_ahead_runs_when_it_is_due() {
    let Some(schema) = schema("statement_beside_a_server_whose_clock_is_ahead_runs_when_it_is_due") else {
        return;
    };
    let store = schema.open().await;
    let instance = store.register(60_000, 10).await.unwrap();
    let client = schema.client().await;
    // The server's clock is far ahead of T0.
    let later = NewJob {
        due: Some(T0 + HOUR / 2),
        ..one_off("later")
    };
    for (job, status) in [(one_off("now"), "queued"), (later, "scheduled")] {
        let statement = store.statement(&job).await.unwrap().unwrap();
        let row = client.query_one(&statement.text, &[&statement.value]).await.unwrap();
        assert_eq!(row.get::<_, &str>(1), status);
    }
    assert_eq!(claimed_at(&store, instance, T0).await, 1);
    assert_eq!(claimed_at(&store, instance, T0 + HOUR / 2).await, 1);
}

#[tokio::test]
async fn clock_of_another_process_makes_nothing_run_early_or_late() {
    let Some(schema) = schema("clock_of_another_process_makes_nothing_run_early_or_late") else {
        return;
    };
    let store = schema.open().await;
    let instance = store.register(60_000, 10).await.unwrap();
    let ahead = store.register(60_000, 10).await.unwrap();
    let later = NewJob {
        due: Some(T0 + HOUR / 2),
        ..one_off("later")
    };
    let params = InsertParams {
        jobs: vec![later],
        all_or_nothing: false,
        now: T0,
        since: Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
    // A process whose clock is an hour ahead moves it, and is gone.
    claim_at(&store, ahead, T0 + HOUR, 0).await;
    assert_eq!(claimed_at(&store, instance, T0).await, 0);
    // What it dispatches for now runs now.
    let params = InsertParams {
        jobs: vec![NewJob {
            created: T0 + HOUR,
            ..one_off("now")
        }],
        all_or_nothing: false,
        now: T0 + HOUR,
        since: Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
    assert_eq!(claimed_at(&store, instance, T0).await, 1);
    assert_eq!(claimed_at(&store, instance, T0 + HOUR / 2).await, 1);
}

/// Until its time came it would be in the way of all that are due before.
#[tokio::test]
async fn a_run_of_a_series_that_a_clock_which_was_ahead_has_made_is_not_put_off() {
    let Some(s) = super::test_store().await else {
        return crate::store::contract::report_skipped("a run of a series that a clock which was ahead has made");
    };
    s.add(series("x")).await;
    let due = s.due_series(T0 + HOUR).await.remove(0);
    let advance = SeriesAdvance {
        occurrences: vec![Occurrence {
            scheduled_at: T0 + HOUR,
            missed: 0,
        }],
        ..step(&due, Some(T0 + 2 * HOUR))
    };
    assert_eq!(s.store.advance(T0 + HOUR, vec![advance]).await.unwrap(), 1);
    let process = s.process().await;
    assert_eq!(s.claim_one(process, T0).await.scheduled_at, T0 + HOUR);
}

#[tokio::test]
async fn runs_whose_inputs_are_too_much_for_one_claim_are_handed_back() {
    let Some(schema) = schema("runs_whose_inputs_are_too_much_for_one_claim_are_handed_back") else {
        return;
    };
    let store = schema.open().await;
    let instance = store.register(60_000, 100).await.unwrap();
    for n in 0..6 {
        let params = InsertParams {
            jobs: vec![NewJob {
                input: format!("\"{}\"", "x".repeat(20 << 20)).into(),
                ..one_off(&format!("job {n}"))
            }],
            all_or_nothing: false,
            now: T0,
            since: Instant::now(),
            replaced: crate::store::begin_anew,
        };
        store.insert(params).await.unwrap();
    }
    let client = schema.client().await;
    let mut taken = 0;
    for wanted in [4, 2] {
        let claimed = claim(&store, instance, 100).await.unwrap();
        assert_eq!(claimed.runs.len(), wanted);
        taken += wanted as i64;
        let running = format!("SELECT count(*) FROM \"{}\".running", schema.name);
        assert_eq!(client.query_one(&running, &[]).await.unwrap().get::<_, i64>(0), taken);
        assert_eq!(claimed.more, wanted == 4);
        store.check_invariants().await;
    }
    // Small ones come in full number again, after some claims.
    for n in 0..200 {
        add(&store, &format!("small {n}")).await.unwrap();
    }
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 200 {
        counts.push(claim(&store, instance, 100).await.unwrap().runs.len());
    }
    assert!(
        counts.len() < 20 && counts.is_sorted_by(|a, b| a <= b || *b == 0 || counts.len() > 2),
        "{counts:?}"
    );
}
