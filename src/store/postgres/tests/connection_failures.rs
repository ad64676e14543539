//! A server that goes away, connections that are cut or stall: what was acknowledged stays, and nothing needs help.

use super::super::{Address, PostgresConfig, PostgresStore};
use super::test_support::{Schema, Server, add, claim};
use crate::error::ErrorCode;
use crate::model::{JobId, NewJob, Status};
use crate::store::contract::test_support::{T0, done, one_off};
use crate::store::{CompleteParams, Completed, Completion, InsertParams, ListFilter, Store};
use crate::testing::proxy::Proxy;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// A store that reaches its server through this.
async fn store_through(proxy: &Proxy, schema: &Schema) -> Arc<PostgresStore> {
    let url = schema
        .url_with("")
        .replacen(&schema.server(), &format!("127.0.0.1:{}", proxy.port()), 1);
    PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .unwrap()
}

fn server(test: &str) -> Option<(Schema, String)> {
    let Some(server) = Server::named() else {
        crate::store::contract::report_skipped(test);
        return None;
    };
    let schema = server.schema();
    let at = schema.server();
    Some((schema, at))
}

/// Dispatches and runs jobs for as long as `running`; returns the ids of those that were acknowledged.
async fn load(store: Arc<PostgresStore>, running: Arc<AtomicBool>, name: &'static str) -> HashSet<JobId> {
    let mut acknowledged = HashSet::new();
    let mut number = 0;
    while running.load(Ordering::Relaxed) {
        let jobs: Vec<NewJob> = (0..5)
            .map(|_| NewJob {
                id: JobId::generate(),
                ..one_off("x")
            })
            .collect();
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
        number += 1;
        let params = InsertParams {
            jobs,
            all_or_nothing: number % 2 == 0,
            now: T0,
        };
        if store.insert(params).await.is_ok() {
            acknowledged.extend(ids);
        }
    }
    assert!(!acknowledged.is_empty(), "{name} got nothing through");
    acknowledged
}

async fn work(store: Arc<PostgresStore>, running: Arc<AtomicBool>) -> usize {
    let instance = store.register(600_000).await.unwrap();
    let mut counted = 0;
    while running.load(Ordering::Relaxed) {
        let Ok(claimed) = claim_known(&store, instance).await else {
            continue;
        };
        let completions: Vec<Completion> = claimed
            .iter()
            .map(|run| Completion {
                job: run.job,
                run: run.run,
                token: run.token,
                started_at: T0,
                ended_at: T0 + run.token,
                outcome: done(),
            })
            .collect();
        // As the engine does: until the store has an answer.
        while !completions.is_empty() {
            let params = CompleteParams {
                now: T0,
                instance,
                completions: completions.clone(),
            };
            if let Ok(answers) = store.complete(params).await {
                counted += answers
                    .iter()
                    .filter(|answer| matches!(answer, Completed::Accepted(_)))
                    .count();
                break;
            }
        }
        if claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    counted
}

async fn claim_known(
    store: &PostgresStore,
    instance: i64,
) -> Result<Vec<crate::store::ClaimedRun>, crate::error::Error> {
    store.routes_after(0).await?;
    Ok(claim(store, instance, 20).await?.runs)
}

/// What was acknowledged is there, and what has counted as completed is completed.
async fn nothing_is_lost(schema: &Schema, acknowledged: &HashSet<JobId>, completed: usize) {
    let store = schema.open().await;
    for id in acknowledged {
        assert!(
            store.get(id).await.unwrap().is_some(),
            "{id} was acknowledged and is gone"
        );
    }
    let stats = store.stats(None).await.unwrap();
    assert_eq!(
        usize::try_from(stats.by_status[Status::Completed as usize]).unwrap(),
        completed
    );
    let page = store
        .list(ListFilter {
            limit: 1,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(page.jobs.len(), 1);
    store.check_invariants().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_connections_are_cut() {
    let Some((schema, at)) = server("nothing_is_lost_while_connections_are_cut") else {
        return;
    };
    let proxy = Proxy::to(&at).await;
    let store = store_through(&proxy, &schema).await;
    let running = Arc::new(AtomicBool::new(true));
    let loading = tokio::spawn(load(Arc::clone(&store), Arc::clone(&running), "the load"));
    let working = tokio::spawn(work(Arc::clone(&store), Arc::clone(&running)));
    for _ in 0..25 {
        let before = proxy.connections();
        proxy.cut();
        // The store is back before the next cut.
        let waiting = Instant::now();
        while proxy.connections() == before && waiting.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.store(false, Ordering::Relaxed);
    let (acknowledged, completed) = (loading.await.unwrap(), working.await.unwrap());
    nothing_is_lost(&schema, &acknowledged, completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_server_terminates_connections() {
    let Some((schema, _)) = server("nothing_is_lost_while_the_server_ends_all_connections") else {
        return;
    };
    let url = schema.url_with(&format!("&application_name={}", schema.name));
    let store = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .unwrap();
    let running = Arc::new(AtomicBool::new(true));
    let loading = tokio::spawn(load(Arc::clone(&store), Arc::clone(&running), "the load"));
    let working = tokio::spawn(work(Arc::clone(&store), Arc::clone(&running)));
    let client = schema.client().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
    let mut ended = 0;
    while ended < 30 {
        ended += client.query_one(end, &[&schema.name]).await.unwrap().get::<_, i64>(0);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    running.store(false, Ordering::Relaxed);
    let (acknowledged, completed) = (loading.await.unwrap(), working.await.unwrap());
    nothing_is_lost(&schema, &acknowledged, completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_connection_is_replaced() {
    let Some((schema, at)) = server("a_connection_that_stalls_is_given_up_and_made_anew") else {
        return;
    };
    let proxy = Proxy::to(&at).await;
    let store = store_through(&proxy, &schema).await;
    let instance = store.register(60_000).await.unwrap();
    add(&store, "before").await.unwrap();
    proxy.stall(true);
    // A sign of life has its own, short deadline.
    let began = Instant::now();
    assert_eq!(
        store.renew(instance, 60_000).await.unwrap_err().code,
        ErrorCode::ConnectionError
    );
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let adding = tokio::spawn({
        let store = Arc::clone(&store);
        async move { add(&store, "meanwhile").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.stall(false);
    // What was sent into the silence is sent again on another connection.
    adding.await.unwrap().unwrap();
    assert!(store.renew(instance, 60_000).await.unwrap());
    add(&store, "after").await.unwrap();
    assert_eq!(store.stats(None).await.unwrap().by_status.iter().sum::<i64>(), 3);
}

#[tokio::test]
async fn dispatch_fails_without_a_server_and_succeeds_after_it_returns() {
    let Some((schema, at)) = server("a_dispatch_without_a_server_is_refused_after_a_while") else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = schema.url_with("").replacen(&at, &format!("127.0.0.1:{port}"), 1);
    let error = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::ConnectionError);
    assert!(error.message.contains("cannot reach"), "{error}");
    let proxy = Proxy::to(&at).await;
    let store = store_through(&proxy, &schema).await;
    proxy.cut();
    add(&store, "x").await.unwrap();
}
