//! The engine on machines whose clocks are wrong or are set: on SQLite, and on the PostgreSQL that `DUCTAPE_TEST_POSTGRES` names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../src/testing/skipped.rs"]
mod skipped;

use ductape::clock::{Clock, MachineClocks, Micros, Millis, StoreClock, SystemClock, TimeSample};
use ductape::engine::routing::{Pattern, Routing, WorkerFilter};
use ductape::engine::{
    AbortReason, Announcer, Engine, EngineConfig, Handler, HandlerFailure, Invocation, Level, Logger, Reply,
    WorkerConfig, set_clock,
};
use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Recurrence, RetryAfter, Route, Rule};
use ductape::store::postgres::{Address, PostgresConfig, PostgresStore};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{GapKind, InsertParams, Store, Token};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// This machine, with other clocks.
#[derive(Clone, Debug, Default)]
struct Machine {
    wall_ahead: Arc<AtomicI64>,
    boot_ahead: Arc<AtomicI64>,
}

impl Machine {
    fn ahead_by(ms: Millis) -> Self {
        let machine = Self::default();
        machine.set_ahead_by(ms);
        machine
    }

    fn set_ahead_by(&self, ms: Millis) {
        self.wall_ahead.store(ms * 1_000, Ordering::SeqCst);
    }
}

impl MachineClocks for Machine {
    fn wall(&self) -> Micros {
        SystemClock.wall() + self.wall_ahead.load(Ordering::SeqCst)
    }

    fn boot(&self) -> Micros {
        SystemClock.boot() + self.boot_ahead.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    fn with(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }
}

impl Logger for Warnings {
    fn log(&self, level: Level, message: &str) {
        if matches!(level, Level::Error | Level::Warn) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
}

/// Notes what was called, and when by the right time.
#[derive(Default)]
struct Calls {
    made: Mutex<Vec<Call>>,
    /// Whether attempts fail.
    fails: AtomicBool,
    /// Whether they go on until [`Self::finish`].
    hold: AtomicBool,
    held: Mutex<Vec<Invocation>>,
}

impl Calls {
    /// Ends what goes on.
    fn finish(&self) {
        self.hold.store(false, Ordering::SeqCst);
        for invocation in self.held.lock().unwrap().drain(..) {
            let _ = invocation.reply.send(Ok(Reply::Done(None)));
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Call {
    scheduled_at: Millis,
    missed: i64,
    recurring: bool,
    at: Millis,
}

impl Handler for Calls {
    fn call(&self, invocation: Invocation) {
        let run = &invocation.attempt.run;
        self.made.lock().unwrap().push(Call {
            scheduled_at: run.scheduled_at,
            missed: run.missed,
            recurring: run.recurring,
            at: SystemClock.now(),
        });
        if self.hold.load(Ordering::SeqCst) {
            self.held.lock().unwrap().push(invocation);
            return;
        }
        let answer = if self.fails.load(Ordering::SeqCst) {
            Err(HandlerFailure {
                code: "Error".into(),
                message: "not yet".into(),
                stack: None,
                origin: None,
                retry_after: Some(RetryAfter::Exactly(MINUTE)),
            })
        } else {
            Ok(Reply::Done(None))
        };
        let _ = invocation.reply.send(answer);
    }

    fn abort(&self, _: Token, _: &AbortReason) {}
}

/// A process that works.
struct Process {
    engine: Arc<Engine>,
    clock: Arc<StoreClock>,
    machine: Machine,
    calls: Arc<Calls>,
    warnings: Arc<Warnings>,
}

impl Process {
    async fn open(store: Arc<dyn Store>, machine: Machine) -> Self {
        let (calls, warnings) = (Arc::<Calls>::default(), Arc::<Warnings>::default());
        let clock = Arc::new(StoreClock::on(Box::new(machine.clone())));
        set_clock(&*store, &*clock, &*warnings).await.unwrap();
        let routing = Arc::new(Routing::new(WorkerFilter::default()));
        let pattern = Pattern {
            namespace: Namespace::Features,
            product: None,
            env: None,
            target: vec![None],
        };
        routing.register(pattern, Arc::clone(&calls) as Arc<dyn Handler>, None, None);
        let config = EngineConfig {
            worker: Some(WorkerConfig::default()),
            ..EngineConfig::default()
        };
        let engine = Engine::new(
            store,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&warnings) as Arc<dyn Logger>,
            routing,
            Arc::new(Announcer::default()),
            config,
        );
        Self {
            engine,
            clock,
            machine,
            calls,
            warnings,
        }
    }

    async fn start(store: Arc<dyn Store>, machine: Machine) -> Self {
        let process = Self::open(store, machine).await;
        process.engine.work().await.unwrap();
        process
    }

    async fn warned(&self, text: &str) {
        eventually(text, async || self.warnings.with(text) > 0).await;
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.made.lock().unwrap().clone()
    }
}

fn job(due: Millis) -> NewJob {
    NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: Route {
            namespace: Namespace::Features,
            product: "shop".into(),
            env: "test".into(),
            target: vec!["work".into()],
        }
        .into(),
        priority: 0,
        due: Some(due),
        created: SystemClock.now(),
        retries: 0,
        options: JobOptions::default(),
        input: "{}".into(),
        input_digest: None,
        recurrence: None,
    }
}

fn every(interval: Millis) -> NewJob {
    let anchor = SystemClock.now();
    NewJob {
        recurrence: Some(Recurrence::new(Rule::Every { interval, anchor })),
        ..job(anchor)
    }
}

async fn insert(store: &Arc<dyn Store>, job: NewJob) -> JobId {
    let (id, now) = (job.id.clone(), job.created);
    let params = InsertParams {
        jobs: vec![job],
        all_or_nothing: false,
        now,
        since: std::time::Instant::now(),
        replaced: ductape::store::begin_anew,
    };
    store.insert(params).await.unwrap();
    id
}

/// Polls for what happens in threads of their own.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn memory() -> Arc<dyn Store> {
    SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap()
}

/// Does something with a store on the server, in a schema of its own.
async fn on_postgres<F: Future<Output = ()>>(test: &str, body: impl FnOnce(Arc<dyn Store>) -> F) {
    static SCHEMAS: AtomicUsize = AtomicUsize::new(0);
    let Some(url) = skipped::address("DUCTAPE_TEST_POSTGRES", test) else {
        return;
    };
    let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
    let schema = format!("ductape_clocks_{}_{number}", std::process::id());
    let address = Address::parse(&format!("{url}?schema={schema}")).unwrap();
    let store = PostgresStore::open(PostgresConfig::new(address)).await.unwrap();
    body(store.clone()).await;
    store.close().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let drop = format!("DROP SCHEMA \"{schema}\" CASCADE");
    client.batch_execute(&drop).await.unwrap();
    connection.abort();
}

/// The next attempt of a job is due in a minute by a clock that is a day ahead, and then is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_next_attempt_does_not_wait_for_a_clock_that_was_ahead() {
    let store = memory().await;
    let process = Process::start(Arc::clone(&store), Machine::ahead_by(DAY)).await;
    process.calls.fails.store(true, Ordering::SeqCst);
    let due = SystemClock.now() + DAY;
    let id = insert(&store, NewJob { retries: 1, ..job(due) }).await;
    let waits = async || store.get(&id).await.unwrap().unwrap().scheduled_at > due;
    eventually("the first attempt", waits).await;
    process.machine.set_ahead_by(0);
    process.warned("1 runs wait anew for their next attempt").await;
    let record = store.get(&id).await.unwrap().unwrap();
    let wait = record.scheduled_at - SystemClock.now();
    assert!((0..2 * MINUTE).contains(&wait), "{wait}");
    process.engine.stop(Duration::ZERO).await;
}

/// The server is on this machine, whose clock is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_ahead_runs_nothing_early_and_pushes_no_series() {
    on_postgres("a test of clocks", |store| async move {
        let process = Process::start(Arc::clone(&store), Machine::ahead_by(10 * MINUTE)).await;
        assert!((process.engine.clock.now() - SystemClock.now()).abs() < 500);
        // Real time passes: the clocks of two machines are the subject.
        let due = SystemClock.now() + 2_000;
        insert(&store, job(due)).await;
        let series = insert(&store, every(500)).await;
        let ran = async || process.calls().iter().any(|call| !call.recurring);
        eventually("the job that is due in two seconds", ran).await;
        let calls = process.calls();
        let early: Vec<&Call> = calls.iter().filter(|call| call.at < call.scheduled_at - 100).collect();
        assert!(early.is_empty(), "{early:?}");
        let runs = calls.iter().filter(|call| call.recurring);
        assert!(runs.clone().count() >= 3, "{calls:?}");
        assert!(runs.clone().all(|run| run.missed <= 1), "{calls:?}");
        let next = store.get(&series).await.unwrap().unwrap().next_run_at.unwrap();
        assert!((next - SystemClock.now()).abs() < 5_000, "{next}");
        process.engine.stop(Duration::ZERO).await;
        assert_eq!(
            process
                .warnings
                .with("is 10 min 0 s ahead of that of the database server"),
            1
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_behind_runs_nothing_late() {
    on_postgres("a test of clocks", |store| async move {
        let process = Process::start(Arc::clone(&store), Machine::ahead_by(-10 * MINUTE)).await;
        insert(&store, job(SystemClock.now() + 300)).await;
        eventually("the job", async || !process.calls().is_empty()).await;
        process.engine.stop(Duration::ZERO).await;
        assert_eq!(
            process
                .warnings
                .with("is 10 min 0 s behind that of the database server"),
            1
        );
    })
    .await;
}

/// The run was not being done in the time that never was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_jump_passes_over_during_a_run_is_missed_and_not_skipped() {
    let store = memory().await;
    let machine = Machine::default();
    let process = Process::start(Arc::clone(&store), machine.clone()).await;
    process.calls.hold.store(true, Ordering::SeqCst);
    let job = every(HOUR);
    let began = job.due.unwrap();
    let id = insert(&store, job).await;
    eventually("the first run begins", async || process.calls().len() == 1).await;
    machine.set_ahead_by(3 * HOUR + MINUTE / 2);
    process.warned("went ahead").await;
    process.calls.finish();
    eventually("what was missed is made up for", async || process.calls().len() == 2).await;
    let made = process.calls()[1];
    assert_eq!((made.scheduled_at, made.missed), (began + 3 * HOUR, 2));
    let gaps = store.history(&id, 9).await.unwrap().unwrap().gaps;
    let gaps: Vec<_> = gaps.iter().map(|gap| (gap.kind, gap.first, gap.count)).collect();
    assert_eq!(gaps, [(GapKind::Down, began + HOUR, 2)]);
    process.engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_a_machines_clock_is_no_jump_of_the_servers() {
    on_postgres("a test of clocks", |store| async move {
        let process = Process::start(store, Machine::default()).await;
        process.machine.set_ahead_by(DAY);
        assert!((process.engine.clock.now() - SystemClock.now()).abs() < 500);
        process.engine.claim_round().await.unwrap();
        assert_eq!(process.warnings.with("the clock of"), 0);
        // The next comparison with the server's clock tells.
        process.warned("the clock of this machine is 1 d 0 h ahead of").await;
        process.engine.stop(Duration::ZERO).await;
        assert_eq!(process.warnings.0.lock().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_clock_that_is_set_is_told_and_followed() {
    on_postgres("a test of clocks", |store| async move {
        let process = Process::start(store, Machine::default()).await;
        let boot = process.clock.boot();
        process.clock.take(TimeSample {
            asked: boot,
            time: SystemClock.now() + HOUR,
            answered: boot,
        });
        process
            .warned("the clock of the database server went ahead by 1 h 0 min")
            .await;
        // The next comparison with the real one.
        process
            .warned("the clock of the database server was put back by 1 h 0 min")
            .await;
        assert!((process.engine.clock.now() - SystemClock.now()).abs() < 500);
        process.engine.stop(Duration::ZERO).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_only_dispatches_compares_clocks_when_it_is_used_again() {
    on_postgres("a test of clocks", |store| async move {
        let process = Process::open(store, Machine::default()).await;
        process.engine.keep_clock().await;
        // As if the machine's boot time had not gone on while the whole machine was frozen.
        process.machine.boot_ahead.store(-20_000_000, Ordering::SeqCst);
        process.engine.keep_clock().await;
        assert!((process.engine.clock.now() - SystemClock.now()).abs() > 10_000);
        process.machine.boot_ahead.store(31_000_000, Ordering::SeqCst);
        process.engine.keep_clock().await;
        assert!((process.engine.clock.now() - SystemClock.now()).abs() < 500);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_the_machines_clock_is_told_once_each_way() {
    let process = Process::start(memory().await, Machine::default()).await;
    process.machine.set_ahead_by(DAY);
    process.warned("the clock of this machine went ahead by 1 d 0 h").await;
    process.machine.set_ahead_by(-2 * HOUR);
    process
        .warned("the clock of this machine was put back by 1 d 2 h")
        .await;
    for _ in 0..3 {
        process.engine.claim_round().await.unwrap();
    }
    process.engine.stop(Duration::ZERO).await;
    assert_eq!(process.warnings.0.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_the_machines_clock_is_seen_across_a_restart() {
    let store = memory().await;
    let machine = Machine::default();
    let cases = [
        (0, None),
        (0, None),
        (HOUR, Some("went ahead by")),
        (0, Some("was put back by")),
        (0, None),
    ];
    for (ahead, told) in cases {
        machine.set_ahead_by(ahead);
        let process = Process::start(Arc::clone(&store), machine.clone()).await;
        process.engine.stop(Duration::ZERO).await;
        let warnings = process.warnings.0.lock().unwrap().clone();
        assert_eq!(warnings.len(), usize::from(told.is_some()), "{warnings:?}");
        assert!(told.is_none_or(|told| warnings[0].contains(told)), "{warnings:?}");
    }
}
