//! One connection to the server, with its prepared statements.
//!
//! Knows no verb. Invariant: a session that may be inside a transaction, or has timed out, is not reused.

use super::address::Address;
use super::failure::{self, DbResult, Failure};
use super::param::Param;
use crate::error::{Error, ErrorCode, Result};
use crate::store::TransactionCounts;
use crate::tls;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Config, Host};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whatever is set for the role or the database: rows that others have locked are passed over, not waited for and then
/// refused.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The size of queue tables changes quickly, so the planner's statistics are often wrong; all rows are found by keys
/// anyway; a bitmap would be made of all rows of a key, where the first ones by an index are wanted. The server also ends transactions that a disconnected client has left open.
pub(super) const SESSION_SETTINGS: &str = "enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; \
    SET plan_cache_mode = force_generic_plan; SET statement_timeout = '60s'; SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '15s'; SET search_path = pg_catalog, pg_temp; \
    SET default_transaction_isolation = 'read committed'";

/// Opens sessions.
pub(super) struct Connector {
    pub(super) address: Address,
    /// Whether commits wait for the server's disk.
    synced: bool,
    tls: MakeRustlsConnect,
    /// What transactions are counted by.
    pub(super) transactions: TransactionCounts,
    /// Statements with the schema's name substituted.
    texts: Mutex<HashMap<&'static str, Arc<str>>>,
    /// The host that was connected to last.
    last_host: AtomicUsize,
    /// When the hosts said last that there is no server to write to, if that was their last word.
    server_was_down: Mutex<Option<Instant>>,
}

/// For how long after its last word a server counts as down. Less than what others, after they have reached it again, leave to
/// those that hold runs for renewing their leases.
const DOWN_FOR: Duration = Duration::from_millis(2_500);

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
type Connected = (Client, Connection<Socket, TlsStream>);

/// One connection.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    connector: Arc<Connector>,
    prepared: Mutex<HashMap<&'static str, Statement>>,
    broken: AtomicBool,
}

impl Connector {
    pub(super) fn new(address: Address, synced: bool) -> Result<Self> {
        let (trust, root) = &address.trust;
        let failed = |what: String| Error::new(ErrorCode::ConnectionError, format!("store: {what}"));
        let builder = tls::client_builder(*trust, root.as_deref()).map_err(|why| {
            let what = root.as_deref().unwrap_or("the list of trusted certificates");
            failed(format!("{what} of `sslrootcert`: {why}"))
        })?;
        let settings = match &address.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => tls::with_identity(builder, &identity.certificate, &identity.key)
                .map_err(|why| failed(format!("the client certificate of `sslcert` and `sslkey`: {why}")))?,
        };
        Ok(Self {
            address,
            synced,
            tls: MakeRustlsConnect::new(settings),
            transactions: TransactionCounts::default(),
            texts: Mutex::default(),
            last_host: AtomicUsize::new(0),
            server_was_down: Mutex::default(),
        })
    }

    /// Whether the server is down for everybody, by its own account or its machine's: not when nobody answers, and not when a
    /// proxy on this machine or a pooler refuses, since others may have one that does not.
    pub(super) fn server_is_down(&self) -> bool {
        let last = *self.server_was_down.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < DOWN_FOR)
    }

    /// Opens a session; notifications of the server go to `listen`.
    pub(super) async fn connect(
        self: &Arc<Self>,
        limit: Duration,
        mut listen: impl FnMut(&tokio_postgres::Notification) + Send + 'static,
    ) -> DbResult<Session> {
        let (client, mut connection) = self.connect_to_any(limit).await?;
        let driver = tokio::spawn(async move {
            // An error ends the connection; the client reports it to pending calls.
            while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message {
                    listen(&notification);
                }
            }
        });
        let session = Session {
            client,
            driver,
            connector: Arc::clone(self),
            prepared: Mutex::default(),
            broken: AtomicBool::new(false),
        };
        if !self.address.pooled {
            let sync = if self.synced {
                ""
            } else {
                "; SET synchronous_commit = off"
            };
            session.run(&format!("SET {SESSION_SETTINGS}{sync}")).await?;
        }
        Ok(session)
    }

    /// Connects to the first host that answers in its share of the time and is of the wanted kind, beginning with the one that
    /// was found last: one that accepts connections and says nothing must not stand in the way of the others.
    async fn connect_to_any(&self, limit: Duration) -> DbResult<Connected> {
        let hosts = &self.address.hosts;
        let count = hosts.len().max(1);
        let share = limit / u32::try_from(count).unwrap_or(1);
        let first = self.last_host.load(Ordering::Relaxed);
        let mut failure = Failure::NoAnswer(share);
        let mut all_are_down = !self.address.pooled;
        for (at, config) in (0..count).filter_map(|offset| {
            let at = (first + offset) % count;
            Some((at, hosts.get(at)?))
        }) {
            match tokio::time::timeout(share, config.connect(self.tls.clone())).await {
                Ok(Ok(connected)) => {
                    self.last_host.store(at, Ordering::Relaxed);
                    self.note_down(false);
                    return Ok(connected);
                }
                Ok(Err(error)) => {
                    all_are_down &=
                        failure::says_down(&error) || failure::is_refused(&error) && is_elsewhere(config).await;
                    failure = error.into();
                }
                Err(_) => {
                    all_are_down = false;
                    failure = Failure::NoAnswer(share);
                }
            }
        }
        self.note_down(all_are_down);
        Err(failure)
    }

    fn note_down(&self, down: bool) {
        let mut last = self.server_was_down.lock().unwrap_or_else(PoisonError::into_inner);
        *last = down.then(Instant::now);
    }

    /// The statement with the schema's name in place of `ductape.`.
    pub(super) fn text(&self, sql: &'static str) -> Arc<str> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts
            .entry(sql)
            .or_insert_with(|| in_schema(sql, &self.address.quoted_schema()).into());
        Arc::clone(text)
    }
}

/// Whether the host is another machine, or this one by an address that others use too.
async fn is_elsewhere(config: &Config) -> bool {
    let addresses = config.get_hostaddrs().to_vec();
    if !addresses.is_empty() {
        return addresses.iter().all(|address| !address.is_loopback());
    }
    for host in config.get_hosts() {
        let Host::Tcp(name) = host else { return false };
        let found = tokio::net::lookup_host((&**name, 0)).await;
        if !found.is_ok_and(|mut found| found.all(|address| !address.ip().is_loopback())) {
            return false;
        }
    }
    true
}

/// SQL for another schema than `ductape`.
pub(super) fn in_schema(sql: &str, quoted: &str) -> String {
    sql.replace("ductape.", &format!("{quoted}."))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Whether it can be reused for another verb.
    pub(super) fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Acquire) && !self.client.is_closed()
    }

    /// Marks it as not reusable, until [`Session::mark_usable`].
    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(super) fn mark_usable(&self) {
        self.broken.store(false, Ordering::Release);
    }

    /// Tells the server to cancel the statement under way; `false`: it could not be told.
    pub(super) async fn cancel(&self) -> bool {
        let token = self.client.cancel_token();
        !self.client.is_closed() && token.cancel_query(self.connector.tls.clone()).await.is_ok()
    }

    pub(super) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Runs statements without parameters.
    pub(super) async fn run(&self, sql: &str) -> DbResult<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> DbResult<()> {
        self.mark_broken();
        if self.connector.address.pooled {
            // Behind a pooler, settings last only for a transaction.
            let local = SESSION_SETTINGS.replace("SET ", "SET LOCAL ");
            return self.run(&format!("{BEGIN}; SET LOCAL {local}")).await;
        }
        self.run(BEGIN).await
    }

    /// Begins a read-only transaction on one snapshot.
    pub(super) async fn snapshot(&self) -> DbResult<()> {
        self.mark_broken();
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    pub(super) async fn end_snapshot(&self) -> DbResult<()> {
        self.run("COMMIT").await?;
        self.mark_usable();
        Ok(())
    }

    pub(super) async fn query(&self, sql: &'static str, params: &[&dyn Param]) -> DbResult<Vec<Row>> {
        if self.connector.address.pooled {
            let typed: Vec<_> = params.iter().map(|param| (param.as_sql(), param.sql_type())).collect();
            let text = self.connector.text(sql);
            return Ok(self.client.query_typed(&text, &typed).await?);
        }
        let statement = self.prepare(sql, params).await?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param.as_sql()).collect();
        Ok(self.client.query(&statement, &params).await?)
    }

    pub(super) async fn execute(&self, sql: &'static str, params: &[&dyn Param]) -> DbResult<u64> {
        if self.connector.address.pooled {
            let typed: Vec<_> = params.iter().map(|param| (param.as_sql(), param.sql_type())).collect();
            let text = self.connector.text(sql);
            return Ok(self.client.execute_typed(&text, &typed).await?);
        }
        let statement = self.prepare(sql, params).await?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param.as_sql()).collect();
        Ok(self.client.execute(&statement, &params).await?)
    }

    pub(super) async fn query_opt(&self, sql: &'static str, params: &[&dyn Param]) -> DbResult<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Prepares a statement if needed, so that it can be pipelined with others.
    pub(super) async fn prepare_ahead(&self, sql: &'static str, params: &[&dyn Param]) -> DbResult<()> {
        if !self.connector.address.pooled {
            self.prepare(sql, params).await?;
        }
        Ok(())
    }

    async fn prepare(&self, sql: &'static str, params: &[&dyn Param]) -> DbResult<Statement> {
        if let Some(statement) = self.cached_statement(sql) {
            return Ok(statement);
        }
        let types: Vec<_> = params.iter().map(|param| param.sql_type()).collect();
        let statement = self.client.prepare_typed(&self.connector.text(sql), &types).await?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(sql, statement.clone());
        Ok(statement)
    }

    fn cached_statement(&self, sql: &'static str) -> Option<Statement> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.get(sql).cloned()
    }
}
