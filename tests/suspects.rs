//! Runs that crashed so often that they run alone, beside others, in one engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use ductape::clock::{Clock, Millis};
use ductape::engine::routing::{Pattern, Routing, WorkerFilter};
use ductape::engine::{
    AbortReason, Announcer, Engine, EngineConfig, Handler, Invocation, Level, Logger, Reply, WorkerConfig,
};
use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Route, Status};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{
    ClaimParams, InsertParams, InstanceId, RecoverParams, RouteId, SUSPECT_AFTER, ServedRoute, Store, Token,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const NOW: Millis = 1_767_225_600_000;
/// How long a handler takes.
const TAKES: Duration = Duration::from_millis(30);

/// Keeps warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Logger for Warnings {
    fn log(&self, level: Level, message: &str) {
        if matches!(level, Level::Warn) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
}

impl Warnings {
    /// Those about runs that failed, without the id of the job.
    fn of_failed_runs(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let failed = lines.iter().filter(|line| line.contains(" failed in attempt "));
        failed.map(|line| line[line.find('(').unwrap()..].to_owned()).collect()
    }
}

#[derive(Debug)]
struct StoppedClock;
impl Clock for StoppedClock {
    fn now(&self) -> Millis {
        NOW
    }
}

/// Answers after a while, and writes down what began and ended: the crashes of the run before it.
#[derive(Default)]
struct SlowHandler(Arc<Mutex<Vec<(bool, u32)>>>);

impl Handler for SlowHandler {
    fn call(&self, invocation: Invocation) {
        let (log, crashes) = (Arc::clone(&self.0), invocation.attempt.run.crashes);
        log.lock().unwrap().push((true, crashes));
        tokio::spawn(async move {
            sleep(TAKES).await;
            log.lock().unwrap().push((false, crashes));
            let _ = invocation.reply.send(Ok(Reply::Done(None)));
        });
    }

    fn abort(&self, _: Token, _: &AbortReason) {}
}

impl SlowHandler {
    /// How many runs were going beside each run that has crashed: when it began, and those that began before it ended.
    fn company_of_crashed(&self) -> Vec<usize> {
        let (mut going, mut company) = (0, Vec::new());
        let mut alone = false;
        for (began, crashes) in &*self.0.lock().unwrap() {
            let crashed = *crashes > 0;
            match (*began, crashed) {
                (true, true) => {
                    company.push(going);
                    alone = true;
                }
                (true, false) if alone => *company.last_mut().unwrap() += 1,
                (false, true) => alone = false,
                _ => {}
            }
            going = if *began { going + 1 } else { going - 1 };
        }
        company
    }
}

fn jobs(count: usize) -> Vec<NewJob> {
    let route = Arc::new(Route {
        namespace: Namespace::Features,
        product: "shop".into(),
        env: "test".into(),
        target: vec!["work".into()],
    });
    let job = |_| NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: Arc::clone(&route),
        priority: 0,
        due: Some(NOW),
        created: NOW,
        retries: 0,
        options: JobOptions::default(),
        input: "{}".into(),
        input_digest: None,
        recurrence: None,
    };
    (0..count).map(job).collect()
}

async fn insert(store: &Arc<dyn Store>, count: usize) {
    let params = InsertParams {
        jobs: jobs(count),
        all_or_nothing: false,
        now: NOW,
        since: std::time::Instant::now(),
        replaced: ductape::store::begin_anew,
    };
    store.insert(params).await.unwrap();
}

async fn empty_store() -> Arc<dyn Store> {
    tokio::task::spawn_blocking(|| SqliteStore::open(SqliteConfig::new(Location::Memory)))
        .await
        .unwrap()
        .unwrap()
}

fn claim_params(instance: InstanceId, slots: usize) -> ClaimParams {
    ClaimParams {
        now: NOW,
        instance,
        served: vec![ServedRoute {
            route: RouteId::new(1),
            group: 0,
        }]
        .into(),
        group_slots: vec![slots],
        slots,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    }
}

/// A store with so many jobs that have crashed so often that they run alone.
async fn store_with_suspects(count: usize) -> Arc<dyn Store> {
    let store = empty_store().await;
    insert(&store, count).await;
    for _ in 0..SUSPECT_AFTER {
        // A lease that is over at once.
        let instance = store.register(0, count).await.unwrap();
        let params = claim_params(instance, count);
        assert_eq!(store.claim(params).await.unwrap().runs.len(), count);
        // Long ago, so that they are due by now.
        let found = store.recover(RecoverParams::new(NOW - 60_000, 10)).await.unwrap();
        assert_eq!(found.requeued, count);
    }
    store
}

fn engine(store: &Arc<dyn Store>, handler: Arc<dyn Handler>) -> Arc<Engine> {
    engine_with(store, handler, Arc::default(), EngineConfig::default().max_crashes)
}

fn engine_with(
    store: &Arc<dyn Store>,
    handler: Arc<dyn Handler>,
    logger: Arc<Warnings>,
    max_crashes: u32,
) -> Arc<Engine> {
    let routing = Arc::new(Routing::new(WorkerFilter::default()));
    let pattern = Pattern {
        namespace: Namespace::Features,
        product: None,
        env: None,
        target: vec![None],
    };
    routing.register(pattern, handler, None, None);
    let config = EngineConfig {
        worker: Some(WorkerConfig {
            concurrency: 5,
            ..WorkerConfig::default()
        }),
        max_crashes,
        ..EngineConfig::default()
    };
    Engine::new(
        Arc::clone(store),
        Arc::new(StoppedClock),
        logger,
        routing,
        Arc::new(Announcer::default()),
        config,
    )
}

async fn completed(store: &Arc<dyn Store>) -> i64 {
    store.stats(None).await.unwrap().by_status[Status::Completed as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspects_run_one_by_one_with_nothing_beside_them_and_others_go_on() {
    let store = store_with_suspects(3).await;
    let handler = Arc::new(SlowHandler::default());
    let engine = engine(&store, Arc::clone(&handler) as Arc<dyn Handler>);
    engine.work().await.unwrap();
    // More than the process gets done before it learns of the suspects.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut inserted = 0;
    while inserted < 20 || handler.company_of_crashed().len() < 3 {
        assert!(Instant::now() < deadline, "the suspects do not run");
        insert(&store, 5).await;
        inserted += 5;
        sleep(TAKES).await;
    }
    while completed(&store).await < inserted + 3 {
        assert!(Instant::now() < deadline, "not all jobs run");
        sleep(TAKES).await;
    }
    assert_eq!(handler.company_of_crashed(), [0, 0, 0]);
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_runs_suspects_too() {
    let store = store_with_suspects(2).await;
    insert(&store, 7).await;
    let handler = Arc::new(SlowHandler::default());
    let engine = engine(&store, Arc::clone(&handler) as Arc<dyn Handler>);
    let report = engine.drain(Some(Duration::from_secs(30))).await.unwrap();
    assert_eq!((report.completed, report.remaining), (9, 0));
    assert_eq!(handler.company_of_crashed(), [0, 0]);
    engine.stop(Duration::from_secs(1)).await;
}

struct NeverDone;

impl Handler for NeverDone {
    fn call(&self, invocation: Invocation) {
        std::mem::forget(invocation);
    }
    fn abort(&self, _: Token, _: &AbortReason) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_that_fails_with_its_last_crash_is_one_line_of_who_finds_it() {
    let store = store_with_suspects(1).await;
    // One that is over at once, with the fourth crash.
    let instance = store.register(0, 1).await.unwrap();
    let params = ClaimParams {
        suspect: true,
        ..claim_params(instance, 1)
    };
    assert_eq!(store.claim(params).await.unwrap().runs.len(), 1);
    let warnings = Arc::<Warnings>::default();
    let engine = engine_with(&store, Arc::new(NeverDone), Arc::clone(&warnings), 4);
    engine.work().await.unwrap();
    // Real time: who looks takes over from silent processes once it has kept its own lease for 3.5 s.
    let deadline = Instant::now() + Duration::from_secs(30);
    while warnings.of_failed_runs().is_empty() {
        assert!(Instant::now() < deadline, "nothing is said");
        sleep(TAKES).await;
    }
    engine.stop(Duration::from_secs(1)).await;
    let line = "(features work (shop, test)): run 1 failed in attempt 4: CRASHED: the process that ran it died 4 times";
    assert_eq!(warnings.of_failed_runs(), [line]);
    let by_status = store.stats(None).await.unwrap().by_status;
    assert_eq!(by_status[Status::Failed as usize], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_fail_with_the_process_that_fails_are_lines_of_its_own() {
    let store = empty_store().await;
    insert(&store, 3).await;
    let warnings = Arc::<Warnings>::default();
    let engine = engine_with(&store, Arc::new(NeverDone), Arc::clone(&warnings), 1);
    engine.work().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.stats(None).await.unwrap().by_status[Status::Running as usize] < 3 {
        assert!(Instant::now() < deadline, "the jobs do not run");
        sleep(TAKES).await;
    }
    engine.process_fails();
    engine.stop(Duration::from_millis(100)).await;
    let by_status = store.stats(None).await.unwrap().by_status;
    assert_eq!(by_status[Status::Failed as usize], 3);
    let line = "(features work (shop, test)): run 1 failed in attempt 1: CRASHED: the process that ran it died 1 times";
    assert_eq!(warnings.of_failed_runs(), [line]);
    // The others of the target are counted.
    let lines = warnings.0.lock().unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("2 more runs of features work")),
        "{lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_stops_while_it_waits_to_run_a_suspect() {
    let store = store_with_suspects(1).await;
    insert(&store, 1).await;
    let engine = engine(&store, Arc::new(NeverDone));
    engine.work().await.unwrap();
    // Long enough to learn of it.
    sleep(Duration::from_millis(700)).await;
    let began = Instant::now();
    engine.stop(Duration::from_millis(100)).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    // Both are handed back.
    let by_status = store.stats(None).await.unwrap().by_status;
    assert_eq!(by_status[Status::Queued as usize], 2);
}
