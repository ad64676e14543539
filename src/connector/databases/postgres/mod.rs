//! PostgreSQL. Statements are prepared, so that the server reports the types of parameters and columns.
//!
//! Invariants: when a session is dropped during a statement, the statement is cancelled on the server and the connection
//! closed; a session whose transaction failed, or whose statement may have changed its state, is closed too.

mod address;
mod cell;
mod failure;
mod param;
mod pooled;

use self::address::Address;
use self::cell::Cell;
use self::failure::failure;
use self::param::Param;
use self::pooled::refuse_settings;
use super::backend::{Backend, leaves_session_unchanged};
use super::dialect::Dialect;
use super::name::Table;
use super::plan::{Plan, Statement};
use super::pool::{ConnectionPermit, Pool};
use super::rows::{Outcome, RowWriter, refuse_same_names};
use super::value::{BoundValue, Kind, Kinds};
use crate::connector::Failure;
use crate::connector::limits::DATABASE_CONNECT_TIMEOUT;
use crate::text::spelling::truncated;
use crate::tls;
use async_trait::async_trait;
use futures_util::TryStreamExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::{Kind as TypeKind, Type};
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Timeout for cancelling the statement of a dropped session.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a session to be as it was.
const RESET_TIMEOUT: Duration = Duration::from_secs(2);

/// The columns of a table, and whether they are arrays or JSON.
const COLUMNS: &str = include_str!("columns.sql");

/// A PostgreSQL database.
pub(super) struct Postgres {
    config: Config,
    /// A pooler in transaction mode: nothing outlives a transaction.
    pooled: bool,
    tls: MakeRustlsConnect,
    pool: Arc<Pool<Session>>,
}

/// A connection and its session state.
struct Session {
    client: Client,
    /// The statement timeout that was set, ms; 0: none.
    timeout: u128,
}

/// A session in use.
struct LeasedSession {
    session: Option<(Session, ConnectionPermit<Session>)>,
    tls: MakeRustlsConnect,
    /// Whether a statement may be running on the server.
    busy: bool,
}

impl Drop for LeasedSession {
    fn drop(&mut self) {
        let Some((session, permit)) = self.session.take().filter(|_| self.busy) else {
            return;
        };
        let (token, tls) = (session.client.cancel_token(), self.tls.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(CANCEL_TIMEOUT, token.cancel_query(tls)).await;
                drop(session);
                drop(permit);
            });
        }
    }
}

impl LeasedSession {
    fn client(&self) -> Result<&Client, Failure> {
        let leased = self.session.as_ref().map(|(session, _)| &session.client);
        leased.ok_or_else(|| Failure::connection("PostgreSQL: the connection was lost"))
    }
}

impl Postgres {
    pub(super) fn new(url: &str, ca: Option<&str>, connections: usize) -> Result<Self, Failure> {
        let address = Address::read(url, ca)?;
        let settings = tls::client_config(address.trust, address.ca.as_deref())
            .map_err(|why| Failure::invalid(format!("the certificates of `ca`: {why}")))?;
        Ok(Self {
            tls: MakeRustlsConnect::new(settings),
            config: address.config,
            pooled: address.pooled,
            pool: Arc::new(Pool::new(connections)),
        })
    }

    async fn connect(&self) -> Result<Session, Failure> {
        let most = self
            .config
            .get_connect_timeout()
            .copied()
            .unwrap_or(DATABASE_CONNECT_TIMEOUT);
        let late = || Failure::connection(format!("PostgreSQL: no answer within {} s", most.as_secs()));
        let connecting = tokio::time::timeout(most, self.config.connect(self.tls.clone()));
        let (client, connection) = connecting.await.map_err(|_| late())?.map_err(|error| failure(&error))?;
        // Ends when the client is dropped or the connection is lost, which the client then reports.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Session { client, timeout: 0 })
    }

    async fn lease_session(&self) -> Result<LeasedSession, Failure> {
        let mut permit = self.pool.acquire().await?;
        let used = permit.used.take().filter(|(session, _)| !session.client.is_closed());
        let session = match used {
            Some((session, _)) => session,
            None => self.connect().await?,
        };
        Ok(LeasedSession {
            session: Some((session, permit)),
            tls: self.tls.clone(),
            busy: false,
        })
    }

    async fn set_statement_timeout(&self, leased: &mut LeasedSession, timeout: Duration) -> Result<(), Failure> {
        let wanted = timeout.as_millis().clamp(1, i32::MAX as u128);
        let Some((session, _)) = &mut leased.session else {
            return Ok(());
        };
        if session.timeout != wanted {
            let setting = format!("SET statement_timeout = {wanted}");
            let set = session.client.batch_execute(&setting).await;
            set.map_err(|error| failure(&error))?;
            session.timeout = wanted;
        }
        Ok(())
    }

    fn give_back(&self, leased: &mut LeasedSession) {
        if let Some((session, permit)) = leased.session.take()
            && !session.client.is_closed()
        {
            self.pool.give_back(session, permit);
        }
    }
}

#[async_trait]
impl Backend for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn kinds(&self, table: &Table) -> Result<Kinds, Failure> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let name = match &table.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&table.name)),
            None => quoted(&table.name),
        };
        let mut leased = self.lease_session().await?;
        leased.busy = true;
        let read = leased.client()?.query_typed(COLUMNS, &[(&name, Type::TEXT)]).await;
        leased.busy = false;
        let rows = read.map_err(|error| failure(&error))?;
        self.give_back(&mut leased);
        let mut columns = Vec::with_capacity(rows.len());
        for row in &rows {
            let name: String = row.try_get(0).map_err(|error| failure(&error))?;
            let kind: &str = row.try_get(1).map_err(|error| failure(&error))?;
            columns.push((name, column_kind(kind)));
        }
        if columns.is_empty() {
            let name = truncated(&table.name);
            return Err(Failure::not_found(format!("PostgreSQL: there is no table '{name}'")));
        }
        Ok(Kinds::new(columns))
    }

    async fn run(&self, plan: Plan, timeout: Duration) -> Result<Outcome, Failure> {
        if self.pooled && plan.raw {
            for statement in &plan.statements {
                refuse_settings(&statement.sql)?;
            }
        }
        let mut leased = self.lease_session().await?;
        leased.busy = true;
        let ran = async {
            if self.pooled {
                return execute_pooled(leased.client()?, &plan, timeout).await;
            }
            self.set_statement_timeout(&mut leased, timeout).await?;
            let outcome = execute(leased.client()?, &plan, plan.statements.len() > 1, None).await?;
            Ok((outcome, true))
        };
        let ran = ran.await;
        leased.busy = false;
        // A failed transaction is still open; closing the connection rolls it back.
        let clean = match &ran {
            Ok((_, keep)) => {
                *keep
                    && (!plan.raw
                        || plan
                            .statements
                            .iter()
                            .all(|statement| leaves_session_unchanged(&statement.sql)))
            }
            Err(_) => !self.pooled && !plan.raw && plan.statements.len() < 2,
        };
        if clean && (self.pooled || !plan.raw || reset(&mut leased).await) {
            self.give_back(&mut leased);
        }
        ran.map(|(outcome, _)| outcome)
    }

    async fn check(&self) -> Result<(), Failure> {
        let mut leased = self.lease_session().await?;
        let checked = leased.client()?.check_connection().await;
        checked.map_err(|error| failure(&error))?;
        self.give_back(&mut leased);
        Ok(())
    }

    async fn close(&self) {
        drop(self.pool.close());
    }
}

/// The kind of a column, as far as SQL depends on it.
fn column_kind(kind: &str) -> Kind {
    match kind {
        "array" => Kind::List,
        "jsonb" => Kind::Json,
        "number" => Kind::Decimal,
        "S" | "E" | "uuid" => Kind::Text,
        "B" => Kind::Bool,
        "D" => Kind::Timestamp,
        "bytea" => Kind::Bytes,
        _ => Kind::Any,
    }
}

/// Takes back what a job's own SQL may have changed for the next one, whatever it began with: settings, roles, locks,
/// temporary tables. `false`: it did not work out. All of `DISCARD ALL` but the plans, among which are those of the driver.
async fn reset(leased: &mut LeasedSession) -> bool {
    const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES; \
                         SELECT pg_advisory_unlock_all()";
    let Some((session, _)) = &mut leased.session else {
        return false;
    };
    session.timeout = 0;
    let done = tokio::time::timeout(RESET_TIMEOUT, session.client.batch_execute(RESET)).await;
    matches!(done, Ok(Ok(())))
}

/// Runs all statements through a pooler: in a transaction, which has one server connection, with nothing left on it. Also
/// says whether the connection may be used again: not if the driver keeps statements of its own for types that it asked for.
async fn execute_pooled(client: &Client, plan: &Plan, timeout: Duration) -> Result<(Outcome, bool), Failure> {
    // The names of the driver's statements; what a pooler prepares itself has others.
    const LEFT: &str = "SELECT name FROM pg_prepared_statements WHERE name ~ '^s[0-9]+$'";
    let limit = timeout.as_millis().clamp(1, i32::MAX as u128);
    let mut asked_for_types = false;
    let began = client
        .batch_execute(&format!("BEGIN; SET LOCAL statement_timeout = {limit}"))
        .await;
    began.map_err(|error| failure(&error))?;
    let outcome = execute(client, plan, false, Some(&mut asked_for_types)).await?;
    if asked_for_types {
        let left = client.simple_query(LEFT).await.map_err(|error| failure(&error))?;
        for message in left {
            if let SimpleQueryMessage::Row(row) = message
                && let Some(name) = row.get(0)
            {
                let dropped = client.batch_execute(&format!("DEALLOCATE {name}")).await;
                dropped.map_err(|error| failure(&error))?;
            }
        }
    }
    client.batch_execute("COMMIT").await.map_err(|error| failure(&error))?;
    Ok((outcome, !asked_for_types))
}

/// Runs all statements. Notes whether the driver had to ask for types, for which it keeps statements.
async fn execute(
    client: &Client,
    plan: &Plan,
    transaction: bool,
    mut asked_for_types: Option<&mut bool>,
) -> Result<Outcome, Failure> {
    let order = async |sql: &str| client.batch_execute(sql).await.map_err(|error| failure(&error));
    let mut outcome = Outcome {
        rows: None,
        changed: 0,
        id: None,
    };
    if transaction {
        order("BEGIN").await?;
    }
    for statement in &plan.statements {
        let prepared = prepare(client, plan, statement).await?;
        if let Some(asked) = &mut asked_for_types {
            let columns = prepared.columns().iter().map(tokio_postgres::Column::type_);
            let is_known = |ty: &Type| Type::from_oid(ty.oid()).is_some();
            **asked = **asked || !prepared.params().iter().chain(columns).all(is_known);
        }
        run(client, plan, statement, &prepared, &mut outcome).await?;
    }
    if transaction {
        order("COMMIT").await?;
    }
    Ok(outcome)
}

async fn run(
    client: &Client,
    plan: &Plan,
    statement: &Statement,
    prepared: &tokio_postgres::Statement,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let (types, values) = (prepared.params(), &statement.values);
    if types.len() != values.len() {
        return Err(Failure::invalid(format!(
            "the SQL takes {} parameters, got {}",
            types.len(),
            values.len()
        )));
    }
    let param = |(bound, ty): (&BoundValue, &Type)| Param::new(&bound.value, ty).map_err(|wrong| bound.placed(wrong));
    let params: Vec<Param> = values.iter().zip(types).map(param).collect::<Result<_, _>>()?;
    let failed = |error: Error| failure::of_values(&error, statement, types);
    let mut stream = pin!(client.query_raw(prepared, params).await.map_err(failed)?);
    let columns = prepared.columns();
    let mut wanted = true;
    if !columns.is_empty() && outcome.rows.is_none() {
        outcome.rows = Some(RowWriter::new(plan.shape));
    }
    // Read to the end, including unwanted rows: an abandoned statement would be rolled back.
    while let Some(row) = stream.try_next().await.map_err(failed)? {
        let Some(rows) = outcome.rows.as_mut().filter(|_| wanted) else {
            continue;
        };
        wanted = rows.begin();
        if !wanted {
            continue;
        }
        for (index, column) in columns.iter().enumerate() {
            let Cell(cell) = row.try_get(index).map_err(|error| failure(&error))?;
            let mut fault = Ok(());
            rows.cell(column.name(), |out| match cell {
                Some(bytes) => fault = cell::write(out, column.type_(), bytes),
                None => out.push_str("null"),
            });
            fault?;
        }
        wanted = rows.end();
    }
    outcome.changed += stream.rows_affected().unwrap_or(0);
    Ok(())
}

/// Prepares a statement so that all result columns are readable: other types are cast to text.
async fn prepare(client: &Client, plan: &Plan, statement: &Statement) -> Result<tokio_postgres::Statement, Failure> {
    let prepare = async |sql: &str| {
        let prepared = client.prepare(sql).await;
        prepared.map_err(|error| match plan.raw {
            true => failure(&error),
            false => failure::of_columns(&error, sql, &statement.guards),
        })
    };
    let prepared = prepare(&statement.sql).await?;
    for column in prepared.columns().iter().filter(|_| !plan.raw) {
        // What can be added without being a number.
        let found = match *column.type_() {
            Type::MONEY => "money",
            Type::INTERVAL => "times or intervals",
            _ => continue,
        };
        if let Some(refused) = statement.guards.result_refused(column.name(), found) {
            return Err(refused);
        }
    }
    let strange = prepared
        .columns()
        .iter()
        .find(|column| !cell::is_readable(column.type_()));
    if plan.raw {
        refuse_same_names(prepared.columns().iter().map(tokio_postgres::Column::name))?;
    }
    let Some(strange) = strange else { return Ok(prepared) };
    if plan.raw {
        return Err(Failure::invalid(format!(
            "the column '{}' is of the type {}, which cannot be read; cast it to text in the SQL",
            strange.name(),
            strange.type_()
        )));
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns = prepared.columns().iter().map(|column| {
        let name = quoted(column.name());
        match column.type_() {
            ty if cell::is_readable(ty) => name,
            ty if matches!(ty.kind(), TypeKind::Array(_)) => format!("{name}::text[] AS {name}"),
            _ => format!("{name}::text AS {name}"),
        }
    });
    let columns: Vec<_> = columns.collect();
    let wrapped = format!(
        "WITH \"answer\" AS ({}) SELECT {} FROM \"answer\"",
        statement.sql,
        columns.join(", ")
    );
    prepare(&wrapped).await
}
