//! What is said of disks that fail: system calls of SQLite that fail on demand, for the files of one test.
#![allow(unsafe_code)] // Replacing system calls of SQLite's VFS is possible through its C interface only.

use super::super::open::prepare_process;
use super::super::open_file_locks::open_and_note;
use super::super::{Location, SqliteConfig};
use super::SqliteStore;
use crate::error::{Error, ErrorCode};
use crate::store::contract::test_support::{T0, one_off};
use crate::store::{InsertParams, ListFilter, Store};
use rusqlite::ffi;
use rustix::io::Errno;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Which calls of the system fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Open,
    Read,
    Write,
}

/// The failing calls, with their error, on files whose path begins with the text.
static FAULT: Mutex<Option<(Call, Errno, String)>> = Mutex::new(None);
/// One test at a time.
static TURN: Mutex<()> = Mutex::new(());

// SAFETY: functions of the C library, declared as they are.
unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
    fn pread(fd: c_int, to: *mut c_void, bytes: usize, at: i64) -> isize;
    fn pwrite(fd: c_int, from: *const c_void, bytes: usize, at: i64) -> isize;
}

fn fails(call: Call, path: impl FnOnce() -> String) -> bool {
    let fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((failing, errno, folder)) = &*fault else {
        return false;
    };
    if *failing != call || !path().starts_with(folder) {
        return false;
    }
    // SAFETY: the place of this thread's last error.
    unsafe { *__errno_location() = errno.raw_os_error() };
    true
}

fn path_of(fd: c_int) -> String {
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    path.to_string_lossy().into_owned()
}

unsafe extern "C" fn failing_open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: SQLite passes a text that ends with a zero; the rest is passed on unchanged.
    unsafe {
        if fails(Call::Open, || CStr::from_ptr(path).to_string_lossy().into_owned()) {
            return -1;
        }
        open_and_note(path, flags, mode)
    }
}

unsafe extern "C" fn failing_read(fd: c_int, to: *mut c_void, bytes: usize, at: i64) -> isize {
    if fails(Call::Read, || path_of(fd)) {
        return -1;
    }
    // SAFETY: passed on unchanged.
    unsafe { pread(fd, to, bytes, at) }
}

unsafe extern "C" fn failing_write(fd: c_int, from: *const c_void, bytes: usize, at: i64) -> isize {
    if fails(Call::Write, || path_of(fd)) {
        return -1;
    }
    // SAFETY: passed on unchanged.
    unsafe { pwrite(fd, from, bytes, at) }
}

/// In place of what stores install, which goes on behind it.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        prepare_process(Path::new("/"));
        // SAFETY: a null name asks for the default VFS, which lives as long as the process; the pointer type is SQLite's
        // own for any system call.
        unsafe {
            let vfs = ffi::sqlite3_vfs_find(std::ptr::null());
            let set = (*vfs).xSetSystemCall.unwrap();
            // Each pair is one call on a 64-bit system, of which SQLite uses what it was built with.
            let calls: [(&CStr, *const ()); 5] = [
                (c"open", failing_open as *const ()),
                (c"pread", failing_read as *const ()),
                (c"pread64", failing_read as *const ()),
                (c"pwrite", failing_write as *const ()),
                (c"pwrite64", failing_write as *const ()),
            ];
            for (name, call) in calls {
                let call = std::mem::transmute::<*const (), unsafe extern "C" fn()>(call);
                assert_eq!(set(vfs, name.as_ptr(), Some(call)), ffi::SQLITE_OK);
            }
        }
    });
}

/// Calls fail until this is dropped.
struct Fault {
    _turn: MutexGuard<'static, ()>,
}

impl Fault {
    fn new(call: Call, errno: Errno, folder: &Path) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        install();
        let folder = folder.canonicalize().unwrap().to_str().unwrap().to_owned();
        *FAULT.lock().unwrap() = Some((call, errno, folder));
        Self { _turn: turn }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn add(store: &SqliteStore, names: std::ops::Range<u32>) -> Result<(), Error> {
    let params = InsertParams {
        jobs: names.map(|name| one_off(&name.to_string())).collect(),
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.map(|_| ())
}

fn check(error: &Error, path: &Path, parts: &[&str]) {
    assert_eq!(error.code, ErrorCode::StoreError, "{error}");
    let path = path.to_str().unwrap();
    for part in parts.iter().chain([&path]) {
        assert!(error.message.contains(part), "{part} is not in: {error}");
    }
}

#[tokio::test]
async fn disk_that_fails_to_read_is_not_taken_for_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open_store(&path);
    add(&store, 0..2_000).await.unwrap();
    store.close().await.unwrap();
    let store = open_store(&path);
    let everything = || ListFilter {
        limit: 5_000,
        ..ListFilter::default()
    };
    let fault = Fault::new(Call::Read, Errno::IO, folder.path());
    for error in [
        store.list(everything()).await.unwrap_err(),
        add(&store, 5_000..5_001).await.unwrap_err(),
    ] {
        check(&error, &path, &["fails to read", "check the disk"]);
    }
    drop(fault);
    add(&store, 5_000..5_001).await.unwrap();
    assert_eq!(store.list(everything()).await.unwrap().jobs.len(), 2_001);
    store.close().await.unwrap();
    let _fault = Fault::new(Call::Read, Errno::IO, folder.path());
    check(&refusal(&path), &path, &["cannot open the store", "fails to read"]);
}

#[tokio::test]
async fn disk_that_takes_no_more_is_named_with_its_cause() {
    for (errno, text) in [
        (Errno::NOSPC, "disk is full"),
        (Errno::DQUOT, "disk quota is used up"),
        (Errno::ROFS, "file system is read-only"),
        (Errno::IO, "disk fails to write"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        let fault = Fault::new(Call::Write, errno, folder.path());
        check(&refusal(&path), &path, &["cannot open the store", text]);
        drop(fault);
        let store = open_store(&path);
        add(&store, 0..10).await.unwrap();
        let fault = Fault::new(Call::Write, errno, folder.path());
        let error = add(&store, 10..20).await.unwrap_err();
        check(&error, &path, &["cannot write to the store", text]);
        drop(fault);
        add(&store, 10..20).await.unwrap();
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn limit_of_open_files_is_named() {
    for (errno, text) in [(Errno::MFILE, "ulimit -n"), (Errno::NFILE, "fs.file-max")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        let fault = Fault::new(Call::Open, errno, folder.path());
        check(&refusal(&path), &path, &["cannot open the store", text]);
        drop(fault);
        let store = open_store(&path);
        let fault = Fault::new(Call::Open, errno, folder.path());
        check(
            &store.stats(None).await.unwrap_err(),
            &path,
            &["cannot open the store", text],
        );
        drop(fault);
        store.stats(None).await.unwrap();
        store.close().await.unwrap();
    }
}

fn open_store(path: &Path) -> std::sync::Arc<SqliteStore> {
    super::open(path)
}

fn refusal(path: &Path) -> Error {
    SqliteStore::open(SqliteConfig::new(Location::File(path.to_owned()))).unwrap_err()
}
