//! The engine on real stores, with a clock the test moves and handlers written in Rust.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use async_trait::async_trait;
use ductape::api::StoreOpener;
use ductape::api::instance::Instance;
use ductape::api::options::read_options;
use ductape::clock::{Clock, ManualClock, Millis};
use ductape::engine::claim::round::NextClaim;
use ductape::engine::routing::{Pattern, Routing, WorkerFilter};
use ductape::engine::{
    AbortReason, Announcer, Engine, EngineConfig, Handler, HandlerFailure, Invocation, Level, Logger, Reply,
    WorkerConfig,
};
use ductape::error::Result;
use ductape::model::{JobId, JobOptions, Misfire, Namespace, NewJob, OnConflict, Recurrence, Route, Rule, Status};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{InsertParams, Store, Token};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// 2026-01-01T00:00:00Z
const START: Millis = 1_767_225_600_000;
const MINUTE: Millis = 60_000;

struct NullLogger;
impl Logger for NullLogger {
    fn log(&self, _: Level, _: &str) {}
}

/// Records its calls, and answers each as `answer` says for its attempt; `None` keeps the invocation open.
struct RecordingHandler {
    calls: Mutex<Vec<(Millis, i64, u32)>>,
    aborted: Mutex<Vec<AbortReason>>,
    kept: Mutex<Vec<Invocation>>,
    answer: Box<dyn Fn(u32) -> Option<std::result::Result<Reply, HandlerFailure>> + Send + Sync>,
}

impl RecordingHandler {
    fn new(
        answer: impl Fn(u32) -> Option<std::result::Result<Reply, HandlerFailure>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (calls, aborted, kept) = Default::default();
        Arc::new(Self {
            calls,
            aborted,
            kept,
            answer: Box::new(answer),
        })
    }

    fn done() -> Arc<Self> {
        Self::new(|_| Some(Ok(Reply::Done(None))))
    }

    /// `(scheduled_at, missed, attempt)` of each call.
    fn calls(&self) -> Vec<(Millis, i64, u32)> {
        self.calls.lock().unwrap().clone()
    }
}

impl Handler for RecordingHandler {
    fn call(&self, invocation: Invocation) {
        let run = &invocation.attempt.run;
        self.calls
            .lock()
            .unwrap()
            .push((run.scheduled_at, run.missed, run.attempt));
        match (self.answer)(run.attempt) {
            Some(answer) => drop(invocation.reply.send(answer)),
            None => self.kept.lock().unwrap().push(invocation),
        }
    }

    fn abort(&self, _: Token, reason: &AbortReason) {
        self.aborted.lock().unwrap().push(reason.clone());
    }
}

/// A wall clock that a test sets to anything, backwards too.
#[derive(Debug)]
struct JumpingClock(Mutex<Millis>);

impl JumpingClock {
    fn set(&self, to: Millis) {
        *self.0.lock().unwrap() = to;
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Millis {
        *self.0.lock().unwrap()
    }
}

fn route() -> Route {
    Route {
        namespace: Namespace::Features,
        product: "shop".into(),
        env: "test".into(),
        target: vec!["work".into()],
    }
}

fn job(due: Millis, now: Millis) -> NewJob {
    NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: route().into(),
        priority: 0,
        due: Some(due),
        created: now,
        retries: 0,
        options: JobOptions::default(),
        input: "{}".into(),
        input_digest: None,
        recurrence: None,
    }
}

fn minutely(misfire: Misfire) -> NewJob {
    let rule = Rule::Every {
        interval: MINUTE,
        anchor: START,
    };
    let recurrence = Recurrence {
        misfire,
        ..Recurrence::new(rule)
    };
    NewJob {
        recurrence: Some(recurrence),
        ..job(START, START)
    }
}

async fn open(path: &Path) -> Arc<dyn Store> {
    let config = SqliteConfig::new(Location::File(path.to_owned()));
    tokio::task::spawn_blocking(|| SqliteStore::open(config))
        .await
        .unwrap()
        .unwrap()
}

async fn memory() -> Arc<dyn Store> {
    tokio::task::spawn_blocking(|| SqliteStore::open(SqliteConfig::new(Location::Memory)))
        .await
        .unwrap()
        .unwrap()
}

async fn insert(store: &Arc<dyn Store>, job: NewJob) -> JobId {
    let id = job.id.clone();
    let now = job.created;
    store
        .insert(InsertParams {
            jobs: vec![job],
            all_or_nothing: false,
            now,
            since: std::time::Instant::now(),
            replaced: ductape::store::begin_anew,
        })
        .await
        .unwrap();
    id
}

fn engine(store: &Arc<dyn Store>, clock: Arc<dyn Clock>, handler: Arc<dyn Handler>) -> Arc<Engine> {
    let routing = Arc::new(Routing::new(WorkerFilter::default()));
    let pattern = Pattern {
        namespace: Namespace::Features,
        product: None,
        env: None,
        target: vec![None],
    };
    routing.register(pattern, handler, None, None);
    let config = EngineConfig {
        worker: Some(WorkerConfig::default()),
        ..EngineConfig::default()
    };
    Engine::new(
        Arc::clone(store),
        clock,
        Arc::new(NullLogger),
        routing,
        Arc::new(Announcer::default()),
        config,
    )
}

/// Polls for what a handler or the store does in threads of their own, which raise no signal to a test.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Claims as the engine does when its timer ends, for as long as there is something to do: no run is started.
async fn nothing_is_due(engine: &Arc<Engine>) {
    for _ in 0..10 {
        let round = engine.claim_round().await.unwrap();
        assert_eq!(round.started, 0);
        if round.next != NextClaim::Now {
            return;
        }
    }
    panic!("each round of claiming asks for another");
}

/// A series of minutes whose store is opened again an hour and a half minute later.
async fn after_an_hours_pause(misfire: Misfire, expected_runs: usize) -> Vec<(Millis, i64, u32)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await;
    let id = insert(&store, minutely(misfire)).await;
    store.close().await.unwrap();

    let now = START + 60 * MINUTE + 30_000;
    let clock = Arc::new(JumpingClock(Mutex::new(now)));
    let store = open(&path).await;
    let handler = RecordingHandler::done();
    let engine = engine(
        &store,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(&handler) as Arc<dyn Handler>,
    );
    engine.work().await.unwrap();
    eventually("the catch-up", async || handler.calls().len() >= expected_runs).await;
    // The next grid point runs at its time and not before.
    let next = Some(START + 61 * MINUTE);
    eventually("the series waits for its next run", async || {
        let record = store.get(&id).await.unwrap().unwrap();
        (record.status, record.next_run_at) == (Status::Scheduled, next)
    })
    .await;
    nothing_is_due(&engine).await;
    assert_eq!(handler.calls().len(), expected_runs);
    clock.set(START + 61 * MINUTE);
    eventually("the next run", async || handler.calls().len() > expected_runs).await;
    engine.stop(Duration::from_secs(1)).await;

    let history = store.history(&id, 1_000).await.unwrap().unwrap();
    let skipped: i64 = history.gaps.iter().map(|gap| gap.count).sum();
    assert_eq!(
        skipped + history.executions,
        62,
        "each of the 62 grid points is accounted for once"
    );
    handler.calls()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_hours_pause_misfire_once_makes_one_run_for_sixty() {
    let calls = after_an_hours_pause(Misfire::Once, 1).await;
    assert_eq!(calls, [(START + 60 * MINUTE, 60, 1), (START + 61 * MINUTE, 0, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_hours_pause_misfire_skip_waits_for_the_next_occurrence() {
    let calls = after_an_hours_pause(Misfire::Skip, 0).await;
    assert_eq!(calls, [(START + 61 * MINUTE, 0, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_hours_pause_misfire_all_makes_up_for_every_run_in_order() {
    let calls = after_an_hours_pause(Misfire::All, 61).await;
    let expected: Vec<_> = (0..62).map(|minute| (START + minute * MINUTE, 0, 1)).collect();
    assert_eq!(calls, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misfire_all_runs_one_after_the_other() {
    let store = memory().await;
    let clock = Arc::new(JumpingClock(Mutex::new(START + 5 * MINUTE)));
    let handler = RecordingHandler::new(|_| None);
    let engine = engine(&store, clock, Arc::clone(&handler) as Arc<dyn Handler>);
    insert(&store, minutely(Misfire::All)).await;
    engine.work().await.unwrap();
    for number in 1..=6 {
        eventually("the next run", async || handler.calls().len() == number).await;
        nothing_is_due(&engine).await;
        assert_eq!(handler.calls().len(), number, "no second run beside the running one");
        let invocation = handler.kept.lock().unwrap().pop().unwrap();
        drop(invocation.reply.send(Ok(Reply::Done(None))));
    }
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_clock_jump_forward_due_jobs_run_within_a_second() {
    let store = memory().await;
    let clock = Arc::new(JumpingClock(Mutex::new(START)));
    let handler = RecordingHandler::done();
    let engine = engine(
        &store,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(&handler) as Arc<dyn Handler>,
    );
    insert(&store, job(START + 30 * 24 * 60 * MINUTE, START)).await;
    engine.work().await.unwrap();
    nothing_is_due(&engine).await;
    assert_eq!(handler.calls(), []);
    clock.set(START + 30 * 24 * 60 * MINUTE);
    timeout(
        Duration::from_secs(3),
        eventually("the run", async || handler.calls().len() == 1),
    )
    .await
    .unwrap();
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_clock_jump_back_no_run_is_repeated_or_lost() {
    let store = memory().await;
    let clock = Arc::new(JumpingClock(Mutex::new(START)));
    let handler = RecordingHandler::done();
    let engine = engine(
        &store,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(&handler) as Arc<dyn Handler>,
    );
    insert(&store, minutely(Misfire::Once)).await;
    engine.work().await.unwrap();
    for minute in 0..3 {
        clock.set(START + minute * MINUTE);
        eventually("a run", async || handler.calls().len() as i64 == minute + 1).await;
    }
    clock.set(START - 60 * MINUTE);
    nothing_is_due(&engine).await;
    assert_eq!(handler.calls().len(), 3, "nothing runs again");
    clock.set(START + 3 * MINUTE);
    eventually("the next run", async || handler.calls().len() == 4).await;
    let times: Vec<Millis> = handler.calls().iter().map(|call| call.0).collect();
    assert_eq!(times, (0..4).map(|minute| START + minute * MINUTE).collect::<Vec<_>>());
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_beyond_the_longest_javascript_timer_waits_for_its_time() {
    let store = memory().await;
    let clock = Arc::new(ManualClock::new(START));
    let handler = RecordingHandler::done();
    let engine = engine(
        &store,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(&handler) as Arc<dyn Handler>,
    );
    // 2^31 ms, where JavaScript's timers fire at once, is 24.8 days.
    insert(&store, job(START + 60 * 24 * 60 * MINUTE, START)).await;
    engine.work().await.unwrap();
    for day in [25, 50, 59] {
        clock.set(START + day * 24 * 60 * MINUTE);
        nothing_is_due(&engine).await;
        assert_eq!(handler.calls(), []);
    }
    clock.set(START + 60 * 24 * 60 * MINUTE);
    eventually("the run", async || handler.calls().len() == 1).await;
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_releases_unfinished_runs_without_spending_an_attempt() {
    let store = memory().await;
    let clock = Arc::new(ManualClock::new(START));
    let hanging = RecordingHandler::new(|_| None);
    let first = engine(
        &store,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(&hanging) as Arc<dyn Handler>,
    );
    let id = insert(&store, job(START, START)).await;
    first.work().await.unwrap();
    eventually("the start", async || hanging.calls().len() == 1).await;
    first.stop(Duration::from_millis(10)).await;
    assert_eq!(*hanging.aborted.lock().unwrap(), [AbortReason::Closed]);
    assert_eq!(store.get(&id).await.unwrap().unwrap().status, Status::Queued);

    let handler = RecordingHandler::done();
    let second = engine(&store, clock, Arc::clone(&handler) as Arc<dyn Handler>);
    second.work().await.unwrap();
    eventually("the second start", async || handler.calls().len() == 1).await;
    assert_eq!(handler.calls(), [(START, 0, 1)]);
    second.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_is_aborted_when_another_process_cancels_its_run() {
    let store = memory().await;
    let handler = RecordingHandler::new(|_| None);
    let engine = engine(
        &store,
        Arc::new(ManualClock::new(START)),
        Arc::clone(&handler) as Arc<dyn Handler>,
    );
    let id = insert(&store, job(START, START)).await;
    engine.work().await.unwrap();
    eventually("the start", async || handler.calls().len() == 1).await;
    // By way of the store alone, as another process does it.
    store.cancel(&id, Some("no longer wanted"), START).await.unwrap();
    eventually("the abort", async || handler.aborted.lock().unwrap().len() == 1).await;
    assert_eq!(
        *handler.aborted.lock().unwrap(),
        [AbortReason::Cancelled(Some("no longer wanted".into()))]
    );
    engine.stop(Duration::from_secs(1)).await;
    assert_eq!(store.get(&id).await.unwrap().unwrap().status, Status::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_time_zone_data_moves_the_next_run_of_a_stored_cron() {
    let store = memory().await;
    let rule = Rule::Cron {
        text: "0 9 * * *".into(),
        tz: "America/Vancouver".into(),
    };
    let recurrence = minutely(Misfire::Once)
        .recurrence
        .map(|recurrence| Recurrence { rule, ..recurrence });
    // As older data has it: the province at -08:00 in December 2026, where it has stayed at -07:00 by law.
    let now = 1_795_824_000_000; // 2026-11-28T00:00:00Z
    let stale = 1_795_885_200_000; // 2026-11-28T17:00:00Z
    let id = insert(
        &store,
        NewJob {
            recurrence,
            ..job(stale, now)
        },
    )
    .await;
    store.set_metadata("tzdb", "2025b").await.unwrap();
    let handler = RecordingHandler::done();
    let engine = engine(&store, Arc::new(ManualClock::new(now)), handler);
    engine.work().await.unwrap();
    engine.stop(Duration::from_secs(1)).await;
    let record = store.get(&id).await.unwrap().unwrap();
    assert_eq!(record.next_run_at, Some(stale - 3_600_000));
    assert_eq!(
        store.metadata("tzdb").await.unwrap().as_deref(),
        Some(ductape::cron::tzdb_version())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_opened_is_tried_again_by_the_next_call() {
    struct Flaky(Mutex<u32>);
    #[async_trait]
    impl StoreOpener for Flaky {
        async fn open(&self) -> Result<Arc<dyn Store>> {
            let first = std::mem::replace(&mut *self.0.lock().unwrap(), 1) == 0;
            if first {
                return Err(ductape::error::Error::new(
                    ductape::error::ErrorCode::StoreError,
                    "not yet",
                ));
            }
            Ok(memory().await)
        }
        async fn release(&self, store: Arc<dyn Store>) -> Result<()> {
            store.close().await
        }
    }
    let options = read_options("{}", &[], |_| Vec::new()).unwrap();
    let instance = Instance::new(
        options,
        Arc::new(NullLogger),
        Arc::default(),
        Box::new(Flaky(Mutex::new(0))),
    );
    assert_eq!(
        instance
            .call("jobs.list".parse().unwrap(), "[]")
            .await
            .unwrap_err()
            .message,
        "not yet"
    );
    assert_eq!(
        instance.call("jobs.list".parse().unwrap(), "[]").await.unwrap(),
        "{\"jobs\":[]}"
    );
    instance.close(None).await.unwrap();
    let closed = instance.call("jobs.list".parse().unwrap(), "[]").await.unwrap_err();
    assert_eq!(closed.code, ductape::error::ErrorCode::Closed);
}
