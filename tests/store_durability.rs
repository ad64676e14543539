//! Whether an acknowledged dispatch has been synced: counts the calls that reach the operating system.
//!
//! A test binary of its own, since the count is the process's.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Route};
use ductape::store::sqlite::{Durability, Location, SqliteConfig, SqliteStore};
use ductape::store::{ClaimParams, InsertParams, ServedRoute, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

static SYNCS: AtomicUsize = AtomicUsize::new(0);

/// SQLite is linked into this binary and calls these in place of the C library's.
mod counted {
    use super::{Ordering, SYNCS};
    use std::ffi::{c_int, c_long};

    #[cfg(target_arch = "x86_64")]
    const FSYNC: c_long = 74;
    #[cfg(target_arch = "aarch64")]
    const FSYNC: c_long = 82;

    // SAFETY: the C library's own function, declared as it is.
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }

    fn counted(number: c_long, file: c_int) -> c_int {
        SYNCS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: both calls take one descriptor.
        unsafe { syscall(number, file) as c_int }
    }

    // SAFETY: same signature and meaning as the function it replaces.
    #[unsafe(no_mangle)]
    extern "C" fn fsync(file: c_int) -> c_int {
        counted(FSYNC, file)
    }

    // SAFETY: same signature and meaning as the function it replaces.
    #[unsafe(no_mangle)]
    extern "C" fn fdatasync(file: c_int) -> c_int {
        counted(FSYNC + 1, file)
    }
}

fn job() -> NewJob {
    NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: Route {
            namespace: Namespace::Features,
            product: "p".into(),
            env: "e".into(),
            target: vec!["t".into()],
        }
        .into(),
        priority: 0,
        due: Some(0),
        created: 0,
        retries: 0,
        options: JobOptions::default(),
        input: "{}".into(),
        recurrence: None,
    }
}

async fn add(store: &SqliteStore) {
    store
        .insert(InsertParams {
            jobs: vec![job()],
            all_or_nothing: false,
            now: 0,
        })
        .await
        .unwrap();
}

/// Syncs of ten dispatches, one after the other, and of as many claims between them.
async fn syncs(durability: Durability) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("jobs.db"));
    let store = SqliteStore::open(SqliteConfig {
        durability,
        ..SqliteConfig::new(location)
    })
    .unwrap();
    let instance = store.register(60_000).await.unwrap();
    add(&store).await;
    let (mut of_inserts, mut of_claims) = (0, 0);
    for _ in 0..10 {
        let before = SYNCS.load(Ordering::SeqCst);
        add(&store).await;
        let between = SYNCS.load(Ordering::SeqCst);
        let served = Arc::new([ServedRoute { route: 1, group: 0 }]);
        let params = ClaimParams {
            now: 0,
            instance,
            served,
            group_slots: vec![1],
            slots: 1,
        };
        assert_eq!(store.claim(params).await.unwrap().runs.len(), 1);
        of_inserts += between - before;
        of_claims += SYNCS.load(Ordering::SeqCst) - between;
    }
    store.close().await.unwrap();
    (of_inserts, of_claims)
}

#[tokio::test]
async fn full_durability_syncs_dispatches_and_not_claims() {
    assert_eq!(syncs(Durability::Full).await, (10, 0));
    assert_eq!(syncs(Durability::Relaxed).await, (0, 0));
}
