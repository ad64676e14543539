//! Plain facts about a file, with a connection of its own, which writes nothing and migrates nothing.
//!
//! Invariant: what reads much ends when its time is over.

use super::failure::{file_error, name_store};
use super::file_path::{self, companion};
use super::{file_header, lock_holder, migrate, open, open_files};
use crate::error::{Error, ErrorCode, Result};
use crate::store::health::{CountedJobs, FileFacts, Integrity, StoreHealth, StorePlace};
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long somebody may hold the lock for writing.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// How often what has taken too long is interrupted until it ends.
const INTERRUPTION_EVERY: Duration = Duration::from_millis(5);
/// Most sentences about damage.
const MAX_DAMAGE: usize = 5;

const SELECT_WHERE_PROCESSES_RUN: &str = include_str!("sql/select_where_processes_run.sql");
const SELECT_COUNTED_JOBS: &str = include_str!("sql/select_counted_jobs.sql");

/// Facts about the store in this file; what reads much has `limit` for each thing it looks at. Blocks.
///
/// # Errors
/// `STORE_ERROR` when there is no file, or it cannot be read; `STORE_CORRUPT` when it is no store.
pub fn health(path: &Path, limit: Duration) -> Result<StoreHealth> {
    let called = std::path::absolute(path).map_err(|e| file_error("find", path, e))?;
    let path = file_path::resolve(&called)?;
    open::check_target(&path)?;
    let length = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len());
    let bytes = length(&path).map_err(|e| file_error("read the store", &path, e))?;
    file_header::refuse_foreign(&path)?;
    open::prepare_process(&path);
    let _registration = open_files::register(&path)?;
    let connection = open::open_additional(&path)?;
    migrate::check_owner(&connection, &path)?;
    let look = || -> Result<StoreHealth> {
        let is_closed = migrate::is_closed(&connection).unwrap_or(false);
        let moved = if is_closed {
            migrate::check_unchanged(&connection, &path).err()
        } else {
            None
        };
        // The number of a closed store says that it is closed.
        let schema_version = if is_closed {
            migrate::newest()
        } else {
            migrate::number(&connection)?
        };
        let (is_writable, locked_by) = write_lock(&connection, &path)?;
        let (integrity, damage) = integrity(&connection, limit)?;
        let facts = FileFacts {
            bytes,
            free_bytes: free_bytes(&connection)?,
            log_bytes: length(&companion(&path, "-wal")).unwrap_or(0),
            integrity,
            damage,
            is_writable,
            locked_by,
        };
        // Of a damaged file anything may be said.
        let is_countable = schema_version > 0 && integrity != Integrity::Damaged;
        let jobs = if is_countable {
            counted(&connection, limit)?
        } else {
            None
        };
        Ok(StoreHealth {
            schema_version,
            known_schema_version: migrate::newest(),
            moved: moved.map(|error| error.message),
            jobs,
            place: StorePlace::File(facts),
        })
    };
    look().map_err(|error| name_store(error, "read", &path))
}

fn free_bytes(connection: &Connection) -> Result<u64> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let free = number("PRAGMA freelist_count")?.saturating_mul(number("PRAGMA page_size")?);
    Ok(u64::try_from(free).unwrap_or(0))
}

/// Whether it can be written to, or who keeps it from that.
fn write_lock(connection: &Connection, path: &Path) -> Result<(bool, Option<String>)> {
    connection.busy_timeout(LOCK_WAIT)?;
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    let holder = begun
        .is_err()
        .then(|| lock_holder::describe(None, path).or_else(|| registered(connection)))
        .flatten();
    connection.busy_timeout(open::BUSY_TIMEOUT)?;
    match begun {
        Ok(()) => {
            connection.execute_batch("ROLLBACK")?;
            Ok((true, None))
        }
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok((false, holder)),
        Err(error) => Err(error.into()),
    }
}

/// Processes that may hold a lock whose holder nobody can name, in words: commands and programs that only dispatch are not among them.
fn registered(connection: &Connection) -> Option<String> {
    // Older schemas do not say where processes run.
    let mut select = connection.prepare(SELECT_WHERE_PROCESSES_RUN).ok()?;
    let names = select.query_map([], |row| row.get::<_, String>(0)).ok()?;
    let names: Vec<String> = names.flatten().collect();
    (!names.is_empty()).then(|| format!("one of the registered processes: {}", names.join(", ")))
}

fn integrity(connection: &Connection, limit: Duration) -> Result<(Integrity, Vec<String>)> {
    let check = |connection: &Connection| {
        let mut select = connection.prepare(&format!("PRAGMA quick_check({MAX_DAMAGE})"))?;
        let found = select.query_map([], |row| row.get::<_, String>(0))?;
        found.collect::<rusqlite::Result<Vec<String>>>()
    };
    match within(connection, limit, check) {
        Ok(None) => Ok((Integrity::Unknown, Vec::new())),
        Ok(Some(found)) if found == ["ok"] => Ok((Integrity::Sound, Vec::new())),
        Ok(Some(found)) => Ok((Integrity::Damaged, found)),
        Err(error) => {
            let error = Error::from(error);
            match error.code {
                ErrorCode::StoreCorrupt => Ok((Integrity::Damaged, vec![error.message.to_string()])),
                _ => Err(error),
            }
        }
    }
}

/// Jobs by the counters and by the table; `None`: in the time it could not be counted.
fn counted(connection: &Connection, limit: Duration) -> Result<Option<CountedJobs>> {
    Ok(within(connection, limit, |connection| {
        connection.query_row(SELECT_COUNTED_JOBS, [], |row| {
            Ok(CountedJobs {
                counted: row.get(0)?,
                stored: row.get(1)?,
            })
        })
    })?)
}

/// What `run` finds; `None`: not in that time.
fn within<R>(
    connection: &Connection,
    limit: Duration,
    run: impl FnOnce(&Connection) -> rusqlite::Result<R>,
) -> rusqlite::Result<Option<R>> {
    let interrupt = connection.get_interrupt_handle();
    let (done, end) = channel::<()>();
    let found = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut left = limit;
            // A statement that is just beginning does not hear an interruption.
            while end.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                interrupt.interrupt();
                left = INTERRUPTION_EVERY;
            }
        });
        let found = run(connection);
        drop(done);
        found
    });
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
