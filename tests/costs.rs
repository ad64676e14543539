//! The cost of a job in the store, counted rather than timed: statements, steps of SQLite's virtual machine,
//! transactions and allocations.
//!
//! A test binary of its own, since the counts are those of the process. See CONTRIBUTING.md for what to do when a bound is
//! exceeded.
#![allow(clippy::unwrap_used, clippy::print_stdout, unsafe_code)]

use ductape::clock::ManualClock;
use ductape::engine::routing::{Pattern, Routing, WorkerFilter};
use ductape::engine::{
    AbortReason, Announcer, Engine, EngineConfig, Handler, Invocation, Level, Logger, Reply, WorkerConfig, manual,
};
use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Recurrence, Route, Rule, RunOutcome};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{
    ClaimParams, Claimed, ClaimedRun, CompleteParams, Completion, InsertParams, InstanceId, Occurrence, RouteId,
    SeriesAdvance, ServedRoute, Store, Token,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const T0: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;
/// Jobs in each call of a verb.
const JOBS_PER_CALL: usize = 100;
/// Calls of each verb that are counted.
const CALLS: usize = 20;
/// Allowed ratio of the cost with a long queue to that with a short one.
const MAX_GROWTH: f64 = 1.02;

static STATEMENTS: AtomicUsize = AtomicUsize::new(0);
static STEPS: AtomicUsize = AtomicUsize::new(0);
/// Statements that SQLite compiled again, though they were cached.
static REPREPARED: AtomicUsize = AtomicUsize::new(0);
static COMMITS: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// Runs one test at a time: the counters would include the work of others.
static SERIAL: Mutex<()> = Mutex::const_new(());

/// Counts Rust's allocations; SQLite has an allocator of its own.
mod allocations {
    use super::{ALLOCATIONS, Ordering};
    use std::alloc::{GlobalAlloc, Layout, System};

    struct Counting;

    #[global_allocator]
    static COUNTING: Counting = Counting;

    // SAFETY: passes every call on to the system's allocator unchanged.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: as promised by the caller.
            unsafe { System.alloc(layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: as promised by the caller.
            unsafe { System.realloc(block, layout, size) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: as promised by the caller.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

/// Counts the statements that SQLite finishes, on every connection that this process opens.
mod statements {
    use super::{COMMITS, Ordering, REPREPARED, STATEMENTS, STEPS};
    use rusqlite::ffi;
    use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

    pub(super) fn count() {
        // SAFETY: the function has the signature that SQLite expects, and is static.
        let registered = unsafe { ffi::sqlite3_auto_extension(Some(on_connection_opened)) };
        assert_eq!(registered, ffi::SQLITE_OK);
    }

    unsafe extern "C" fn on_connection_opened(
        connection: *mut ffi::sqlite3,
        _error: *mut *mut c_char,
        _api: *const ffi::sqlite3_api_routines,
    ) -> c_int {
        // SAFETY: SQLite passes the connection that it is opening.
        unsafe {
            ffi::sqlite3_trace_v2(
                connection,
                ffi::SQLITE_TRACE_PROFILE,
                Some(on_statement_ended),
                std::ptr::null_mut(),
            )
        }
    }

    unsafe extern "C" fn on_statement_ended(
        _event: c_uint,
        _context: *mut c_void,
        statement: *mut c_void,
        _nanoseconds: *mut c_void,
    ) -> c_int {
        let statement = statement.cast::<ffi::sqlite3_stmt>();
        // SAFETY: for this kind of event SQLite passes the statement that has ended, which is valid during the call.
        let (steps, reprepared, text) = unsafe {
            (
                ffi::sqlite3_stmt_status(statement, ffi::SQLITE_STMTSTATUS_VM_STEP, 1),
                ffi::sqlite3_stmt_status(statement, ffi::SQLITE_STMTSTATUS_REPREPARE, 1),
                CStr::from_ptr(ffi::sqlite3_sql(statement)),
            )
        };
        STEPS.fetch_add(usize::try_from(steps).unwrap_or(0), Ordering::Relaxed);
        REPREPARED.fetch_add(usize::try_from(reprepared).unwrap_or(0), Ordering::Relaxed);
        match text.to_bytes() {
            b"COMMIT" => drop(COMMITS.fetch_add(1, Ordering::Relaxed)),
            b"BEGIN IMMEDIATE" => {}
            _ => drop(STATEMENTS.fetch_add(1, Ordering::Relaxed)),
        }
        0
    }
}

/// The cost of one job in one verb.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    statements: f64,
    steps: f64,
    allocations: f64,
    /// Transactions of one call.
    transactions: f64,
}

impl Cost {
    fn now() -> Self {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst) as f64;
        Self {
            statements: count(&STATEMENTS),
            steps: count(&STEPS),
            allocations: count(&ALLOCATIONS),
            transactions: count(&COMMITS),
        }
    }

    fn add_since(&mut self, before: Self) {
        let now = Self::now();
        let jobs = (JOBS_PER_CALL * CALLS) as f64;
        self.statements += (now.statements - before.statements) / jobs;
        self.steps += (now.steps - before.steps) / jobs;
        self.allocations += (now.allocations - before.allocations) / jobs;
        self.transactions += (now.transactions - before.transactions) / CALLS as f64;
    }

    /// Describes each figure that exceeds its bound.
    fn exceeding(&self, verb: &str, bound: &Self) -> Vec<String> {
        let figures = [
            ("statements a job", self.statements, bound.statements),
            ("steps a job", self.steps, bound.steps),
            ("allocations a job", self.allocations, bound.allocations),
            ("transactions a call", self.transactions, bound.transactions),
        ];
        // The figures are sums of floats, hence the tolerance.
        let exceeding = figures.into_iter().filter(|(_, cost, bound)| *cost > bound + 1e-6);
        exceeding
            .map(|(what, cost, bound)| format!("{verb}: {cost:.2} {what}, bound {bound:.2}"))
            .collect()
    }
}

/// A store in memory with one target, and a registered instance.
struct Bench {
    store: Arc<SqliteStore>,
    instance: InstanceId,
}

fn job(n: usize, due: i64) -> NewJob {
    NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: Route {
            namespace: Namespace::Features,
            product: "shop".into(),
            env: "prd".into(),
            target: vec!["report".into()],
        }
        .into(),
        priority: 0,
        due: Some(due),
        created: T0,
        retries: 3,
        options: JobOptions::default(),
        input: format!("{{\"n\":{n}}}").into(),
        input_digest: None,
        recurrence: None,
    }
}

impl Bench {
    async fn open() -> Self {
        let store = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
        let instance = store.register(3_600_000, 10).await.unwrap();
        let bench = Self { store, instance };
        // Statements that are prepared and cached once are no cost of a job.
        bench.insert((0..JOBS_PER_CALL).map(|n| job(n, T0)).collect()).await;
        let runs = bench.claim().await;
        bench.complete(&runs).await;
        bench
    }

    /// Inserts this many jobs that are due within the next 30 days.
    async fn fill(&self, jobs: usize) {
        for from in (0..jobs).step_by(1_000) {
            let day = |n: usize| i64::try_from(n % 30).unwrap() + 1;
            self.insert((from..from + 1_000).map(|n| job(n, T0 + day(n) * DAY)).collect())
                .await;
        }
    }

    async fn insert(&self, jobs: Vec<NewJob>) {
        let params = InsertParams {
            jobs,
            all_or_nothing: false,
            now: T0,
            since: std::time::Instant::now(),
            replaced: ductape::store::begin_anew,
        };
        self.store.insert(params).await.unwrap();
    }

    async fn claim(&self) -> Vec<ClaimedRun> {
        self.claim_at(T0).await.runs
    }

    async fn claim_at(&self, now: i64) -> Claimed {
        let params = ClaimParams {
            now,
            instance: self.instance,
            served: Arc::new([ServedRoute {
                route: RouteId::new(1),
                group: 0,
            }]),
            group_slots: vec![JOBS_PER_CALL],
            slots: JOBS_PER_CALL,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        self.store.claim(params).await.unwrap()
    }

    async fn complete(&self, runs: &[ClaimedRun]) {
        let completions = runs.iter().map(|run| Completion {
            job: run.job,
            run: run.run,
            token: run.token,
            recurring: run.recurring,
            started_at: T0,
            ended_at: T0,
            outcome: RunOutcome::Completed {
                result: Some("true".into()),
            },
        });
        let params = CompleteParams {
            now: T0,
            instance: self.instance,
            completions: completions.collect(),
        };
        self.store.complete(params).await.unwrap();
    }

    /// The costs of insert, claim and complete, in calls of [`JOBS_PER_CALL`] jobs.
    async fn costs(&self) -> [Cost; 3] {
        let mut costs = [Cost::default(); 3];
        for _ in 0..CALLS {
            let jobs = (0..JOBS_PER_CALL).map(|n| job(n, T0)).collect();
            let before = Cost::now();
            self.insert(jobs).await;
            costs[0].add_since(before);
            let before = Cost::now();
            let runs = self.claim().await;
            costs[1].add_since(before);
            assert_eq!(runs.len(), JOBS_PER_CALL);
            let before = Cost::now();
            self.complete(&runs).await;
            costs[2].add_since(before);
        }
        costs
    }
}

const VERBS: [&str; 3] = ["insert", "claim", "complete"];

/// A fifth above the measured cost of each verb, and exactly one transaction for each call.
const BOUNDS: [Cost; 3] = [
    Cost {
        statements: 0.24,
        steps: 110.0,
        allocations: 0.2,
        transactions: 1.0,
    },
    Cost {
        statements: 3.7,
        steps: 120.0,
        allocations: 5.2,
        transactions: 1.0,
    },
    Cost {
        statements: 3.6,
        steps: 130.0,
        allocations: 5.0,
        transactions: 1.0,
    },
];

const REMEDY: &str = "\nFind out what the change added to every job (the counts are exact, so it did). If that is worth it, \
                      raise the bounds in tests/costs.rs to a fifth above the new counts, and say why in the commit.";

#[tokio::test]
async fn cost_per_job_stays_within_bounds() {
    let _one = SERIAL.lock().await;
    statements::count();
    let bench = Bench::open().await;
    let reprepared = REPREPARED.load(Ordering::SeqCst);
    let costs = bench.costs().await;
    let reprepared = REPREPARED.load(Ordering::SeqCst) - reprepared;
    let mut exceeding = Vec::new();
    for ((verb, cost), bound) in VERBS.iter().zip(&costs).zip(&BOUNDS) {
        println!("{verb}: {cost:?}");
        assert!(
            cost.statements > 0.0 && cost.steps >= 1.0,
            "{verb} was not counted: {cost:?}"
        );
        exceeding.extend(cost.exceeding(verb, bound));
    }
    assert!(exceeding.is_empty(), "{}{REMEDY}", exceeding.join("\n"));
    assert_eq!(reprepared, 0, "statements compiled again");
}

/// Of finding a due series, moving it on, claiming its run, and completing that: no statement more than now, and a fifth above the
/// other counts.
const OCCURRENCE_BOUND: Cost = Cost {
    statements: 15.0,
    steps: 725.0,
    allocations: 21.5,
    transactions: 4.0,
};

#[tokio::test]
async fn cost_per_occurrence_stays_within_bounds() {
    let _one = SERIAL.lock().await;
    statements::count();
    let bench = Bench::open().await;
    let rule = Rule::Every {
        interval: 60_000,
        anchor: T0,
    };
    let recurring = |n| NewJob {
        recurrence: Some(Recurrence::new(rule.clone())),
        ..job(n, T0)
    };
    bench.insert((0..JOBS_PER_CALL).map(recurring).collect()).await;
    let mut cost = Cost::default();
    for (call, now) in (T0..).step_by(1_000).take(CALLS + 1).enumerate() {
        let before = Cost::now();
        let due = bench.claim_at(now).await.series;
        let advances = due.iter().map(|due| SeriesAdvance {
            occurrences: vec![Occurrence {
                scheduled_at: now,
                missed: 0,
            }],
            next_at: Some(now + 1_000),
            ..SeriesAdvance::unchanged(due)
        });
        assert_eq!(
            bench.store.advance(now, advances.collect()).await.unwrap(),
            JOBS_PER_CALL
        );
        let runs = bench.claim_at(now).await.runs;
        assert_eq!(runs.len(), JOBS_PER_CALL);
        bench.complete(&runs).await;
        // In the first one statements are prepared.
        if call > 0 {
            cost.add_since(before);
        }
    }
    println!("occurrence: {cost:?}");
    let exceeding = cost.exceeding("occurrence", &OCCURRENCE_BOUND);
    assert!(exceeding.is_empty(), "{}{REMEDY}", exceeding.join("\n"));
}

#[tokio::test]
async fn cost_per_job_is_independent_of_queue_length() {
    let _one = SERIAL.lock().await;
    statements::count();
    let (few, many) = (Bench::open().await, Bench::open().await);
    few.fill(1_000).await;
    many.fill(30_000).await;
    let (few, many) = (few.costs().await, many.costs().await);
    for (verb, (few, many)) in VERBS.iter().zip(few.iter().zip(&many)) {
        let bound = Cost {
            statements: few.statements * MAX_GROWTH,
            steps: few.steps * MAX_GROWTH,
            allocations: few.allocations * MAX_GROWTH,
            transactions: few.transactions,
        };
        let exceeding = many.exceeding(verb, &bound);
        assert!(
            exceeding.is_empty(),
            "with 30,000 waiting jobs, bounds measured with 1,000:\n{}",
            exceeding.join("\n")
        );
    }
}

/// Does nothing, and counts it.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Handler for Counter {
    fn call(&self, invocation: Invocation) {
        self.0.fetch_add(1, Ordering::SeqCst);
        let _ = invocation.reply.send(Ok(Reply::Done(None)));
    }

    fn abort(&self, _: Token, _: &AbortReason) {}
}

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Level, _: &str) {}
}

/// To claim it, as soon as it falls due, and to complete it: ten years of an hourly job have 87,660 occurrences.
#[tokio::test]
async fn an_occurrence_takes_two_transactions_when_a_clock_is_moved_by_hand() {
    const HOUR: i64 = 3_600_000;
    const RUNS: usize = 1_000;
    let _one = SERIAL.lock().await;
    statements::count();
    let store = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let clock = Arc::new(ManualClock::new(T0));
    let handler = Arc::new(Counter::default());
    let routing = Arc::new(Routing::new(WorkerFilter::default()));
    let pattern = Pattern {
        namespace: Namespace::Features,
        product: None,
        env: None,
        target: vec![None],
    };
    routing.register(pattern, Arc::clone(&handler) as Arc<dyn Handler>, None, None);
    let config = EngineConfig {
        worker: Some(WorkerConfig::default()),
        manual_clock: true,
        ..EngineConfig::default()
    };
    let engine = Engine::new(
        store,
        Arc::clone(&clock) as _,
        Arc::new(Silent),
        routing,
        Arc::new(Announcer::default()),
        config,
    );
    let hourly = NewJob {
        recurrence: Some(Recurrence::new(Rule::Every {
            interval: HOUR,
            anchor: T0 + HOUR,
        })),
        ..job(1, T0 + HOUR)
    };
    let params = InsertParams {
        jobs: vec![hourly],
        all_or_nothing: false,
        now: T0,
        since: Instant::now(),
        replaced: ductape::store::begin_anew,
    };
    engine.store.insert(params).await.unwrap();
    let advance = async |hours: usize| {
        let to = T0 + i64::try_from(hours).unwrap() * HOUR;
        let timeout = Duration::from_secs(60);
        manual::advance(&engine, &clock, to, timeout, &|| true).await.unwrap();
    };
    advance(10).await;
    let (before, statements) = (COMMITS.load(Ordering::SeqCst), STATEMENTS.load(Ordering::SeqCst));
    advance(10 + RUNS).await;
    let transactions = (COMMITS.load(Ordering::SeqCst) - before) as f64 / RUNS as f64;
    let statements = (STATEMENTS.load(Ordering::SeqCst) - statements) as f64 / RUNS as f64;
    println!("{transactions} transactions, {statements} statements an occurrence");
    assert_eq!(handler.0.load(Ordering::SeqCst), RUNS + 10);
    // Those of leases and of maintenance come by real time.
    assert!(transactions < 2.1, "{transactions} transactions an occurrence{REMEDY}");
}
