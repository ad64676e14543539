//! Read-only connections, at most two, opened on demand.
//!
//! Invariant: a read uses one snapshot and ends it when it returns, since an open snapshot keeps the write-ahead log from
//! restarting.

use super::failure::name_store;
use super::file_watch::FileWatch;
use super::{backup, migrate, open};
use crate::error::{Error, ErrorCode, Result};
use rusqlite::{Connection, InterruptHandle};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most connections, and so concurrent reads.
const MAX_CONNECTIONS: u32 = 2;
/// Time between two attempts to end a backup on close.
const INTERRUPTION_INTERVAL: Duration = Duration::from_millis(20);
/// Longest wait for reads in progress on close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The reading connections of one file.
pub(super) struct Readers {
    path: PathBuf,
    file_watch: Arc<FileWatch>,
    slots: Semaphore,
    idle: Mutex<Vec<Connection>>,
    /// One at a time: it reads everything.
    backup_turn: tokio::sync::Mutex<()>,
    /// Ends the backup that is under way.
    backup: Mutex<Option<InterruptHandle>>,
}

impl Readers {
    /// Opens no connection yet.
    pub(super) fn new(path: PathBuf, file_watch: Arc<FileWatch>) -> Self {
        Self {
            path,
            file_watch,
            slots: Semaphore::new(MAX_CONNECTIONS as usize),
            idle: Mutex::new(Vec::new()),
            backup_turn: tokio::sync::Mutex::default(),
            backup: Mutex::default(),
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
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

    /// Copies the store into a new file, on a blocking thread.
    pub(super) async fn back_up(self: &Arc<Self>, to: PathBuf) -> Result<()> {
        let _turn = self.backup_turn.lock().await;
        let _slot = self.slots.acquire().await.map_err(|_| Error::closed())?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || readers.back_up_blocking(&to));
        task.await
            .map_err(|e| Error::new(ErrorCode::StoreError, "a backup of the store was abandoned").with_source(e))?
    }

    fn back_up_blocking(&self, to: &Path) -> Result<()> {
        self.file_watch.check()?;
        let connection = open::open_additional(&self.path)?;
        *self.running_backup() = Some(connection.get_interrupt_handle());
        let copied = backup::copy_to(&connection, &self.path, to);
        *self.running_backup() = None;
        copied
    }

    fn read_blocking<R>(&self, run: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
        self.file_watch.check()?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::open_additional(&self.path)?,
        };
        let result = self
            .run_on_snapshot(&connection, run)
            .map_err(|error| name_store(error, "read", &self.path));
        // A connection with a failed read is not reused.
        if result.is_ok() && !self.slots.is_closed() {
            self.idle().push(connection);
        }
        result
    }

    fn run_on_snapshot<R>(&self, connection: &Connection, run: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
        let snapshot = connection.unchecked_transaction()?;
        migrate::check_unchanged(&snapshot, &self.path)?;
        run(&snapshot)
    }

    /// Refuses further reads, waits briefly for those in progress, and closes the connections.
    pub(super) async fn close(&self) {
        let idle = tokio::time::timeout(CLOSE_TIMEOUT, self.slots.acquire_many(MAX_CONNECTIONS));
        // A backup that is just beginning does not hear the first interruption.
        let interruptions = async {
            loop {
                if let Some(backup) = &*self.running_backup() {
                    backup.interrupt();
                }
                tokio::time::sleep(INTERRUPTION_INTERVAL).await;
            }
        };
        tokio::select! {
            _ = idle => {}
            () = interruptions => {}
        }
        self.slots.close();
        self.idle().clear();
    }

    fn running_backup(&self) -> std::sync::MutexGuard<'_, Option<InterruptHandle>> {
        self.backup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
