//! Converts errors of SQLite and of the file system into errors a user can act on.
//!
//! Knows no verbs. Invariant: every message names the remedy where there is one.

use crate::error::{Error, ErrorCode};
use rusqlite::ErrorCode as SqliteCode;
use std::path::Path;

impl From<rusqlite::Error> for Error {
    fn from(failure: rusqlite::Error) -> Self {
        let (code, message) = match failure.sqlite_error_code() {
            Some(SqliteCode::DiskFull) => (
                ErrorCode::StoreError,
                "the store's disk is full; free some space, the store then goes on by itself".into(),
            ),
            Some(SqliteCode::ReadOnly | SqliteCode::PermissionDenied) => (
                ErrorCode::StoreError,
                "the store's file or folder is read-only; give this process write access to both".into(),
            ),
            Some(SqliteCode::DatabaseCorrupt) => (
                ErrorCode::StoreCorrupt,
                format!(
                    "the store's file is damaged ({failure}); restore it from a backup, or move it away to start anew"
                ),
            ),
            Some(SqliteCode::NotADatabase) => (
                ErrorCode::StoreCorrupt,
                "the store's file is no ductape store; choose another path, or move the file away".into(),
            ),
            Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => (ErrorCode::StoreError, LOCKED.into()),
            Some(SqliteCode::SystemIoFailure) => (
                ErrorCode::StoreError,
                format!("the store's disk failed to read or write ({failure})"),
            ),
            Some(SqliteCode::CannotOpen) => (
                ErrorCode::StoreError,
                format!("the store's file cannot be opened ({failure})"),
            ),
            _ => (ErrorCode::StoreError, format!("the store failed: {failure}")),
        };
        Self::new(code, message).with_source(failure)
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
    use std::io::ErrorKind as Kind;
    let remedy = match failure.kind() {
        Kind::PermissionDenied => "; give this process write access to the folder, or choose another path",
        Kind::ReadOnlyFilesystem => "; the file system is read-only, choose another path",
        Kind::StorageFull => "; the disk is full, free some space",
        Kind::NotADirectory => "; a part of the path is a file, choose another path",
        _ => "",
    };
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
