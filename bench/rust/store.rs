//! Rates of the SQLite store; `limits` has what bare SQLite does.
//!
//! `cargo bench --bench store --no-default-features [-- rows]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ductape::model::{
    Concurrency, EventKind, EventMask, JobId, JobOptions, Namespace, NewJob, OnConflict, Route, RunOutcome,
    WebhookSecret,
};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{
    ClaimParams, Claimed, ClaimedRun, CompleteParams, Completion, InsertParams, InstanceId, NewWebhook, Retention,
    RetentionLimit, RouteMark, ServedRoute, Store, WebhookStore,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const T0: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;
const INPUT: &str =
    r#"{"to":"someone@example.com","template":"welcome","data":{"name":"Some One","plan":"pro","seats":12}}"#;

fn main() {
    let rows = std::env::args()
        .filter_map(|word| word.parse().ok())
        .next()
        .unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        verbs_round(rows).await;
        claim_round("empty otherwise", 0, rows, false).await;
        claim_round("with a webhook for all events", 0, rows, true).await;
        claim_round("1,000,000 waiting", 1_000_000, rows, false).await;
        blocked_round(100_000, rows).await;
        sweep_round(rows).await;
    });
}

fn route(name: &str) -> Arc<Route> {
    Arc::new(Route {
        namespace: Namespace::Notifications,
        product: "shop".into(),
        env: "prd".into(),
        target: vec![name.into(), "sent".into()],
    })
}

fn job(on: &Arc<Route>, due: i64) -> NewJob {
    NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: on.clone(),
        priority: 0,
        due: Some(due),
        created: T0,
        retries: 3,
        options: JobOptions::default(),
        input: INPUT.into(),
        input_digest: None,
        recurrence: None,
    }
}

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(SqliteConfig::new(Location::File(path.to_owned()))).unwrap()
}

async fn fill(store: &SqliteStore, count: usize, make: impl Fn(usize) -> NewJob) {
    for from in (0..count).step_by(2_000) {
        let jobs = (from..count.min(from + 2_000)).map(&make).collect();
        store
            .insert(InsertParams {
                jobs,
                all_or_nothing: false,
                since: std::time::Instant::now(),
                now: T0,
                replaced: ductape::store::begin_anew,
            })
            .await
            .unwrap();
    }
}

/// Subscribes to all events. Nothing relays them: only the cost of writing them is measured.
async fn want_all(store: &SqliteStore) {
    let webhook = NewWebhook {
        id: "wh".into(),
        url: "https://example.com/".into(),
        events: EventMask::of(&EventKind::DELIVERED_TO_WEBHOOKS),
        secret: WebhookSecret::parse("a plain text of 24 bytes").unwrap(),
    };
    store.set_webhook(webhook, 1, T0).await.unwrap();
}

/// The statements of the three verbs, in memory: no file, no sync, a hundred jobs per call.
async fn verbs_round(rows: usize) {
    const JOBS_PER_CALL: usize = 100;
    let store = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let on = route("mail");
    fill(&store, 1, |_| job(&on, T0)).await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    let route = store.routes_after(RouteMark::default()).await.unwrap().routes[0].id;
    let served = Arc::new([ServedRoute { route, group: 0 }]);
    let worker = Worker {
        store,
        instance,
        served,
    };
    let runs = worker.claim(JOBS_PER_CALL).await.runs;
    worker.complete(&runs).await;
    let mut spent = [0.0; 3];
    for _ in 0..rows / JOBS_PER_CALL {
        let jobs: Vec<NewJob> = (0..JOBS_PER_CALL).map(|_| job(&on, T0)).collect();
        let params = InsertParams {
            jobs,
            all_or_nothing: false,
            since: std::time::Instant::now(),
            now: T0,
            replaced: ductape::store::begin_anew,
        };
        let started = Instant::now();
        worker.store.insert(params).await.unwrap();
        let inserted = Instant::now();
        let runs = worker.claim(JOBS_PER_CALL).await.runs;
        let claimed = Instant::now();
        worker.complete(&runs).await;
        spent[0] += (inserted - started).as_secs_f64();
        spent[1] += (claimed - inserted).as_secs_f64();
        spent[2] += claimed.elapsed().as_secs_f64();
    }
    let [insert, claim, complete] = spent.map(|seconds| seconds * 1e6 / rows as f64);
    println!(
        "statements alone, in memory: insert {insert:.2} µs, claim {claim:.2} µs, complete {complete:.2} µs a job"
    );
    worker.store.close().await.unwrap();
}

async fn claim_round(what: &str, waiting: usize, rows: usize, hooked: bool) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    if hooked {
        want_all(&store).await;
    }
    let (mine, foreign) = (route("mail"), route("elsewhere"));
    // A third due in days, a third soon, a third due now on a route that is not served; all with higher priority than ours.
    fill(&store, waiting, |n| {
        let (on, due) = match n % 3 {
            0 => (&mine, T0 + (n as i64 % 30) * DAY + 2 * DAY + n as i64),
            1 => (&mine, T0 + 1 + (n as i64 * 7_919) % DAY),
            _ => (&foreign, T0),
        };
        NewJob {
            priority: -1,
            ..job(on, due)
        }
    })
    .await;
    fill(&store, rows, |_| job(&mine, T0)).await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    let routes = store.routes_after(RouteMark::default()).await.unwrap().routes;
    let served: Arc<[ServedRoute]> = routes
        .iter()
        .filter(|known| known.route == *mine)
        .map(|known| ServedRoute {
            route: known.id,
            group: 0,
        })
        .collect();
    let worker = Worker {
        store,
        instance,
        served,
    };
    let (rate, slowest) = worker.run_all(100).await;
    println!("claim + complete, {what}: {rate:.0}/s, slowest hundred {slowest:.1} ms");
    let started = Instant::now();
    for _ in 0..200 {
        worker.claim(100).await;
    }
    println!(
        "claim that finds nothing, {what}: {:.0} µs",
        started.elapsed().as_secs_f64() * 1e6 / 200.0
    );
    worker.store.close().await.unwrap();
}

/// A process that runs what it claims.
struct Worker {
    store: Arc<SqliteStore>,
    instance: InstanceId,
    served: Arc<[ServedRoute]>,
}

impl Worker {
    async fn claim(&self, slots: usize) -> Claimed {
        let params = ClaimParams {
            now: T0,
            instance: self.instance,
            served: Arc::clone(&self.served),
            group_slots: vec![slots],
            slots,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        self.store.claim(params).await.unwrap()
    }

    async fn complete(&self, runs: &[ClaimedRun]) {
        let completions = runs
            .iter()
            .map(|run| Completion {
                job: run.job,
                run: run.run,
                token: run.token,
                recurring: run.recurring,
                started_at: T0,
                ended_at: T0,
                outcome: RunOutcome::Completed {
                    result: Some("true".into()),
                },
            })
            .collect();
        let params = CompleteParams {
            now: T0,
            instance: self.instance,
            completions,
        };
        self.store.complete(params).await.unwrap();
    }

    /// Runs all jobs; returns runs per second, and the slowest turn, ms.
    async fn run_all(&self, slots: usize) -> (f64, f64) {
        let started = Instant::now();
        let (mut done, mut slowest) = (0, 0.0_f64);
        loop {
            let turn = Instant::now();
            let runs = self.claim(slots).await.runs;
            if runs.is_empty() {
                break;
            }
            done += runs.len();
            self.complete(&runs).await;
            slowest = slowest.max(turn.elapsed().as_secs_f64());
        }
        (done as f64 / started.elapsed().as_secs_f64(), slowest * 1e3)
    }
}

fn keyed(on: &Arc<Route>, limit: i64) -> NewJob {
    NewJob {
        priority: -1,
        options: JobOptions {
            concurrency: Some(Concurrency {
                key: "vendor".into(),
                limit,
            }),
            ..JobOptions::default()
        },
        ..job(on, T0)
    }
}

/// Jobs behind one full concurrency key: their cost to other jobs, and how fast they run one after the other.
async fn blocked_round(held: usize, rows: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    let on = route("mail");
    let started = Instant::now();
    fill(&store, held, |_| keyed(&on, 1)).await;
    println!(
        "insert with a concurrency key: {:.0}/s",
        held as f64 / started.elapsed().as_secs_f64()
    );
    fill(&store, rows, |_| job(&on, T0)).await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    let route = store.routes_after(RouteMark::default()).await.unwrap().routes[0].id;
    let served = Arc::new([ServedRoute { route, group: 0 }]);
    let worker = Worker {
        store,
        instance,
        served,
    };
    let started = Instant::now();
    let first = worker.claim(1).await.runs;
    while worker.claim(1).await.runs.is_empty() {}
    println!(
        "claims until {held} jobs behind a full key are out of the way: {:.0} ms in all",
        started.elapsed().as_secs_f64() * 1e3
    );
    let (rate, slowest) = worker.run_all(100).await;
    println!("claim + complete of others, {held} behind a full key: {rate:.0}/s, slowest hundred {slowest:.1} ms");
    let turns = held.min(10_000);
    fill(&worker.store, turns, |_| job(&on, T0)).await;
    let (bare, _) = worker.run_all(1).await;
    worker.complete(&first).await;
    let started = Instant::now();
    for _ in 0..turns {
        let runs = worker.claim(1).await.runs;
        worker.complete(&runs).await;
    }
    let rate = turns as f64 / started.elapsed().as_secs_f64();
    println!("one at a time behind a key with limit 1: {rate:.0}/s, without a key {bare:.0}/s");
    fill(&worker.store, 1, |_| keyed(&on, 100)).await;
    let (rate, slowest) = worker.run_all(100).await;
    println!("claim + complete behind a key with limit 100: {rate:.0}/s, slowest hundred {slowest:.1} ms");
    worker.store.close().await.unwrap();
}

/// Rate at which retention deletes ended jobs.
async fn sweep_round(rows: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    let on = route("mail");
    fill(&store, rows, |_| job(&on, T0)).await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    let route = store.routes_after(RouteMark::default()).await.unwrap().routes[0].id;
    let served = Arc::new([ServedRoute { route, group: 0 }]);
    let worker = Worker {
        store,
        instance,
        served,
    };
    worker.run_all(100).await;
    let nothing = Retention {
        completed: RetentionLimit {
            age: None,
            count: Some(0),
        },
        ..Retention::default()
    };
    let started = Instant::now();
    let mut deleted = 0;
    while deleted < rows {
        deleted += worker.store.sweep(nothing, T0, 2_000).await.unwrap();
    }
    println!(
        "jobs that ended, deleted by retention: {:.0}/s",
        deleted as f64 / started.elapsed().as_secs_f64()
    );
    worker.store.close().await.unwrap();
}
