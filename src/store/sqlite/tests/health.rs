//! Facts about a file: sound, damaged, locked, and of other versions.

use super::super::{health, newest_schema};
use super::locks::add;
use super::open;
use crate::error::ErrorCode;
use crate::store::{CountedJobs, FileFacts, Integrity, Store, StoreHealth, StorePlace};
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn look(path: &Path, limit: Duration) -> StoreHealth {
    health(path, limit).unwrap()
}

fn file(health: &StoreHealth) -> &FileFacts {
    match &health.place {
        StorePlace::File(facts) => facts,
        other => panic!("{other:?}"),
    }
}

async fn store_with_jobs(path: &Path, jobs: usize) {
    let store = open(path);
    for n in 0..jobs {
        add(&*store, &n.to_string()).await;
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn sound_store_is_told_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    store_with_jobs(&path, 3).await;
    let told = look(&path, LONG);
    assert_eq!(
        (told.schema_version, told.known_schema_version),
        (newest_schema(), newest_schema())
    );
    assert_eq!(told.jobs, Some(CountedJobs { counted: 3, stored: 3 }));
    let facts = file(&told);
    assert!(facts.bytes > 0 && facts.is_writable && facts.damage.is_empty());
    assert_eq!((facts.integrity, &facts.locked_by), (Integrity::Sound, &None));
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing beside the file and its locks: {names:?}");
    // Beside a process that has it open, too.
    let store = open(&path);
    add(&*store, "more").await;
    assert_eq!(look(&path, LONG).jobs.map(|jobs| jobs.stored), Some(4));
    add(&*store, "and more").await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn look_at_another_version_migrates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    store_with_jobs(&path, 1).await;
    for version in [1, 99] {
        let other = rusqlite::Connection::open(&path).unwrap();
        other
            .execute_batch(&format!("PRAGMA user_version = {version}"))
            .unwrap();
        other.close().unwrap();
        assert_eq!(look(&path, LONG).schema_version, version);
        let other = rusqlite::Connection::open(&path).unwrap();
        let found: i64 = other.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, version);
        other.close().unwrap();
    }
}

#[tokio::test]
async fn what_reads_much_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    store_with_jobs(&path, 1).await;
    let mut other = rusqlite::Connection::open(&path).unwrap();
    let tx = other.transaction().unwrap();
    for n in 0..20_000 {
        tx.execute("INSERT INTO tags (tag, job) VALUES (?1, ?2)", (format!("{n:0500}"), n))
            .unwrap();
    }
    tx.commit().unwrap();
    other.close().unwrap();
    let told = look(&path, Duration::ZERO);
    assert_eq!(file(&told).integrity, Integrity::Unknown);
    assert_eq!(file(&look(&path, LONG)).integrity, Integrity::Sound);
}

#[tokio::test]
async fn counters_that_are_wrong_and_damage_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    store_with_jobs(&path, 50).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("UPDATE counters SET n = n - 1").unwrap();
    other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    other.close().unwrap();
    assert_eq!(
        look(&path, LONG).jobs,
        Some(CountedJobs {
            counted: 49,
            stored: 50
        })
    );
    let mut bytes = std::fs::read(&path).unwrap();
    let behind_the_schema = bytes.len() - 4 * 4_096;
    bytes[behind_the_schema..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let told = look(&path, LONG);
    assert_eq!((file(&told).integrity, told.jobs), (Integrity::Damaged, None));
    assert!(!file(&told).damage.is_empty());
}

#[tokio::test]
async fn lock_that_is_held_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    add(&*store, "x").await;
    let process = store.register(60_000, 1).await.unwrap();
    let other = super::super::open::open_additional(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = look(&path, LONG);
    assert!(!file(&told).is_writable);
    let registered = format!("one of the registered processes: {} on ", std::process::id());
    assert!(
        file(&told)
            .locked_by
            .as_deref()
            .is_some_and(|holder| holder.starts_with(&registered)),
        "{told:?}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    assert!(file(&look(&path, LONG)).is_writable);
    store.unregister(process, 0).await.unwrap();
}

#[test]
fn there_is_nothing_to_tell_of_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    assert_eq!(health(&path, LONG).unwrap_err().code, ErrorCode::StoreError);
    assert!(!path.exists());
    std::fs::write(&path, "no database, but long enough to be looked at ".repeat(100)).unwrap();
    assert_eq!(health(&path, LONG).unwrap_err().code, ErrorCode::StoreCorrupt);
    assert!(matches!(StoreHealth::in_memory(5).place, StorePlace::Memory {}));
}
