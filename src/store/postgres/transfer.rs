//! A schema as one end of a move: its tables, whoever else may be connected.
//!
//! Knows no job. Invariant: each table of a closed store refuses whatever changes it, by a trigger, but for who names the move in
//! its transaction; and its schema has a version that no process takes.

use super::Address;
use super::failure::{DbResult, Failure};
use super::migrate::{self, TABLES as ALL_TABLES};
use super::move_record::{CLOSED, locked_record, record, remember};
use super::param::Param;
use super::session::{Connector, Session, in_schema};
use crate::error::{Error, ErrorCode, Result};
use crate::store::transfer::{
    Cell, EndState, Kind, MARK, Numbers, OWN_MARKS, PAGE_BYTES, PAGE_ROWS, Record, Role, Row, TABLES, Table,
    TransferEnd,
};
use async_trait::async_trait;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Longest wait for the server's answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for one statement: counting takes its time.
const STATEMENT_LIMIT: Duration = Duration::from_secs(600);

const DELETE_MARK: &str = "DELETE FROM ductape.marks WHERE name = $1";
const DELETE_OTHER_MARKS: &str = "DELETE FROM ductape.marks WHERE name <> ALL ($1)";
const DELETE_COUNTERS: &str = "DELETE FROM ductape.counters";
const NAME_MOVE: &str = "SELECT set_config('ductape_move.id', $1, true)";
const SELECT_PROCESSES: &str = "SELECT count(*), coalesce(sum(lease), 0)::bigint FROM ductape.instances";
const SELECT_BUSY: &str = "SELECT EXISTS (SELECT FROM ductape.instances) OR EXISTS (SELECT FROM ductape.running)";
const INSERT_VERSION: &str = "INSERT INTO ductape.versions (number) VALUES ($1) ON CONFLICT DO NOTHING";
const DELETE_VERSION: &str = "DELETE FROM ductape.versions WHERE number = $1";
const SELECT_NUMBERS: &str = "SELECT (SELECT last_value - (NOT is_called)::int FROM ductape.job_numbers), \
    (SELECT coalesce(max(id), 0) FROM ductape.keys), (SELECT coalesce(max(number), 0) FROM ductape.webhooks), \
    (SELECT coalesce(max(seq), 0) FROM ductape.outbox), (SELECT coalesce(max(number), 0) FROM ductape.steps)";
/// The last numbers of identity columns: of rows that are gone, too.
const SELECT_LAST_VALUE: &str = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass), 0)";
const SET_JOB_NUMBER: &str = "SELECT setval('ductape.job_numbers', greatest($1, (SELECT coalesce(max(seq), 0) FROM ductape.jobs), 1), \
    greatest($1, (SELECT coalesce(max(seq), 0) FROM ductape.jobs)) > 0)";
const SET_SEQUENCE: &str = "SELECT setval(pg_get_serial_sequence($1, $2)::regclass, greatest($3, 1), $3 > 0)";
/// Fails for everyone who does not name the move.
const CREATE_REFUSAL: &str = "CREATE OR REPLACE FUNCTION ductape.refuse_change() RETURNS trigger \
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
    DECLARE
        move_ json := (SELECT value::json FROM ductape.marks WHERE name = 'move');
    BEGIN
        IF move_ ->> 'id' = current_setting('ductape_move.id', true) THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the store takes no work: it is moved % %',
            CASE move_ ->> 'role' WHEN 'source' THEN 'to' ELSE 'here from' END, move_ ->> 'peer'
            USING ERRCODE = 'DTR02', HINT = 'see ductape move';
    END
    $body$";

/// The statements for one table.
struct Statements {
    first: String,
    next: String,
    count: String,
    insert: String,
}

static STATEMENTS: LazyLock<Vec<Statements>> = LazyLock::new(|| {
    TABLES
        .iter()
        .map(|table| Statements {
            first: select(table, true),
            next: select(table, false),
            count: format!("SELECT count(*) FROM {} AS counted", source(table)),
            insert: insert(table),
        })
        .collect()
});

fn statements(table: &Table) -> Result<&'static Statements> {
    let at = TABLES
        .iter()
        .position(|each| std::ptr::eq(each, table) || each.name == table.name);
    let missing = || {
        Error::new(
            ErrorCode::StoreError,
            "a table of this move is unknown; please report it",
        )
    };
    at.and_then(|at| STATEMENTS.get(at)).ok_or_else(missing)
}

/// Tables whose triggers keep a closed store as it is.
fn guarded() -> impl Iterator<Item = &'static str> {
    ALL_TABLES.into_iter().filter(|name| *name != "job_numbers")
}

/// Where the rows of a table come from.
fn source(table: &Table) -> String {
    match table.name {
        "marks" => {
            let own = OWN_MARKS.map(|name| format!("'{name}'")).join(", ");
            format!("(SELECT * FROM ductape.marks WHERE name NOT IN ({own}))")
        }
        "counters" => {
            "(SELECT route, kind, sum(n)::bigint AS n FROM ductape.counters GROUP BY route, kind HAVING sum(n) <> 0)"
                .to_owned()
        }
        name => format!("ductape.{name}"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// A page: rows up to a number, and of these those that begin within so many bytes.
fn select(table: &Table, from_the_first: bool) -> String {
    let columns = list(table.columns.iter().map(|(column, kind)| match kind {
        Kind::Long | Kind::Text => format!("\"{column}\""),
        Kind::Short => format!("\"{column}\"::bigint"),
        Kind::Flag => format!("\"{column}\"::integer::bigint"),
        Kind::Id => format!("replace(\"{column}\"::text, '-', '')"),
    }));
    let keys: Vec<(&str, Kind)> = table
        .key
        .iter()
        .filter_map(|at| table.columns.get(*at).copied())
        .collect();
    let key = list(keys.iter().map(|(column, _)| format!("\"{column}\"")));
    let behind = if from_the_first {
        String::new()
    } else {
        let places = list(keys.iter().zip(1..).map(|((_, kind), number)| match kind {
            Kind::Short => format!("${number}::bigint::integer"),
            _ => format!("${number}"),
        }));
        format!("WHERE ({key}) > ({places})")
    };
    let texts: Vec<String> = table
        .columns
        .iter()
        .filter(|(_, kind)| *kind == Kind::Text)
        .map(|(column, _)| format!("coalesce(octet_length(\"{column}\"), 0)"))
        .collect();
    let from = source(table);
    if texts.is_empty() {
        return format!("SELECT {columns} FROM {from} AS t {behind} ORDER BY {key} LIMIT {PAGE_ROWS}");
    }
    format!(
        "SELECT {columns} FROM (SELECT *, sum(bytes_) OVER (ORDER BY {key}) - bytes_ AS before_ FROM (SELECT *, {} AS bytes_ \
         FROM {from} AS t {behind} ORDER BY {key} LIMIT {PAGE_ROWS}) AS page) AS p WHERE before_ < {PAGE_BYTES} ORDER BY {key}",
        texts.join(" + ")
    )
}

fn insert(table: &Table) -> String {
    let mut columns = list(table.columns.iter().map(|(column, _)| format!("\"{column}\"")));
    let mut values = list(table.columns.iter().map(|(column, kind)| match kind {
        Kind::Long | Kind::Text => format!("r.\"{column}\""),
        Kind::Short => format!("r.\"{column}\"::integer"),
        Kind::Flag => format!("r.\"{column}\" <> 0"),
        Kind::Id => format!("r.\"{column}\"::uuid"),
    }));
    let lists = list(table.columns.iter().zip(1..).map(|((_, kind), number)| match kind {
        Kind::Text | Kind::Id => format!("${number}::text[]"),
        _ => format!("${number}::bigint[]"),
    }));
    let names = list(table.columns.iter().map(|(column, _)| format!("\"{column}\"")));
    match table.becomes {
        "scheduled" | "ready" => {
            columns.push_str(", recurring");
            values.push_str(", (SELECT j.recurring FROM ductape.jobs AS j WHERE j.seq = r.job)");
        }
        "routes" => {
            columns.push_str(", added");
            values.push_str(", (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + r.id");
        }
        _ => {}
    }
    format!(
        "INSERT INTO ductape.{} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM unnest({lists}) AS r ({names})",
        table.becomes
    )
}

/// One end of a move.
pub struct PostgresEnd {
    session: Session,
}

impl PostgresEnd {
    /// Connects. `None`: the schema holds no store. Must be called within a runtime.
    ///
    /// # Errors
    /// As of [`super::PostgresStore::open`].
    pub async fn open(address: Address) -> Result<Option<Self>> {
        let connector = Arc::new(Connector::new(address, true)?);
        let session = connector
            .connect(CONNECT_LIMIT, |_| {})
            .await
            .map_err(Failure::into_error)?;
        let exists = migrate::exists(&session).await.map_err(Failure::into_error)?;
        Ok(exists.then_some(Self { session }))
    }
}

/// Runs a verb in a transaction, which names the move if it is given.
macro_rules! in_transaction {
    ($end:expr, $name:expr, |$session:ident| $verb:expr) => {{
        let $session = &$end.session;
        let verb = async {
            begin($session, $name).await?;
            let answer = $verb.await?;
            $session.run("COMMIT").await?;
            DbResult::Ok(answer)
        };
        match tokio::time::timeout(STATEMENT_LIMIT, verb).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => {
                let _ = $session.run("ROLLBACK").await;
                Err(failure.into_error())
            }
            Err(_) => Err(Failure::TimedOut(STATEMENT_LIMIT).into_error()),
        }
    }};
}

async fn run(session: &Session, sql: &str) -> DbResult<()> {
    session.run(&named(session, sql)).await
}

/// A text with the schema's name.
fn named(session: &Session, text: &str) -> String {
    in_schema(text, &session.connector().address.quoted_schema())
}

async fn begin(session: &Session, name: Option<&str>) -> DbResult<()> {
    session.begin().await?;
    session.run("SET LOCAL statement_timeout = 0").await?;
    if let Some(name) = name {
        session.query(NAME_MOVE, &[&name]).await?;
    }
    Ok(())
}

async fn close_for(session: &Session, record: &Record) -> DbResult<()> {
    // Waits for the transactions of others, and lets none write from here on.
    let tables = list(guarded().map(|name| format!("ductape.{name}")));
    run(session, &format!("LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")).await?;
    // Another move may have been faster.
    if migrate::is_closed(session).await?
        && let Some(closed) = self::record(session).await?
    {
        return Err(closed.refusal(&session.connector().address.label()).into());
    }
    let busy: bool = match session.query_opt(SELECT_BUSY, &[]).await? {
        Some(row) => row.try_get(0)?,
        None => true,
    };
    if busy {
        let error = Error::new(
            ErrorCode::StoreError,
            "a process works on it; stop it first, and move the store then",
        );
        return Err(error.into());
    }
    if record.role == Role::Target {
        session.execute(DELETE_OTHER_MARKS, &[&OWN_MARKS.to_vec()]).await?;
        session.execute(DELETE_COUNTERS, &[]).await?;
    }
    remember(session, record).await?;
    run(session, CREATE_REFUSAL).await?;
    for table in guarded() {
        run(
            session,
            &format!(
                "CREATE TRIGGER refuse_change BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ductape.{table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION ductape.refuse_change()"
            ),
        )
        .await?;
    }
    session.execute(INSERT_VERSION, &[&CLOSED]).await?;
    Ok(())
}

async fn take_work_again(session: &Session) -> DbResult<()> {
    for table in guarded() {
        run(
            session,
            &format!("DROP TRIGGER IF EXISTS refuse_change ON ductape.{table}"),
        )
        .await?;
    }
    run(session, "DROP FUNCTION IF EXISTS ductape.refuse_change()").await?;
    session.execute(DELETE_VERSION, &[&CLOSED]).await?;
    Ok(())
}

async fn count(session: &Session, query: &'static str) -> DbResult<u64> {
    let row = session.query_opt(query, &[]).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn rows(session: &Session, table: &Table, after: &[Cell]) -> DbResult<Vec<Row>> {
    let statements = statements(table)?;
    let query = if after.is_empty() {
        &statements.first
    } else {
        &statements.next
    };
    let key: Vec<Box<dyn Param>> = after
        .iter()
        .map(|cell| -> Box<dyn Param> {
            match cell {
                Cell::Null => Box::new(None::<i64>),
                Cell::Integer(number) => Box::new(*number),
                Cell::Text(text) => Box::new(text.clone()),
            }
        })
        .collect();
    let key: Vec<&dyn Param> = key.iter().map(|param| &**param).collect();
    let found = session.query(query, &key).await?;
    found.iter().map(|row| read(row, table)).collect()
}

fn read(row: &tokio_postgres::Row, table: &Table) -> DbResult<Row> {
    let mut cells = Vec::with_capacity(table.columns.len());
    for (at, (_, kind)) in table.columns.iter().enumerate() {
        cells.push(match kind {
            Kind::Text | Kind::Id => row.try_get::<_, Option<Box<str>>>(at)?.map_or(Cell::Null, Cell::Text),
            _ => row.try_get::<_, Option<i64>>(at)?.map_or(Cell::Null, Cell::Integer),
        });
    }
    Ok(cells)
}

async fn write(session: &Session, table: &Table, rows: &[Row], before: &Record, after: &Record) -> DbResult<()> {
    before.expect(locked_record(session).await?.as_ref())?;
    let lists: Vec<Box<dyn Param + '_>> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, (_, kind))| -> Box<dyn Param + '_> {
            let cells = rows.iter().map(|row| row.get(at).unwrap_or(&Cell::Null));
            match kind {
                Kind::Text | Kind::Id => Box::new(cells.map(text).collect::<Vec<Option<&str>>>()),
                _ => Box::new(cells.map(integer).collect::<Vec<Option<i64>>>()),
            }
        })
        .collect();
    let lists: Vec<&dyn Param> = lists.iter().map(|list| &**list as &dyn Param).collect();
    session.execute(&statements(table)?.insert, &lists).await?;
    remember(session, after).await
}

fn text(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Integer(number) => Some(*number),
        _ => None,
    }
}

/// The last numbers of `webhooks`, `outbox` and `steps`.
const IDENTITIES: [(&str, &str); 4] = [
    ("ductape.keys", "id"),
    ("ductape.webhooks", "number"),
    ("ductape.outbox", "seq"),
    ("ductape.steps", "number"),
];

async fn last_value(session: &Session, (table, column): (&str, &str)) -> DbResult<i64> {
    let table = named(session, table);
    let row = session.query_opt(SELECT_LAST_VALUE, &[&table, &column]).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get(0))?)
}

async fn numbers(session: &Session) -> DbResult<Numbers> {
    let Some(row) = session.query_opt(SELECT_NUMBERS, &[]).await? else {
        return Ok(Numbers::default());
    };
    let mut numbers = Numbers {
        job: row.try_get(0)?,
        key: row.try_get(1)?,
        webhook: row.try_get(2)?,
        event: row.try_get(3)?,
        step: row.try_get(4)?,
    };
    let [key, webhook, event, step] = IDENTITIES;
    numbers.key = numbers.key.max(last_value(session, key).await?);
    numbers.webhook = numbers.webhook.max(last_value(session, webhook).await?);
    numbers.event = numbers.event.max(last_value(session, event).await?);
    numbers.step = numbers.step.max(last_value(session, step).await?);
    Ok(numbers)
}

async fn open_with(session: &Session, numbers: Numbers, before: &Record, after: &Record) -> DbResult<()> {
    before.expect(locked_record(session).await?.as_ref())?;
    session.query(SET_JOB_NUMBER, &[&numbers.job]).await?;
    let last = [numbers.key, numbers.webhook, numbers.event, numbers.step];
    for ((table, column), number) in IDENTITIES.into_iter().zip(last) {
        let table = named(session, table);
        session.query(SET_SEQUENCE, &[&table, &column, &number]).await?;
    }
    remember(session, after).await?;
    take_work_again(session).await
}

#[async_trait]
impl TransferEnd for PostgresEnd {
    fn lacks_nul(&self) -> bool {
        true
    }

    async fn state(&mut self) -> Result<EndState> {
        in_transaction!(self, None, |session| async {
            DbResult::Ok(EndState {
                record: record(session).await?,
                closed: migrate::is_closed(session).await?,
            })
        })
    }

    async fn processes(&mut self) -> Result<(i64, i64)> {
        in_transaction!(self, None, |session| async {
            let row = session.query_opt(SELECT_PROCESSES, &[]).await?;
            DbResult::Ok(row.map_or(Ok((0, 0)), |row| {
                row.try_get(0).and_then(|count| Ok((count, row.try_get(1)?)))
            })?)
        })
    }

    async fn close_for(&mut self, record: &Record) -> Result<()> {
        in_transaction!(self, Some(&record.id), |session| close_for(session, record))
    }

    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        let query = &statements(table)?.count;
        in_transaction!(self, None, |session| count(session, query))
    }

    async fn rows(&mut self, table: &'static Table, after: &[Cell]) -> Result<Vec<Row>> {
        in_transaction!(self, None, |session| rows(session, table, after))
    }

    async fn write(&mut self, table: &'static Table, rows: Vec<Row>, before: &Record, after: &Record) -> Result<()> {
        in_transaction!(self, Some(&before.id), |session| write(
            session, table, &rows, before, after
        ))
    }

    async fn numbers(&mut self) -> Result<Numbers> {
        in_transaction!(self, None, |session| numbers(session))
    }

    async fn open_with(&mut self, numbers: Numbers, before: &Record, after: &Record) -> Result<()> {
        in_transaction!(self, Some(&before.id), |session| open_with(
            session, numbers, before, after
        ))?;
        // Only the planner's guesses: whatever keeps this from being done does no harm.
        for table in guarded() {
            let _ = run(&self.session, &format!("ANALYZE ductape.{table}")).await;
        }
        Ok(())
    }

    async fn remember(&mut self, before: &Record, after: Option<&Record>) -> Result<()> {
        in_transaction!(self, Some(&before.id), |session| async {
            before.expect(locked_record(session).await?.as_ref())?;
            if let Some(after) = after {
                return remember(session, after).await;
            }
            session.execute(DELETE_MARK, &[&MARK]).await?;
            take_work_again(session).await
        })
    }
}
