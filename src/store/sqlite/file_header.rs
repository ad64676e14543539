//! Refuses a file that is no store by its first bytes, before anything is made beside it.
//!
//! What it does not refuse, SQLite may still refuse. Invariant: no file is made, and none is changed.
//!
//! The format: <https://www.sqlite.org/fileformat2.html#the_database_header>.

use super::failure::sqlite_code;
use super::file_path::companion;
use super::migrate::{APPLICATION_ID, check_owner, other_programs};
use super::{open, open_files};
use crate::error::{Error, ErrorCode, Result};
use rusqlite::config::DbConfig;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The header of the file, and what follows it: the header of the first page, which is the root of the schema.
const READ_BYTES: usize = 108;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Refuses the file at `path` if it is no store for certain. One that cannot be read passes, as does an empty one.
///
/// # Errors
/// `STORE_CORRUPT` when it is no database, or one of another program; `STORE_ERROR` when another copy of SQLite has it open in
/// this process.
pub(super) fn refuse_foreign(path: &Path) -> Result<()> {
    // A file that this process has open as a store is one; and reading it here would drop locks, where they are the process's.
    if open_files::is_open_here(path) {
        return open_files::register(path).map(drop);
    }
    let has_log = ["-wal", "-journal"]
        .iter()
        .any(|suffix| std::fs::metadata(companion(path, suffix)).is_ok_and(|log| log.len() > 0));
    let mut head = Vec::with_capacity(READ_BYTES);
    if File::open(path)
        .and_then(|file| file.take(READ_BYTES as u64).read_to_end(&mut head))
        .is_err()
    {
        return Ok(());
    }
    match Contents::of(&head) {
        Contents::NoDatabase if !has_log => Err(no_database(path)),
        Contents::OtherProgram => Err(other_programs(path)),
        // Whose it is stands in the log.
        Contents::EmptyDatabase if has_log => refuse_by_log(path),
        _ => Ok(()),
    }
}

/// What a file holds, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
enum Contents {
    Nothing,
    NoDatabase,
    OtherProgram,
    EmptyDatabase,
    Store,
}

impl Contents {
    fn of(head: &[u8]) -> Self {
        if head.is_empty() {
            return Self::Nothing;
        }
        let (Some(MAGIC), Some(owner), Some(page)) = (head.get(..16), head.get(68..72), head.get(100..READ_BYTES))
        else {
            return Self::NoDatabase;
        };
        if owner == APPLICATION_ID.to_be_bytes() {
            return Self::Store;
        }
        // A leaf without a cell.
        let has_objects = !matches!(page, [0x0d, _, _, 0, 0, ..]);
        if owner != [0; 4] || has_objects {
            Self::OtherProgram
        } else {
            Self::EmptyDatabase
        }
    }
}

/// Asks SQLite, and leaves the log to its owner. What keeps SQLite from answering is reported when the store is opened.
fn refuse_by_log(path: &Path) -> Result<()> {
    open::prepare_process(path);
    let Ok(connection) = open::connect(path) else {
        return Ok(());
    };
    if connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .is_err()
    {
        return Ok(());
    }
    match check_owner(&connection, path) {
        Err(error) if sqlite_code(&error).is_none() => Err(error),
        _ => Ok(()),
    }
}

fn no_database(path: &Path) -> Error {
    let message = format!(
        "{} is no database, and so no ductape store; choose another path, or move the file away",
        path.display()
    );
    Error::new(ErrorCode::StoreCorrupt, message)
}
