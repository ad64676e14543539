//! The contract suite on files and in memory, and tests specific to files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod faults;
mod files;
mod locks;
mod paths;
mod registrations;
mod rules;
mod writing;

use super::{Location, SqliteConfig, SqliteStore};
use crate::clock::BootTime;
use crate::store::contract::TestStore;
use crate::store::sealed::tests::sealed;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// A store whose lease clock is controlled by the test.
async fn test_store(config: SqliteConfig, keep: Box<dyn std::any::Any + Send + Sync>) -> TestStore {
    let lease_clock = Arc::new(AtomicI64::new(1_000));
    let boot = Arc::new(Mutex::new("this".to_owned()));
    let (millis, name) = (Arc::clone(&lease_clock), Arc::clone(&boot));
    let clock = move || BootTime {
        boot: name.lock().unwrap().clone(),
        millis: millis.load(Ordering::SeqCst),
    };
    let config = SqliteConfig {
        lease_clock: Arc::new(clock),
        ..config
    };
    let store = SqliteStore::open(config).unwrap();
    let checked = Arc::clone(&store);
    let check = Box::new(move || {
        let store = Arc::clone(&checked);
        Box::pin(async move { store.check_invariants().await }) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
    });
    let killed = Arc::clone(&store);
    let kill = Box::new(move |instance| drop(killed.instance_locks().remove(&instance)));
    TestStore {
        store,
        kill,
        lease_clock,
        boot,
        check,
        keep,
    }
}

async fn file_test_store() -> TestStore {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(Location::File(folder.path().join("jobs.db")));
    test_store(config, Box::new(folder)).await
}

async fn memory_test_store() -> TestStore {
    test_store(SqliteConfig::new(Location::Memory), Box::new(())).await
}

async fn callers_threads_test_store() -> TestStore {
    let config = SqliteConfig {
        on_callers_threads: true,
        ..SqliteConfig::new(Location::Memory)
    };
    test_store(config, Box::new(())).await
}

/// Behind encryption, as every store of a program is that gives keys.
async fn sealed_test_store() -> TestStore {
    sealed(memory_test_store().await, &["k2", "k1"])
}

/// As the store of a program is that gives none, and moves its clock by hand.
async fn keyless_test_store() -> TestStore {
    sealed(callers_threads_test_store().await, &[])
}

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(SqliteConfig::new(Location::File(path.to_owned()))).unwrap()
}

#[tokio::test]
async fn a_lease_of_another_boot_is_dead() {
    for test_store in [file_test_store().await, memory_test_store().await] {
        crate::store::contract::processes::a_lease_of_another_boot_is_dead(&test_store).await;
        test_store.check().await;
    }
}

mod file_contract {
    crate::store::contract::store_contract!(crate::store::sqlite::tests::file_test_store);
}

mod sealed_contract {
    crate::store::contract::store_contract!(crate::store::sqlite::tests::sealed_test_store);
}

mod keyless_contract {
    crate::store::contract::store_contract!(crate::store::sqlite::tests::keyless_test_store);
}

mod memory_contract {
    crate::store::contract::store_contract!(crate::store::sqlite::tests::memory_test_store);
}
