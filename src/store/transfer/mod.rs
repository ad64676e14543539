//! Moves all of a store into another one, of the other kind or of the same.
//!
//! Knows tables, but no SQL: both ends are a [`TransferEnd`]. Invariants: the old store takes no work from before its first row
//! is read, and never again unless the move is given up; the new one takes none before all rows are there and have been compared;
//! what has been written is in the new store together with the place where reading goes on, so that a move that was interrupted
//! anywhere goes on with the same call. `docs/design/move.md` has the reasons.

mod comparing;
mod copying;
mod tables;
#[cfg(test)]
mod tests;

pub use copying::{MoveParams, TransferPlan, TransferReport, TransferStage, give_up, plan, transfer};

pub use tables::{Cell, Kind, Numbers, OWN_MARKS, Row, TABLES, Table};

use crate::error::{Error, ErrorCode, Result};
use crate::store::Store;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The fact by which a store remembers that it is one end of a move: a [`Record`] as JSON.
pub const MARK: &str = "move";
/// Rows that are read or written at once.
pub const PAGE_ROWS: usize = 2_000;
/// Bytes of texts after which no row more is read at once.
pub const PAGE_BYTES: usize = 4 << 20;

/// Which end of a move a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// All goes from here.
    Source,
    /// All comes here.
    Target,
}

/// What a store remembers of a move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Tells one move from another.
    pub id: String,
    /// Which end the store is.
    pub role: Role,
    /// The other end, without anything secret.
    pub peer: String,
    /// Of the new store: it has been opened. Of the old one: all rows are in the new one, which is opened next.
    pub done: bool,
    /// Nobody goes on with what has been copied.
    #[serde(default)]
    pub given_up: bool,
    /// The table that is being read; behind the last: all have been.
    #[serde(default)]
    pub table: usize,
    /// The key of the last row that was written; empty: none of this table was.
    #[serde(default)]
    pub after: Vec<Cell>,
}

impl Record {
    /// As it is stored.
    pub fn to_text(&self) -> Result<String> {
        let unwritable = |error| Error::new(ErrorCode::StoreError, "a move cannot be written down").with_source(error);
        serde_json::to_string(self).map_err(unwritable)
    }

    /// Fails unless this is what the store remembers now.
    pub fn expect(&self, found: Option<&Self>) -> Result<()> {
        if found == Some(self) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Conflict,
            "another process goes on with this move, or has given it up; see what has become of it before you begin it again",
        ))
    }

    /// What is told to whoever wants to work with a store that is closed by this.
    pub fn refusal(&self, store: &str) -> Error {
        let Self { role, peer, done, .. } = self;
        let message = match (role, done) {
            (Role::Source, true) => {
                format!("all of the store {store} was moved to {peer}; name that one in `store`")
            }
            (Role::Source, false) => format!(
                "the store {store} is being moved to {peer} and takes no work; go on with `ductape move`, or give the move up with \
                 `ductape move --give-up`"
            ),
            (Role::Target, _) if self.given_up => {
                format!("the store {store} holds a part of {peer}, whose move was given up; delete it")
            }
            (Role::Target, _) => format!(
                "the store {store} does not hold all of {peer} yet, which is being moved to it; go on with `ductape move`"
            ),
        };
        Error::new(ErrorCode::StoreError, message)
    }
}

/// What a store is, for a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndState {
    /// The move that it is an end of, or was.
    pub record: Option<Record>,
    /// Whether it takes no work on account of that.
    pub closed: bool,
}

/// One end of a move: the tables of a store that nobody works on. Each verb is one transaction.
#[async_trait]
pub trait TransferEnd: Send {
    /// Whether U+0000 in a text becomes U+FFFD here.
    fn lacks_nul(&self) -> bool {
        false
    }

    /// What is known of a move here.
    async fn state(&mut self) -> Result<EndState>;

    /// How many registrations of processes are there, and the sum of the ends of their leases, which grows while one is alive.
    async fn processes(&mut self) -> Result<(i64, i64)>;

    /// Closes the store for all work. Of processes that have it open, the next transaction fails. A target forgets what it knows of
    /// itself but [`OWN_MARKS`].
    ///
    /// # Errors
    /// `STORE_ERROR` when it is closed already, or a process is registered or has a claim; nothing is changed then.
    async fn close_for(&mut self, record: &Record) -> Result<()>;

    /// Rows of a table, as [`TransferEnd::rows`] will tell them.
    async fn count(&mut self, table: &'static Table) -> Result<u64>;

    /// Some rows, from behind the key `after` on, in the order of keys; none: there are no more.
    async fn rows(&mut self, table: &'static Table, after: &[Cell]) -> Result<Vec<Row>>;

    /// Writes rows of `table` where they belong, and `after` in place of the record `before`.
    ///
    /// # Errors
    /// `CONFLICT` when the store remembers something else: another process goes on with the move, or has given it up.
    async fn write(&mut self, table: &'static Table, rows: Vec<Row>, before: &Record, after: &Record) -> Result<()>;

    /// The highest numbers that were given.
    async fn numbers(&mut self) -> Result<Numbers>;

    /// Takes work from now on, and remembers `after` in place of `before`; no number up to those is given again.
    ///
    /// # Errors
    /// As of [`TransferEnd::write`].
    async fn open_with(&mut self, numbers: Numbers, before: &Record, after: &Record) -> Result<()>;

    /// Remembers `after` in place of `before`; `None`: forgets the move, and takes work again.
    ///
    /// # Errors
    /// As of [`TransferEnd::write`].
    async fn remember(&mut self, before: &Record, after: Option<&Record>) -> Result<()>;
}

/// A store that may be an end of a move: how it is called, and how it is opened.
#[async_trait]
pub trait TransferPlace: Send + Sync {
    /// Its address without anything secret, the same for every process that names it.
    fn label(&self) -> &str;

    /// Opens it as usual: it is made, or migrated, where that is needed.
    async fn open(&self) -> Result<Arc<dyn Store>>;

    /// Opens it as an end of a move, also when it takes no work. `None`: it is not there.
    async fn end(&self) -> Result<Option<Box<dyn TransferEnd>>>;
}

/// What a move is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for processes that are gone, and closes the old store.
    Preparing,
    /// It copies rows.
    Copying,
    /// It compares what is in both stores.
    Verifying,
}

/// How far a move has come; for who looks at it from outside.
#[derive(Debug, Default)]
pub struct TransferProgress {
    phase: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

impl TransferProgress {
    /// What it is doing, how many rows of how many that has come to.
    pub fn now(&self) -> (Phase, u64, u64) {
        let phase = match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Preparing,
            1 => Phase::Copying,
            _ => Phase::Verifying,
        };
        (
            phase,
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    fn begin(&self, phase: Phase, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.phase.store(phase as u64, Ordering::Relaxed);
    }

    fn add(&self, rows: usize) {
        self.done.fetch_add(u64::try_from(rows).unwrap_or(0), Ordering::Relaxed);
    }
}
