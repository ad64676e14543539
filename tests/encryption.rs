//! What the engine does with runs that are encrypted and cannot be read here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use ductape::clock::ManualClock;
use ductape::engine::routing::{Pattern, Routing, WorkerFilter};
use ductape::engine::{
    AbortReason, Announcer, Engine, EngineConfig, Handler, Invocation, Level, Logger, Reply, WorkerConfig,
};
use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Route, Status};
use ductape::store::sealed::{EncryptionKey, KEY_BYTES, Keyring, SealedStore};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{
    InsertParams, JobRecord, Store, TextColumn, TextKey, TextQuery, TextReplacement, TextStore, Token,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000;
const INPUT: &str = "{\"card\":\"4111\"}";
const MISSING_KEY_DELAY_MS: i64 = 15_000;

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Logger for Lines {
    fn log(&self, level: Level, message: &str) {
        if matches!(level, Level::Warn | Level::Error) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
}

/// Records the inputs and attempts it is called with.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, u32)>>);

impl Handler for Recorder {
    fn call(&self, invocation: Invocation) {
        let run = &invocation.attempt.run;
        self.0.lock().unwrap().push((run.input.to_string(), run.attempt));
        let _ = invocation.reply.send(Ok(Reply::Done(None)));
    }

    fn abort(&self, _: Token, _: &AbortReason) {}
}

fn keyring(id: &str) -> Arc<Keyring> {
    let mut bytes = [1; KEY_BYTES];
    bytes[0] = 2;
    let key = EncryptionKey {
        id: id.into(),
        bytes: bytes.into(),
    };
    Arc::new(Keyring::new(&[key], "encryptionKeys").unwrap())
}

fn route() -> Route {
    Route {
        namespace: Namespace::Features,
        product: "shop".into(),
        env: "test".into(),
        target: vec!["work".into()],
    }
}

fn job(id: &str) -> NewJob {
    NewJob {
        id: JobId::parse(id).unwrap(),
        on_conflict: OnConflict::Return,
        route: route().into(),
        priority: 0,
        due: Some(START),
        created: START,
        retries: 3,
        options: JobOptions::default(),
        input: INPUT.into(),
        input_digest: None,
        recurrence: None,
    }
}

/// A process with these keys on the database.
struct Process {
    engine: Arc<Engine>,
    handler: Arc<Recorder>,
    lines: Arc<Lines>,
}

impl Process {
    async fn start(database: &Arc<SqliteStore>, keys: Arc<Keyring>, clock: &Arc<ManualClock>) -> Self {
        let store = SealedStore::new(Arc::clone(database) as Arc<dyn Store>, keys);
        let (handler, lines) = (Arc::new(Recorder::default()), Arc::new(Lines::default()));
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
            Arc::clone(clock) as _,
            Arc::clone(&lines) as _,
            routing,
            Arc::new(Announcer::default()),
            config,
        );
        engine.work().await.unwrap();
        Self { engine, handler, lines }
    }

    /// Claims until the job is as expected.
    async fn run_until(&self, id: &str, is_expected: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let id = JobId::parse(id).unwrap();
        for _ in 0..500 {
            self.engine.claim_round().await.unwrap();
            let record = self.engine.store.get(&id).await.unwrap().unwrap();
            if is_expected(&record) {
                return record;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the job did not become what was expected");
    }
}

async fn database() -> Arc<SqliteStore> {
    tokio::task::spawn_blocking(|| SqliteStore::open(SqliteConfig::new(Location::Memory)))
        .await
        .unwrap()
        .unwrap()
}

async fn insert(store: &dyn Store, jobs: Vec<NewJob>) {
    let params = InsertParams {
        jobs,
        all_or_nothing: false,
        now: START,
        since: std::time::Instant::now(),
        replaced: ductape::store::begin_anew,
    };
    store.insert(params).await.unwrap();
}

#[tokio::test]
async fn run_whose_key_is_missing_waits_and_spends_no_attempt() {
    let (database, clock) = (database().await, Arc::new(ManualClock::new(START)));
    let keys = keyring("k1");
    let sealed = SealedStore::new(Arc::clone(&database) as Arc<dyn Store>, Arc::clone(&keys));
    insert(&*sealed, vec![job("a"), job("b")]).await;
    let keyless = Process::start(&database, Arc::default(), &clock).await;
    for id in ["a", "b"] {
        let waiting = keyless.run_until(id, |job| job.status == Status::Scheduled).await;
        assert_eq!(waiting.scheduled_at, START + MISSING_KEY_DELAY_MS);
    }
    keyless.engine.stop(Duration::from_secs(5)).await;
    assert_eq!(*keyless.handler.0.lock().unwrap(), []);
    let lines = keyless.lines.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("'k1'") && lines[0].contains("encryptionKeys"),
        "{lines:?}"
    );
    let keeper = Process::start(&database, keys, &clock).await;
    clock.set(START + MISSING_KEY_DELAY_MS);
    for id in ["a", "b"] {
        keeper.run_until(id, |job| job.status == Status::Completed).await;
    }
    assert_eq!(
        *keeper.handler.0.lock().unwrap(),
        [(INPUT.to_owned(), 1), (INPUT.to_owned(), 1)]
    );
    keeper.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn run_whose_input_was_tampered_with_fails_for_good() {
    let (database, clock) = (database().await, Arc::new(ManualClock::new(START)));
    let keys = keyring("k1");
    let sealed = SealedStore::new(Arc::clone(&database) as Arc<dyn Store>, Arc::clone(&keys));
    insert(&*sealed, vec![job("a"), job("b")]).await;
    let query = TextQuery {
        column: TextColumn::Inputs,
        after: TextKey::first(),
        except: "?".into(),
        limit: 10,
    };
    let texts = database.texts_after(query).await.unwrap().texts;
    let moved = TextReplacement {
        key: texts[1].key.clone(),
        before: texts[1].text.clone(),
        after: texts[0].text.clone(),
        digest: None,
    };
    database.replace_texts(TextColumn::Inputs, vec![moved]).await.unwrap();
    let process = Process::start(&database, keys, &clock).await;
    process.run_until("a", |job| job.status == Status::Completed).await;
    let failed = process.run_until("b", |job| job.status == Status::Failed).await;
    let error = failed.error.unwrap();
    assert_eq!(&*error.code, "STORE_CORRUPT");
    assert!(error.message.contains("'k1'"), "{}", error.message);
    assert_eq!(failed.attempt, 1);
    assert_eq!(*process.handler.0.lock().unwrap(), [(INPUT.to_owned(), 1)]);
    process.engine.stop(Duration::from_secs(5)).await;
}
