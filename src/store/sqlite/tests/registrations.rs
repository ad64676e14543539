//! Registrations of processes: their locks, and when one counts as that of a dead process.

use super::super::instance_lock::{self, LockState};
use super::super::write_operation::WriteOptions;
use super::super::{Location, SqliteConfig, SqliteStore, instances};
use super::locks::{add, claim};
use super::open;
use crate::store::contract::test_support::{T0, id};
use crate::store::{InstanceId, RecoverParams, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The first attempt of a transaction fails, as by a full disk: its registration must keep its lock through the second.
#[tokio::test]
async fn registration_that_was_retried_keeps_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let here = open(&path);
    let first = here
        .write(WriteOptions::urgent(), {
            let mut fails = true;
            move |tx| {
                let registered = instances::register(tx, &crate::clock::BootTime::now(), 60_000, 10)?;
                if std::mem::take(&mut fails) {
                    let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
                    return Err(rusqlite::Error::SqliteFailure(failure, None).into());
                }
                Ok(registered)
            }
        })
        .await
        .unwrap();
    let (instance, lock) = first;
    let lock = lock.unwrap().keep().unwrap();
    let locks = folder.path().join("x.db-locks");
    assert_eq!(instance_lock::state(&locks, instance), LockState::Held);
    drop(lock);
    assert_eq!(instance_lock::state(&locks, instance), LockState::Free);
    instance_lock::remove(&locks, instance);
    assert_eq!(instance_lock::state(&locks, instance), LockState::Unknown);
    here.close().await.unwrap();
}

#[tokio::test]
async fn process_never_takes_its_own_runs_for_those_of_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("x.db"));
    add(&*store, "a").await;
    // A lease that is over at once, as after an outage.
    let instance = store.register(0, 10).await.unwrap();
    assert_eq!(claim(&*store, instance, 1).await.len(), 1);
    let own = RecoverParams {
        by: Some(instance),
        ..RecoverParams::new(T0, 3)
    };
    assert_eq!(store.recover(own).await.unwrap().requeued, 0);
    assert_eq!(store.recover(RecoverParams::new(T0, 3)).await.unwrap().requeued, 1);
    // It has not died.
    let again = store.register(60_000, 10).await.unwrap();
    assert_eq!(claim(&*store, again, 1).await.len(), 1);
    let crashes = store.get(&id("a")).await.unwrap().unwrap().crashes;
    assert_eq!(crashes, 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn whoever_waited_long_for_a_lock_takes_nobody_for_silent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (here, there) = (open(&path), open(&path));
    add(&*here, "a").await;
    let instance = there.register(0, 10).await.unwrap();
    assert_eq!(claim(&*there, instance, 1).await.len(), 1);

    let by = Some(here.register(0, 10).await.unwrap());
    let params = RecoverParams {
        by,
        ..RecoverParams::new(T0, 3)
    };
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = Arc::clone(&here);
    let recovery = tokio::spawn(async move { store.recover(params).await });
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    holder.execute_batch("ROLLBACK").unwrap();
    // It could not renew its lease meanwhile.
    assert_eq!(recovery.await.unwrap().unwrap().requeued, 0);
    assert_eq!(here.recover(params).await.unwrap().requeued, 1);
    here.close().await.unwrap();
    there.close().await.unwrap();
}

/// As in containers with time namespaces of their own: the machine is the same, and what their clocks show is not.
#[tokio::test]
async fn process_of_another_time_namespace_is_silent_only_when_its_lease_stands_still() {
    use crate::clock::BootTime;
    use std::sync::atomic::{AtomicI64, Ordering};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let passed = Arc::new(AtomicI64::new(0));
    let open_with = |start: i64| {
        let mut config = SqliteConfig::new(Location::File(path.clone()));
        let passed = Arc::clone(&passed);
        config.lease_clock = Arc::new(move || BootTime {
            boot: "this".to_owned(),
            millis: start + passed.load(Ordering::SeqCst),
        });
        SqliteStore::open(config).unwrap()
    };
    let (early, late) = (open_with(0), open_with(1_000_000_000));
    let (first, second) = (
        early.register(1_000, 1).await.unwrap(),
        late.register(1_000, 1).await.unwrap(),
    );
    add(&*early, "a").await;
    assert_eq!(claim(&*early, first, 1).await.len(), 1);
    let recovered = async |store: &SqliteStore, by: InstanceId| {
        let params = RecoverParams {
            by: Some(by),
            ..RecoverParams::new(T0, 3)
        };
        store.recover(params).await.unwrap().instances
    };
    for _ in 0..5 {
        assert_eq!(recovered(&late, second).await, 0, "a live process is taken for dead");
        assert_eq!(recovered(&early, first).await, 0);
        passed.fetch_add(900, Ordering::SeqCst);
        assert!(early.renew(first, 1_000).await.unwrap() && late.renew(second, 1_000).await.unwrap());
    }
    // Each in turn falls silent, with its lock held: the other sees it a lease after it has first looked.
    assert_eq!(recovered(&late, second).await, 0);
    passed.fetch_add(999, Ordering::SeqCst);
    assert_eq!(recovered(&late, second).await, 0);
    passed.fetch_add(1, Ordering::SeqCst);
    assert_eq!(recovered(&late, second).await, 1);
    let first = early.register(1_000, 1).await.unwrap();
    assert_eq!(recovered(&early, first).await, 0);
    passed.fetch_add(1_000, Ordering::SeqCst);
    assert_eq!(recovered(&early, first).await, 1);
}

/// Numbers of the lock files in the folder of the store.
fn lock_files(path: &Path) -> Vec<i64> {
    let folder = path.with_file_name("x.db-locks");
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_prefix("instance-")?.parse().ok()
    };
    let mut numbers: Vec<i64> = std::fs::read_dir(folder).unwrap().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn lock_files_of_dead_processes_are_swept_and_those_of_live_ones_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path);
    let instance = store.register(60_000, 1).await.unwrap();
    let locks = folder.path().join("x.db-locks");
    let leave_behind = |number: i64| std::fs::write(locks.join(format!("instance-{number}")), "").unwrap();
    // As of a live process whose registration another one has deleted.
    leave_behind(78);
    let live = std::fs::File::open(locks.join("instance-78")).unwrap();
    live.lock().unwrap();
    leave_behind(77);
    assert_eq!(lock_files(&path), [instance.get(), 77, 78]);
    let other = open(&path);
    assert_eq!(lock_files(&path), [instance.get(), 78]);
    // By whoever finds a dead process.
    leave_behind(79);
    assert_eq!(other.recover(RecoverParams::new(T0, 3)).await.unwrap().instances, 0);
    store.instance_locks().clear();
    assert_eq!(other.recover(RecoverParams::new(T0, 3)).await.unwrap().instances, 1);
    assert_eq!(lock_files(&path), [78]);
}

/// A registration that is under way has its file, and its row cannot be seen yet.
#[tokio::test]
async fn registration_under_way_keeps_its_lock_file_when_another_store_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let here = open(&path);
    let (instance, lock) = here
        .write(WriteOptions::urgent(), {
            let path = path.clone();
            move |tx| {
                let (instance, lock) = instances::register(tx, &crate::clock::BootTime::now(), 60_000, 1)?;
                // Free for a moment, as between the making of the file and its lock.
                drop(lock.and_then(instance_lock::PendingInstanceLock::keep));
                let locks = path.with_file_name("x.db-locks");
                let other = super::super::open::open_additional(&path)?;
                other.busy_timeout(Duration::ZERO)?;
                assert!(
                    instances::sweep_locks(&other, &locks).is_err(),
                    "the file must not be judged now"
                );
                assert_eq!(lock_files(&path), [instance.get()]);
                let lock = instance_lock::PendingInstanceLock::take(&locks, instance);
                Ok((instance, lock))
            }
        })
        .await
        .unwrap();
    let _lock = lock.unwrap().keep();
    open(&path);
    assert_eq!(lock_files(&path), [instance.get()]);
}
