//! The limit of PostgreSQL: statements for many rows on two connections, nothing else. One claims while the other completes, as a
//! process of ours does.

use super::{INPUT, INSERTED_TOGETHER, RESULT, RUN_TOGETHER, T0, insert, report, run};
use ductape::model::JobId;
use ductape::store::Store;
use ductape::store::postgres::{Address, PostgresConfig, PostgresStore};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use tokio_postgres::{Client, NoTls};

const INSERT: &str = "WITH new AS MATERIALIZED (
    SELECT nextval('ductape_limits.job_numbers') AS seq, id, input FROM unnest($1::uuid[], $3::text[]) AS given (id, input)
), written AS (
    INSERT INTO ductape_limits.jobs (seq, id, route, priority, due, retries, recurring, run, created, updated, input)
    SELECT seq, id, 1, 0, $2, 3, false, 1, $2, $2, input FROM new
), counted AS (
    INSERT INTO ductape_limits.counters SELECT 1, 1, count(*) FROM new
)
INSERT INTO ductape_limits.ready (route, priority, due, job, run, attempt, crashes, recurring)
SELECT 1, 0, $2, seq, 1, 1, 0, false FROM new";

/// Others may claim beside it.
const CLAIM: &str = "WITH gone AS MATERIALIZED (
    DELETE FROM ductape_limits.ready WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM ductape_limits.ready WHERE route = 1 AND crashes < 3
        ORDER BY priority, due, job, run LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING *
), taken AS MATERIALIZED (
    INSERT INTO ductape_limits.running (job, run, owner, token, attempt, crashes, route, priority, due, started, recurring)
    SELECT job, run, 1, job, attempt, crashes, route, priority, due, $2, recurring FROM gone
    RETURNING job
), counted AS (
    INSERT INTO ductape_limits.counters SELECT 1, kind, n
    FROM (SELECT count(*) AS rows FROM taken) AS number CROSS JOIN LATERAL (VALUES (1, -rows), (2, rows)) AS counts (kind, n)
)
SELECT job, id, due, retries, created, options, input
FROM taken JOIN ductape_limits.jobs ON seq = ANY (ARRAY[job])";

const COMPLETE: &str = "WITH taken AS MATERIALIZED (
    DELETE FROM ductape_limits.running WHERE job = ANY ($1::bigint[]) AND run = 1 AND owner = 1 AND token = job
    RETURNING job, run, attempt
), history AS (
    INSERT INTO ductape_limits.runs (job, run, attempt, status, started, ended, result)
    SELECT job, run, attempt, 3, $2, $2, $3 FROM taken
), over AS (
    INSERT INTO ductape_limits.ended SELECT 3, $2, job FROM taken
), counted AS (
    INSERT INTO ductape_limits.counters SELECT 1, kind, n
    FROM (SELECT count(*) AS rows FROM taken) AS number CROSS JOIN LATERAL (VALUES (2, -rows), (3, rows), (10, rows)) AS counts (kind, n)
)
SELECT job FROM taken";

/// As the store sets its own: plans that are made while tables are empty are to serve full ones, too.
const SETTINGS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                        SET enable_bitmapscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan";

pub(super) async fn round(jobs: usize) {
    let Ok(url) = std::env::var("DUCTAPE_TEST_POSTGRES") else {
        println!("DUCTAPE_TEST_POSTGRES names no server: PostgreSQL is left out");
        return;
    };
    let client = connect(&url).await;
    let fsync: String = client.query_one("SHOW fsync", &[]).await.unwrap().get(0);
    if fsync != "on" {
        println!("PostgreSQL: fsync is {fsync}, so that no commit waits for the disk");
    }
    let store = open(&url, &client).await;
    let began = Instant::now();
    insert(&store, jobs).await;
    report("PostgreSQL", "insert", "ours", jobs, began);
    let began = Instant::now();
    let done = run(&store).await;
    report("PostgreSQL", "run", "ours", jobs, began);
    assert_eq!(done, jobs);
    store.close().await.unwrap();

    open(&url, &client).await.close().await.unwrap();
    let began = Instant::now();
    insert_bare(&client, jobs).await;
    report("PostgreSQL", "insert", "bare", jobs, began);
    let clients = [connect(&url).await, connect(&url).await];
    let began = Instant::now();
    assert_eq!(run_bare(&clients).await, jobs);
    report("PostgreSQL", "run", "bare", jobs, began);
    drop_schema(&client).await;
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(SETTINGS).await.unwrap();
    client
}

async fn drop_schema(client: &Client) {
    let drop = "SET client_min_messages = error; DROP SCHEMA IF EXISTS ductape_limits CASCADE";
    client.batch_execute(drop).await.unwrap();
}

/// An empty store.
async fn open(url: &str, client: &Client) -> Arc<PostgresStore> {
    drop_schema(client).await;
    let sign = if url.contains('?') { '&' } else { '?' };
    let address = Address::parse(&format!("{url}{sign}schema=ductape_limits")).unwrap();
    PostgresStore::open(PostgresConfig::new(address)).await.unwrap()
}

async fn insert_bare(client: &Client, jobs: usize) {
    let insert = client.prepare(INSERT).await.unwrap();
    let mut left = jobs;
    while left > 0 {
        let batch = left.min(INSERTED_TOGETHER);
        let ids = (0..batch).filter_map(|_| match JobId::generate() {
            JobId::Generated(id) => Some(id),
            JobId::Custom(_) => None,
        });
        let (ids, inputs) = (ids.collect::<Vec<_>>(), vec![INPUT; batch]);
        client.execute(&insert, &[&ids, &T0, &inputs]).await.unwrap();
        left -= batch;
    }
}

async fn run_bare([claims, ends]: &[Client; 2]) -> usize {
    for client in [claims, ends] {
        client.batch_execute("SET synchronous_commit = off").await.unwrap();
    }
    let claim = claims.prepare(CLAIM).await.unwrap();
    let complete = ends.prepare(COMPLETE).await.unwrap();
    let slots = i64::try_from(RUN_TOGETHER).unwrap();
    let (mut done, mut begun) = (0, Vec::<i64>::new());
    loop {
        let complete_begun = async {
            if begun.is_empty() {
                return 0;
            }
            ends.query(&complete, &[&begun, &T0, &RESULT]).await.unwrap().len()
        };
        let claim_some = async { claims.query(&claim, &[&slots, &T0]).await.unwrap() };
        let (claimed, ended) = tokio::join!(claim_some, complete_begun);
        done += ended;
        begun = claimed
            .iter()
            .map(|row| {
                black_box(row.get::<_, String>(6));
                row.get(0)
            })
            .collect();
        if begun.is_empty() {
            return done;
        }
    }
}
