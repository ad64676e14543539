//! The contract suite on files and in memory, and what only a file has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod locks;
mod writing;

use super::{Durability, Location, SqliteConfig, SqliteStore};
use crate::clock::BootTime;
use crate::store::contract::Subject;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// A store whose leases follow a clock of the test's own.
async fn subject(location: Location, keep: Box<dyn std::any::Any + Send + Sync>) -> Subject {
    let lease_clock = Arc::new(AtomicI64::new(1_000));
    let boot = Arc::new(Mutex::new("this".to_owned()));
    let (millis, name) = (Arc::clone(&lease_clock), Arc::clone(&boot));
    let clock = move || BootTime {
        boot: name.lock().unwrap().clone(),
        millis: millis.load(Ordering::SeqCst),
    };
    let config = SqliteConfig {
        location,
        durability: Durability::Full,
        lease_clock: Arc::new(clock),
    };
    let store = SqliteStore::open(config).unwrap();
    let checked = Arc::clone(&store);
    let check = Box::new(move || {
        let store = Arc::clone(&checked);
        Box::pin(async move { store.check_invariants().await }) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
    });
    Subject {
        store,
        lease_clock,
        boot,
        check,
        keep,
    }
}

async fn in_file() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    subject(Location::File(folder.path().join("jobs.db")), Box::new(folder)).await
}

async fn in_memory() -> Subject {
    subject(Location::Memory, Box::new(())).await
}

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(SqliteConfig::new(Location::File(path.to_owned()))).unwrap()
}

#[tokio::test]
async fn a_lease_of_another_boot_is_dead() {
    for subject in [in_file().await, in_memory().await] {
        crate::store::contract::processes::a_lease_of_another_boot_is_dead(&subject).await;
        subject.check().await;
    }
}

mod file_contract {
    crate::store::contract::store_contract!(crate::store::sqlite::tests::in_file);
}

mod memory_contract {
    crate::store::contract::store_contract!(crate::store::sqlite::tests::in_memory);
}
