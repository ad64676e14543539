//! SQLite: a file, opened by the same copy of the library as the store, on blocking threads.
//!
//! Invariants: the file of a job store is refused; only SQL of a job or an action creates a file; when a job is dropped,
//! its statement is interrupted and the connection closed.

mod execute;
mod failure;

use self::failure::failure;
use super::backend::{Backend, first_word, leaves_session_unchanged};
use super::dialect::Dialect;
use super::name::Table;
use super::plan::{Plan, Statement};
use super::pool::{ConnectionPermit, Pool};
use super::rows::Outcome;
use super::value::{Kind, Kinds};
use crate::connector::Failure;
use crate::text::spelling::truncated;
use async_trait::async_trait;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// `application_id` of job stores.
const STORE_APPLICATION_ID: i32 = 0x6475_6374;
/// A statement waits for another's lock for 5 s: so many looks after sleeps of 1 ms, then after sleeps of 10 ms. SQLite's own sleeps
/// grow to 100 ms, which is many times what others need to write a row.
const LOOKS_EACH_MS: i32 = 100;
const LOOKS_EACH_10_MS: i32 = 490;

/// A SQLite database.
pub(super) struct Sqlite {
    path: PathBuf,
    pool: Arc<Pool<Connection>>,
    /// Held by the job that writes: SQLite takes one at a time, and those that wait for its lock would have to poll for it.
    writing: Mutex<()>,
}

/// Interrupts the statement of a job when dropped.
struct InterruptGuard {
    handle: Option<InterruptHandle>,
    /// Stops work that has not started yet, which an interrupt would miss.
    dropped: Arc<AtomicBool>,
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            self.dropped.store(true, Ordering::Release);
            handle.interrupt();
        }
    }
}

impl Sqlite {
    pub(super) fn new(url: &str, connections: usize) -> Result<Self, Failure> {
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        // Both `sqlite:///srv/app.db` and `sqlite:app.db` are common.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(['?', '\0']) || path.starts_with(':') || path.starts_with("file:") {
            return Err(Failure::invalid(
                "connection_url must be the path of a SQLite file, as in 'sqlite:/srv/app.db'",
            ));
        }
        Ok(Self {
            path: path.into(),
            pool: Arc::new(Pool::new(connections)),
            writing: Mutex::default(),
        })
    }

    async fn connection(&self, create: bool) -> Result<(Connection, ConnectionPermit<Connection>), Failure> {
        let mut permit = self.pool.acquire().await?;
        if let Some((connection, _)) = permit.used.take() {
            return Ok((connection, permit));
        }
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || open(&path, create)).await;
        Ok((opened.map_err(|_| interrupted())??, permit))
    }

    /// Runs work on a connection, which goes back to the pool if `keep` approves the result.
    async fn with_connection<T: Send + 'static>(
        &self,
        create: bool,
        keep: impl FnOnce(&Result<T, Failure>) -> bool + Send,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (mut connection, permit) = self.connection(create).await?;
        let dropped = Arc::new(AtomicBool::new(false));
        let mut interrupt = InterruptGuard {
            handle: Some(connection.get_interrupt_handle()),
            dropped: Arc::clone(&dropped),
        };
        let done = tokio::task::spawn_blocking(move || {
            let answer = if dropped.load(Ordering::Acquire) {
                Err(interrupted())
            } else {
                work(&mut connection)
            };
            (answer, connection, permit)
        });
        let done = done.await;
        interrupt.handle = None;
        let (answer, connection, permit) = done.map_err(|_| interrupted())?;
        if keep(&answer) {
            self.pool.give_back(connection, permit);
        }
        answer
    }
}

fn may_write(statement: &Statement) -> bool {
    !["select", "values", "explain"].contains(&&*first_word(&statement.sql))
}

/// Whether to look again for a lock that was not free `looks` times.
fn wait_for_lock(looks: i32) -> bool {
    std::thread::sleep(Duration::from_millis(if looks < LOOKS_EACH_MS { 1 } else { 10 }));
    looks < LOOKS_EACH_MS + LOOKS_EACH_10_MS
}

fn interrupted() -> Failure {
    Failure::unavailable("SQLite: the work was interrupted")
}

fn open(path: &Path, create: bool) -> Result<Connection, Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.exists() && !path.is_file() {
        return Err(Failure::invalid("SQLite: connection_url names no regular file"));
    }
    if !path.is_file() && (!create || folder.is_some_and(|folder| !folder.is_dir())) {
        return Err(Failure::not_found(
            "SQLite: there is no such file; CREATE TABLE by `raw` or a RAW_SQL action makes it, in a folder that is there",
        ));
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| failure(&error))?;
    connection
        .busy_handler(Some(wait_for_lock))
        .map_err(|error| failure(&error))?;
    let owner: i32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(|error| failure(&error))?;
    if owner == STORE_APPLICATION_ID {
        return Err(Failure::invalid(
            "SQLite: this file is a store of jobs; a database must be a file of its own",
        ));
    }
    // As in other databases; SQLite has it off by default for compatibility.
    connection
        .execute_batch("PRAGMA foreign_keys = ON")
        .map_err(|error| failure(&error))?;
    Ok(connection)
}

#[async_trait]
impl Backend for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn kinds(&self, table: &Table) -> Result<Kinds, Failure> {
        let table = table.clone();
        self.with_connection(false, Result::is_ok, move |connection| columns(connection, &table))
            .await
    }

    async fn run(&self, plan: Plan, timeout: Duration) -> Result<Outcome, Failure> {
        let traceless = !plan.raw
            || plan
                .statements
                .iter()
                .all(|statement| leaves_session_unchanged(&statement.sql));
        let keep = move |answer: &Result<Outcome, Failure>| answer.is_ok() && traceless;
        let work = async {
            let _turn = match plan.statements.iter().any(may_write) {
                true => Some(self.writing.lock().await),
                false => None,
            };
            self.with_connection(plan.raw, keep, move |connection| execute::execute(connection, &plan))
                .await
        };
        let late = || {
            Failure::timeout(format!(
                "SQLite: the statement took longer than {} ms",
                timeout.as_millis()
            ))
        };
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn check(&self) -> Result<(), Failure> {
        self.with_connection(false, Result::is_ok, |connection| {
            let read = connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0));
            read.map(|_| ()).map_err(|error| failure(&error))
        })
        .await
    }

    async fn close(&self) {
        let idle = self.pool.close();
        let _ = tokio::task::spawn_blocking(move || drop(idle)).await;
    }
}

/// The declared columns of a table.
fn columns(connection: &Connection, table: &Table) -> Result<Kinds, Failure> {
    let read = || {
        let schema = table.schema.as_deref();
        let mut statement = connection.prepare_cached("SELECT name, type FROM pragma_table_xinfo(?1, ?2)")?;
        let rows = statement.query_map((&*table.name, schema.unwrap_or("main")), |row| {
            Ok((row.get::<_, String>(0)?, kind(&row.get::<_, String>(1)?)))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let columns = read().map_err(|error| failure(&error))?;
    if columns.is_empty() {
        let name = truncated(&table.name);
        return Err(Failure::not_found(format!("SQLite: there is no table '{name}'")));
    }
    Ok(Kinds::new(columns))
}

/// The kind of a column by its declared type, which SQLite does not enforce.
fn kind(declared: &str) -> Kind {
    let declared = declared.to_ascii_uppercase();
    let name = declared.split('(').next().unwrap_or_default().trim();
    match name {
        "BOOLEAN" | "BOOL" => Kind::Bool,
        // As MySQL has it.
        "TINYINT" if declared.contains("(1)") => Kind::Bool,
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        "JSON" | "JSONB" => Kind::Json,
        "BLOB" => Kind::Bytes,
        "REAL" | "FLOAT" | "DOUBLE" | "DOUBLE PRECISION" => Kind::Float,
        "DECIMAL" | "NUMERIC" => Kind::ShortDecimal,
        _ if name.starts_with("DATETIME") || name.starts_with("TIMESTAMP") => Kind::Timestamp,
        _ if name.contains("INT") => Kind::Integer,
        _ if name.contains("CHAR") || name.contains("TEXT") || name.contains("CLOB") || name == "UUID" => Kind::Text,
        _ => Kind::Any,
    }
}
