//! Whether the schema is still the one that this process writes: a newer version of the package may have migrated the file
//! while it was open here.
//!
//! Invariant: no transaction commits on a schema of another version, not even the first one after the migration. What is
//! looked at within each transaction is a number in memory; only after a commit of somebody else a statement follows.
#![allow(unsafe_code)] // This number is to be had through SQLite's C interface only.

use super::migrate;
use crate::error::Result;
use rusqlite::{Connection, ffi};
use std::path::Path;

/// What the writer's connection has seen.
#[derive(Debug, Default)]
pub(super) struct SchemaWatch {
    /// The database's state, as SQLite counts them, when the schema was looked at last.
    checked: Option<u32>,
}

impl SchemaWatch {
    /// Fails when the schema has another version by now. Called within a write transaction. Whether somebody else has committed
    /// since this process did.
    ///
    /// # Errors
    /// `STORE_ERROR`, which says what is to be done.
    pub(super) fn check(&mut self, connection: &Connection, path: &Path) -> Result<bool> {
        let state = state(connection);
        if state.is_some() && state == self.checked {
            return Ok(false);
        }
        self.checked = None;
        migrate::check_unchanged(connection, path)?;
        self.checked = state;
        Ok(true)
    }

    /// The transaction that was checked has been committed: its state is this process's own.
    pub(super) fn committed(&mut self, connection: &Connection) {
        self.checked = state(connection);
    }
}

/// Another number after each commit, of this connection or of another one, once a transaction has begun.
fn state(connection: &Connection) -> Option<u32> {
    let mut version: u32 = 0;
    // SAFETY: the connection is open and used by this thread only; for this operation SQLite writes an unsigned integer of
    // 32 bits to where the pointer leads.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_DATA_VERSION,
            std::ptr::from_mut(&mut version).cast(),
        )
    };
    (code == ffi::SQLITE_OK).then_some(version)
}
