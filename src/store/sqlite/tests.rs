//! The contract suite on files and in memory, and tests specific to files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod direct;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod faults;
mod files;
mod health;
mod locks;
mod paths;
mod registrations;
mod rules;
mod transfer;
mod writing;

use super::{Location, SqliteConfig, SqliteStore};
use crate::clock::BootTime;
use crate::error::ErrorCode;
use crate::store::contract::TestStore;
use crate::store::contract::test_support::{T0, series, step};
use crate::store::sealed::tests::sealed;
use crate::store::{ClaimParams, PlanAdvance};
use futures_util::FutureExt;
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
    let path = folder.path().join("jobs.db");
    test_store_at(&path, Box::new(folder)).await
}

/// The store in this file.
pub(crate) async fn test_store_at(path: &Path, keep: Box<dyn std::any::Any + Send + Sync>) -> TestStore {
    test_store(SqliteConfig::new(Location::File(path.into())), keep).await
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

#[tokio::test]
async fn a_store_on_its_callers_threads_answers_at_once() {
    let store = callers_threads_test_store().await.store;
    assert_eq!(store.metadata("none").now_or_never().unwrap().unwrap(), None);
    store.close().now_or_never().unwrap().unwrap();
    let late = store.metadata("none").now_or_never().unwrap();
    assert_eq!(late.unwrap_err().code, ErrorCode::Closed);
}

/// Claims are not synced, and the number of a run must not be given to another occurrence after a power cut.
#[tokio::test]
async fn a_claim_moves_series_on_only_where_nothing_is_synced() {
    for (test_store, moves) in [(memory_test_store().await, true), (file_test_store().await, false)] {
        test_store.add(series("x")).await;
        let claiming = |instance, served, slots, next_at| ClaimParams {
            now: T0,
            instance,
            served,
            group_slots: vec![slots],
            slots,
            suspect: false,
            passed_over: Default::default(),
            planner: Some(PlanAdvance::new(move |due| Some(step(due, Some(next_at))))),
        };
        let (process, served) = (test_store.process().await, test_store.served().await);
        let store = &test_store.store;
        let changes = store.changes();
        let before = *changes.borrow();
        let claimed = store
            .claim(claiming(process, Arc::clone(&served), 1, T0))
            .await
            .unwrap();
        let found = (claimed.runs.len(), claimed.series.len(), claimed.more);
        assert_eq!(found, if moves { (1, 0, true) } else { (0, 1, false) });
        // It has claimed what it made.
        assert_eq!(*changes.borrow(), before);
        if moves {
            let claimed = store.claim(claiming(process, served, 0, T0 + 1)).await.unwrap();
            assert_eq!((claimed.runs.len(), claimed.series.len(), claimed.more), (0, 0, false));
            assert!(*changes.borrow() > before, "others may claim what this one left");
        }
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
