//! What a power cut leaves after a sync has failed: keeps a picture of the disk beside the files.
//!
//! As on Linux, a failed sync is reported once, and what it could not write counts as clean from then on: a later sync
//! passes without it. A test binary of its own, since it stands in for the C library's functions in the whole process.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use ductape::error::ErrorCode;
use ductape::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Route};
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use ductape::store::{ClaimParams, InsertParams, RouteId, ServedRoute, Store};
use std::path::Path;
use std::sync::Arc;

/// SQLite and Rust's library are linked into this binary and call these functions instead of those of the C library.
mod disk {
    use std::collections::BTreeMap;
    use std::ffi::{c_int, c_long, c_void};
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    const WRITE: c_long = 1;
    const LSEEK: c_long = 8;
    const PWRITE: c_long = 18;
    const FSYNC: c_long = 74;
    const FTRUNCATE: c_long = 77;
    const SEEK_CUR: c_int = 1;
    const EIO: c_int = 5;

    /// Syncs fail.
    pub static FAILS: AtomicBool = AtomicBool::new(false);

    #[derive(Default)]
    struct File {
        /// What is on the disk.
        disk: Vec<u8>,
        /// Written since the last sync: where, and what.
        dirty: Vec<(usize, Vec<u8>)>,
    }

    static FILES: Mutex<BTreeMap<PathBuf, File>> = Mutex::new(BTreeMap::new());

    // SAFETY: these are the declarations of the C library's functions.
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
        fn __errno_location() -> *mut c_int;
    }

    /// Runs `act` on the file's entry, when the file is one of a store.
    fn with_file<T>(fd: c_int, act: impl FnOnce(&mut File) -> T) -> Option<T> {
        let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        let name = path.file_name()?.as_bytes();
        if !name.ends_with(b".db") && !name.ends_with(b".db-wal") {
            return None;
        }
        let mut files = FILES.lock().unwrap();
        Some(act(files.entry(path).or_default()))
    }

    fn written(fd: c_int, at: c_long, bytes: *const c_void, count: c_long) {
        if count > 0 {
            // SAFETY: the caller has just written so many bytes from there.
            let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize) };
            with_file(fd, |file| file.dirty.push((at as usize, bytes.to_vec())));
        }
    }

    fn sync(fd: c_int) -> c_int {
        let fails = FAILS.load(Ordering::SeqCst);
        let watched = with_file(fd, |file| {
            for (at, bytes) in std::mem::take(&mut file.dirty).into_iter().filter(|_| !fails) {
                let end = at + bytes.len();
                file.disk.resize(file.disk.len().max(end), 0);
                file.disk[at..end].copy_from_slice(&bytes);
            }
        });
        if fails && watched.is_some() {
            // SAFETY: the location is this thread's own.
            unsafe { *__errno_location() = EIO };
            return -1;
        }
        // SAFETY: the call takes one descriptor.
        unsafe { syscall(FSYNC, fd) as c_int }
    }

    /// Writes what is on the disk into the files of another store.
    pub fn restore(from: &std::path::Path, to: &std::path::Path) {
        let from = from.to_str().unwrap();
        let contents: Vec<(String, Vec<u8>)> = FILES
            .lock()
            .unwrap()
            .iter()
            .filter_map(|(path, file)| Some((path.to_str()?.strip_prefix(from)?.to_owned(), file.disk.clone())))
            .collect();
        for (suffix, disk) in contents {
            std::fs::write(format!("{}{suffix}", to.display()), disk).unwrap();
        }
    }

    // SAFETY: same signature and meaning as the functions they replace.
    #[unsafe(no_mangle)]
    extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
        // SAFETY: handed on as they came.
        let (at, count) = unsafe { (syscall(LSEEK, fd, 0_i64, SEEK_CUR), syscall(WRITE, fd, bytes, count)) };
        written(fd, at, bytes, count);
        count as isize
    }

    #[unsafe(no_mangle)]
    extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, count: usize, at: i64) -> isize {
        // SAFETY: handed on as they came.
        let count = unsafe { syscall(PWRITE, fd, bytes, count, at) };
        written(fd, at, bytes, count);
        count as isize
    }

    #[unsafe(no_mangle)]
    extern "C" fn pwrite(fd: c_int, bytes: *const c_void, count: usize, at: i64) -> isize {
        pwrite64(fd, bytes, count, at)
    }

    #[unsafe(no_mangle)]
    extern "C" fn ftruncate(fd: c_int, length: i64) -> c_int {
        with_file(fd, |file| file.disk.truncate(length as usize));
        // SAFETY: handed on as they came.
        unsafe { syscall(FTRUNCATE, fd, length) as c_int }
    }

    #[unsafe(no_mangle)]
    extern "C" fn fsync(fd: c_int) -> c_int {
        sync(fd)
    }

    #[unsafe(no_mangle)]
    extern "C" fn fdatasync(fd: c_int) -> c_int {
        sync(fd)
    }
}

fn job(id: &str) -> NewJob {
    NewJob {
        id: JobId::Custom(id.into()),
        on_conflict: OnConflict::Return,
        route: Route {
            namespace: Namespace::Features,
            product: "p".into(),
            env: "e".into(),
            target: vec!["t".into()],
        }
        .into(),
        priority: 0,
        due: Some(1),
        recurrence: None,
        retries: 0,
        options: JobOptions::default(),
        input: "{}".into(),
        input_digest: None,
        created: 1,
    }
}

async fn insert(store: &SqliteStore, id: &str) -> Result<(), ductape::error::Error> {
    let params = InsertParams {
        jobs: vec![job(id)],
        all_or_nothing: false,
        now: 1,
        since: std::time::Instant::now(),
        replaced: ductape::store::begin_anew,
    };
    store.insert(params).await.map(|_| ())
}

/// A commit that is not synced by itself.
async fn claim(store: &SqliteStore) -> usize {
    let instance = store.register(60_000, 10).await.unwrap();
    let params = ClaimParams {
        now: 2,
        instance,
        served: Arc::new([ServedRoute {
            route: RouteId::new(1),
            group: 0,
        }]),
        group_slots: vec![100],
        slots: 100,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    store.claim(params).await.unwrap().runs.len()
}

async fn ids_after_power_cut(path: &Path) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    disk::restore(path, &copy);
    let store = SqliteStore::open(SqliteConfig::new(Location::File(copy))).unwrap();
    let filter = ductape::store::ListFilter {
        limit: 100,
        ..ductape::store::ListFilter::default()
    };
    let mut ids: Vec<String> = store
        .list(filter)
        .await
        .unwrap()
        .jobs
        .iter()
        .map(|job| job.id.to_string())
        .collect();
    ids.sort();
    store.close().await.unwrap();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_dispatch_is_lost_by_a_power_cut_after_a_failed_sync() {
    use std::sync::atomic::Ordering;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("x.db");
    let store = SqliteStore::open(SqliteConfig::new(Location::File(path.clone()))).unwrap();
    insert(&store, "a").await.unwrap();
    assert_eq!(ids_after_power_cut(&path).await, ["a"]);
    // Written and not synced: what the failing sync drops.
    assert_eq!(claim(&store).await, 1);
    disk::FAILS.store(true, Ordering::SeqCst);
    assert_eq!(insert(&store, "b").await.unwrap_err().code, ErrorCode::StoreError);
    assert_eq!(insert(&store, "c").await.unwrap_err().code, ErrorCode::StoreError);
    disk::FAILS.store(false, Ordering::SeqCst);
    for id in ["d", "e", "f"] {
        insert(&store, id).await.unwrap();
        let left = ids_after_power_cut(&path).await;
        assert!(
            left.contains(&"a".to_owned()) && left.contains(&id.to_owned()),
            "{left:?}"
        );
    }
    store.close().await.unwrap();
}
