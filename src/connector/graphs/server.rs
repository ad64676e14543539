//! The servers of a graph: connections to them, who reads and who writes, and transactions that are tried again.
//!
//! Invariants: a connection whose attempt was dropped midway is closed, which ends its transaction on the server; nothing is
//! tried again once a change may have been committed.

use super::address::{Address, ServerName};
use super::bolt::{Connection, Value};
use super::failure::{Cause, Trouble};
use super::plan::{Access, Plan, Shape, Statement, Work};
use super::routing::RoutingTable;
use super::steps;
use super::transaction::Transaction;
use crate::connector::Failure;
use crate::connector::databases::pool::{ConnectionPermit, Pool};
use crate::connector::limits::DATABASE_CONNECT_TIMEOUT;
use crate::resources::GraphKind;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a transaction is tried again that a server has undone.
const MAX_RETRIES: u32 = 5;
/// Pause before the first of these, doubled before each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long a server may be late with ending what took too long, before the connection is given up.
const GRACE: Duration = Duration::from_secs(2);
/// Idle time after which a connection is tried before use.
const TRY_AFTER_IDLE: Duration = Duration::from_millis(500);
/// Longest wait for a connection to be as it was.
const RESET_TIMEOUT: Duration = Duration::from_secs(2);
/// Servers of one graph whose connections are kept.
const MAX_SERVERS: usize = 100;

/// The servers of one graph.
pub(super) struct Servers {
    kind: GraphKind,
    address: Address,
    /// `None`: the user's own.
    database: Option<Box<str>>,
    connections: usize,
    pools: Mutex<HashMap<ServerName, Arc<Pool<Connection>>>>,
    table: Mutex<Option<RoutingTable>>,
    turn: AtomicUsize,
    closed: AtomicBool,
}

/// A connection in use.
struct LeasedConnection {
    connection: Connection,
    permit: ConnectionPermit<Connection>,
    pool: Arc<Pool<Connection>>,
}

impl LeasedConnection {
    /// Gives the connection back if it can be used again, else closes it. `failed`: the cause, if what
    /// it was used for has failed.
    async fn give_back(mut self, failed: Option<Cause>) {
        if matches!(failed, Some(Cause::Lost | Cause::Moved)) {
            return;
        }
        if failed.is_some() {
            let reset = tokio::time::timeout(RESET_TIMEOUT, self.connection.reset()).await;
            if !matches!(reset, Ok(Ok(()))) {
                return;
            }
        }
        if self.connection.is_idle() {
            self.pool.give_back(self.connection, self.permit);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers {
    /// Does not connect yet.
    pub(super) fn new(kind: GraphKind, address: Address, database: Option<&str>, connections: usize) -> Self {
        Self {
            kind,
            address,
            database: database.map(Into::into),
            connections,
            pools: Mutex::default(),
            table: Mutex::default(),
            turn: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn kind(&self) -> GraphKind {
        self.kind
    }

    fn pool(&self, server: &ServerName) -> Arc<Pool<Connection>> {
        let mut pools = locked(&self.pools);
        if pools.len() >= MAX_SERVERS && !pools.contains_key(server) {
            pools.clear();
        }
        let pool = pools
            .entry(server.clone())
            .or_insert_with(|| Arc::new(Pool::new(self.connections)));
        Arc::clone(pool)
    }

    async fn connect(&self, server: &ServerName) -> Result<Connection, Trouble> {
        let connecting = Connection::open(&server.host, server.port, &self.address.transport, &self.address.login);
        match tokio::time::timeout(DATABASE_CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                let trouble = Trouble::from(error);
                // A new connection would not work out either.
                let cause = if trouble.cause == Cause::Lost {
                    Cause::Final
                } else {
                    trouble.cause
                };
                Err(Trouble { cause, ..trouble })
            }
            Err(_) => Err(Failure::connection(format!(
                "graph: no answer within {} s",
                DATABASE_CONNECT_TIMEOUT.as_secs()
            ))
            .into()),
        }
    }

    /// `anew`: the connections that are there may be as broken as the one that was tried.
    async fn lease_from(&self, server: &ServerName, anew: bool) -> Result<LeasedConnection, Trouble> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Failure::connection("the graph is closed here").into());
        }
        let pool = self.pool(server);
        let mut permit = pool.acquire().await?;
        let used = match permit.used.take().filter(|_| !anew) {
            Some((connection, since)) => still_usable(connection, since).await,
            None => None,
        };
        let connection = match used {
            Some(connection) => connection,
            None => self.connect(server).await?,
        };
        Ok(LeasedConnection {
            connection,
            permit,
            pool,
        })
    }

    async fn lease(&self, access: Access, anew: bool) -> Result<LeasedConnection, Trouble> {
        if !self.address.routed {
            return self.lease_from(&self.address.server, anew).await;
        }
        let server = self.server_for(access).await?;
        let leased = self.lease_from(&server, anew).await;
        leased.map_err(|trouble| {
            // Another server may have taken its place.
            let gone = &*trouble.failure.code == crate::error::ErrorCode::ConnectionError.as_str();
            let cause = if gone { Cause::Moved } else { trouble.cause };
            Trouble { cause, ..trouble }
        })
    }

    async fn server_for(&self, access: Access) -> Result<ServerName, Trouble> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if let Some(server) = locked(&self.table)
            .as_ref()
            .and_then(|table| table.server(access, turn))
        {
            return Ok(server);
        }
        let table = self.routing_table().await?;
        let server = table.server(access, turn);
        *locked(&self.table) = Some(table);
        server.ok_or_else(|| {
            let what = match access {
                Access::Read => "reads",
                Access::Write => "writes",
            };
            Trouble {
                failure: Failure::unavailable(format!("graph: no server takes {what} now")),
                cause: Cause::Transient,
            }
        })
    }

    /// Asks the servers that are known for the routing table, that of the address last.
    async fn routing_table(&self) -> Result<RoutingTable, Trouble> {
        let known = locked(&self.table)
            .as_ref()
            .map(|table| table.routers.clone())
            .unwrap_or_default();
        let mut last = None;
        for server in known.iter().chain([&self.address.server]) {
            match self.ask_for_table(server).await {
                Ok(table) => return Ok(table),
                Err(trouble) => last = Some(trouble),
            }
        }
        Err(last.unwrap_or_else(|| Failure::unavailable("graph: no server is known").into()))
    }

    async fn ask_for_table(&self, server: &ServerName) -> Result<RoutingTable, Trouble> {
        let mut leased = self.lease_from(server, false).await?;
        let context = self.address.login.routing.clone().unwrap_or(Value::Map(Vec::new()));
        let asked = leased.connection.route(context, self.database.as_deref());
        let asked = tokio::time::timeout(DATABASE_CONNECT_TIMEOUT, asked).await;
        let Ok(answer) = asked else {
            return Err(Failure::connection("graph: no routing table in time").into());
        };
        let answer = answer.map_err(Trouble::from);
        let failed = answer.as_ref().err().map(|trouble| trouble.cause);
        let table = answer.and_then(|table| {
            RoutingTable::read(&table)
                .ok_or_else(|| Failure::connection("graph: the server has sent no routing table").into())
        });
        leased.give_back(failed).await;
        table
    }

    /// Does what a plan says, each statement within `timeout`, and returns the result as JSON text.
    pub(super) async fn run(&self, plan: &Plan, timeout: Duration) -> Result<String, Failure> {
        let until = Instant::now() + timeout;
        let mut tries = 0;
        loop {
            let trouble = match self.attempt(plan, until, tries > 0).await {
                Ok(result) => return Ok(result),
                Err(trouble) => trouble,
            };
            let most = match trouble.cause {
                Cause::Final => 0,
                Cause::Lost => 1,
                Cause::Transient | Cause::Moved => MAX_RETRIES,
            };
            if trouble.cause == Cause::Moved {
                *locked(&self.table) = None;
            }
            let pause = with_jitter(RETRY_PAUSE * 2_u32.saturating_pow(tries));
            if tries >= most || Instant::now() + pause >= until {
                return Err(explained(trouble.failure, &plan.work));
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn attempt(&self, plan: &Plan, until: Instant, anew: bool) -> Result<String, Trouble> {
        let mut leased = self.lease(plan.access, anew).await?;
        let left = until
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        let extra = self.extra(plan.access, left);
        let work = complete(&mut leased.connection, extra, plan, self.kind);
        // Dropped with the connection if the server does not answer.
        let Ok(done) = tokio::time::timeout(left + GRACE, work).await else {
            return Err(Failure::timeout(format!("graph: no answer within {} ms", (left + GRACE).as_millis())).into());
        };
        let failed = done.as_ref().err().map(|trouble| trouble.cause);
        leased.give_back(failed).await;
        done
    }

    /// What a transaction is begun with.
    fn extra(&self, access: Access, timeout: Duration) -> Vec<(Box<str>, Value)> {
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let mut extra = vec![("tx_timeout".into(), Value::Integer(millis))];
        if access == Access::Read {
            extra.push(("mode".into(), Value::text("r")));
        }
        if let Some(database) = &self.database {
            extra.push(("db".into(), Value::Text(database.clone())));
        }
        extra
    }

    /// Connects, logs in and changes nothing.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let plan = Plan::of(Access::Read, Work::One(Statement::plain("RETURN 1"), Shape::Rows));
        self.run(&plan, DATABASE_CONNECT_TIMEOUT).await.map(|_| ())
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let pools: Vec<_> = locked(&self.pools).drain().map(|(_, pool)| pool).collect();
        for connection in pools.iter().flat_map(|pool| pool.close()) {
            connection.say_goodbye().await;
        }
    }
}

/// Does all that a plan says in a transaction, and commits it.
async fn complete(
    connection: &mut Connection,
    extra: Vec<(Box<str>, Value)>,
    plan: &Plan,
    kind: GraphKind,
) -> Result<String, Trouble> {
    let unknown = |trouble: Trouble| match trouble.cause {
        // The answer got lost, and what was done with it.
        Cause::Lost if plan.access == Access::Write => Trouble::from(Failure::connection(
            "graph: the connection was lost while the change was committed; whether it was is not known",
        )),
        _ => trouble,
    };
    if plan.auto_commit {
        let mut transaction = Transaction::committing_itself(connection, extra);
        let done = steps::run(&mut transaction, &plan.work, kind).await;
        return done.map_err(unknown).map_err(|trouble| Trouble::from(trouble.failure));
    }
    let mut transaction = Transaction::begin(connection, extra);
    let result = steps::run(&mut transaction, &plan.work, kind).await?;
    connection.commit().await.map_err(|error| unknown(error.into()))?;
    Ok(result)
}

/// The connection, unless it was idle and does not answer.
async fn still_usable(mut connection: Connection, since: Instant) -> Option<Connection> {
    if since.elapsed() > TRY_AFTER_IDLE {
        let tried = tokio::time::timeout(RESET_TIMEOUT, connection.reset()).await;
        tried.ok()?.ok()?;
    }
    Some(connection)
}

/// Half of the pause at least, so that those that were in each other's way do not meet again.
fn with_jitter(pause: Duration) -> Duration {
    // The last bits are random.
    let [.., random] = uuid::Uuid::now_v7().into_bytes();
    pause / 2 + pause.mul_f64(f64::from(random) / 512.0)
}

/// A failure with the remedy that only the operation tells.
fn explained(failure: Failure, work: &Work) -> Failure {
    let refused = failure.message.contains("Schema.ConstraintValidationFailed");
    match work {
        Work::One(_, Shape::Deleted { may_detach: true }) if refused => Failure {
            message: "graph: a node still has relationships, so nothing was deleted; `detach: true` deletes these too"
                .to_owned(),
            ..failure
        },
        _ => failure,
    }
}
