//! What a job costs the connection and the server, counted and not timed: round trips and statements of each call, pages
//! and records of the log for each job. CONTRIBUTING.md says what to do when a bound is met.

use super::super::{Address, PostgresConfig, PostgresStore};
use super::test_support::{Schema, Server, served};
use crate::store::contract::test_support::{T0, done, one_off};
use crate::store::{ClaimParams, CompleteParams, Completion, InsertParams, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Jobs of one call, and calls.
const JOBS_PER_CALL: usize = 100;
const CALLS: usize = 10;

/// Between a store and its server: passes bytes on and counts what the store says.
#[derive(Clone, Default)]
struct CountingProxy {
    /// Times the store waits for an answer.
    round_trips: Arc<AtomicUsize>,
    /// Statements that are executed.
    statements: Arc<AtomicUsize>,
    /// Statements that are parsed and planned anew.
    parsed: Arc<AtomicUsize>,
}

impl CountingProxy {
    fn now(&self) -> [usize; 3] {
        [&self.round_trips, &self.statements, &self.parsed].map(|counter| counter.load(Ordering::SeqCst))
    }

    /// Counts what a call adds.
    async fn of<T>(&self, call: impl Future<Output = T>) -> (T, [usize; 3]) {
        let before = self.now();
        let answer = call.await;
        let after = self.now();
        (answer, std::array::from_fn(|n| after[n] - before[n]))
    }

    async fn store(&self, schema: &Schema) -> Arc<PostgresStore> {
        let target = schema.server();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = schema
            .url_with("&sslmode=disable&connections=1")
            .replacen(&target, &format!("127.0.0.1:{port}"), 1);
        // The first connection is the one for verbs; signs of life and news have others, and times of their own.
        let mut verbs = Some(self.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let proxy = verbs.take().unwrap_or_default();
                tokio::spawn(async move { proxy.pass(from_client, to_server).await });
                tokio::spawn(async move {
                    let (mut from, mut to) = (from_server, to_client);
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let address = Address::parse(&url).unwrap();
        PostgresStore::open(PostgresConfig::new(address)).await.unwrap()
    }

    /// Messages of the protocol: a kind, but for the first, and a length that counts itself.
    async fn pass(&self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) -> Option<()> {
        let mut kind = None;
        loop {
            let length = from.read_u32().await.ok()?;
            let mut body = vec![0; length as usize - 4];
            from.read_exact(&mut body).await.ok()?;
            let counters: &[&AtomicUsize] = match kind {
                Some(b'S') => &[&self.round_trips],
                Some(b'Q') => &[&self.round_trips, &self.statements],
                Some(b'E') => &[&self.statements],
                Some(b'P') => &[&self.parsed],
                _ => &[],
            };
            for counter in counters {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            let mut message: Vec<u8> = kind.into_iter().collect();
            message.extend(length.to_be_bytes());
            message.extend(body);
            to.write_all(&message).await.ok()?;
            kind = Some(from.read_u8().await.ok()?);
        }
    }
}

#[tokio::test]
async fn round_trips_per_call_stay_within_bounds() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("a_call_takes_no_more_round_trips_than_it_did");
    };
    let schema = server.schema();
    let proxy = CountingProxy::default();
    let store = proxy.store(&schema).await;
    let instance = store.register(3_600_000).await.unwrap();
    let insert = async |n: usize| {
        let jobs = (0..JOBS_PER_CALL).map(|job| one_off(&format!("{n}-{job}"))).collect();
        let params = InsertParams {
            jobs,
            all_or_nothing: false,
            now: T0,
        };
        store.insert(params).await.unwrap()
    };
    let claim = async |slots: usize| {
        let params = ClaimParams {
            now: T0,
            instance,
            served: served(&store).await,
            group_slots: vec![slots],
            slots,
        };
        proxy.of(store.claim(params)).await
    };
    let complete = async |runs: Vec<crate::store::ClaimedRun>| {
        let completions = runs.iter().map(|run| Completion {
            job: run.job,
            run: run.run,
            token: run.token,
            started_at: T0,
            ended_at: T0,
            outcome: done(),
        });
        let params = CompleteParams {
            now: T0,
            instance,
            completions: completions.collect(),
        };
        proxy.of(store.complete(params)).await
    };
    // The first calls prepare their statements.
    insert(0).await;
    let runs = claim(JOBS_PER_CALL).await.0.unwrap().runs;
    complete(runs).await.0.unwrap();
    let mut most = [[0; 3]; 3];
    for n in 1..=CALLS {
        let (_, inserted) = proxy.of(insert(n)).await;
        let (claimed, claiming) = claim(JOBS_PER_CALL).await;
        let runs = claimed.unwrap().runs;
        assert_eq!(runs.len(), JOBS_PER_CALL);
        let (_, completing) = complete(runs).await;
        for (most, call) in most.iter_mut().zip([inserted, claiming, completing]) {
            *most = std::array::from_fn(|n| most[n].max(call[n]));
        }
    }
    println!(
        "round trips, statements, parsed: insert {:?}, claim {:?}, complete {:?}",
        most[0], most[1], most[2]
    );
    assert!(most[0][0] <= 1 && most[0][1] <= 1, "insert: {:?}", most[0]);
    // The claim and the look for due series, sent together.
    assert!(most[1][0] <= 2 && most[1][1] <= 2, "claim: {:?}", most[1]);
    assert!(most[2][0] <= 1 && most[2][1] <= 1, "complete: {:?}", most[2]);
    assert!(
        most.iter().all(|call| call[2] == 0),
        "statements are prepared once: {most:?}"
    );
}

/// Pages that a statement asked for, and records it wrote to the log, by the server's own account.
async fn cost(client: &tokio_postgres::Client, statement: &str) -> (f64, f64) {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING off, FORMAT text) {statement}");
    let rows = client.query(&explain, &[]).await.unwrap();
    let (mut pages, mut records) = (None, None);
    for row in rows {
        let line: String = row.get(0);
        let number = |word: &str| -> Option<f64> {
            let (_, rest) = line.split_once(word)?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        // The first of each is that of the whole.
        if line.contains("Buffers: shared") {
            pages.get_or_insert(number("hit=").unwrap_or(0.0) + number("read=").unwrap_or(0.0));
        }
        if line.contains("WAL: records") {
            records.get_or_insert(number("records=").unwrap_or(0.0));
        }
    }
    let each = |count: Option<f64>| count.unwrap_or(0.0) / JOBS_PER_CALL as f64;
    (each(pages), each(records))
}

#[tokio::test]
async fn server_cost_per_job_stays_within_bounds() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("a_job_costs_the_server_no_more_than_it_did");
    };
    let schema = server.schema();
    let store = schema.open().await;
    let instance = store.register(3_600_000).await.unwrap();
    for n in 0..20 {
        let jobs = (0..JOBS_PER_CALL).map(|job| one_off(&format!("{n}-{job}"))).collect();
        let params = InsertParams {
            jobs,
            all_or_nothing: false,
            now: T0,
        };
        store.insert(params).await.unwrap();
    }
    let route = served(&store).await[0].route;
    let client = schema.client().await;
    let name = &schema.name;
    let insert = |n: usize| {
        format!(
            "SELECT * FROM \"{name}\".insert_v1({T0}, array_fill(NULL::uuid, ARRAY[{JOBS_PER_CALL}]),
                ARRAY (SELECT 'more-{n}-' || n FROM generate_series(1, {JOBS_PER_CALL}) AS n), array_fill({route}::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill(0, ARRAY[{JOBS_PER_CALL}]), array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]), array_fill(0, ARRAY[{JOBS_PER_CALL}]),
                array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]),
                array_fill('{{}}'::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::bigint, ARRAY[{JOBS_PER_CALL}]), '{{}}', '{{}}')"
        )
    };
    let claim = |token: usize| {
        format!(
            "SELECT * FROM \"{name}\".claim_v1({T0}, {min}, {instance}, {token}, ARRAY[{route}], ARRAY[0], ARRAY[-2147483648],
                ARRAY[{min}], ARRAY[0], ARRAY[0], ARRAY[2147483648], ARRAY[{JOBS_PER_CALL}], {JOBS_PER_CALL}, 32)",
            min = "(-9223372036854775808)"
        )
    };
    let complete = format!(
        "SELECT ended.* FROM (SELECT array_agg(job ORDER BY job) AS jobs, array_agg(run ORDER BY job) AS runs,
                array_agg(token ORDER BY job) AS tokens
             FROM (SELECT * FROM \"{name}\".running ORDER BY job LIMIT {JOBS_PER_CALL}) AS first) AS these,
            \"{name}\".complete_v1({T0}, {instance}, jobs, runs, tokens, array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]), array_fill(3, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}])
            ) AS ended"
    );
    // Pages and records of insert, claim and complete; of several calls the least, since now and then a page is split.
    let mut least = [(f64::MAX, f64::MAX); 3];
    for n in 1..=5 {
        let costs = [
            cost(&client, &insert(n)).await,
            cost(&client, &claim(n * 1_000_000)).await,
            cost(&client, &complete).await,
        ];
        for (least, cost) in least.iter_mut().zip(costs) {
            *least = (least.0.min(cost.0), least.1.min(cost.1));
        }
    }
    println!(
        "pages and records for each job: insert {:?}, claim {:?}, complete {:?}",
        least[0], least[1], least[2]
    );
    for ((what, pages, records), cost) in BOUNDS.into_iter().zip(least) {
        assert!(cost.0 > 1.0 && cost.1 > 1.0, "{what}: nothing was done");
        assert!(
            cost.0 <= pages,
            "{what}: {} pages for each job, at most {pages}",
            cost.0
        );
        assert!(
            cost.1 <= records,
            "{what}: {} records for each job, at most {records}",
            cost.1
        );
    }
}

/// Pages and records for each job that are not to be exceeded: a fifth above what was counted.
const BOUNDS: [(&str, f64, f64); 3] = [("insert", 19.3, 8.5), ("claim", 14.7, 4.9), ("complete", 11.0, 6.1)];
