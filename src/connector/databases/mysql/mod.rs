//! MySQL and MariaDB. Statements are prepared; types of columns are read from the server's catalogue, since parameters are
//! untyped.
//!
//! Invariants: when a session is dropped during a statement, the statement is killed on the server and the connection
//! closed; times are UTC; values are never truncated.

mod address;
mod cell;
mod failure;

use self::failure::{failure, of_statement};
use super::backend::{Backend, leaves_session_unchanged};
use super::dates::TimestampStyle;
use super::dialect::Dialect;
use super::name::Table;
use super::plan::{Plan, Statement};
use super::pool::{ConnectionPermit, Pool};
use super::rows::{Outcome, RowWriter, refuse_same_names};
use super::value::{Kind, Kinds};
use crate::connector::Failure;
use crate::connector::limits::DATABASE_CONNECT_TIMEOUT;
use crate::text::spelling::truncated;
use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, Opts, Params, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Timeout for killing the statement of a dropped session.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle time after which a connection is pinged before use.
const PING_AFTER_IDLE: Duration = Duration::from_millis(500);

/// Longest wait for a session to be as it was.
const RESET_TIMEOUT: Duration = Duration::from_secs(2);
/// Without strict mode the server truncates values with a mere warning; without the length, what GROUP_CONCAT makes.
/// MariaDB rounds fractions of a second only if it is told to, as the others do.
const SETTINGS: &str =
    "SET time_zone = '+00:00', group_concat_max_len = 4194304, sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";
const MARIADB_SETTINGS: &str = "SET time_zone = '+00:00', group_concat_max_len = 4194304, sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,TIME_ROUND_FRACTIONAL')";

fn settings(is_mariadb: bool) -> &'static str {
    if is_mariadb { MARIADB_SETTINGS } else { SETTINGS }
}

/// A MySQL or MariaDB database.
pub(super) struct MySql {
    opts: Opts,
    pool: Arc<Pool<Session>>,
}

/// A connection and its session state.
struct Session {
    conn: Conn,
    is_mariadb: bool,
    /// The statement timeout that was set, ms; 0: none.
    timeout: u128,
}

/// A session in use.
struct LeasedSession {
    session: Option<(Session, ConnectionPermit<Session>)>,
    opts: Opts,
    /// Whether a statement may be running on the server.
    busy: bool,
}

impl Drop for LeasedSession {
    fn drop(&mut self) {
        let Some((session, permit)) = self.session.take().filter(|_| self.busy) else {
            return;
        };
        let (id, opts) = (session.conn.id(), self.opts.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let kill = async {
                    let mut conn = Conn::new(opts).await?;
                    conn.query_drop(format!("KILL QUERY {id}")).await?;
                    conn.disconnect().await
                };
                let _ = tokio::time::timeout(KILL_TIMEOUT, kill).await;
                drop(session);
                drop(permit);
            });
        }
    }
}

impl LeasedSession {
    fn session(&mut self) -> Result<&mut Session, Failure> {
        let leased = self.session.as_mut().map(|(session, _)| session);
        leased.ok_or_else(|| Failure::connection("MySQL: the connection was lost"))
    }
}

impl MySql {
    pub(super) fn new(url: &str, ca: Option<&str>, connections: usize) -> Result<Self, Failure> {
        Ok(Self {
            opts: address::read(url, ca)?,
            pool: Arc::new(Pool::new(connections)),
        })
    }

    async fn connect(&self) -> Result<Session, Failure> {
        let late = || {
            Failure::connection(format!(
                "MySQL: no answer within {} s",
                DATABASE_CONNECT_TIMEOUT.as_secs()
            ))
        };
        let connecting = async {
            let mut conn = Conn::new(self.opts.clone()).await?;
            let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
            let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
            conn.query_drop(settings(is_mariadb)).await?;
            Ok(Session {
                is_mariadb,
                conn,
                timeout: 0,
            })
        };
        let connected = tokio::time::timeout(DATABASE_CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| late())?;
        connected.map_err(|error: mysql_async::Error| failure(&error))
    }

    async fn lease_session(&self) -> Result<LeasedSession, Failure> {
        let mut permit = self.pool.acquire().await?;
        let session = match permit.used.take() {
            Some((session, since)) => ping_if_idle(session, since).await,
            None => None,
        };
        let session = match session {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(LeasedSession {
            session: Some((session, permit)),
            opts: self.opts.clone(),
            busy: false,
        })
    }

    fn give_back(&self, leased: &mut LeasedSession) {
        if let Some((session, permit)) = leased.session.take()
            && !session.conn.is_disconnected()
        {
            self.pool.give_back(session, permit);
        }
    }
}

/// The session, unless it was idle and its ping fails.
async fn ping_if_idle(mut session: Session, since: Instant) -> Option<Session> {
    if since.elapsed() > PING_AFTER_IDLE {
        tokio::time::timeout(DATABASE_CONNECT_TIMEOUT, session.conn.ping())
            .await
            .ok()?
            .ok()?;
    }
    Some(session)
}

impl Session {
    async fn set_statement_timeout(&mut self, timeout: Duration) -> Result<(), Failure> {
        let wanted = timeout.as_millis().clamp(1, 31_536_000_000);
        if self.timeout == wanted {
            return Ok(());
        }
        let setting = if self.is_mariadb {
            format!("SET max_statement_time = {}.{:03}", wanted / 1_000, wanted % 1_000)
        } else {
            // Limits SELECT statements only; others end with the attempt.
            format!("SET max_execution_time = {}", wanted.min(u32::MAX.into()))
        };
        self.conn.query_drop(setting).await.map_err(|error| failure(&error))?;
        self.timeout = wanted;
        Ok(())
    }

    /// Runs all statements, in a transaction if there are several.
    async fn execute(&mut self, plan: &Plan) -> Result<Outcome, Failure> {
        let several = plan.statements.len() > 1;
        let mut outcome = Outcome {
            rows: None,
            changed: 0,
            id: None,
        };
        if several {
            self.conn.query_drop("BEGIN").await.map_err(|error| failure(&error))?;
        }
        for statement in &plan.statements {
            self.run(plan, statement, &mut outcome).await?;
        }
        if several {
            self.conn.query_drop("COMMIT").await.map_err(|error| failure(&error))?;
        }
        Ok(outcome)
    }

    async fn run(&mut self, plan: &Plan, statement: &Statement, outcome: &mut Outcome) -> Result<(), Failure> {
        let values = statement
            .values
            .iter()
            .map(|bound| Ok(cell::value(bound.scalar(TimestampStyle::Micros)?)));
        let values: Vec<Value> = values.collect::<Result<_, Failure>>()?;
        let params = if values.is_empty() {
            Params::Empty
        } else {
            Params::Positional(values)
        };
        if plan.raw {
            // A part of what follows, which says the columns before anything is done.
            let prepared = self.conn.prep(statement.sql.as_str()).await;
            let prepared = prepared.map_err(|error| of_statement(&error, statement))?;
            refuse_same_columns(&prepared.columns())?;
        }
        let answer = self.conn.exec_iter(statement.sql.as_str(), params).await;
        let mut answer = answer.map_err(|error| of_statement(&error, statement))?;
        outcome.changed += answer.affected_rows();
        if let Some(id) = answer.last_insert_id().filter(|id| *id > 0) {
            outcome.id = Some(id.into());
        }
        let columns = answer.columns().filter(|columns| !columns.is_empty());
        let mut wanted = columns.is_some();
        if wanted && outcome.rows.is_none() {
            outcome.rows = Some(RowWriter::new(plan.shape));
        }
        let columns = columns.unwrap_or_default();
        if plan.raw {
            // Those of procedures, and of MariaDB's RETURNING, are known only now.
            refuse_same_columns(&columns).map_err(|failure| Failure {
                message: format!("{} (the statement has been run)", failure.message),
                ..failure
            })?;
        }
        let described: Vec<(String, Kind)> = columns
            .iter()
            .map(|column| {
                let name = column.name_str().into_owned();
                let kind = plan.kinds.get(&name).unwrap_or_default();
                (name, kind)
            })
            .collect();
        // Read to the end, including unwanted rows, so that the connection can be reused.
        while let Some(row) = answer.next().await.map_err(|error| of_statement(&error, statement))? {
            let Some(rows) = outcome.rows.as_mut().filter(|_| wanted) else {
                continue;
            };
            wanted = rows.begin();
            if !wanted {
                continue;
            }
            for (index, ((name, kind), column)) in described.iter().zip(columns.iter()).enumerate() {
                let cell = row.as_ref(index).unwrap_or(&Value::NULL);
                if let Value::Double(number) = cell {
                    statement.guards.check_sum(name, *number)?;
                }
                rows.cell(name, |out| cell::write(out, cell, column, *kind));
            }
            wanted = rows.end();
        }
        Ok(())
    }

    /// Reads the columns of a table from the catalogue.
    async fn kinds(&mut self, table: &Table) -> mysql_async::Result<Kinds> {
        let of_table = "table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
        let names = || (table.schema.as_deref(), &*table.name);
        let sql =
            format!("SELECT column_name, data_type, column_type FROM information_schema.columns WHERE {of_table}");
        let columns: Vec<(String, String, String)> = self.conn.exec(sql, names()).await?;
        let mut json: Vec<String> = Vec::new();
        if self.is_mariadb {
            let sql = "SELECT check_clause FROM information_schema.check_constraints \
                 WHERE constraint_schema = COALESCE(?, DATABASE()) AND table_name = ?";
            let checks: Vec<String> = self.conn.exec(sql, names()).await?;
            let column = |check: &String| {
                let name = check.strip_prefix("json_valid(`")?.strip_suffix("`)")?;
                Some(name.replace("``", "`"))
            };
            json = checks.iter().filter_map(column).collect();
        }
        let kinds = columns.into_iter().map(|(name, data, full)| {
            let kind = if json.contains(&name) {
                Kind::Json
            } else {
                kind(&data, &full)
            };
            (name, kind)
        });
        Ok(Kinds::new(kinds))
    }
}

fn refuse_same_columns(columns: &[Column]) -> Result<(), Failure> {
    let names: Vec<_> = columns.iter().map(Column::name_str).collect();
    refuse_same_names(names.iter().map(|name| &**name))
}

fn kind(data: &str, full: &str) -> Kind {
    match data.to_ascii_lowercase().as_str() {
        "tinyint" if full.to_ascii_lowercase().starts_with("tinyint(1)") => Kind::Bool,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Kind::Integer,
        "year" => Kind::Year,
        "enum" | "set" => Kind::Choice {
            of_numbers: full
                .split('\'')
                .skip(1)
                .step_by(2)
                .any(|word| word.trim().parse::<f64>().is_ok()),
        },
        "decimal" => Kind::Decimal,
        "float" | "double" => Kind::Float,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "uuid" | "inet4" | "inet6" => Kind::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "datetime" | "timestamp" => Kind::Timestamp,
        "json" => Kind::Json,
        _ => Kind::Any,
    }
}

/// Takes back what a job's own SQL may have changed for the next one, whatever it began with: variables, locks, temporary
/// tables. `false`: it did not work out.
async fn reset(leased: &mut LeasedSession) -> bool {
    let Ok(session) = leased.session() else { return false };
    let resetting = async {
        let was_reset = session.conn.reset().await?;
        session.conn.query_drop(settings(session.is_mariadb)).await?;
        Ok::<_, mysql_async::Error>(was_reset)
    };
    let done = tokio::time::timeout(RESET_TIMEOUT, resetting).await;
    session.timeout = 0;
    matches!(done, Ok(Ok(true)))
}

#[async_trait]
impl Backend for MySql {
    fn dialect(&self) -> Dialect {
        Dialect::MySql
    }

    async fn kinds(&self, table: &Table) -> Result<Kinds, Failure> {
        let mut leased = self.lease_session().await?;
        leased.busy = true;
        let kinds = leased.session()?.kinds(table).await.map_err(|error| failure(&error));
        leased.busy = false;
        let kinds = kinds?;
        self.give_back(&mut leased);
        if kinds.is_empty() {
            let name = truncated(&table.name);
            return Err(Failure::not_found(format!("MySQL: there is no table '{name}'")));
        }
        Ok(kinds)
    }

    async fn run(&self, plan: Plan, timeout: Duration) -> Result<Outcome, Failure> {
        let mut leased = self.lease_session().await?;
        leased.busy = true;
        let ran = async {
            let session = leased.session()?;
            session.set_statement_timeout(timeout).await?;
            session.execute(&plan).await
        };
        let ran = ran.await;
        leased.busy = false;
        // A failed transaction is still open; closing the connection rolls it back.
        let clean = match &ran {
            Ok(_) => {
                !plan.raw
                    || plan
                        .statements
                        .iter()
                        .all(|statement| leaves_session_unchanged(&statement.sql))
            }
            Err(_) => !plan.raw && plan.statements.len() < 2,
        };
        if clean && (!plan.raw || reset(&mut leased).await) {
            self.give_back(&mut leased);
        }
        ran
    }

    async fn check(&self) -> Result<(), Failure> {
        let mut leased = self.lease_session().await?;
        leased.session()?.conn.ping().await.map_err(|error| failure(&error))?;
        self.give_back(&mut leased);
        Ok(())
    }

    async fn close(&self) {
        for session in self.pool.close() {
            let _ = session.conn.disconnect().await;
        }
    }
}
