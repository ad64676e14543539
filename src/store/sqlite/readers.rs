//! Connections that only read, at most two, opened when first needed.
//!
//! Invariant: a read sees one snapshot and lets go of it when it returns, since a snapshot that stays keeps the
//! write-ahead log from starting anew.

use super::open;
use crate::error::{Error, ErrorCode, Result};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Connections, and so reads at a time.
const MAX_CONNECTIONS: u32 = 2;
/// Longest wait for reads that are going when the store is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The reading connections of one file.
pub(super) struct Readers {
    path: PathBuf,
    slots: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// No connection is opened yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            slots: Semaphore::new(MAX_CONNECTIONS as usize),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Runs `run` on a snapshot, on a thread that may block.
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
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::open_additional(&self.path)?,
        };
        let snapshot = connection.unchecked_transaction()?;
        let result = run(&snapshot);
        drop(snapshot);
        // A connection that saw a failure is not trusted with the next read.
        if result.is_ok() && !self.slots.is_closed() {
            self.idle().push(connection);
        }
        result
    }

    /// Refuses further reads, waits a little for those that are going, and closes the connections.
    pub(super) async fn close(&self) {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.slots.acquire_many(MAX_CONNECTIONS)).await;
        self.slots.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
