//! The bare limit of this machine, and how near the stores come to it: the same rows in the same trees, in transactions as large and as
//! durable as ours, by rusqlite and tokio-postgres without any code of ours. `bench/node/scheduler/limits.mjs` sets the package beside it.
//!
//! `cargo bench --no-default-features --bench limits [-- jobs [rounds]]`; of PostgreSQL if `DUCTAPE_TEST_POSTGRES` names a server.
//! Each measured figure is a line: store, verb, who, jobs a second.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod postgres;
mod sqlite;

use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Route, RunOutcome};
use ductape::store::{
    ClaimParams, ClaimedRun, CompleteParams, Completion, InsertParams, InstanceId, RouteMark, ServedRoute, Store,
};
use std::sync::Arc;
use std::time::Instant;

const T0: i64 = 1_700_000_000_000;
const INPUT: &str =
    r#"{"to":"someone@example.com","template":"welcome","data":{"name":"Some One","plan":"pro","seats":12}}"#;
/// What a handler that does nothing returns.
const RESULT: &str = "true";
/// Dispatches under way at once.
const IN_FLIGHT: usize = 500;
/// Jobs in each transaction of those that insert: half of what is under way is written while the other half is made.
const INSERTED_TOGETHER: usize = 256;
/// Runs that are claimed, and as many that are completed, in each transaction: a few more than there are slots.
const RUN_TOGETHER: usize = 128;

fn main() {
    let mut numbers = std::env::args().filter_map(|word| word.parse::<usize>().ok());
    let jobs = numbers.next().unwrap_or(100_000).next_multiple_of(2_000);
    let rounds = numbers.next().unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..rounds {
            sqlite::round(jobs).await;
            postgres::round(jobs).await;
        }
    });
}

fn report(store: &str, verb: &str, who: &str, jobs: usize, since: Instant) {
    let rate = jobs as f64 / since.elapsed().as_secs_f64();
    println!("{store}, {verb}, {who}: {rate:.0}/s");
}

fn job(on: &Arc<Route>) -> NewJob {
    NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: Arc::clone(on),
        priority: 0,
        due: Some(T0),
        created: T0,
        retries: 3,
        options: JobOptions::default(),
        input: INPUT.into(),
        input_digest: None,
        recurrence: None,
    }
}

/// Inserts jobs one by one, so many under way at once.
async fn insert<S: Store + 'static>(store: &Arc<S>, jobs: usize) {
    let on = Arc::new(Route {
        namespace: Namespace::Notifications,
        product: "shop".into(),
        env: "prd".into(),
        target: vec!["mail".into(), "sent".into()],
    });
    let lanes = (0..IN_FLIGHT).map(|_| {
        let (store, on) = (Arc::clone(store), Arc::clone(&on));
        tokio::spawn(async move {
            for _ in 0..jobs / IN_FLIGHT {
                let params = InsertParams {
                    jobs: vec![job(&on)],
                    all_or_nothing: false,
                    since: Instant::now(),
                    now: T0,
                    replaced: ductape::store::begin_anew,
                };
                store.insert(params).await.unwrap();
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
}

/// Claims and completes all jobs; what was claimed is completed while the next are claimed, as in the engine.
async fn run<S: Store + 'static>(store: &Arc<S>) -> usize {
    let instance = store.register(3_600_000, 10).await.unwrap();
    let route = store.routes_after(RouteMark::default()).await.unwrap().routes[0].id;
    let served: Arc<[ServedRoute]> = Arc::new([ServedRoute { route, group: 0 }]);
    let (mut done, mut claimed) = (0, Vec::new());
    loop {
        let params = ClaimParams {
            now: T0,
            instance,
            served: Arc::clone(&served),
            group_slots: vec![RUN_TOGETHER],
            slots: RUN_TOGETHER,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        done += claimed.len();
        let (next, ()) = tokio::join!(store.claim(params), complete(&**store, instance, claimed));
        claimed = next.unwrap().runs;
        if claimed.is_empty() {
            return done;
        }
    }
}

async fn complete(store: &impl Store, instance: InstanceId, runs: Vec<ClaimedRun>) {
    if runs.is_empty() {
        return;
    }
    let completions = runs.into_iter().map(|run| Completion {
        job: run.job,
        run: run.run,
        token: run.token,
        recurring: run.recurring,
        started_at: T0,
        ended_at: T0,
        outcome: RunOutcome::Completed {
            result: Some(RESULT.into()),
        },
    });
    let params = CompleteParams {
        now: T0,
        instance,
        completions: completions.collect(),
    };
    store.complete(params).await.unwrap();
}
