//! Several stores on one file, in one process and in several.

use super::super::{Location, SqliteConfig, SqliteStore};
use super::open;
use crate::error::ErrorCode;
use crate::store::contract::test_support::{T0, one_off, route};
use crate::store::{
    ClaimParams, InsertParams, InstanceId, JobSeq, RecoverParams, RouteId, RouteMark, ServedRoute, Store, StoredRoute,
};
use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Set for the second process of a test: the path of the store.
pub(super) const CHILD: &str = "DUCTAPE_TEST_STORE";

pub(super) async fn add(store: &dyn Store, text: &str) {
    let params = InsertParams {
        jobs: vec![one_off(text)],
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
}

pub(super) async fn claim(store: &dyn Store, instance: InstanceId, slots: usize) -> Vec<JobSeq> {
    let served = Arc::new([ServedRoute {
        route: RouteId::new(1),
        group: 0,
    }]);
    let params = ClaimParams {
        now: T0,
        instance,
        served,
        group_slots: vec![slots],
        slots,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    store
        .claim(params)
        .await
        .unwrap()
        .runs
        .iter()
        .map(|run| run.job)
        .collect()
}

fn child(name: &str, path: &Path) -> std::process::Child {
    child_of(&format!("locks::{name}"), path)
}

/// Runs the test of this module and name in a child process.
pub(super) fn child_of(name: &str, path: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::sqlite::tests::{name}"), "--nocapture"])
        .env(CHILD, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(super) type Output = std::io::Lines<std::io::BufReader<std::process::ChildStdout>>;

/// Reads the child's output up to a line with `word`. The returned rest must be kept open while the child prints.
pub(super) fn wait_for(child: &mut std::process::Child, word: &str) -> Output {
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.by_ref().map_while(Result::ok).any(|line| line.contains(word)),
        "the child ended without {word}"
    );
    lines
}

#[allow(clippy::print_stdout)]
pub(super) fn report(word: &str) {
    println!("\n{word}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn locks_are_open_file_descriptions_and_conflict_with_posix_locks_of_this_process() {
    use rustix::fs::{FlockOperation, fcntl_lock};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    add(&*store, "x").await;
    let other_copy = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let refused = fcntl_lock(&other_copy, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(refused, Err(rustix::io::Errno::AGAIN));
    // Closing a descriptor drops a process's POSIX locks, and must not drop ours.
    drop(other_copy);
    let other_copy = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert!(fcntl_lock(&other_copy, FlockOperation::NonBlockingLockExclusive).is_err());
    add(&*store, "y").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_another_copy_of_sqlite_has_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    open(&path).close().await.unwrap();
    let other_copy = std::fs::File::open(&path).unwrap();
    let config = super::SqliteConfig::new(super::Location::File(path.clone()));
    let error = super::SqliteStore::open(config).unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreError);
    assert!(error.message.contains("another copy of SQLite"), "{error}");
    drop(other_copy);
    open(&path);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_of_another_process_applies_from_its_commit() {
    use crate::store::{WebhookStore, contract::webhooks::webhook};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let (here, elsewhere) = (open(&path), open(&path));
    // This store has cached that there is no webhook.
    add(&*here, "before").await;
    let new = webhook("a", &[crate::model::EventKind::Scheduled]);
    elsewhere.set_webhook(new, 1, T0).await.unwrap();
    add(&*here, "after").await;
    elsewhere.delete_webhook("a").await.unwrap();
    add(&*here, "too late").await;
    let events = here.outbox(10).await.unwrap();
    let ids: Vec<_> = events.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(ids, ["after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_claim_every_run_exactly_once() {
    const JOBS: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let stores = [open(&path), open(&path)];
    let tasks = stores.iter().enumerate().map(|(at, store)| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for n in 0..JOBS {
                add(&*store, &format!("{at}/{n}")).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut claimed = Vec::new();
    let instances = [
        stores[0].register(60_000, 10).await.unwrap(),
        stores[1].register(60_000, 10).await.unwrap(),
    ];
    for _ in 0..JOBS {
        let (left, right) = tokio::join!(claim(&*stores[0], instances[0], 1), claim(&*stores[1], instances[1], 1));
        claimed.extend(left);
        claimed.extend(right);
    }
    assert_eq!(
        (claimed.len(), claimed.iter().collect::<HashSet<_>>().len()),
        (2 * JOBS, 2 * JOBS)
    );
    stores[0].check_invariants().await;
    // The first to open may close before the second.
    stores[0].close().await.unwrap();
    add(&*stores[1], "after").await;
    stores[1].close().await.unwrap();
    let check = rusqlite::Connection::open(&path).unwrap();
    let sound: String = check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_in_turn() {
    const JOBS: usize = 400;
    if let Some(path) = std::env::var_os(CHILD) {
        let store = open(Path::new(&path));
        report("open");
        for n in 0..JOBS {
            add(&*store, &format!("child/{n}")).await;
        }
        store.close().await.unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    let mut other = child("two_processes_write_in_turn", &path);
    let output = wait_for(&mut other, "open");
    let mut slowest = Duration::ZERO;
    for n in 0..JOBS {
        let started = std::time::Instant::now();
        add(&*store, &format!("parent/{n}")).await;
        slowest = slowest.max(started.elapsed());
    }
    assert!(other.wait().unwrap().success());
    drop(output);
    assert_eq!(
        store.stats(None).await.unwrap().by_status.iter().sum::<i64>(),
        2 * JOBS as i64
    );
    assert!(slowest < Duration::from_secs(2), "a turn took {slowest:?}");
    store.check_invariants().await;
}

#[tokio::test]
async fn killed_process_is_detected_by_its_lock_before_its_lease_expires() {
    const NAME: &str = "killed_process_is_detected_by_its_lock_before_its_lease_expires";
    if let Some(path) = std::env::var_os(CHILD) {
        let store = open(Path::new(&path));
        let instance = store.register(3_600_000, 10).await.unwrap();
        assert_eq!(claim(&*store, instance, 9).await.len(), 1);
        report("claimed");
        // Blocks until it is killed, or the parent exits and closes the pipe.
        let _ = std::io::stdin().lines().next();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    add(&*store, "x").await;
    let mut other = child(NAME, &path);
    let _output = wait_for(&mut other, "claimed");
    assert_eq!(
        store.recover(RecoverParams::new(T0, 10)).await.unwrap().instances,
        0,
        "it lives"
    );
    other.kill().unwrap();
    other.wait().unwrap();
    let found = store.recover(RecoverParams::new(T0, 10)).await.unwrap();
    assert_eq!((found.instances, found.requeued), (1, 1));
    assert!(!path.with_file_name("jobs.db-locks").join("instance-1").exists());
    store.check_invariants().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_another_store_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let (here, there) = (open(&path), open(&path));
    here.watch_other_processes(true);
    let mut changes = here.changes();
    for text in ["x", "y"] {
        changes.mark_unchanged();
        add(&*there, text).await;
        tokio::time::timeout(Duration::from_secs(5), changes.changed())
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(
        here.routes_after(RouteMark::new(0)).await.unwrap().routes,
        [StoredRoute {
            id: RouteId::new(1),
            mark: RouteMark::new(1),
            route: route("a")
        }]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_dropped_while_it_watches_others_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    for _ in 0..20 {
        let store = open(&path);
        let shared = Arc::clone(&store.shared);
        store.watch_other_processes(true);
        drop(store);
        let mut ended = shared.ended.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(5), ended.wait_for(|ended| *ended));
        assert!(waited.await.is_ok());
    }
}

/// A program of its own that holds the write lock of the file; ends with its input.
fn foreign_lock(path: &Path, stopped: bool) -> std::process::Child {
    let script = "import os,signal,sqlite3,sys\nc=sqlite3.connect(sys.argv[1],isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('locked',flush=True)\nif sys.argv[2]=='stop': os.kill(os.getpid(),signal.SIGSTOP)\nsys.stdin.read()";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .arg(if stopped { "stop" } else { "go" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&mut child, "locked");
    child
}

#[tokio::test]
async fn locked_store_rejects_calls_in_time_and_names_the_holder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let mut config = SqliteConfig::new(Location::File(path.clone()));
    config.call_timeout = Duration::from_millis(700);
    let store = SqliteStore::open(config).unwrap();
    add(&*store, "a").await;
    let mut holder = foreign_lock(&path, false);
    let began = std::time::Instant::now();
    let params = || InsertParams {
        jobs: vec![one_off("b")],
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    let answers = futures_util::future::join_all((0..50).map(|_| store.insert(params()))).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(700) && took < Duration::from_secs(3),
        "{took:?}"
    );
    for answer in answers {
        let error = answer.unwrap_err();
        assert_eq!(error.code, ErrorCode::StoreError);
        if cfg!(target_os = "linux") {
            let named = format!("process {} (python3)", holder.id());
            assert!(error.message.contains(&named), "{}", error.message);
        }
    }
    // It goes on as soon as the lock is free, and nothing of what was refused is there.
    drop(holder.stdin.take());
    holder.wait().unwrap();
    add(&*store, "c").await;
    assert_eq!(store.stats(None).await.unwrap().by_status.iter().sum::<i64>(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn locked_store_closes_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = SqliteStore::open(SqliteConfig::new(Location::File(path.clone()))).unwrap();
    let mut holder = foreign_lock(&path, false);
    let mut waiting = store.insert(InsertParams {
        jobs: vec![one_off("b")],
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    });
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let began = std::time::Instant::now();
    store.close().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(waiting.await.unwrap_err().code, ErrorCode::StoreError);
    holder.kill().unwrap();
    holder.wait().unwrap();
}
