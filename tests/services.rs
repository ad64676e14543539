//! What happens when a background task of the engine dies: nothing is lost, every run ends, and the log says so. On SQLite,
//! and on the PostgreSQL that `DUCTAPE_TEST_POSTGRES` names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../src/testing/skipped.rs"]
mod skipped;

use ductape::clock::{Clock, SystemClock};
use ductape::engine::routing::{Pattern, Routing, WorkerFilter};
use ductape::engine::{
    AbortReason, Announcer, Engine, EngineConfig, Failpoints, Handler, Invocation, Level, Logger, Reply, WorkerConfig,
};
use ductape::error::ErrorCode;
use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Route, Status};
use ductape::store::postgres::{Address, PostgresConfig, PostgresStore};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{ClaimParams, InsertParams, NoteKind, RouteMark, ServedRoute, Store, Token};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// Services that are supervised: each of them dies once.
const SERVICES: [&str; 6] = [
    "completer",
    "progress writer",
    "lease",
    "retention sweeper",
    "outbox relay",
    "claimer",
];
const JOBS: usize = 600;
/// When the service dies, so many have run.
const RUN_BEFORE: usize = 100;
/// Longer than the test may take: what a dead service held must not have to wait for it.
const LEASE: Duration = Duration::from_secs(600);
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct RecordingLogger(Mutex<Vec<String>>);

impl RecordingLogger {
    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(text))
    }
}

impl Logger for RecordingLogger {
    fn log(&self, level: Level, message: &str) {
        if matches!(level, Level::Error | Level::Warn) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
}

/// Says something about each job, takes a moment, and is done.
#[derive(Default)]
struct BusyHandler {
    engine: OnceLock<Weak<Engine>>,
    calls: AtomicUsize,
    called: watch::Sender<usize>,
}

impl Handler for BusyHandler {
    fn call(&self, invocation: Invocation) {
        let count = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.called.send_replace(count);
        let engine = self.engine.get().and_then(Weak::upgrade);
        tokio::spawn(async move {
            if let Some(engine) = engine {
                engine.note(invocation.attempt.key(), NoteKind::Progress("1".into()));
            }
            tokio::task::yield_now().await;
            let _ = invocation.reply.send(Ok(Reply::Done(None)));
        });
    }

    fn abort(&self, _: Token, _: &AbortReason) {}
}

fn route() -> Route {
    Route {
        namespace: Namespace::Features,
        product: "shop".into(),
        env: "test".into(),
        target: vec!["work".into()],
    }
}

fn jobs(count: usize) -> Vec<NewJob> {
    let now = SystemClock.now();
    let job = |_| NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: route().into(),
        priority: 0,
        due: Some(now),
        created: now,
        retries: 3,
        options: JobOptions::default(),
        input: "{}".into(),
        input_digest: None,
        recurrence: None,
    };
    (0..count).map(job).collect()
}

/// An engine whose services can be made to panic.
struct Bench {
    store: Arc<dyn Store>,
    engine: Arc<Engine>,
    handler: Arc<BusyHandler>,
    logger: Arc<RecordingLogger>,
    failpoints: Failpoints,
}

impl Bench {
    fn new(store: Arc<dyn Store>) -> Self {
        let (handler, logger, failpoints) = (
            Arc::new(BusyHandler::default()),
            Arc::new(RecordingLogger::default()),
            Failpoints::default(),
        );
        let routing = Arc::new(Routing::new(WorkerFilter::default()));
        let pattern = Pattern {
            namespace: Namespace::Features,
            product: None,
            env: None,
            target: vec![None],
        };
        routing.register(pattern, Arc::clone(&handler) as Arc<dyn Handler>, None, None);
        let engine = Engine::new(
            Arc::clone(&store),
            Arc::new(SystemClock),
            Arc::clone(&logger) as Arc<dyn Logger>,
            routing,
            Arc::new(Announcer::default()),
            EngineConfig {
                worker: Some(WorkerConfig {
                    concurrency: 20,
                    filter: WorkerFilter::default(),
                }),
                lease: LEASE,
                failpoints: failpoints.clone(),
                ..EngineConfig::default()
            },
        );
        handler.engine.set(Arc::downgrade(&engine)).unwrap();
        Self {
            store,
            engine,
            handler,
            logger,
            failpoints,
        }
    }

    async fn dispatch(&self, count: usize) {
        let params = InsertParams {
            jobs: jobs(count),
            all_or_nothing: true,
            now: SystemClock.now(),
            since: std::time::Instant::now(),
            replaced: ductape::store::begin_anew,
        };
        self.store.insert(params).await.unwrap();
    }

    async fn called(&self, times: usize) {
        let mut called = self.handler.called.subscribe();
        within("the handler is called", called.wait_for(|count| *count >= times))
            .await
            .unwrap();
    }

    /// Waits until so many jobs are in this state.
    async fn in_state(&self, status: Status, count: usize) {
        let mut changes = self.store.changes();
        let reached = async {
            loop {
                changes.mark_unchanged();
                let stats = self.store.stats(None).await.unwrap();
                if stats.by_status[status as usize] == i64::try_from(count).unwrap() {
                    return;
                }
                // Ends of runs are no news to a claimer: looked for besides.
                let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
            }
        };
        within(&format!("{count} jobs are {status:?}"), reached).await;
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// A store of each kind that can be had here, and what is to be done with it afterwards.
async fn on_each_store<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Store>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::File(folder.path().join("jobs.db"));
    let store = SqliteStore::open(SqliteConfig::new(file)).unwrap();
    test(store.clone()).await;
    store.close().await.unwrap();
    let Some(url) = skipped::address("DUCTAPE_TEST_POSTGRES", "a test of services") else {
        return;
    };
    static SCHEMAS: AtomicUsize = AtomicUsize::new(0);
    let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
    let schema = format!("ductape_services_{}_{number}", std::process::id());
    let address = Address::parse(&format!("{url}?schema={schema}")).unwrap();
    let store = PostgresStore::open(PostgresConfig::new(address)).await.unwrap();
    test(store.clone()).await;
    store.close().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let drop = format!("DROP SCHEMA \"{schema}\" CASCADE");
    client.batch_execute(&drop).await.unwrap();
    connection.abort();
}

async fn dies_under_load(store: Arc<dyn Store>, service: &'static str) {
    let bench = Bench::new(store);
    bench.dispatch(JOBS / 2).await;
    bench.engine.work().await.unwrap();
    bench.called(RUN_BEFORE).await;
    bench.failpoints.arm(service);
    bench.dispatch(JOBS / 2).await;
    bench.in_state(Status::Completed, JOBS).await;
    // Services that come round rarely die after the last job: what follows is still done.
    let fired = async {
        while bench.failpoints.is_armed(service) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(&format!("'{service}' dies"), fired).await;
    bench.dispatch(10).await;
    bench.in_state(Status::Completed, JOBS + 10).await;
    assert!(
        bench
            .logger
            .has(&format!("service '{service}' panicked: failpoint '{service}'")),
        "the log does not name it: {:?}",
        bench.logger.0.lock().unwrap()
    );
    bench.engine.stop(Duration::from_secs(5)).await;
    assert_eq!(bench.engine.in_flight.unfinished(), 0);
    let stats = bench.store.stats(None).await.unwrap();
    assert_eq!(stats.by_status[Status::Running as usize], 0);
}

/// Every run ends, none is lost, and what the dead service held does not wait for its lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_panics_under_load_loses_nothing_and_is_named_in_the_log() {
    for service in SERVICES {
        on_each_store(|store| async move {
            dies_under_load(store, service).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_panics_is_retried_and_takes_nothing_with_it() {
    on_each_store(|store| async move {
        let bench = Bench::new(store);
        bench.failpoints.arm("executor");
        bench.dispatch(JOBS).await;
        bench.engine.work().await.unwrap();
        bench.in_state(Status::Completed, JOBS).await;
        assert!(!bench.failpoints.is_armed("executor"));
        assert!(bench.logger.has("panicked"));
        let stats = bench.store.stats(None).await.unwrap();
        assert_eq!((stats.after_retry, stats.retries), (1, 1));
        bench.engine.stop(Duration::from_secs(5)).await;
        assert_eq!(bench.engine.slot_usage().0, 0, "its slot is free");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_keep_dying_stay_down_and_callers_are_told() {
    on_each_store(|store| async move {
        let bench = Bench::new(Arc::clone(&store));
        (0..20).for_each(|_| bench.failpoints.arm("claimer"));
        bench.dispatch(10).await;
        bench.engine.work().await.unwrap();
        let error = within("the services stay down", bench.engine.failed()).await;
        assert_eq!(error.code, ErrorCode::StoreError);
        assert!(
            error.message.contains("service 'claimer' panicked"),
            "{}",
            error.message
        );
        assert_eq!(bench.engine.work().await.unwrap_err().code, ErrorCode::StoreError);
        assert_eq!(bench.engine.drain(None).await.unwrap_err().code, ErrorCode::StoreError);
        within("it stops", bench.engine.stop(Duration::from_secs(5))).await;
        // What it held is free for the next engine, long before its lease would have ended.
        let next = Bench::new(store);
        next.engine.work().await.unwrap();
        next.in_state(Status::Completed, 10).await;
        next.engine.stop(Duration::from_secs(5)).await;
    })
    .await;
}

/// A drain that waits when the services go down for good is rejected, and does not wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_way_is_rejected_when_the_services_stay_down() {
    on_each_store(|store| async move {
        let bench = Bench::new(store);
        (0..20).for_each(|_| bench.failpoints.arm("completer"));
        bench.dispatch(JOBS).await;
        let drained = within("the drain ends", bench.engine.drain(None)).await;
        assert_eq!(drained.unwrap_err().code, ErrorCode::StoreError);
        within("it stops", bench.engine.stop(Duration::from_secs(5))).await;
    })
    .await;
}

/// A claim whose answer takes long is not handed back before it can begin; one whose answer was lost is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_handed_back_only_when_no_answer_can_come_any_more() {
    on_each_store(|store| async move {
        let bench = Bench::new(Arc::clone(&store));
        bench.engine.work().await.unwrap();
        let instance = bench.engine.instance().unwrap();
        // As the claimer does it, so that nobody else claims.
        let round = bench.engine.gate.round().await;
        bench.dispatch(1).await;
        let known = store.routes_after(RouteMark::default()).await.unwrap();
        let params = ClaimParams {
            now: SystemClock.now(),
            instance,
            served: vec![ServedRoute {
                route: known.routes[0].id,
                group: 0,
            }]
            .into(),
            group_slots: vec![1],
            slots: 1,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        assert_eq!(store.claim(params).await.unwrap().runs.len(), 1);
        // Several comparisons with the store.
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        assert_eq!(store.claims_of(instance).await.unwrap().len(), 1);
        drop(round);
        bench.in_state(Status::Completed, 1).await;
        bench.engine.stop(Duration::from_secs(5)).await;
    })
    .await;
}
