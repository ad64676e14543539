//! What becomes of occurrences that nobody was there to run: on SQLite, and on the PostgreSQL that `DUCTAPE_TEST_POSTGRES` names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../src/testing/skipped.rs"]
mod skipped;

use ductape::clock::{Clock, Millis};
use ductape::engine::routing::{Pattern, Routing, WorkerFilter};
use ductape::engine::timetable::Timetable;
use ductape::engine::{
    AbortReason, Announcer, Engine, EngineConfig, Handler, Invocation, Level, Logger, Reply, WorkerConfig,
    series_changes,
};
use ductape::model::{
    IfRunning, JobId, JobOptions, Misfire, Namespace, NewJob, OnConflict, Recurrence, Route, Rule, Status,
};
use ductape::store::postgres::{Address, PostgresConfig, PostgresStore};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{GapKind, InsertParams, JobRecord, JobSeq, OccurrenceGap, Store, Token};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// 2026-03-02T00:00:00Z
const MIDNIGHT: Millis = 1_772_409_600_000;
const NINE: Millis = MIDNIGHT + 9 * HOUR;
/// When the worker went down, and when it was there again.
const DOWN: Millis = NINE - 5 * MINUTE;
const UP: Millis = MIDNIGHT + 20 * HOUR;

#[derive(Debug)]
struct Still(Millis);

impl Clock for Still {
    fn now(&self) -> Millis {
        self.0
    }
}

struct Silence;

impl Logger for Silence {
    fn log(&self, _: Level, _: &str) {}
}

/// Notes which occurrences were run, and for how many each stood.
#[derive(Default)]
struct Calls(Mutex<Vec<(Millis, i64)>>);

impl Handler for Calls {
    fn call(&self, invocation: Invocation) {
        let run = &invocation.attempt.run;
        self.0.lock().unwrap().push((run.scheduled_at, run.missed));
        let _ = invocation.reply.send(Ok(Reply::Done(None)));
    }

    fn abort(&self, _: Token, _: &AbortReason) {}
}

/// The stores that there are, each new; on the server in a schema of its own, for [`close`].
async fn stores(test: &str) -> Vec<(Arc<dyn Store>, Option<(String, String)>)> {
    static SCHEMAS: AtomicUsize = AtomicUsize::new(0);
    let memory = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let mut stores: Vec<(Arc<dyn Store>, _)> = vec![(memory, None)];
    if let Some(url) = skipped::address("DUCTAPE_TEST_POSTGRES", test) {
        let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
        let schema = format!("ductape_misfires_{}_{number}", std::process::id());
        let address = Address::parse(&format!("{url}?schema={schema}")).unwrap();
        let store = PostgresStore::open(PostgresConfig::new(address)).await.unwrap();
        stores.push((store, Some((url, schema))));
    }
    stores
}

async fn close(store: Arc<dyn Store>, schema: Option<(String, String)>) {
    store.close().await.unwrap();
    let Some((url, schema)) = schema else { return };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let drop = format!("DROP SCHEMA \"{schema}\" CASCADE");
    client.batch_execute(&drop).await.unwrap();
    connection.abort();
}

fn cron(text: &str) -> Recurrence {
    Recurrence::new(Rule::Cron {
        text: text.into(),
        tz: "UTC".into(),
    })
}

async fn dispatch(store: &Arc<dyn Store>, recurrence: &Recurrence, now: Millis) -> JobId {
    let id = JobId::parse("report").unwrap();
    let due = Timetable::compile(recurrence).unwrap().first(now);
    insert(store, &id, recurrence, due, now).await;
    id
}

async fn insert(store: &Arc<dyn Store>, id: &JobId, recurrence: &Recurrence, due: Option<Millis>, now: Millis) {
    let params = InsertParams {
        jobs: vec![NewJob {
            id: id.clone(),
            on_conflict: OnConflict::Replace,
            route: Route {
                namespace: Namespace::Features,
                product: "shop".into(),
                env: "test".into(),
                target: vec!["report".into()],
            }
            .into(),
            priority: 0,
            due,
            created: now,
            retries: 0,
            options: JobOptions::default(),
            input: "{}".into(),
            input_digest: None,
            recurrence: Some(recurrence.clone()),
        }],
        all_or_nothing: false,
        now,
        since: std::time::Instant::now(),
        replaced: series_changes::replaced,
    };
    store.insert(params).await.unwrap();
}

/// An engine that has a handler for `target`.
fn engine(store: &Arc<dyn Store>, now: Millis, target: &str) -> (Arc<Engine>, Arc<Calls>) {
    let calls = Arc::<Calls>::default();
    let routing = Arc::new(Routing::new(WorkerFilter::default()));
    let pattern = Pattern {
        namespace: Namespace::Features,
        product: None,
        env: None,
        target: vec![Some(target.into())],
    };
    routing.register(pattern, Arc::clone(&calls) as Arc<dyn Handler>, None, None);
    let config = EngineConfig {
        worker: Some(WorkerConfig::default()),
        ..EngineConfig::default()
    };
    let (clock, announcer) = (Arc::new(Still(now)), Arc::new(Announcer::default()));
    let engine = Engine::new(Arc::clone(store), clock, Arc::new(Silence), routing, announcer, config);
    (engine, calls)
}

/// Waits until the job is as it is to be.
async fn until(store: &Arc<dyn Store>, id: &JobId, is_so: impl Fn(&JobRecord) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let record = store.get(id).await.unwrap().unwrap();
        if is_so(&record) {
            return;
        }
        assert!(Instant::now() < deadline, "not in time: {record:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// A worker comes at `now` and does what there is to do.
async fn work(store: &Arc<dyn Store>, now: Millis, id: &JobId) -> Vec<(Millis, i64)> {
    let (engine, calls) = engine(store, now, "report");
    engine.work().await.unwrap();
    until(store, id, |record| {
        record.status == Status::Completed
            || record.status == Status::Scheduled && record.next_run_at.is_some_and(|at| at > now)
    })
    .await;
    engine.stop(Duration::from_secs(1)).await;
    std::mem::take(&mut *calls.0.lock().unwrap())
}

/// A worker is there at each full hour from nine on before [`UP`], and has no handler for the job.
async fn look_on(store: &Arc<dyn Store>, id: &JobId, if_running: IfRunning) {
    for now in (0..11).map(|hour| NINE + hour * HOUR) {
        let (engine, _) = engine(store, now, "other");
        engine.work().await.unwrap();
        until(store, id, |record| {
            let moved = if_running == IfRunning::Skip || record.next_run_at.is_some_and(|at| at > now);
            record.status == Status::Queued && moved
        })
        .await;
        engine.stop(Duration::from_secs(1)).await;
    }
}

async fn gaps(store: &Arc<dyn Store>, id: &JobId) -> Vec<OccurrenceGap> {
    store.history(id, 100).await.unwrap().unwrap().gaps
}

fn from_nine(kind: GapKind, count: i64) -> OccurrenceGap {
    OccurrenceGap {
        kind,
        first: NINE,
        last: NINE + (count - 1) * HOUR,
        count,
    }
}

/// A schedule, which occurrences are run and for how many each stands, and what is recorded as missed.
type Row = (Recurrence, Vec<(Millis, i64)>, Vec<OccurrenceGap>);

/// The table of `docs/schedules.md`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_down_from_8_55_to_20_00_does_what_the_documents_say() {
    let hourly = |change: fn(&mut Recurrence)| {
        let mut recurrence = cron("0 * * * *");
        change(&mut recurrence);
        recurrence
    };
    let daily = |change: fn(&mut Recurrence)| {
        let mut recurrence = cron("0 9 * * *");
        change(&mut recurrence);
        recurrence
    };
    let each: Vec<(Millis, i64)> = (0..12).map(|hour| (NINE + hour * HOUR, 0)).collect();
    let table: Vec<Row> = vec![
        (hourly(|_| {}), vec![(UP, 11)], vec![from_nine(GapKind::Down, 11)]),
        (
            hourly(|it| it.misfire = Misfire::Skip),
            vec![],
            vec![from_nine(GapKind::Misfire, 12)],
        ),
        (hourly(|it| it.misfire = Misfire::All), each.clone(), vec![]),
        (
            hourly(|it| (it.misfire, it.if_running) = (Misfire::All, IfRunning::Allow)),
            each,
            vec![],
        ),
        (
            hourly(|it| it.limit = Some(1)),
            vec![(UP, 11)],
            vec![from_nine(GapKind::Down, 11)],
        ),
        (
            hourly(|it| it.end_at = Some(MIDNIGHT + 12 * HOUR)),
            vec![(MIDNIGHT + 12 * HOUR, 4)],
            vec![from_nine(GapKind::Down, 3)],
        ),
        (daily(|_| {}), vec![(NINE, 1)], vec![]),
        (
            daily(|it| it.misfire = Misfire::Skip),
            vec![],
            vec![from_nine(GapKind::Misfire, 1)],
        ),
        (daily(|it| it.misfire = Misfire::All), vec![(NINE, 0)], vec![]),
        (daily(|it| it.grace = Some(11 * HOUR)), vec![(NINE, 0)], vec![]),
        (
            daily(|it| (it.misfire, it.grace) = (Misfire::Skip, Some(11 * HOUR))),
            vec![(NINE, 0)],
            vec![],
        ),
        (
            daily(|it| (it.misfire, it.grace) = (Misfire::Skip, Some(11 * HOUR - 1))),
            vec![],
            vec![from_nine(GapKind::Misfire, 1)],
        ),
    ];
    let cases = table.iter().flat_map(|row| [(row, false), (row, true)]);
    for ((recurrence, runs, missed), somebody_else_was_there) in cases {
        for (store, schema) in stores("a_worker_that_was_down").await {
            let id = dispatch(&store, recurrence, DOWN).await;
            if somebody_else_was_there {
                look_on(&store, &id, recurrence.if_running).await;
            }
            let mut made = work(&store, UP, &id).await;
            // Runs that may overlap begin in no order.
            if recurrence.if_running == IfRunning::Allow {
                made.sort_unstable();
            }
            assert_eq!(&made, runs, "{recurrence:?} {somebody_else_was_there}");
            assert_eq!(
                &gaps(&store, &id).await,
                missed,
                "{recurrence:?} {somebody_else_was_there}"
            );
            close(store, schema).await;
        }
    }
}

/// Another version of the package may know the zone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_this_version_cannot_compute_is_left_as_it_is_and_others_go_on() {
    for (store, schema) in stores("a_schedule_that_this_version_cannot_compute").await {
        let unknown = Recurrence::new(Rule::Cron {
            text: "0 9 * * *".into(),
            tz: "Mars/Olympus".into(),
        });
        let strange = JobId::parse("strange").unwrap();
        insert(&store, &strange, &unknown, Some(NINE), DOWN).await;
        let before = store.series_after(JobSeq::MIN, 9).await.unwrap().remove(0);
        let known = dispatch(&store, &cron("0 * * * *"), DOWN).await;
        assert_eq!(work(&store, UP, &known).await, [(UP, 11)]);
        let after = store.series_after(JobSeq::MIN, 9).await.unwrap().remove(0);
        assert_eq!((after.next_at, after.version), (Some(NINE), before.version));
        assert_eq!(gaps(&store, &strange).await, []);
        // Another zone takes its place: the one time of the old schedule that is known gets its run, late.
        insert(&store, &strange, &cron("0 9 * * *"), Some(NINE + DAY), UP).await;
        assert_eq!(work(&store, UP, &strange).await, [(NINE, 1)]);
        let record = store.get(&strange).await.unwrap().unwrap();
        assert_eq!(record.next_run_at, Some(NINE + DAY));
        close(store, schema).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overdue_run_is_kept_when_details_of_its_schedule_change_and_when_its_times_do() {
    let now = NINE + 5 * MINUTE;
    let ended = Recurrence {
        end_at: Some(MIDNIGHT + 300 * DAY),
        ..cron("0 9 * * *")
    };
    let counted = Recurrence {
        limit: Some(5),
        misfire: Misfire::All,
        ..cron("00 09 * * *")
    };
    for (new, missed, next) in [
        (ended, 1, NINE + DAY),
        (counted, 0, NINE + DAY),
        (cron("0 12 * * *"), 1, MIDNIGHT + 12 * HOUR),
    ] {
        for (store, schema) in stores("an_overdue_run_is_kept").await {
            dispatch(&store, &cron("0 9 * * *"), DOWN).await;
            let id = dispatch(&store, &new, now).await;
            assert_eq!(work(&store, now, &id).await, [(NINE, missed)], "{new:?}");
            let record = store.get(&id).await.unwrap().unwrap();
            assert_eq!(
                (record.next_run_at, gaps(&store, &id).await),
                (Some(next), vec![]),
                "{new:?}"
            );
            close(store, schema).await;
        }
    }
}

/// Processes dispatch their recurring jobs at every start; one that is slow to reach the store asks for a time that is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_occurrence_is_not_run_again_when_the_job_ended_while_it_was_dispatched_again() {
    let recurrence = Recurrence {
        start_at: Some(NINE),
        end_at: Some(NINE + HOUR),
        ..cron("0 * * * *")
    };
    let end = NINE + HOUR;
    for (store, schema) in stores("the_last_occurrence_is_not_run_again").await {
        let id = dispatch(&store, &recurrence, DOWN).await;
        assert_eq!(work(&store, NINE, &id).await, [(NINE, 0)]);
        assert_eq!(work(&store, end, &id).await, [(end, 0)]);
        dispatch(&store, &recurrence, end - 20).await;
        assert_eq!(work(&store, end + 30, &id).await, []);
        // Dispatched anew by a clock that says so, it begins anew.
        dispatch(&store, &recurrence, DOWN).await;
        assert_eq!(work(&store, NINE, &id).await, [(NINE, 0)]);
        close(store, schema).await;
    }
}
