//! What a job costs the connection and the server, counted rather than timed: round trips and statements of each call,
//! pages and WAL records for each job. CONTRIBUTING.md says what to do when a bound is exceeded.

use super::super::session::{SESSION_SETTINGS, in_schema};
use super::super::{Address, PostgresConfig, PostgresStore};
use super::test_support::{Schema, Server, served};
use crate::model::{JobId, NewJob};
use crate::store::contract::report_skipped;
use crate::store::contract::test_support::{T0, done, one_off, series, step};
use crate::store::{
    ClaimParams, Claimed, ClaimedRun, CompleteParams, Completion, InsertParams, InstanceId, JobSeq, RouteId, Store,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const JOBS_PER_CALL: usize = 100;
/// Number of counted calls of each kind.
const CALLS: usize = 10;

/// A proxy between a store and its server that counts the store's messages.
#[derive(Clone, Default)]
struct CountingProxy {
    /// How often the store waits for an answer.
    round_trips: Arc<AtomicUsize>,
    /// Executed statements.
    statements: Arc<AtomicUsize>,
    /// Parsed and planned statements.
    parsed: Arc<AtomicUsize>,
}

impl CountingProxy {
    fn now(&self) -> Counts {
        [&self.round_trips, &self.statements, &self.parsed].map(|counter| counter.load(Ordering::SeqCst))
    }

    /// The result of a call, and what the call added to each counter.
    async fn count<T>(&self, call: impl Future<Output = T>) -> (T, Counts) {
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
        // The first connection is the one for verbs. Lease renewals and notifications use their own, at times of their own.
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

    /// Each message of the protocol except the first has a type, then a length that includes itself.
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

/// The calls for a job, each for [`JOBS_PER_CALL`] jobs, through a counting proxy.
struct Calls {
    proxy: CountingProxy,
    store: Arc<PostgresStore>,
    instance: InstanceId,
}

/// Round trips, statements, and parsed statements.
type Counts = [usize; 3];

impl Calls {
    async fn insert(&self, call: usize) -> Counts {
        let params = insert_params(&call.to_string());
        let (answer, counts) = self.proxy.count(self.store.insert(params)).await;
        answer.unwrap();
        counts
    }

    async fn claim(&self) -> (Vec<ClaimedRun>, Counts) {
        let (claimed, counts) = self.claim_all().await;
        assert_eq!(claimed.runs.len(), JOBS_PER_CALL);
        (claimed.runs, counts)
    }

    async fn claim_all(&self) -> (Claimed, Counts) {
        let params = ClaimParams {
            now: T0,
            instance: self.instance,
            served: served(&self.store).await,
            group_slots: vec![JOBS_PER_CALL],
            slots: JOBS_PER_CALL,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        let (claimed, counts) = self.proxy.count(self.store.claim(params)).await;
        (claimed.unwrap(), counts)
    }

    /// The counts of finding due series, of moving them on, of claiming their runs, and of completing these.
    async fn occurrences(&self) -> [Counts; 4] {
        let (claimed, found) = self.claim_all().await;
        assert_eq!(claimed.series.len(), JOBS_PER_CALL);
        let advances = claimed.series.iter().map(|due| step(due, due.next_at)).collect();
        let (moved, advanced) = self.proxy.count(self.store.advance(T0, advances)).await;
        assert_eq!(moved.unwrap(), JOBS_PER_CALL);
        let (runs, claimed) = self.claim().await;
        [found, advanced, claimed, self.complete(runs).await]
    }

    async fn complete(&self, runs: Vec<ClaimedRun>) -> Counts {
        let completions = runs.iter().map(|run| Completion {
            job: run.job,
            run: run.run,
            token: run.token,
            recurring: run.recurring,
            started_at: T0,
            ended_at: T0,
            outcome: done(),
        });
        let params = CompleteParams {
            now: T0,
            instance: self.instance,
            completions: completions.collect(),
        };
        let (answer, counts) = self.proxy.count(self.store.complete(params)).await;
        answer.unwrap();
        counts
    }

    /// The counts of insert, claim and complete.
    async fn all(&self, call: usize) -> [Counts; 3] {
        let inserted = self.insert(call).await;
        let (runs, claimed) = self.claim().await;
        [inserted, claimed, self.complete(runs).await]
    }
}

fn insert_params(name: &str) -> InsertParams {
    InsertParams {
        jobs: (0..JOBS_PER_CALL)
            .map(|job| one_off(&format!("{name}-{job}")))
            .collect(),
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    }
}

#[tokio::test]
async fn round_trips_per_call_stay_within_bounds() {
    let Some(server) = Server::named() else {
        return report_skipped("round_trips_per_call_stay_within_bounds");
    };
    let schema = server.schema();
    let proxy = CountingProxy::default();
    let store = proxy.store(&schema).await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    let calls = Calls { proxy, store, instance };
    // The first calls prepare their statements.
    calls.all(0).await;
    let mut most = [[0; 3]; 3];
    for call in 1..=CALLS {
        for (most, counts) in most.iter_mut().zip(calls.all(call).await) {
            *most = std::array::from_fn(|n| most[n].max(counts[n]));
        }
    }
    let [insert, claim, complete] = most;
    println!("round trips, statements, parsed: insert {insert:?}, claim {claim:?}, complete {complete:?}");
    assert!(insert[0] <= 1 && insert[1] <= 1, "insert: {insert:?}");
    // The claim and the query for due series are pipelined.
    assert!(claim[0] <= 2 && claim[1] <= 2, "claim: {claim:?}");
    assert!(complete[0] <= 1 && complete[1] <= 1, "complete: {complete:?}");
    assert!(
        most.iter().all(|counts| counts[2] == 0),
        "statements are prepared once: {most:?}"
    );
}

/// However many occurrences there are in a call, each of its steps is a statement for all of them.
#[tokio::test]
async fn statements_per_call_are_independent_of_the_number_of_occurrences() {
    let Some(server) = Server::named() else {
        return report_skipped("statements_per_call_are_independent_of_the_number_of_occurrences");
    };
    let schema = server.schema();
    let proxy = CountingProxy::default();
    let store = proxy.store(&schema).await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    let recurring = |job: usize| NewJob {
        input: job.to_string().into(),
        ..series(&job.to_string())
    };
    let params = InsertParams {
        jobs: (0..JOBS_PER_CALL).map(recurring).collect(),
        ..insert_params("")
    };
    store.insert(params).await.unwrap();
    let calls = Calls { proxy, store, instance };
    // The first calls prepare their statements.
    calls.occurrences().await;
    let mut most = [[0; 3]; 4];
    for _ in 0..CALLS {
        for (most, counts) in most.iter_mut().zip(calls.occurrences().await) {
            *most = std::array::from_fn(|n| most[n].max(counts[n]));
        }
    }
    println!("round trips, statements, parsed of {JOBS_PER_CALL} occurrences: {most:?}");
    let bounds = [[3, 3], [8, 8], [3, 3], [13, 13]];
    for (counts, [round_trips, statements]) in most.iter().zip(bounds) {
        assert!(
            counts[0] <= round_trips && counts[1] <= statements,
            "{most:?}, bounds {bounds:?}"
        );
        assert_eq!(counts[2], 0, "statements are prepared once: {most:?}");
    }
}

/// The lines of the plan of a statement, which is executed.
async fn explain(client: &tokio_postgres::Client, statement: &str) -> Vec<String> {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING off, FORMAT text) {statement}");
    let rows = client.query(&explain, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Pages that a statement read and WAL records that it wrote, per job, as the server counts them.
async fn cost(client: &tokio_postgres::Client, statement: &str) -> (f64, f64) {
    costs_in(&explain(client, statement).await)
}

fn costs_in(plan: &[String]) -> (f64, f64) {
    let (mut pages, mut records) = (None, None);
    for line in plan {
        let number = |word: &str| -> Option<f64> {
            let (_, rest) = line.split_once(word)?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        // The first line of each kind covers the whole statement.
        if line.contains("Buffers: shared") {
            pages.get_or_insert(number("hit=").unwrap_or(0.0) + number("read=").unwrap_or(0.0));
        }
        if line.contains("WAL: records") {
            records.get_or_insert(number("records=").unwrap_or(0.0));
        }
    }
    let per_job = |count: Option<f64>| count.unwrap_or(0.0) / JOBS_PER_CALL as f64;
    (per_job(pages), per_job(records))
}

/// Bounds of pages and records per job: a fifth above what was measured.
const BOUNDS: [(&str, f64, f64); 3] = [("insert", 19.3, 8.5), ("claim", 14.7, 4.9), ("complete", 11.0, 6.1)];

/// Most pages that a plan may read for each job, whenever it was made: it looks each place up by its whole key.
const MAX_PAGES_PER_STATE: f64 = 30.0;

/// A connection keeps a plan, and the queues are empty most of the time: what was as cheap then must not step over all that wait.
#[tokio::test]
async fn plans_made_for_empty_tables_serve_full_ones() {
    let Some(server) = Server::named() else {
        return report_skipped("plans_made_for_empty_tables_serve_full_ones");
    };
    let schema = server.schema();
    let store = schema.open().await;
    let client = schema.client().await;
    let name = &schema.name;
    let prepared = [
        ("state", "bigint[]", include_str!("../sql/select_state.sql")),
        (
            "duplicates",
            "bigint[], bigint[]",
            include_str!("../sql/select_duplicate_series.sql"),
        ),
    ];
    client.batch_execute(&format!("SET {SESSION_SETTINGS}")).await.unwrap();
    for table in [
        "jobs",
        "series",
        "occurrences",
        "ready",
        "held",
        "scheduled",
        "running",
        "runs",
        "paused",
    ] {
        client
            .batch_execute(&format!("VACUUM ANALYZE \"{name}\".{table}"))
            .await
            .unwrap();
    }
    for (statement, types, text) in prepared {
        let text = in_schema(text, &format!("\"{name}\""));
        let prepare = format!("PREPARE {statement} ({types}) AS {text}");
        client.batch_execute(&prepare).await.unwrap();
    }
    // The numbers of the first jobs, and as many fingerprints.
    let numbers = (1..=JOBS_PER_CALL).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let execute = [
        format!("EXECUTE state ('{{{numbers}}}')"),
        format!("EXECUTE duplicates ('{{{numbers}}}', '{{{numbers}}}')"),
    ];
    // The plans are made now.
    for statement in &execute {
        client.batch_execute(statement).await.unwrap();
    }
    for call in 0..20 {
        let recurring = |job: usize| NewJob {
            id: JobId::generate(),
            input: format!("[{call},{job}]").into(),
            ..series(&format!("{call}-{job}"))
        };
        let params = InsertParams {
            jobs: (0..JOBS_PER_CALL).map(recurring).collect(),
            ..insert_params("")
        };
        store.insert(params).await.unwrap();
    }
    let after = JobSeq::MIN;
    let due = store.series_after(after, 20 * JOBS_PER_CALL).await.unwrap();
    let advances = due.iter().map(|due| step(due, Some(T0 + 1_000))).collect();
    assert_eq!(store.advance(T0, advances).await.unwrap(), 20 * JOBS_PER_CALL);
    for statement in &execute {
        let plan = explain(&client, statement).await;
        let (pages, _) = costs_in(&plan);
        println!("{pages} pages: {statement}");
        let compares = plan.iter().any(|line| line.contains("Rows Removed by"));
        let plan = plan.join("\n");
        assert!(pages <= MAX_PAGES_PER_STATE && !compares, "{pages} pages a job: {plan}");
    }
}

/// The functions of the schema as the store calls them, each for [`JOBS_PER_CALL`] jobs; `EXPLAIN` takes no parameters.
struct Statements<'a> {
    /// The schema.
    name: &'a str,
    route: RouteId,
    instance: InstanceId,
}

impl Statements<'_> {
    fn insert(&self, n: usize) -> String {
        let Self { name, route, .. } = self;
        format!(
            "SELECT * FROM \"{name}\".insert_v1({T0}, array_fill(NULL::uuid, ARRAY[{JOBS_PER_CALL}]),
                ARRAY (SELECT 'more-{n}-' || n FROM generate_series(1, {JOBS_PER_CALL}) AS n), array_fill({route}::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill(0, ARRAY[{JOBS_PER_CALL}]), array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]), array_fill(0, ARRAY[{JOBS_PER_CALL}]),
                array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]),
                array_fill('{{}}'::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::bigint, ARRAY[{JOBS_PER_CALL}]), '{{}}', '{{}}')"
        )
    }

    fn claim(&self, token: usize) -> String {
        let Self { name, route, instance } = self;
        format!(
            "SELECT * FROM \"{name}\".claim_v2({T0}, {min}, {instance}, {token}, ARRAY[{route}], ARRAY[0], ARRAY[-2147483648],
                ARRAY[{min}], ARRAY[0], ARRAY[0], ARRAY[2147483648], ARRAY[{JOBS_PER_CALL}], {JOBS_PER_CALL}, 32, false)",
            min = "(-9223372036854775808)"
        )
    }

    fn complete(&self) -> String {
        let Self { name, instance, .. } = self;
        format!(
        "SELECT ended.* FROM (SELECT array_agg(job ORDER BY job) AS jobs, array_agg(run ORDER BY job) AS runs,
                array_agg(token ORDER BY job) AS tokens
             FROM (SELECT * FROM \"{name}\".running ORDER BY job LIMIT {JOBS_PER_CALL}) AS first) AS these,
            \"{name}\".complete_v1({T0}, {instance}, jobs, runs, tokens, array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill({T0}::bigint, ARRAY[{JOBS_PER_CALL}]), array_fill(3, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::bigint, ARRAY[{JOBS_PER_CALL}]),
                array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}]), array_fill(NULL::text, ARRAY[{JOBS_PER_CALL}])
            ) AS ended"
    )
    }
}

#[tokio::test]
async fn server_cost_per_job_stays_within_bounds() {
    let Some(server) = Server::named() else {
        return report_skipped("server_cost_per_job_stays_within_bounds");
    };
    let schema = server.schema();
    let store = schema.open().await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    for call in 0..20 {
        store.insert(insert_params(&call.to_string())).await.unwrap();
    }
    let statements = Statements {
        name: &schema.name,
        route: served(&store).await[0].route,
        instance,
    };
    let client = schema.client().await;
    // Pages and records of insert, claim and complete: the least of several calls, since page splits add some.
    let mut least = [(f64::MAX, f64::MAX); 3];
    for n in 1..=5 {
        let costs = [
            cost(&client, &statements.insert(n)).await,
            cost(&client, &statements.claim(n * 1_000_000)).await,
            cost(&client, &statements.complete()).await,
        ];
        for (least, cost) in least.iter_mut().zip(costs) {
            *least = (least.0.min(cost.0), least.1.min(cost.1));
        }
    }
    let [insert, claim, complete] = least;
    println!("pages and records per job: insert {insert:?}, claim {claim:?}, complete {complete:?}");
    for ((call, max_pages, max_records), (pages, records)) in BOUNDS.into_iter().zip(least) {
        assert!(pages > 1.0 && records > 1.0, "{call}: nothing was done");
        assert!(pages <= max_pages, "{call}: {pages} pages per job, at most {max_pages}");
        assert!(
            records <= max_records,
            "{call}: {records} records per job, at most {max_records}"
        );
    }
}
