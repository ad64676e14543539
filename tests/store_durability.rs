//! Whether an acknowledged dispatch has been synced to disk: counts the system calls.
//!
//! A test binary of its own, since the count is that of the process.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Recurrence, Route, Rule};
use ductape::store::sqlite::{Durability, Location, SqliteConfig, SqliteStore};
use ductape::store::{ClaimParams, InsertParams, InstanceId, Occurrence, RouteId, SeriesAdvance, ServedRoute, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

static SYNCS: AtomicUsize = AtomicUsize::new(0);

/// SQLite is linked into this binary and calls these functions instead of those of the C library.
mod counted_syncs {
    use super::{Ordering, SYNCS};
    use std::ffi::{c_int, c_long};

    #[cfg(target_arch = "x86_64")]
    const FSYNC: c_long = 74;
    #[cfg(target_arch = "aarch64")]
    const FSYNC: c_long = 82;

    // SAFETY: this is the declaration of the C library's function.
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }

    fn count_and_sync(number: c_long, file: c_int) -> c_int {
        SYNCS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: both calls take one descriptor.
        unsafe { syscall(number, file) as c_int }
    }

    // SAFETY: same signature and meaning as the function it replaces.
    #[unsafe(no_mangle)]
    extern "C" fn fsync(file: c_int) -> c_int {
        count_and_sync(FSYNC, file)
    }

    // SAFETY: same signature and meaning as the function it replaces.
    #[unsafe(no_mangle)]
    extern "C" fn fdatasync(file: c_int) -> c_int {
        count_and_sync(FSYNC + 1, file)
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
        input_digest: None,
        recurrence: None,
    }
}

/// The count is that of all tests of this binary.
static COUNTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn add(store: &SqliteStore, job: NewJob) {
    store
        .insert(InsertParams {
            jobs: vec![job],
            all_or_nothing: false,
            now: 0,
            since: std::time::Instant::now(),
            replaced: ductape::store::begin_anew,
        })
        .await
        .unwrap();
}

fn claim_params(instance: InstanceId) -> ClaimParams {
    let served = Arc::new([ServedRoute {
        route: RouteId::new(1),
        group: 0,
    }]);
    ClaimParams {
        now: 0,
        instance,
        served,
        group_slots: vec![1],
        slots: 1,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    }
}

/// The numbers of syncs during ten consecutive dispatches and during ten claims between them.
async fn syncs(durability: Durability) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("jobs.db"));
    let store = SqliteStore::open(SqliteConfig {
        durability,
        ..SqliteConfig::new(location)
    })
    .unwrap();
    let instance = store.register(60_000, 10).await.unwrap();
    add(&store, job()).await;
    let (mut insert_syncs, mut claim_syncs) = (0, 0);
    for _ in 0..10 {
        let before = SYNCS.load(Ordering::SeqCst);
        add(&store, job()).await;
        let between = SYNCS.load(Ordering::SeqCst);
        assert_eq!(store.claim(claim_params(instance)).await.unwrap().runs.len(), 1);
        insert_syncs += between - before;
        claim_syncs += SYNCS.load(Ordering::SeqCst) - between;
    }
    store.close().await.unwrap();
    (insert_syncs, claim_syncs)
}

/// The number of a run goes into what handlers tell others: it is synced before the run can begin.
#[tokio::test]
async fn full_durability_syncs_the_occurrences_of_a_series() {
    let _one_at_a_time = COUNTING.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteConfig::new(Location::File(folder.path().join("jobs.db")))).unwrap();
    let recurrence = Recurrence::new(Rule::Every {
        interval: 1_000,
        anchor: 0,
    });
    let series = NewJob {
        recurrence: Some(recurrence),
        ..job()
    };
    add(&store, series).await;
    let instance = store.register(60_000, 1).await.unwrap();
    let due = store.claim(claim_params(instance)).await.unwrap().series.remove(0);
    let before = SYNCS.load(Ordering::SeqCst);
    let advance = SeriesAdvance {
        occurrences: vec![Occurrence {
            scheduled_at: 0,
            missed: 0,
        }],
        next_at: Some(1_000),
        ..SeriesAdvance::unchanged(&due)
    };
    assert_eq!(store.advance(0, vec![advance]).await.unwrap(), 1);
    assert_eq!(SYNCS.load(Ordering::SeqCst) - before, 1);
    store.close().await.unwrap();
}

#[tokio::test]
async fn full_durability_syncs_dispatches_and_not_claims() {
    let _one_at_a_time = COUNTING.lock().await;
    assert_eq!(syncs(Durability::Full).await, (10, 0));
    assert_eq!(syncs(Durability::Relaxed).await, (0, 0));
}
