//! A store in a file as one end of a move: its tables, whoever else may have it open.
//!
//! Knows no job. Invariant: a closed store has a schema of a version that no process takes, so that each transaction of those
//! that have it open fails, as after a migration.

use super::migrate;
use super::move_record::{forget, record, remember};
use super::open::{self, OpenedFile};
use crate::error::{Error, ErrorCode, Result};
use crate::store::transfer::{
    Cell, EndState, Kind, Numbers, OWN_MARKS, PAGE_BYTES, PAGE_ROWS, Record, Role, Row, Table, TransferEnd,
};
use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, Transaction, TransactionBehavior, params_from_iter};
use std::path::Path;

/// One end of a move.
pub struct SqliteEnd {
    /// `None` while a call has it.
    connection: Option<Connection>,
    _file: OpenedFile,
}

impl SqliteEnd {
    /// Opens the file, whatever it is closed for. `None`: there is none. Blocks.
    ///
    /// # Errors
    /// As of [`super::SqliteStore::open`].
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let Some((connection, file)) = open::open_for_transfer(path)? else {
            return Ok(None);
        };
        // Few rows are read again, and a log that only grows would double the file.
        connection.execute_batch("PRAGMA wal_autocheckpoint = 2000; PRAGMA synchronous = FULL;")?;
        Ok(Some(Self {
            connection: Some(connection),
            _file: file,
        }))
    }

    /// Calls `run` in a transaction, on a thread that may block.
    async fn run<R: Send + 'static>(
        &mut self,
        run: impl FnOnce(&Connection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let mut connection = self.connection.take().ok_or_else(abandoned)?;
        let task = tokio::task::spawn_blocking(move || {
            let outcome = in_transaction(&mut connection, run);
            (connection, outcome)
        });
        let (connection, outcome) = task.await.map_err(|error| abandoned().with_source(error))?;
        self.connection = Some(connection);
        outcome
    }
}

fn in_transaction<R>(connection: &mut Connection, run: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let result = run(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

fn abandoned() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "a call of this move was abandoned; begin it again",
    )
}

fn own_marks() -> String {
    OWN_MARKS.map(|name| format!("'{name}'")).join(", ")
}

/// Where the rows of a table come from.
fn source(table: &Table) -> String {
    match table.name {
        "marks" => format!("(SELECT * FROM marks WHERE name NOT IN ({}))", own_marks()),
        "counters" => "(SELECT * FROM counters WHERE n <> 0)".to_owned(),
        "keys" => "(SELECT * FROM keys WHERE kind = 0)".to_owned(),
        name => name.to_owned(),
    }
}

/// A generated id is a blob here, and another one a text in the same column.
fn has_ids(table: &Table) -> bool {
    table.columns.iter().any(|(_, kind)| *kind == Kind::Id)
}

fn expression(table: &Table, (column, kind): (&str, Kind)) -> String {
    match column {
        _ if kind == Kind::Id => "CASE typeof(id) WHEN 'blob' THEN lower(hex(id)) END".to_owned(),
        "name" if has_ids(table) => "CASE typeof(id) WHEN 'text' THEN id END".to_owned(),
        _ => format!("\"{column}\""),
    }
}

fn select(table: &Table, from_the_first: bool) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| expression(table, *column)).collect();
    let key: Vec<String> = table
        .key
        .iter()
        .filter_map(|at| table.columns.get(*at))
        .map(|(column, _)| format!("\"{column}\""))
        .collect();
    let key = key.join(", ");
    let behind = if from_the_first {
        String::new()
    } else {
        let places: Vec<String> = (1..=table.key.len()).map(|number| format!("?{number}")).collect();
        format!("WHERE ({key}) > ({})", places.join(", "))
    };
    format!(
        "SELECT {} FROM {} {behind} ORDER BY {key} LIMIT {PAGE_ROWS}",
        columns.join(", "),
        source(table)
    )
}

fn insert(table: &Table) -> String {
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    let mut id = None;
    for (at, (column, kind)) in table.columns.iter().enumerate() {
        let place = format!("?{}", at + 1);
        match *column {
            _ if *kind == Kind::Id => id = Some(place),
            "name" if has_ids(table) => {
                columns.push("id".to_owned());
                let generated = id.take().unwrap_or_else(|| "NULL".to_owned());
                values.push(format!("coalesce(unhex({generated}), {place})"));
            }
            _ => {
                columns.push(format!("\"{column}\""));
                values.push(place);
            }
        }
    }
    if table.name == "keys" {
        columns.push("kind, running, owed, jobs".to_owned());
        values.push("0, 0, 0, 0".to_owned());
    }
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.becomes,
        columns.join(", "),
        values.join(", ")
    )
}

fn read(row: &rusqlite::Row<'_>, table: &Table) -> Result<Row> {
    let mut cells = Vec::with_capacity(table.columns.len());
    for at in 0..table.columns.len() {
        cells.push(match row.get_ref(at)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into()),
            ValueRef::Real(_) | ValueRef::Blob(_) => {
                let message = format!(
                    "the table `{}` holds what no store writes; look at it with `ductape doctor`",
                    table.name
                );
                return Err(Error::new(ErrorCode::StoreCorrupt, message));
            }
        });
    }
    Ok(cells)
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

#[async_trait]
impl TransferEnd for SqliteEnd {
    async fn state(&mut self) -> Result<EndState> {
        self.run(|connection| {
            Ok(EndState {
                record: record(connection)?,
                closed: migrate::is_closed(connection)?,
            })
        })
        .await
    }

    async fn processes(&mut self) -> Result<(i64, i64)> {
        self.run(|connection| {
            Ok(
                connection.query_row("SELECT count(*), coalesce(sum(lease), 0) FROM instances", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?,
            )
        })
        .await
    }

    async fn close_for(&mut self, record: &Record) -> Result<()> {
        let record = record.clone();
        self.run(move |connection| {
            // Another move may have been faster.
            if migrate::is_closed(connection)? {
                return Err(migrate::moved(connection));
            }
            let busy: bool = connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM instances) OR EXISTS (SELECT 1 FROM running)",
                [],
                |row| row.get(0),
            )?;
            if busy {
                return Err(Error::new(
                    ErrorCode::StoreError,
                    "a process works on it; stop it first, and move the store then",
                ));
            }
            if record.role == Role::Target {
                connection.execute_batch(&format!(
                    "DELETE FROM marks WHERE name NOT IN ({}); DELETE FROM counters;",
                    own_marks()
                ))?;
            }
            remember(connection, &record)?;
            migrate::close(connection)
        })
        .await
    }

    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        self.run(|connection| {
            let query = format!("SELECT count(*) FROM {}", source(table));
            let count: i64 = connection.prepare_cached(&query)?.query_row([], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }

    async fn rows(&mut self, table: &'static Table, after: &[Cell]) -> Result<Vec<Row>> {
        let after = after.to_vec();
        self.run(move |connection| {
            let mut select = connection.prepare_cached(&select(table, after.is_empty()))?;
            let mut found = select.query(params_from_iter(&after))?;
            let (mut rows, mut bytes) = (Vec::new(), 0);
            while bytes < PAGE_BYTES
                && let Some(row) = found.next()?
            {
                let row = read(row, table)?;
                bytes += row.iter().map(Cell::bytes).sum::<usize>();
                rows.push(row);
            }
            Ok(rows)
        })
        .await
    }

    async fn write(&mut self, table: &'static Table, rows: Vec<Row>, before: &Record, after: &Record) -> Result<()> {
        let (before, after) = (before.clone(), after.clone());
        self.run(move |connection| {
            before.expect(record(connection)?.as_ref())?;
            let mut insert = connection.prepare_cached(&insert(table))?;
            for row in &rows {
                insert.execute(params_from_iter(row))?;
            }
            remember(connection, &after)
        })
        .await
    }

    async fn numbers(&mut self) -> Result<Numbers> {
        self.run(|connection| {
            let number = |query: &str| -> Result<i64> { Ok(connection.query_row(query, [], |row| row.get(0))?) };
            Ok(Numbers {
                job: number("SELECT last_job FROM numbers")?,
                key: number("SELECT coalesce(max(id), 0) FROM keys")?,
                webhook: number("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'webhooks'")?,
                event: number("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'")?,
                step: number("SELECT coalesce(max(number), 0) FROM steps")?,
            })
        })
        .await
    }

    async fn open_with(&mut self, numbers: Numbers, before: &Record, after: &Record) -> Result<()> {
        let (before, after) = (before.clone(), after.clone());
        self.run(move |connection| {
            before.expect(record(connection)?.as_ref())?;
            let last_job: i64 = connection.query_row("SELECT coalesce(max(seq), 0) FROM jobs", [], |row| row.get(0))?;
            connection.execute("UPDATE numbers SET last_job = ?1", [numbers.job.max(last_job)])?;
            for (table, number) in [("webhooks", numbers.webhook), ("outbox", numbers.event)] {
                connection.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [table])?;
                connection.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
                    (table, number),
                )?;
            }
            connection.execute_batch(
                "UPDATE keys SET jobs = counted.n
                 FROM (SELECT key, count(*) AS n FROM jobs WHERE key IS NOT NULL GROUP BY key) AS counted
                 WHERE keys.id = counted.key;
                 DELETE FROM keys WHERE jobs = 0;",
            )?;
            remember(connection, &after)?;
            migrate::reopen(connection)
        })
        .await
    }

    async fn remember(&mut self, before: &Record, after: Option<&Record>) -> Result<()> {
        let (before, after) = (before.clone(), after.cloned());
        self.run(move |connection| {
            before.expect(record(connection)?.as_ref())?;
            if let Some(after) = &after {
                return remember(connection, after);
            }
            forget(connection)?;
            migrate::reopen(connection)
        })
        .await
    }
}
