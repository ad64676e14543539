//! Copies of a store, and their way back.

use super::super::backup::restore;
use super::{SqliteStore, open};
use crate::error::{Error, ErrorCode};
use crate::model::Status;
use crate::store::contract::test_support::{T0, id, one_off};
use crate::store::{InsertParams, RecoverParams, Store};
use std::path::Path;

async fn add(store: &SqliteStore, names: std::ops::Range<u32>) {
    let params = InsertParams {
        jobs: names.map(|name| one_off(&name.to_string())).collect(),
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
}

async fn count(store: &SqliteStore) -> i64 {
    store.stats(None).await.unwrap().by_status.iter().sum()
}

fn refused(error: &Error, code: ErrorCode, part: &str) {
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(part), "{part} is not in: {error}");
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn backup_of_a_store_in_use_is_whole_and_can_be_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
    let store = open(&path);
    add(&store, 0..3_000).await;
    let writing = async {
        for round in 1..20 {
            add(&store, round * 10_000..round * 10_000 + 50).await;
        }
    };
    // Of a call that was interrupted: it must not be played into this copy.
    std::fs::write(folder.path().join("copy.db.partial-journal"), vec![7; 512]).unwrap();
    let (copied, ()) = tokio::join!(store.back_up(&copy), writing);
    copied.unwrap();
    assert_eq!(
        names(folder.path()),
        ["copy.db", "jobs.db", "jobs.db-locks", "jobs.db-shm", "jobs.db-wal"]
    );
    let error = store.back_up(&copy).await.unwrap_err();
    refused(&error, ErrorCode::StoreError, "is there already");
    store.close().await.unwrap();
    // The old state is gone, with its log: one that belongs to another file, as after a crash.
    std::fs::write(folder.path().join("jobs.db-wal"), vec![7; 100_000]).unwrap();
    std::fs::write(folder.path().join("jobs.db-shm"), vec![7; 32_768]).unwrap();
    restore(&copy, &path).unwrap();
    assert_eq!(names(folder.path()), ["copy.db", "jobs.db", "jobs.db-locks"]);
    let store = open(&path);
    let found = count(&store).await;
    assert!((3_000..3_950).contains(&found), "{found}");
    assert!(store.get(&id("2999")).await.unwrap().is_some());
    store.check_invariants().await;
    add(&store, 900_000..900_001).await;
    store.close().await.unwrap();
    // A damaged store can be replaced, and one that is missing.
    std::fs::write(&path, "no store").unwrap();
    restore(&copy, &path).unwrap();
    assert_eq!(count(&open(&path)).await, found);
    let elsewhere = folder.path().join("new/folder/jobs.db");
    restore(&copy, &elsewhere).unwrap();
    assert_eq!(count(&open(&elsewhere)).await, found);
}

#[tokio::test]
async fn runs_of_processes_of_the_backup_are_taken_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
    let store = open(&path);
    add(&store, 0..1).await;
    let instance = store.register(60_000, 1).await.unwrap();
    let claimed = super::locks::claim(&*store, instance, 1).await;
    assert_eq!(claimed.len(), 1);
    store.back_up(&copy).await.unwrap();
    store.unregister(instance, T0).await.unwrap();
    store.close().await.unwrap();
    restore(&copy, &path).unwrap();
    let store = open(&path);
    assert_eq!(store.recover(RecoverParams::new(T0, 9)).await.unwrap().requeued, 1);
    assert_eq!(store.get(&id("0")).await.unwrap().unwrap().status, Status::Queued);
}

#[tokio::test]
async fn store_that_is_open_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
    let store = open(&path);
    add(&store, 0..10).await;
    store.back_up(&copy).await.unwrap();
    refused(
        &restore(&copy, &path).unwrap_err(),
        ErrorCode::StoreError,
        "close all instances",
    );
    refused(
        &restore(&path, &copy).unwrap_err(),
        ErrorCode::StoreError,
        "has a log beside it",
    );
    add(&store, 10..20).await;
    assert_eq!(count(&store).await, 20);
    store.close().await.unwrap();
    restore(&copy, &path).unwrap();
    assert_eq!(count(&open(&path)).await, 10);
}

/// By another process, which may have no registration: it only dispatches.
#[tokio::test]
async fn store_that_another_process_has_open_is_not_replaced() {
    const NAME: &str = "backup::store_that_another_process_has_open_is_not_replaced";
    if let Some(path) = std::env::var_os(super::locks::CHILD) {
        let store = open(Path::new(&path));
        add(&store, 10..20).await;
        super::locks::report("opened");
        let _ = std::io::stdin().lines().next();
        store.close().await.unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
    let store = open(&path);
    add(&store, 0..10).await;
    store.back_up(&copy).await.unwrap();
    store.close().await.unwrap();
    let mut other = super::locks::child_of(NAME, &path);
    let output = super::locks::wait_for(&mut other, "opened");
    refused(
        &restore(&copy, &path).unwrap_err(),
        ErrorCode::StoreError,
        "close all instances",
    );
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    drop(output);
    assert_eq!(count(&open(&path)).await, 20);
}

#[tokio::test]
async fn what_is_no_whole_store_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    add(&store, 0..2_000).await;
    let copy = folder.path().join("copy.db");
    store.back_up(&copy).await.unwrap();
    store.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let bad = folder.path().join("bad.db");
    let mut damaged = std::fs::read(&copy).unwrap();
    let half = damaged.len() / 2;
    damaged[half..].fill(0xA5);
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE jobs (mine)")
        .unwrap();
    let newer = folder.path().join("newer.db");
    std::fs::copy(&copy, &newer).unwrap();
    rusqlite::Connection::open(&newer)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&bad, damaged).unwrap();
    let cut = folder.path().join("cut.db");
    std::fs::write(&cut, &std::fs::read(&copy).unwrap()[..half]).unwrap();
    for (from, code, part) in [
        (&bad, ErrorCode::StoreCorrupt, "bad.db"),
        (
            &cut,
            ErrorCode::StoreCorrupt,
            "cut.db: it is damaged; take another backup",
        ),
        (&other, ErrorCode::StoreCorrupt, "another program's database"),
        (&newer, ErrorCode::StoreError, "version 99"),
        (&empty, ErrorCode::StoreCorrupt, "no ductape store"),
        (&folder.path().join("absent.db"), ErrorCode::StoreError, "absent.db"),
        (&path, ErrorCode::StoreError, "is the store itself"),
        (&folder.path().to_owned(), ErrorCode::StoreError, "is no file"),
    ] {
        refused(&restore(from, &path).unwrap_err(), code, part);
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(names(folder.path()).iter().all(|name| !name.contains("partial")));
}

#[tokio::test]
async fn restoring_replaces_a_damaged_store_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
    let store = open(&path);
    add(&store, 0..10).await;
    store.back_up(&copy).await.unwrap();
    store.close().await.unwrap();
    let notes = folder.path().join("notes.txt");
    for damaged in [&notes, &path] {
        std::fs::write(damaged, "no database at all").unwrap();
    }
    let before = names(folder.path());
    let error = restore(&copy, &notes).unwrap_err();
    refused(&error, ErrorCode::StoreCorrupt, "no ductape store");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "no database at all");
    assert_eq!(names(folder.path()), before);
    restore(&copy, &path).unwrap();
    assert_eq!(count(&open(&path)).await, 10);
}

#[cfg(unix)]
#[tokio::test]
async fn backup_with_several_names_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
    let store = open(&path);
    add(&store, 0..10).await;
    store.back_up(&copy).await.unwrap();
    add(&store, 10..20).await;
    store.close().await.unwrap();
    std::fs::hard_link(&copy, folder.path().join("daily.db")).unwrap();
    restore(&copy, &path).unwrap();
    let store = open(&path);
    assert_eq!(count(&store).await, 10);
    store.close().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn backup_that_cannot_be_written_names_its_own_path() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    add(&store, 0..10).await;
    let absent = folder.path().join("absent").join("copy.db");
    let error = store.back_up(&absent).await.unwrap_err();
    refused(&error, ErrorCode::StoreError, "absent/copy.db.partial: No such file");
    refused(&error, ErrorCode::StoreError, "its folder is there");
    let long = folder.path().join("f".repeat(200)).join("g".repeat(200));
    std::fs::create_dir_all(&long).unwrap();
    let long = long.join("h".repeat(500 - long.as_os_str().len() - 1));
    let error = store.back_up(&long).await.unwrap_err();
    refused(&error, ErrorCode::StoreError, "choose a shorter one");
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_a_backup_and_leaves_nothing_of_it() {
    // On a busy machine a backup may be done before the store is closed.
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
        let store = open(&path);
        for round in 0..20 {
            add(&store, round * 2_000..(round + 1) * 2_000).await;
        }
        let backup = tokio::spawn({
            let (store, copy) = (std::sync::Arc::clone(&store), copy.clone());
            async move { store.back_up(&copy).await }
        });
        while !folder.path().join("copy.db.partial").exists() && !copy.exists() {
            tokio::task::yield_now().await;
        }
        store.close().await.unwrap();
        let Err(error) = backup.await.unwrap() else {
            assert_eq!(names(folder.path()), ["copy.db", "jobs.db", "jobs.db-locks"]);
            continue;
        };
        refused(&error, ErrorCode::Closed, "closed");
        assert_eq!(names(folder.path()), ["jobs.db", "jobs.db-locks"]);
        return;
    }
    panic!("no backup was still going when its store was closed");
}

#[tokio::test]
async fn store_in_memory_has_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let store = super::memory_test_store().await.store;
    let error = store.back_up(&folder.path().join("copy.db")).await.unwrap_err();
    refused(&error, ErrorCode::StoreError, "in memory");
}
