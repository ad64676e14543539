//! Read-only connections, at most two, opened on demand.
//!
//! Invariant: a read uses one snapshot and ends it when it returns, since an open snapshot keeps the write-ahead log from
//! restarting.

use super::failure::name_store;
use super::file_watch::FileWatch;
use super::open;
use crate::error::{Error, ErrorCode, Result};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most connections, and so concurrent reads.
const MAX_CONNECTIONS: u32 = 2;
/// Longest wait for reads in progress on close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The reading connections of one file.
pub(super) struct Readers {
    path: PathBuf,
    file_watch: Arc<FileWatch>,
    slots: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Opens no connection yet.
    pub(super) fn new(path: PathBuf, file_watch: Arc<FileWatch>) -> Self {
        Self {
            path,
            file_watch,
            slots: Semaphore::new(MAX_CONNECTIONS as usize),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Runs `run` on a snapshot, on a blocking thread.
    pub(super) async fn read<R, F>(self: &Arc<Self>, run: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&Connection) -> Result<R> + Send + 'static,
    {
        let _slot = self.slots.acquire().await.map_err(|_| Error::closed())?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || readers.read_blocking(run));
        task.await
            .map_err(|e| Error::new(ErrorCode::StoreError, "a read of the store was abandoned").with_source(e))?
    }

    fn read_blocking<R>(&self, run: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
        self.file_watch.check()?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::open_additional(&self.path)?,
        };
        let result = run_on_snapshot(&connection, run).map_err(|error| name_store(error, "read", &self.path));
        // A connection with a failed read is not reused.
        if result.is_ok() && !self.slots.is_closed() {
            self.idle().push(connection);
        }
        result
    }

    /// Refuses further reads, waits briefly for those in progress, and closes the connections.
    pub(super) async fn close(&self) {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.slots.acquire_many(MAX_CONNECTIONS)).await;
        self.slots.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run_on_snapshot<R>(connection: &Connection, run: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
    let snapshot = connection.unchecked_transaction()?;
    run(&snapshot)
}
