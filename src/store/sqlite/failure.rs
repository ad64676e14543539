//! Converts errors of SQLite and of the file system into errors a user can act on.
//!
//! Knows no verbs. Invariant: every message names the remedy where there is one.

use super::disk_fault::DiskFault;
use crate::error::{Error, ErrorCode};
use rusqlite::{ErrorCode as SqliteCode, ffi};
use std::path::Path;

impl From<rusqlite::Error> for Error {
    fn from(failure: rusqlite::Error) -> Self {
        // Before anything else: the next call of the system may replace it.
        let system = std::io::Error::last_os_error();
        let (code, message) = match failure.sqlite_error() {
            Some(error) => explain(error.extended_code, &system, &failure),
            None => (ErrorCode::StoreError, format!("the store failed: {failure}")),
        };
        Self::new(code, message).with_source(failure)
    }
}

/// What an extended code of SQLite means, where `system` is the last error of the operating system in this thread: it is the
/// cause only of codes that say that a call of the system has failed.
fn explain(extended: i32, system: &std::io::Error, failure: &dyn std::fmt::Display) -> (ErrorCode, String) {
    if let Some(fault) = disk_fault(extended, system) {
        return (ErrorCode::StoreError, fault.message(&failure));
    }
    match ffi::Error::new(extended).code {
        SqliteCode::DatabaseCorrupt => (
            ErrorCode::StoreCorrupt,
            format!("the store's file is damaged ({failure}); restore it from a backup, or move it away to start anew"),
        ),
        SqliteCode::NotADatabase => (
            ErrorCode::StoreCorrupt,
            "the store's file is no ductape store; choose another path, or move the file away".into(),
        ),
        SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked => (ErrorCode::StoreError, LOCKED.into()),
        SqliteCode::OperationInterrupted => (ErrorCode::Closed, Error::closed().message),
        SqliteCode::OutOfMemory => (
            ErrorCode::StoreError,
            "this process has no memory left for the store; raise its limit, or let it hold less".into(),
        ),
        _ => (ErrorCode::StoreError, format!("the store failed: {failure}")),
    }
}

fn disk_fault(extended: i32, system: &std::io::Error) -> Option<DiskFault> {
    let by_system = DiskFault::of(system);
    match ffi::Error::new(extended).code {
        SqliteCode::DiskFull => Some(DiskFault::Full),
        SqliteCode::ReadOnly | SqliteCode::PermissionDenied => Some(match by_system {
            Some(DiskFault::ReadOnly) => DiskFault::ReadOnly,
            _ => DiskFault::Forbidden,
        }),
        SqliteCode::CannotOpen => Some(by_system.unwrap_or(DiskFault::CannotOpen)),
        SqliteCode::SystemIoFailure => match extended {
            ffi::SQLITE_IOERR_NOMEM => None,
            // The system has reported no error: the file ends too early.
            ffi::SQLITE_IOERR_SHORT_READ => Some(DiskFault::Read),
            ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_CORRUPTFS => Some(match by_system {
                Some(DiskFault::Failing) | None => DiskFault::Read,
                Some(fault) => fault,
            }),
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC | ffi::SQLITE_IOERR_WRITE => Some(match by_system {
                Some(DiskFault::Failing) | None => DiskFault::Write,
                Some(fault) => fault,
            }),
            _ => Some(by_system.unwrap_or(DiskFault::Failing)),
        },
        // SQLite makes this of a read that the disk has failed, and then no longer says so.
        SqliteCode::DatabaseCorrupt if extended == ffi::SQLITE_CORRUPT && by_system == Some(DiskFault::Failing) => {
            Some(DiskFault::Read)
        }
        _ => None,
    }
}

/// Says which store a failure of SQLite belongs to and what was being done with it; other errors say so themselves.
pub(super) fn name_store(error: Error, doing: &str, path: &Path) -> Error {
    if sqlite_code(&error).is_none() {
        return error;
    }
    let message = format!("cannot {doing} the store {}: {}", path.display(), error.message);
    Error { message, ..error }
}

/// Why a copy of the store cannot be written to `copy`, as far as it is not the store that cannot be read.
pub(super) fn copy_error(failure: rusqlite::Error, store: &Path, copy: &Path) -> Error {
    let system = std::io::Error::last_os_error();
    let fault = failure
        .sqlite_error()
        .and_then(|error| disk_fault(error.extended_code, &system));
    match fault {
        None | Some(DiskFault::Read | DiskFault::Failing) => name_store(failure.into(), "back up", store),
        Some(fault) => {
            let message = format!("cannot write {}: {failure}{}", copy.display(), fault.remedy());
            Error::new(ErrorCode::StoreError, message).with_source(failure)
        }
    }
}

const LOCKED: &str = "the store stayed locked by another program; close whatever holds a transaction open on its file";

/// Another process or program holds a lock of the store.
pub(super) fn is_locked(error: &Error) -> bool {
    matches!(
        sqlite_code(error),
        Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked)
    )
}

/// What a call is told whose time went by while others held a lock; `holder` is who it is, if that is known.
pub(super) fn locked_error(holder: Option<&str>) -> Error {
    let message = match holder {
        Some(holder) => {
            format!("the store is locked by {holder}; nothing was written; let that process go on, or end it")
        }
        None => format!("{LOCKED}; nothing was written"),
    };
    Error::new(ErrorCode::StoreError, message)
}

/// Whether the disk has failed to take what was written.
pub(super) fn is_write_failure(error: &Error) -> bool {
    sqlite_code(error) == Some(SqliteCode::SystemIoFailure)
}

/// Whether a failure of SQLite may pass by itself within moments.
pub(super) fn is_transient(error: &Error) -> bool {
    matches!(
        sqlite_code(error),
        Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked | SqliteCode::SystemIoFailure)
    )
}

/// The code of the underlying SQLite error, if there is one.
pub(super) fn sqlite_code(error: &Error) -> Option<SqliteCode> {
    let source = error.source.as_deref()?;
    source.downcast_ref::<rusqlite::Error>()?.sqlite_error_code()
}

/// An error of the file system, with the operation and path.
pub(super) fn file_error(what: &str, path: &Path, failure: std::io::Error) -> Error {
    let remedy = super::disk_fault::remedy(&failure);
    let message = format!("cannot {what} {}: {failure}{remedy}", path.display());
    Error::new(ErrorCode::StoreError, message).with_source(failure)
}

/// The error for a row that no version of this code can have written.
pub(super) fn damaged(what: &str) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        format!("the store holds {what}; restore it from a backup"),
    )
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use rusqlite::ffi::*;
    use rustix::io::Errno;

    #[test]
    fn each_code_has_its_cause_and_remedy() {
        use ErrorCode::{StoreCorrupt, StoreError};
        const NONE: Errno = Errno::AGAIN;
        let table = [
            (SQLITE_FULL, NONE, StoreError, "disk is full"),
            (SQLITE_FULL, Errno::NOSPC, StoreError, "free some space"),
            (SQLITE_IOERR_WRITE, Errno::DQUOT, StoreError, "disk quota is used up"),
            (SQLITE_IOERR_SHMSIZE, Errno::NOSPC, StoreError, "disk is full"),
            (SQLITE_IOERR_SHMSIZE, Errno::DQUOT, StoreError, "disk quota is used up"),
            (SQLITE_IOERR_WRITE, Errno::ROFS, StoreError, "file system is read-only"),
            (
                SQLITE_IOERR_TRUNCATE,
                Errno::ROFS,
                StoreError,
                "file system is read-only",
            ),
            (SQLITE_READONLY, Errno::ROFS, StoreError, "file system is read-only"),
            (SQLITE_READONLY, NONE, StoreError, "file or folder is read-only"),
            (
                SQLITE_READONLY_DIRECTORY,
                Errno::ACCESS,
                StoreError,
                "write access to both",
            ),
            (SQLITE_PERM, NONE, StoreError, "write access to both"),
            (SQLITE_CANTOPEN, Errno::ACCESS, StoreError, "write access to both"),
            (
                SQLITE_CANTOPEN,
                Errno::MFILE,
                StoreError,
                "this process has as many open as it may; raise its limit (`ulimit -n`)",
            ),
            (
                SQLITE_CANTOPEN,
                Errno::NFILE,
                StoreError,
                "this machine has as many open as it may",
            ),
            (SQLITE_CANTOPEN, Errno::ROFS, StoreError, "file system is read-only"),
            (SQLITE_CANTOPEN, NONE, StoreError, "file cannot be opened"),
            (SQLITE_IOERR_READ, Errno::IO, StoreError, "disk fails to read"),
            (SQLITE_IOERR_READ, NONE, StoreError, "disk fails to read"),
            (SQLITE_IOERR_CORRUPTFS, Errno::IO, StoreError, "disk fails to read"),
            (SQLITE_IOERR_SHORT_READ, Errno::NOSPC, StoreError, "disk fails to read"),
            (SQLITE_CORRUPT, Errno::IO, StoreError, "keep the file"),
            (SQLITE_CORRUPT, NONE, StoreCorrupt, "is damaged"),
            (SQLITE_CORRUPT, Errno::NOSPC, StoreCorrupt, "restore it from a backup"),
            (SQLITE_CORRUPT_INDEX, Errno::IO, StoreCorrupt, "is damaged"),
            (SQLITE_NOTADB, NONE, StoreCorrupt, "no ductape store"),
            (SQLITE_IOERR_WRITE, Errno::IO, StoreError, "disk fails to write"),
            (SQLITE_IOERR_FSYNC, Errno::IO, StoreError, "disk fails to write"),
            (SQLITE_IOERR_FSYNC, Errno::NOSPC, StoreError, "disk is full"),
            (SQLITE_IOERR_LOCK, NONE, StoreError, "disk fails"),
            (SQLITE_IOERR_NOMEM, Errno::NOSPC, StoreError, "the store failed"),
            (SQLITE_NOMEM, NONE, StoreError, "no memory left"),
            (SQLITE_BUSY, Errno::IO, StoreError, "stayed locked"),
            (SQLITE_BUSY_SNAPSHOT, NONE, StoreError, "stayed locked"),
            (SQLITE_LOCKED, NONE, StoreError, "stayed locked"),
            (SQLITE_ERROR, Errno::IO, StoreError, "the store failed"),
        ];
        for (extended, errno, code, text) in table {
            let (found, message) = explain(extended, &errno.into(), &"details");
            assert_eq!(found, code, "{extended} {errno}: {message}");
            assert!(
                message.replace(" (details)", "").contains(text),
                "{extended} {errno}: {message}"
            );
        }
    }

    #[test]
    fn errors_of_the_file_system_name_operation_path_and_remedy() {
        for (errno, text) in [
            (Errno::NOSPC, "free some space"),
            (Errno::DQUOT, "disk quota is used up"),
            (Errno::ROFS, "file system is read-only"),
            (Errno::ACCESS, "write access"),
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::IO, "the disk fails"),
            (Errno::NOTDIR, "a part of the path is a file"),
            (Errno::NAMETOOLONG, "choose a shorter one"),
        ] {
            let error = file_error("lock", Path::new("/srv/jobs.db"), errno.into());
            assert_eq!(error.code, ErrorCode::StoreError);
            assert!(error.message.starts_with("cannot lock /srv/jobs.db: "), "{error}");
            assert!(error.message.contains(text), "{error}");
        }
    }
}
