//! Makes our copy of SQLite use locks of the open file description instead of the process for the files of stores (Linux).
//!
//! POSIX locks vanish when *any* descriptor of the file is closed in the process, so a second copy of the SQLite
//! library (`better-sqlite3`, `node:sqlite`) on the same file would silently drop ours; both would then write. Open
//! file description locks do not: the other copy gets `SQLITE_BUSY`.
//!
//! Only for stores: SQLite takes it that the locks of a file are those of the process, and takes one with the descriptor of whichever
//! connection asks first. That is all the same in WAL mode, in which a store is; of a database with a rollback journal, two
//! connections of one process would keep each other from writing.
//!
//! Invariant: installed, and the file named, before the file is opened; never removed.
#![allow(unsafe_code)] // Replacing a system call of SQLite's VFS is possible through its C interface only.

use rusqlite::ffi;
use std::collections::HashSet;
use std::ffi::{CStr, c_char, c_int, c_short, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{OnceLock, PoisonError, RwLock};

/// Files of stores, as SQLite calls them; their companions have these names and a suffix.
static STORES: RwLock<Vec<Box<[u8]>>> = RwLock::new(Vec::new());
/// Their open descriptors; `None`: there never was one.
static DESCRIPTORS: RwLock<Option<HashSet<c_int>>> = RwLock::new(None);

// Numbers and layout of the kernel's 64-bit interface, the same on every 64-bit Linux.
const F_GETLK: c_int = 5;
const F_SETLK: c_int = 6;
const F_SETLKW: c_int = 7;
const F_OFD_GETLK: c_int = 36;
const F_OFD_SETLK: c_int = 37;
const F_OFD_SETLKW: c_int = 38;

#[repr(C)]
struct Flock {
    kind: c_short,
    whence: c_short,
    start: i64,
    length: i64,
    pid: c_int,
}

// SAFETY: the C library's own function, declared as it is.
unsafe extern "C" {
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn close(fd: c_int) -> c_int;
}

/// Whether it is a file of a store: the database, its log, the index of that.
fn is_of_store(path: &[u8]) -> bool {
    let stores = STORES.read().unwrap_or_else(PoisonError::into_inner);
    let mut ends = stores.iter().filter_map(|store| path.strip_prefix(&**store));
    ends.any(|end| end.is_empty() || end.starts_with(b"-"))
}

fn has_lock_of_its_own(fd: c_int) -> bool {
    let descriptors = DESCRIPTORS.read().unwrap_or_else(PoisonError::into_inner);
    descriptors.as_ref().is_some_and(|known| known.contains(&fd))
}

fn forget(fd: c_int) {
    if has_lock_of_its_own(fd) {
        let mut descriptors = DESCRIPTORS.write().unwrap_or_else(PoisonError::into_inner);
        descriptors.get_or_insert_default().remove(&fd);
    }
}

/// Replaces `open`: notes the descriptors of stores.
pub(super) unsafe extern "C" fn open_and_note(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: passed on unchanged.
    let fd = unsafe { open(path, flags, mode) };
    // SAFETY: SQLite passes a text that ends with NUL.
    if fd >= 0 && !path.is_null() && is_of_store(unsafe { CStr::from_ptr(path) }.to_bytes()) {
        let mut descriptors = DESCRIPTORS.write().unwrap_or_else(PoisonError::into_inner);
        descriptors.get_or_insert_default().insert(fd);
    }
    fd
}

/// Replaces `close`. The number may be that of another file as soon as it is closed: it is forgotten before.
unsafe extern "C" fn forget_and_close(fd: c_int) -> c_int {
    forget(fd);
    // SAFETY: passed on unchanged.
    unsafe { close(fd) }
}

/// Replaces `fcntl` in SQLite's table of system calls. SQLite calls it through a variadic type; on x86-64 and
/// aarch64 Linux a variadic integer or pointer travels in the same register as a declared one.
unsafe extern "C" fn fcntl_by_open_file(fd: c_int, command: c_int, argument: *mut c_void) -> c_int {
    let owned_by_file = match command {
        F_GETLK if has_lock_of_its_own(fd) => F_OFD_GETLK,
        F_SETLK if has_lock_of_its_own(fd) => F_OFD_SETLK,
        F_SETLKW if has_lock_of_its_own(fd) => F_OFD_SETLKW,
        // SAFETY: passed on unchanged.
        other => return unsafe { fcntl(fd, other, argument) },
    };
    // SAFETY: for these commands SQLite passes a pointer to its own `struct flock`; the kernel demands pid 0.
    unsafe {
        (*argument.cast::<Flock>()).pid = 0;
        fcntl(fd, owned_by_file, argument)
    }
}

/// Makes the locks of the store in this file such, which is called so for good; returns whether they are.
pub(super) fn install(path: &Path) -> bool {
    let name: Box<[u8]> = path.as_os_str().as_bytes().into();
    let mut stores = STORES.write().unwrap_or_else(PoisonError::into_inner);
    if !stores.contains(&name) {
        stores.push(name);
    }
    drop(stores);
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(install_calls)
}

fn install_calls() -> bool {
    type OpenFn = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
    type CloseFn = unsafe extern "C" fn(c_int) -> c_int;
    type FcntlFn = unsafe extern "C" fn(c_int, c_int, *mut c_void) -> c_int;
    type Call = unsafe extern "C" fn();
    // SAFETY: a null name asks for the default VFS, which lives as long as the process; the pointer type is SQLite's own for any
    // system call, and the functions stay valid for ever.
    unsafe {
        let vfs = ffi::sqlite3_vfs_find(std::ptr::null());
        let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) else {
            return false;
        };
        let calls = [
            // Noted before it matters.
            (c"open", std::mem::transmute::<OpenFn, Call>(open_and_note)),
            (c"close", std::mem::transmute::<CloseFn, Call>(forget_and_close)),
            (c"fcntl", std::mem::transmute::<FcntlFn, Call>(fcntl_by_open_file)),
        ];
        calls
            .iter()
            .all(|(name, call)| set(vfs, name.as_ptr(), Some(*call)) == ffi::SQLITE_OK)
    }
}
