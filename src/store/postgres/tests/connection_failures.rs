//! Server outages, broken and stalled connections: acknowledged work is never lost, and the store recovers by itself.

use super::super::{Address, PostgresConfig, PostgresStore};
use super::test_support::{Schema, add, claim, schema};
use crate::error::{Error, ErrorCode};
use crate::model::{JobId, NewJob, Status};
use crate::store::contract::test_support::{T0, done, one_off};
use crate::store::{CompleteParams, Completed, Completion, InsertParams, InstanceId, ListFilter, RouteMark, Store};
use crate::testing::eventually::eventually;
use crate::testing::proxy::Proxy;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A schema of the test's own, and a store that connects through a proxy.
async fn store_through_proxy(test: &str) -> Option<(Schema, Proxy, Arc<PostgresStore>)> {
    let schema = schema(test)?;
    let proxy = Proxy::to(&schema.server()).await;
    let store = schema.open_at(proxy.port(), "").await.unwrap();
    Some((schema, proxy, store))
}

/// Processes that dispatch and run jobs until stopped.
struct Load {
    stopped: Arc<AtomicBool>,
    /// Number of dispatches acknowledged so far.
    dispatches: Arc<AtomicUsize>,
    dispatching: JoinHandle<HashSet<JobId>>,
    working: JoinHandle<usize>,
}

impl Load {
    fn start(store: &Arc<PostgresStore>) -> Self {
        let (stopped, dispatches) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        Self {
            dispatching: tokio::spawn(dispatch(
                Arc::clone(store),
                Arc::clone(&stopped),
                Arc::clone(&dispatches),
            )),
            working: tokio::spawn(work(Arc::clone(store), Arc::clone(&stopped))),
            stopped,
            dispatches,
        }
    }

    /// Waits for another acknowledged dispatch.
    async fn progress(&self) {
        let before = self.dispatches.load(Ordering::Relaxed);
        eventually("a dispatch is acknowledged", async || {
            self.dispatches.load(Ordering::Relaxed) > before
        })
        .await;
    }

    /// Stops; returns the ids of acknowledged dispatches, and the number of accepted completions.
    async fn stop(self) -> (HashSet<JobId>, usize) {
        self.stopped.store(true, Ordering::Relaxed);
        (self.dispatching.await.unwrap(), self.working.await.unwrap())
    }
}

async fn dispatch(store: Arc<PostgresStore>, stopped: Arc<AtomicBool>, dispatches: Arc<AtomicUsize>) -> HashSet<JobId> {
    let mut acknowledged = HashSet::new();
    let mut number = 0;
    while !stopped.load(Ordering::Relaxed) {
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
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        };
        if store.insert(params).await.is_ok() {
            acknowledged.extend(ids);
            dispatches.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

async fn work(store: Arc<PostgresStore>, stopped: Arc<AtomicBool>) -> usize {
    let instance = store.register(600_000, 10).await.unwrap();
    let mut counted = 0;
    while !stopped.load(Ordering::Relaxed) {
        let Ok(claimed) = claim_known(&store, instance).await else {
            continue;
        };
        let completions: Vec<Completion> = claimed
            .iter()
            .map(|run| Completion {
                job: run.job,
                run: run.run,
                token: run.token,
                recurring: run.recurring,
                started_at: T0,
                ended_at: T0 + run.token.get(),
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
    }
    counted
}

async fn claim_known(store: &PostgresStore, instance: InstanceId) -> Result<Vec<crate::store::ClaimedRun>, Error> {
    store.routes_after(RouteMark::new(0)).await?;
    Ok(claim(store, instance, 20).await?.runs)
}

/// Checks that all acknowledged jobs exist, and that accepted completions are stored.
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
    let Some((schema, proxy, store)) = store_through_proxy("nothing_is_lost_while_connections_are_cut").await else {
        return;
    };
    let load = Load::start(&store);
    for _ in 0..25 {
        let before = proxy.connections();
        proxy.cut();
        // The store is back before the next cut.
        eventually("the store connects again", async || proxy.connections() > before).await;
        load.progress().await;
    }
    let (acknowledged, completed) = load.stop().await;
    nothing_is_lost(&schema, &acknowledged, completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_server_terminates_connections() {
    let Some(schema) = schema("nothing_is_lost_while_the_server_terminates_connections") else {
        return;
    };
    let url = schema.url_with(&format!("&application_name={}", schema.name));
    let store = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .unwrap();
    let load = Load::start(&store);
    let client = schema.client().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
    let mut ended = 0;
    while ended < 30 {
        ended += client.query_one(end, &[&schema.name]).await.unwrap().get::<_, i64>(0);
        load.progress().await;
    }
    let (acknowledged, completed) = load.stop().await;
    nothing_is_lost(&schema, &acknowledged, completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_connection_is_replaced() {
    let Some((_schema, proxy, store)) = store_through_proxy("stalled_connection_is_replaced").await else {
        return;
    };
    let instance = store.register(60_000, 10).await.unwrap();
    add(&store, "before").await.unwrap();
    proxy.stall(true);
    // The renewal of a lease has a short deadline of its own.
    let began = Instant::now();
    assert_eq!(
        store.renew(instance, 60_000).await.unwrap_err().code,
        ErrorCode::ConnectionError
    );
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let lost_before = proxy.lost_bytes();
    let adding = tokio::spawn({
        let store = Arc::clone(&store);
        async move { add(&store, "meanwhile").await }
    });
    eventually("the dispatch is sent", async || proxy.lost_bytes() > lost_before).await;
    proxy.stall(false);
    // Calls on the stalled connection are resent on another one.
    adding.await.unwrap().unwrap();
    assert!(store.renew(instance, 60_000).await.unwrap());
    add(&store, "after").await.unwrap();
    assert_eq!(store.stats(None).await.unwrap().by_status.iter().sum::<i64>(), 3);
}

/// A claim whose answer is lost is made all the same: what it took must not be mistaken for what the next one takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claim_that_is_sent_again_has_other_tokens() {
    let Some((schema, proxy, store)) = store_through_proxy("claim_that_is_sent_again_has_other_tokens").await else {
        return;
    };
    let instance = store.register(60_000, 10).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        add(&store, name).await.unwrap();
    }
    // By now its statements are prepared.
    claim(&store, instance, 0).await.unwrap();
    let client = schema.client().await;
    let lock = format!("BEGIN; LOCK TABLE \"{}\".ready IN ACCESS EXCLUSIVE MODE", schema.name);
    client.batch_execute(&lock).await.unwrap();
    let claiming = tokio::spawn({
        let store = Arc::clone(&store);
        async move { claim(&store, instance, 2).await }
    });
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND relation = $1::text::regclass";
    let table = format!("\"{}\".ready", schema.name);
    eventually("the claim has come to the server", async || {
        client.query_one(waiting, &[&table]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    proxy.cut();
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(claiming.await.unwrap().unwrap().runs.len(), 2);
    let tokens = format!(
        "SELECT count(*), count(DISTINCT token) FROM \"{}\".running",
        schema.name
    );
    eventually("both claims were made", async || {
        client.query_one(&tokens, &[]).await.unwrap().get::<_, i64>(0) == 4
    })
    .await;
    assert_eq!(client.query_one(&tokens, &[]).await.unwrap().get::<_, i64>(1), 4);
}

#[tokio::test]
async fn host_that_says_nothing_does_not_hold_up_the_next() {
    let Some(schema) = schema("host_that_says_nothing_does_not_hold_up_the_next") else {
        return;
    };
    // Connections are accepted by the system, and nobody answers.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = format!("{},{}", mute.local_addr().unwrap(), schema.server());
    let url = schema.url_with("").replacen(&schema.server(), &hosts, 1);
    let began = Instant::now();
    let store = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .unwrap();
    add(&store, "x").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // From then on the one that answers comes first.
    let began = Instant::now();
    let again: Vec<_> = (0..8)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { add(&store, &n.to_string()).await })
        })
        .collect();
    for added in again {
        added.await.unwrap().unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // Alone it is refused, with words that do not speak of a change.
    let url = schema.url_with("&connect_timeout=1");
    let url = url.replacen(&schema.server(), &mute.local_addr().unwrap().to_string(), 1);
    let error = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::ConnectionError);
    assert!(
        error.message.contains("no answer") && !error.message.contains("change"),
        "{error}"
    );
}

#[tokio::test]
async fn dispatch_fails_without_a_server_and_succeeds_after_it_returns() {
    let Some(schema) = schema("dispatch_fails_without_a_server_and_succeeds_after_it_returns") else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = schema.open_at(port, "").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ConnectionError);
    assert!(error.message.contains("cannot reach"), "{error}");
    let proxy = Proxy::to(&schema.server()).await;
    let store = schema.open_at(proxy.port(), "").await.unwrap();
    proxy.cut();
    add(&store, "x").await.unwrap();
}
