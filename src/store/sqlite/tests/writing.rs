//! The writer: durability, failures of single operations and of the disk, order, and shutdown.

use super::super::write_operation::WriteOptions;
use super::super::{Durability, Location};
use super::{SqliteConfig, SqliteStore, open};
use crate::error::{Error, ErrorCode, Result};
use crate::model::NewJob;
use crate::store::contract::test_support::{T0, one_off};
use crate::store::{Change, InsertParams, Inserted, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

async fn add(store: &SqliteStore, job: NewJob) -> Result<Vec<Inserted>> {
    store
        .insert(InsertParams {
            jobs: vec![job],
            all_or_nothing: false,
            now: T0,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        })
        .await
}

fn large(text: &str) -> NewJob {
    NewJob {
        input: format!("\"{}\"", "x".repeat(100_000)).into(),
        ..one_off(text)
    }
}

async fn level(store: &SqliteStore, options: WriteOptions) -> i64 {
    let read =
        |tx: &mut super::super::tx::Tx<'_>| Ok(tx.connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?);
    store.write(options, read).await.unwrap()
}

#[tokio::test]
async fn user_commands_are_synced_and_bookkeeping_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("full.db"));
    for _ in 0..3 {
        assert_eq!(level(&store, WriteOptions::synced(1)).await, 2);
        assert_eq!(level(&store, WriteOptions::plain(1)).await, 1);
    }
    let location = Location::File(folder.path().join("relaxed.db"));
    let store = SqliteStore::open(SqliteConfig {
        durability: Durability::Relaxed,
        ..SqliteConfig::new(location)
    })
    .unwrap();
    assert_eq!(level(&store, WriteOptions::synced(1)).await, 1);
}

#[tokio::test]
async fn background_work_sees_the_work_time_of_others() {
    let store = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let work = Duration::from_millis(20);
    let alone = |store: Arc<SqliteStore>| async move {
        let asked = store.write(WriteOptions::alone(), |tx| Ok(tx.take_work_of_others()));
        asked.await.unwrap()
    };
    alone(Arc::clone(&store)).await;
    for _ in 0..2 {
        let busy = store.write(WriteOptions::plain(1), move |_| {
            // Real time, since it is measured.
            std::thread::sleep(work);
            Ok(())
        });
        busy.await.unwrap();
    }
    assert!(alone(Arc::clone(&store)).await >= 2 * work);
    assert_eq!(
        alone(store).await,
        Duration::ZERO,
        "taken already, and time slices are not work of others"
    );
}

/// An operation that keeps the writer busy, so that operations sent meanwhile form one batch.
struct BusyWriter {
    operation: tokio::task::JoinHandle<Result<()>>,
    release: std::sync::mpsc::Sender<()>,
}

impl BusyWriter {
    /// Returns when the writer is executing the operation.
    async fn start(store: &Arc<SqliteStore>) -> Self {
        let store = Arc::clone(store);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let mut started = Some(started);
        let (release, released) = std::sync::mpsc::channel();
        let operation = tokio::spawn(async move {
            let wait = move |_: &mut super::super::tx::Tx<'_>| {
                // `None` when a failed transaction is retried.
                if let Some(started) = started.take() {
                    started.send(()).unwrap();
                }
                // An error if the test has failed; ends the wait as well.
                let _ = released.recv();
                Ok(())
            };
            store.write(WriteOptions::plain(1), wait).await
        });
        has_started.await.unwrap();
        Self { operation, release }
    }

    /// Lets the operation end. Put it last in a `join!`, so that the others have sent theirs.
    async fn release(self) {
        self.release.send(()).unwrap();
        self.operation.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_operation_does_not_affect_its_batch() {
    let subject_folder = tempfile::tempdir().unwrap();
    let store = open(&subject_folder.path().join("jobs.db"));
    let busy = BusyWriter::start(&store).await;
    let bad = store.write(WriteOptions::plain(1), |tx| {
        Ok(tx.connection.execute_batch("INSERT INTO nowhere VALUES (1)")?)
    });
    let (x, y) = (add(&store, one_off("x")), add(&store, one_off("y")));
    let (good, bad, other, ()) = tokio::join!(x, bad, y, busy.release());
    assert_eq!(bad.unwrap_err().code, ErrorCode::StoreError);
    assert_eq!(
        (good.unwrap(), other.unwrap()),
        (vec![Inserted::Created], vec![Inserted::Created])
    );
    store.check_invariants().await;
}

#[tokio::test]
async fn panicking_operation_fails_and_the_writer_continues() {
    let store = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let broken = store
        .write(WriteOptions::plain(1), |_| -> Result<()> { panic!("a test's own") })
        .await;
    assert_eq!(broken.unwrap_err().code, ErrorCode::StoreError);
    add(&store, one_off("x")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_renewal_is_written_before_queued_operations() {
    let store = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Arc::clone(&order);
        move |_: &mut super::super::tx::Tx<'_>| {
            order.lock().unwrap().push(what);
            Ok(())
        }
    };
    let busy = BusyWriter::start(&store).await;
    let plain = store.write(WriteOptions::plain(1), note("plain"));
    let urgent = store.write(WriteOptions::urgent(), note("urgent"));
    let (plain, urgent, ()) = tokio::join!(plain, urgent, busy.release());
    plain.and(urgent).unwrap();
    assert_eq!(*order.lock().unwrap(), ["urgent", "plain"]);
}

async fn limit_pages(store: &SqliteStore, more: i64) {
    let limit = move |tx: &mut super::super::tx::Tx<'_>| -> Result<()> {
        let now: i64 = tx.connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let _: i64 = tx
            .connection
            .query_row(&format!("PRAGMA max_page_count = {}", now + more), [], |row| row.get(0))?;
        Ok(())
    };
    store.write(WriteOptions::plain(1), limit).await.unwrap();
}

#[tokio::test]
async fn full_disk_is_reported_and_recovered_from() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    add(&store, one_off("before")).await.unwrap();
    limit_pages(&store, 10).await;
    let error: Error = add(&store, large("x")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreError);
    assert!(error.message.contains("disk is full"), "{error}");
    // Smaller writes still succeed, and earlier jobs stay.
    add(&store, one_off("small")).await.unwrap();
    store.check_invariants().await;
    limit_pages(&store, 10_000).await;
    assert_eq!(add(&store, large("x")).await.unwrap(), [Inserted::Created]);
    assert_eq!(store.stats(None).await.unwrap().by_status[1], 3);
}

#[tokio::test]
async fn the_write_ahead_log_stays_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    let mut longest = 0;
    for n in 0..300 {
        let jobs = (0..10).map(|m| large(&format!("{n}/{m}"))).collect();
        store
            .insert(InsertParams {
                jobs,
                all_or_nothing: false,
                now: T0,
                since: std::time::Instant::now(),
                replaced: crate::store::begin_anew,
            })
            .await
            .unwrap();
        longest = longest.max(std::fs::metadata(path.with_file_name("jobs.db-wal")).unwrap().len());
    }
    // About 32 MiB on an idle machine; on a busy one checkpoints get less time.
    assert!(longest < 200 << 20, "the log grew to {} MiB of 300", longest >> 20);
}

#[tokio::test]
async fn dropped_store_ends_its_threads_and_releases_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    let mut ended = store.shared.ended.subscribe();
    add(&store, one_off("x")).await.unwrap();
    drop(store);
    tokio::time::timeout(Duration::from_secs(5), ended.wait_for(|ended| *ended))
        .await
        .unwrap()
        .unwrap();
    assert!(!folder.path().join("jobs.db-wal").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_completes_queued_operations() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    let busy = BusyWriter::start(&store).await;
    let (added, closed, ()) = tokio::join!(add(&store, one_off("x")), store.close(), busy.release());
    closed.unwrap();
    assert_eq!(added.unwrap(), [Inserted::Created]);
    assert_eq!(add(&store, one_off("y")).await.unwrap_err().code, ErrorCode::Closed);
}

/// The number of the newest job.
async fn newest(store: &SqliteStore) -> i64 {
    let read = |tx: &mut super::super::tx::Tx<'_>| {
        Ok(tx
            .connection
            .query_row("SELECT coalesce(max(seq), 0) FROM jobs", [], |row| row.get(0))?)
    };
    store.write(WriteOptions::plain(1), read).await.unwrap()
}

#[tokio::test]
async fn job_numbers_are_never_reused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let mut last = 0;
    for round in 0..4 {
        let store = open(&path);
        for count in [1, 40] {
            let jobs: Vec<NewJob> = (0..count).map(|n| one_off(&format!("x{round}-{n}"))).collect();
            let ids: Vec<_> = jobs.iter().map(|job| job.id.clone()).collect();
            let params = InsertParams {
                jobs,
                all_or_nothing: count > 1,
                now: T0,
                since: std::time::Instant::now(),
                replaced: crate::store::begin_anew,
            };
            store.insert(params).await.unwrap();
            let number = newest(&store).await;
            assert!(number >= last + count, "{number} after {last}");
            last = number;
            for id in ids {
                store.change(&id, Change::Delete, T0).await.unwrap();
            }
            assert_eq!(newest(&store).await, 0);
        }
        store.close().await.unwrap();
    }
}

/// Another program that has read once and not ended its transaction; ends with its input.
#[cfg(target_os = "linux")]
fn foreign_reader(path: &std::path::Path) -> std::process::Child {
    use std::io::BufRead;
    let script = "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1],isolation_level=None)\nc.execute('BEGIN')\nc.execute('SELECT count(*) FROM jobs').fetchall()\nprint('reads',flush=True)\nsys.stdin.read()";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "reads\n");
    child
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn log_that_a_reader_keeps_from_becoming_short_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let warned = Arc::clone(&warnings);
    let store = SqliteStore::open(SqliteConfig {
        durability: Durability::Relaxed,
        warn: Arc::new(move |text| warned.lock().unwrap().push(text.to_owned())),
        ..SqliteConfig::new(Location::File(path.clone()))
    })
    .unwrap();
    let mut number = 0;
    let mut write = async |mebibytes: u64| {
        for _ in 0..mebibytes {
            number += 1;
            let jobs = (0..10).map(|m| large(&format!("{number}/{m}"))).collect();
            let params = InsertParams {
                jobs,
                all_or_nothing: false,
                now: T0,
                since: std::time::Instant::now(),
                replaced: crate::store::begin_anew,
            };
            store.insert(params).await.unwrap();
        }
    };
    write(1).await;
    let mut reader = foreign_reader(&path);
    write(160).await;
    let found = std::mem::take(&mut *warnings.lock().unwrap());
    assert!((1..=2).contains(&found.len()), "{found:?}");
    for warning in &found {
        assert!(
            warning.contains("the log of the store") && warning.contains("MiB"),
            "{warning}"
        );
        let named = format!("process {} (python3)", reader.id());
        assert!(warning.contains(&named), "{warning}");
    }
    drop(reader.stdin.take());
    reader.wait().unwrap();
    write(20).await;
    assert_eq!(*warnings.lock().unwrap(), [] as [String; 0]);
    store.close().await.unwrap();
}
