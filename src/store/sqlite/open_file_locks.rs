//! Makes our copy of SQLite use locks of the open file description instead of the process (Linux).
//!
//! POSIX locks vanish when *any* descriptor of the file is closed in the process, so a second copy of the SQLite
//! library (`better-sqlite3`, `node:sqlite`) on the same file would silently drop ours; both would then write. Open
//! file description locks do not: the other copy gets `SQLITE_BUSY`.
//!
//! Invariant: installed before the first file is opened, and never removed. Knows nothing of stores.
#![allow(unsafe_code)] // Replacing a system call of SQLite's VFS is possible through its C interface only.

use rusqlite::ffi;
use std::ffi::{c_int, c_short, c_void};
use std::sync::OnceLock;

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
}

/// Replaces `fcntl` in SQLite's table of system calls. SQLite calls it through a variadic type; on x86-64 and
/// aarch64 Linux a variadic integer or pointer travels in the same register as a declared one.
unsafe extern "C" fn fcntl_by_open_file(fd: c_int, command: c_int, argument: *mut c_void) -> c_int {
    let owned_by_file = match command {
        F_GETLK => F_OFD_GETLK,
        F_SETLK => F_OFD_SETLK,
        F_SETLKW => F_OFD_SETLKW,
        // SAFETY: passed on unchanged.
        other => return unsafe { fcntl(fd, other, argument) },
    };
    // SAFETY: for these commands SQLite passes a pointer to its own `struct flock`; the kernel demands pid 0.
    unsafe {
        (*argument.cast::<Flock>()).pid = 0;
        fcntl(fd, owned_by_file, argument)
    }
}

/// Installs the replacement, once per process; returns whether it is in place.
pub(super) fn install() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        type FcntlFn = unsafe extern "C" fn(c_int, c_int, *mut c_void) -> c_int;
        // SAFETY: a null name asks for the default VFS, which lives as long as the process; the pointer type is
        // SQLite's own for any system call, and the function stays valid for ever.
        unsafe {
            let vfs = ffi::sqlite3_vfs_find(std::ptr::null());
            let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) else {
                return false;
            };
            let call = std::mem::transmute::<FcntlFn, unsafe extern "C" fn()>(fcntl_by_open_file);
            set(vfs, c"fcntl".as_ptr(), Some(call)) == ffi::SQLITE_OK
        }
    })
}
