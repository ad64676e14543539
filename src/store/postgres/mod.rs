//! The store in PostgreSQL: the same package runs on many machines.
//!
//! Hot verbs are functions of the schema that work on many rows in one round trip; the others lock the jobs they are
//! about, read them, decide here, and write everything at once. `docs/design/postgres.md` says why. Knows no engine, no
//! schedule arithmetic and no wall clock; leases are counted by the server's clock.
//!
//! Invariant: whoever takes a run's row away may move it; a verb that finds a row gone begins anew.

mod address;
mod advance;
mod cancel;
mod change;
mod claim;
mod complete;
mod counters;
mod delegate;
mod delete;
mod entries;
mod failure;
mod frontier;
mod history;
mod insert;
mod instances;
mod keys;
mod list;
mod marks;
mod migrate;
mod notes;
mod notify;
mod outbox;
mod param;
mod pause;
mod pool;
mod queue;
mod read;
mod replace;
mod reschedule;
mod retry;
mod routes;
mod series;
mod session;
mod state;
mod statement;
mod steps;
mod sweep;
mod tags;
mod tx;
mod uniques;
mod webhooks;
mod writer;

#[cfg(test)]
pub(crate) mod invariants;
#[cfg(test)]
mod tests;

pub use address::Address;

use self::frontier::Frontier;
use self::pool::{Manner, Pool, attempt};
use self::routes::RouteCache;
use self::session::Connector;
use self::tx::After;
use self::writer::Writer;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::store::{JobSeq, Token};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// Transactions that count before the counts are summed up.
const COMPACT_AFTER: usize = 256;

/// A source of time in place of the server's, for tests.
pub type LeaseClock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// What [`PostgresStore::open`] needs to know.
#[derive(Clone)]
pub struct PostgresConfig {
    /// The server.
    pub address: Address,
    /// Commits wait until they are on the server's disk.
    pub synced: bool,
    /// Clock of the leases; `None`: the server's.
    pub lease_clock: Option<LeaseClock>,
}

impl PostgresConfig {
    /// Full durability and the server's clock.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            synced: true,
            lease_clock: None,
        }
    }
}

impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("address", &self.address)
            .field("synced", &self.synced)
            .finish_non_exhaustive()
    }
}

/// What the verbs and the tasks behind them share.
struct Inner {
    connector: Arc<Connector>,
    /// For all verbs but signs of life.
    general: Pool,
    /// For signs of life, which must not wait behind other verbs.
    urgent: Pool,
    routes: RouteCache,
    /// Where claims begin to look.
    frontier: Frontier,
    changes: watch::Sender<u64>,
    watch_others: watch::Sender<bool>,
    closed: AtomicBool,
    /// There is something to tell other processes.
    told: Notify,
    /// Names this process in notifications.
    name: String,
    counts: AtomicUsize,
}

impl Inner {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn bump(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Something may be claimable that was not, or earlier than known: here and in other processes.
    fn wake(&self) {
        self.bump();
        self.told.notify_one();
    }

    /// Does what follows a commit.
    async fn follow(&self, after: After) {
        let mut wake = after.wake;
        if !after.freed.is_empty() {
            // If it fails, the next look for dead processes does it.
            let freed = self.free(&after.freed).await.is_ok_and(|freed| freed > 0);
            if freed {
                self.frontier.put_some();
            }
            wake |= freed;
        }
        if wake {
            self.wake();
        }
    }

    async fn free(&self, keys: &[i64]) -> Result<i64> {
        Ok(attempt!(self.general, Manner::ENGINE, |session| keys::free(
            session, keys
        )))
    }

    /// A transaction has counted.
    fn counted(&self) {
        self.counts.fetch_add(1, Ordering::Relaxed);
    }
}

/// A store in a schema of a PostgreSQL database. Dropping it ends its tasks and connections.
pub struct PostgresStore {
    inner: Arc<Inner>,
    writer: Writer,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    lease_clock: Option<LeaseClock>,
    last_token: AtomicI64,
    /// The series whose history was trimmed last; the next sweep goes on behind it.
    trimmed: AtomicI64,
    compacting: AtomicBool,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("address", &self.inner.connector.address)
            .finish_non_exhaustive()
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.end();
    }
}

impl PostgresStore {
    /// Connects, and creates or migrates the schema when needed. Call it inside a runtime.
    ///
    /// # Errors
    /// `CONNECTION_ERROR` when the server cannot be reached, `UNAUTHORIZED` when it refuses the user, `FORBIDDEN` when the
    /// user may not create what is missing, `STORE_ERROR` when the schema is newer than this code. Each message names the
    /// remedy and none the password.
    pub async fn open(config: PostgresConfig) -> Result<Arc<Self>> {
        let sessions = config.address.connections;
        let connector = Arc::new(Connector::new(config.address, config.synced)?);
        let inner = Arc::new(Inner {
            general: Pool::new(Arc::clone(&connector), sessions),
            urgent: Pool::new(Arc::clone(&connector), 1),
            connector,
            routes: RouteCache::default(),
            frontier: Frontier::default(),
            changes: watch::Sender::new(0),
            watch_others: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            told: Notify::new(),
            name: Uuid::now_v7().to_string(),
            counts: AtomicUsize::new(0),
        });
        attempt!(inner.general, Manner::LONG, |session| migrate::apply(session));
        let tasks = vec![
            tokio::spawn(notify::tell(Arc::clone(&inner))),
            tokio::spawn(notify::listen(Arc::clone(&inner))),
        ];
        Ok(Arc::new(Self {
            writer: Writer::start(Arc::clone(&inner)),
            inner,
            tasks,
            lease_clock: config.lease_clock,
            last_token: AtomicI64::new(0),
            trimmed: AtomicI64::new(JobSeq::MIN),
            compacting: AtomicBool::new(false),
        }))
    }

    /// An error once the store is closed.
    fn opened(&self) -> Result<&Inner> {
        if self.inner.is_closed() {
            return Err(Error::closed());
        }
        Ok(&self.inner)
    }

    /// The time in place of the server's, for tests.
    fn lease_now(&self) -> Option<Millis> {
        self.lease_clock.as_ref().map(|clock| clock())
    }

    /// Tokens for a claim: the last one before them.
    fn tokens(&self, count: usize) -> Token {
        self.last_token.fetch_add(param::rows(count.max(1)), Ordering::Relaxed)
    }

    /// Sums up counts when there are enough of them; one caller at a time.
    async fn compact_if_due(&self) {
        if self.inner.counts.load(Ordering::Relaxed) < COMPACT_AFTER || self.compacting.swap(true, Ordering::AcqRel) {
            return;
        }
        self.inner.counts.store(0, Ordering::Relaxed);
        // What is not summed up now is summed up next time.
        let _ = self.compact().await;
        self.compacting.store(false, Ordering::Release);
    }

    async fn compact(&self) -> Result<i64> {
        Ok(attempt!(self.inner.general, Manner::ENGINE, |session| {
            counters::compact(session)
        }))
    }

    fn end(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.general.close();
        self.inner.urgent.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}
