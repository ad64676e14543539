//! Which files are opened, created or refused.

use super::super::Location;
use super::locks::claim;
use super::{SqliteConfig, SqliteStore, open};
use crate::error::{Error, ErrorCode};
use crate::model::RunStatus;
use crate::store::contract::test_support::{T0, id, one_off, series};
use crate::store::{InsertParams, Inserted, ListFilter, RecoverParams, Store};
use std::path::Path;

fn refusal(path: &Path) -> Error {
    SqliteStore::open(SqliteConfig::new(Location::File(path.to_owned()))).unwrap_err()
}

async fn add(store: &SqliteStore, text: &str) -> Result<Vec<Inserted>, Error> {
    store
        .insert(InsertParams {
            jobs: vec![one_off(text)],
            all_or_nothing: false,
            now: T0,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        })
        .await
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_store_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/jobs.db");
    let store = open(&path);
    add(&store, "x").await.unwrap();
    store.register(1_000, 10).await.unwrap();
    let mode = |name: &str| {
        std::fs::metadata(folder.path().join("deep/er").join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    for name in [
        "jobs.db",
        "jobs.db-wal",
        "jobs.db-shm",
        "jobs.db-locks/next",
        "jobs.db-locks/instance-1",
    ] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    assert_eq!((mode(""), mode("jobs.db-locks")), (0o700, 0o700));
}

#[tokio::test]
async fn reopened_store_has_its_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    add(&store, "x").await.unwrap();
    store.close().await.unwrap();
    assert!(
        !path.with_file_name("jobs.db-wal").exists(),
        "the last one to close leaves no log"
    );
    let store = open(&path);
    assert!(matches!(add(&store, "x").await.unwrap()[..], [Inserted::Existing(_)]));
    assert!(store.warnings().is_empty());
}

#[test]
fn a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(folder.path());
    assert_eq!(error.code, ErrorCode::StoreError);
    assert!(error.message.contains("is a folder"), "{error}");
}

#[test]
fn a_path_through_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    let error = refusal(&folder.path().join("file/jobs.db"));
    assert_eq!(error.code, ErrorCode::StoreError);
}

/// What of a folder and its files opening a store may change.
#[cfg(unix)]
fn sight(folder: &Path) -> Vec<(String, u32, i64, Vec<u8>)> {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let changed = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        let content = std::fs::read(entry.path()).unwrap();
        (
            entry.file_name().into_string().unwrap(),
            metadata.mode(),
            changed,
            content,
        )
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

#[cfg(unix)]
#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    for text in ["x".to_owned(), "these are notes, and no database at all".repeat(40)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, &text).unwrap();
        let before = sight(folder.path());
        let error = refusal(&path);
        assert_eq!(error.code, ErrorCode::StoreCorrupt);
        assert!(error.message.contains("no ductape store"), "{error}");
        assert_eq!(sight(folder.path()), before);
    }
}

#[cfg(unix)]
#[test]
fn another_programs_database_is_refused_and_left_alone() {
    for settings in ["", "PRAGMA journal_mode = WAL;", "PRAGMA application_id = 7;"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let other = rusqlite::Connection::open(&path).unwrap();
        other
            .execute_batch(&format!("{settings} CREATE TABLE jobs (mine)"))
            .unwrap();
        other.close().unwrap();
        let before = sight(folder.path());
        let error = refusal(&path);
        assert_eq!(error.code, ErrorCode::StoreCorrupt);
        assert!(error.message.contains("another program's database"), "{error}");
        assert_eq!(sight(folder.path()), before);
    }
}

/// What a program that was killed has left: its tables stand in the log alone.
#[cfg(unix)]
#[test]
fn another_programs_log_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let other = rusqlite::Connection::open(home.path().join("other.db")).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE jobs (mine)")
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["other.db", "other.db-wal", "other.db-shm"] {
        std::fs::copy(home.path().join(name), folder.path().join(name)).unwrap();
    }
    let files = || {
        let mut files = sight(folder.path());
        // The index of the log is made anew by whoever reads it first.
        files.retain(|(name, ..)| !name.ends_with("-shm"));
        files
    };
    let before = files();
    let error = refusal(&folder.path().join("other.db"));
    assert!(error.message.contains("another program's database"), "{error}");
    assert_eq!(files(), before);
}

/// A process that was killed right after it made the store leaves the schema in the log.
#[tokio::test]
async fn store_whose_schema_stands_in_its_log_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let store = open(&home.path().join("jobs.db"));
    add(&store, "x").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["jobs.db", "jobs.db-wal"] {
        std::fs::copy(home.path().join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().join("jobs.db");
    assert_eq!(std::fs::read(&path).unwrap()[68..72], [0; 4], "nothing in the file yet");
    assert!(matches!(
        add(&open(&path), "x").await.unwrap()[..],
        [Inserted::Existing(_)]
    ));
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    open(&path).close().await.unwrap();
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    newer.close().unwrap();
    let error = refusal(&path);
    assert_eq!(error.code, ErrorCode::StoreError);
    assert!(
        error.message.contains("version 99") && error.message.contains("up to 6"),
        "{error}"
    );
    assert!(error.message.contains("update this package"), "{error}");
}

#[tokio::test]
async fn store_of_version_3_is_migrated_and_knows_how_its_series_went() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    let params = InsertParams {
        jobs: vec![series("x"), series("new")],
        all_or_nothing: true,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
    store.close().await.unwrap();
    let older = rusqlite::Connection::open(&path).unwrap();
    older
        .execute_batch(
            "DROP TABLE audit; ALTER TABLE instances DROP COLUMN version; ALTER TABLE instances DROP COLUMN handlers;
             ALTER TABLE instances DROP COLUMN host; ALTER TABLE instances DROP COLUMN pid; ALTER TABLE instances DROP COLUMN registered;
             DROP INDEX series_failing; ALTER TABLE series DROP COLUMN last_run; ALTER TABLE series DROP COLUMN last_status;
             ALTER TABLE series DROP COLUMN last_ended; ALTER TABLE series DROP COLUMN failing_runs;
             ALTER TABLE series DROP COLUMN failing_since; DROP TABLE figures; PRAGMA user_version = 3;
             UPDATE series SET ended = 5, succeeded = 2, failed = 3 WHERE job = 1;
             INSERT INTO runs (job, run, attempt, status, ended, error) VALUES
                 (1, 1, 1, 4, 10, NULL), (1, 2, 1, 3, 20, NULL), (1, 3, 1, 4, 30, NULL), (1, 4, 1, 5, 40, NULL),
                 (1, 5, 1, 7, 50, NULL), (1, 5, 2, 4, 60, '{\"code\":\"E\",\"message\":\"no\"}'), (1, 6, 1, 7, 70, NULL)",
        )
        .unwrap();
    older.close().unwrap();
    let store = open(&path);
    let record = store.get(&id("x")).await.unwrap().unwrap();
    let last = record.last_run.unwrap();
    assert_eq!((last.status, last.ended_at), (RunStatus::Failed, 60));
    assert_eq!(&*last.error.unwrap().message, "no");
    assert_eq!(
        record.failing.map(|failing| (failing.since, failing.runs)),
        Some((30, 2))
    );
    let record = store.get(&id("new")).await.unwrap().unwrap();
    assert_eq!((record.last_run, record.failing), (None, None));
}

#[tokio::test]
async fn store_of_version_1_is_migrated_with_its_claims() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    add(&store, "x").await.unwrap();
    let process = store.register(0, 10).await.unwrap();
    assert_eq!(claim(&*store, process, 1).await.len(), 1);
    store.close().await.unwrap();
    let older = rusqlite::Connection::open(&path).unwrap();
    older
        .execute_batch(
            "DROP TABLE audit; ALTER TABLE instances DROP COLUMN version; ALTER TABLE instances DROP COLUMN handlers;
             ALTER TABLE instances DROP COLUMN host; ALTER TABLE instances DROP COLUMN pid; ALTER TABLE instances DROP COLUMN registered;
             DROP INDEX ready_suspects; ALTER TABLE instances DROP COLUMN slots; ALTER TABLE instances DROP COLUMN seen;
             ALTER TABLE series DROP COLUMN settled; DROP TABLE figures; DROP INDEX series_failing; ALTER TABLE series DROP COLUMN last_run;
             ALTER TABLE series DROP COLUMN last_status; ALTER TABLE series DROP COLUMN last_ended;
             ALTER TABLE series DROP COLUMN failing_runs; ALTER TABLE series DROP COLUMN failing_since;
             PRAGMA user_version = 1",
        )
        .unwrap();
    older.close().unwrap();
    let store = open(&path);
    // How many of its claims were executed is not known: all count.
    assert_eq!(store.recover(RecoverParams::new(T0, 10)).await.unwrap().requeued, 1);
    assert_eq!(store.get(&id("x")).await.unwrap().unwrap().crashes, 1);
    let process = store.register(60_000, 10).await.unwrap();
    assert_eq!(claim(&*store, process, 1).await.len(), 1);
    store.check_invariants().await;
}

#[tokio::test]
async fn damaged_file_is_reported_without_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    let jobs = (0..2_000).map(|n| one_off(&n.to_string())).collect();
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
    store.close().await.unwrap();
    let sound = std::fs::read(&path).unwrap();
    let damage_from = |byte: usize| {
        let mut bytes = sound.clone();
        bytes[byte..].fill(0xA5);
        std::fs::write(&path, bytes).unwrap();
    };
    // Damage that shows when the file is opened.
    damage_from(4_096);
    assert_eq!(refusal(&path).code, ErrorCode::StoreCorrupt);
    // Damage that shows when the rows are read.
    damage_from(sound.len() / 2);
    let store = open(&path);
    let everything = ListFilter {
        limit: 5_000,
        ..ListFilter::default()
    };
    let error = store.list(everything).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreCorrupt);
    assert!(error.message.contains("damaged"), "{error}");
    assert_eq!(add(&store, "x").await.unwrap_err().code, ErrorCode::StoreCorrupt);
    store.close().await.unwrap();
}

#[cfg(unix)]
#[test]
fn a_read_only_file_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    drop(open(&path));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        return; // this user may write any file, such as root
    }
    let error = refusal(&path);
    assert_eq!(error.code, ErrorCode::StoreError);
    assert!(error.message.contains("write access"), "{error}");
}

#[tokio::test]
async fn file_that_is_gone_or_replaced_is_not_written_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path);
    add(&store, "b").await.unwrap();
    let aside = folder.path().join("aside.db");
    let refused = |error: Error, happened: &str| {
        assert_eq!(error.code, ErrorCode::StoreError);
        assert!(error.message.contains(happened), "{}", error.message);
    };
    // At most a second's jobs go into what is left; then all is refused, reads too.
    std::fs::rename(&path, &aside).unwrap();
    // Real time: it is looked at once a second.
    std::thread::sleep(std::time::Duration::from_millis(1_050));
    refused(add(&store, "c").await.unwrap_err(), "was deleted");
    refused(store.stats(None).await.unwrap_err(), "was deleted");
    std::fs::copy(&aside, &path).unwrap();
    refused(add(&store, "d").await.unwrap_err(), "was replaced");
    std::fs::rename(&aside, &path).unwrap();
    add(&store, "e").await.unwrap();
    assert_eq!(store.stats(None).await.unwrap().by_status.iter().sum::<i64>(), 2);
    let log = folder.path().join("x.db-wal");
    std::fs::rename(&log, &aside).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_050));
    refused(add(&store, "f").await.unwrap_err(), "the log of the store");
    std::fs::rename(&aside, &log).unwrap();
    add(&store, "g").await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn schema_that_is_migrated_while_open_is_no_longer_written_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path);
    let newer = rusqlite::Connection::open(&path).unwrap();
    let own: i64 = newer.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let migrate = |version: i64| {
        newer
            .execute_batch(&format!("PRAGMA user_version = {version}"))
            .unwrap();
    };
    for (round, number) in ["a", "b", "c"].into_iter().zip(90..) {
        add(&store, round).await.unwrap();
        store.stats(None).await.unwrap();
        // At once, and not at the next look a second later.
        migrate(number);
        for _ in 0..2 {
            let refused = [
                add(&store, "refused").await.unwrap_err(),
                store.stats(None).await.unwrap_err(),
                store.register(1_000, 1).await.unwrap_err(),
            ];
            for error in refused {
                assert_eq!(error.code, ErrorCode::StoreError);
                let named = format!("has version {number}, this process writes {own}");
                assert!(error.message.contains(&named), "{error}");
                assert!(error.message.contains("restart this process"), "{error}");
            }
        }
        migrate(own);
    }
    assert_eq!(store.stats(None).await.unwrap().by_status.iter().sum::<i64>(), 3);
    drop(newer);
    store.close().await.unwrap();
}

/// SQLite keeps one account of the locks of a file for all connections of the process, which descriptors with locks of their own
/// would make wrong: the second connection could never write.
#[tokio::test]
async fn other_databases_of_the_process_keep_the_locks_of_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db"));
    add(&store, "x").await.unwrap();
    let path = folder.path().join("other.db");
    let reader = rusqlite::Connection::open(&path).unwrap();
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.busy_timeout(std::time::Duration::ZERO).unwrap();
    writer.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
    let count = |connection: &rusqlite::Connection| -> i64 {
        connection
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 0);
    writer
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
        .unwrap();
    reader.execute_batch("COMMIT").unwrap();
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 1);
    store.close().await.unwrap();
}
