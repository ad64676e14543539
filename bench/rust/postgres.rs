//! Rates of the PostgreSQL store; `limits` has what bare PostgreSQL does.
//!
//! `DUCTAPE_TEST_POSTGRES=postgres://… cargo bench --bench postgres --no-default-features [-- rows]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Route, RunOutcome};
use ductape::store::postgres::{Address, PostgresConfig, PostgresStore};
use ductape::store::{ClaimParams, CompleteParams, Completion, InsertParams, RouteMark, ServedRoute, Store};
use std::sync::Arc;
use std::time::Instant;
use tokio_postgres::{Client, NoTls};

const T0: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;
const INPUT: &str =
    r#"{"to":"someone@example.com","template":"welcome","data":{"name":"Some One","plan":"pro","seats":12}}"#;

fn main() {
    let rows = std::env::args()
        .filter_map(|word| word.parse().ok())
        .next()
        .unwrap_or(100_000);
    let Ok(url) = std::env::var("DUCTAPE_TEST_POSTGRES") else {
        println!("DUCTAPE_TEST_POSTGRES names no server: nothing to measure");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::new(url).await;
        bench.claim_round("empty otherwise", 0, rows).await;
        bench.claim_round("1,000,000 waiting", 1_000_000, rows).await;
        bench.drop_schema().await;
    });
}

struct Bench {
    url: String,
    client: Client,
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

impl Bench {
    async fn new(url: String) -> Self {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { url, client }
    }

    async fn drop_schema(&self) {
        let drop = "SET client_min_messages = error; DROP SCHEMA IF EXISTS ductape_bench CASCADE";
        self.client.batch_execute(drop).await.unwrap();
    }

    /// An empty store.
    async fn open(&self) -> Arc<PostgresStore> {
        self.drop_schema().await;
        let sign = if self.url.contains('?') { '&' } else { '?' };
        let address = Address::parse(&format!("{}{sign}schema=ductape_bench", self.url)).unwrap();
        PostgresStore::open(PostgresConfig::new(address)).await.unwrap()
    }

    async fn claim_round(&self, what: &str, waiting: usize, rows: usize) {
        let store = self.open().await;
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
        let began = Instant::now();
        fill(&store, rows, |_| job(&mine, T0)).await;
        println!(
            "insert by 2,000, {what}: {:.0}/s",
            rows as f64 / began.elapsed().as_secs_f64()
        );
        let instance = store.register(3_600_000, 10).await.unwrap();
        let known = store.routes_after(RouteMark::default()).await.unwrap();
        let mine = known.routes.into_iter().filter(|known| known.route == *mine);
        let served: Arc<[ServedRoute]> = mine
            .map(|known| ServedRoute {
                route: known.id,
                group: 0,
            })
            .collect();
        let params = || ClaimParams {
            now: T0,
            instance,
            served: Arc::clone(&served),
            group_slots: vec![500],
            slots: 500,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        let (started, mut done, mut slowest) = (Instant::now(), 0, 0.0_f64);
        let mut ending: Option<tokio::task::JoinHandle<()>> = None;
        loop {
            let turn = Instant::now();
            let runs = store.claim(params()).await.unwrap().runs;
            slowest = slowest.max(turn.elapsed().as_secs_f64());
            if let Some(ending) = ending.take() {
                ending.await.unwrap();
            }
            if runs.is_empty() {
                break;
            }
            done += runs.len();
            // As in the engine, the next claim overlaps with the completions.
            let store = Arc::clone(&store);
            ending = Some(tokio::spawn(async move {
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
                let completions = completions.collect();
                store
                    .complete(CompleteParams {
                        now: T0,
                        instance,
                        completions,
                    })
                    .await
                    .unwrap();
            }));
        }
        println!(
            "claim + complete by 500, {what}: {:.0}/s, slowest claim {:.1} ms",
            done as f64 / started.elapsed().as_secs_f64(),
            slowest * 1e3
        );
        let started = Instant::now();
        for _ in 0..200 {
            store.claim(params()).await.unwrap();
        }
        println!(
            "claim that finds nothing, {what}: {:.0} µs",
            started.elapsed().as_secs_f64() * 1e6 / 200.0
        );
        store.close().await.unwrap();
    }
}

async fn fill(store: &PostgresStore, count: usize, make: impl Fn(usize) -> NewJob) {
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
