//! The store in a SQLite file, or in memory.
//!
//! Verbs that write are closures sent to one writer thread ([`writer`]), which commits them in batches; reads use
//! connections of their own ([`readers`]). Each verb has a module with plain functions on a transaction. Knows no
//! engine, no schedule arithmetic and no wall clock.
//!
//! Invariant: only the writer's connection writes; it is opened before every other one and closed after them.

mod advance;
mod audit;
mod backup;
mod cancel;
mod candidates;
mod change;
mod change_target;
mod checkpoint;
mod claim;
mod claim_cursor;
mod commit_signs;
mod commit_watch;
mod complete;
mod config;
mod counters;
mod delete;
mod direct;
mod disk_fault;
mod entries;
mod error_text;
mod failure;
mod fair_lock;
mod figures;
mod file_header;
mod file_path;
mod file_watch;
mod health;
mod history;
mod ids;
mod insert;
mod insert_many;
mod instance_lock;
mod instances;
mod job_rows;
mod job_text;
mod jobs;
mod keys;
mod list;
mod locate;
mod lock_holder;
mod log_growth;
mod log_repair;
mod look_schedule;
mod metadata;
mod migrate;
mod move_record;
mod notes;
mod old_runs;
mod open;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod open_file_locks;
mod open_files;
mod outbox;
mod pause;
mod processes;
mod promote;
mod queue;
mod read;
mod readers;
mod ready;
mod relay;
mod replace;
mod reschedule;
mod retime;
mod retry;
mod routes;
mod run_location;
mod run_rows;
mod schema_watch;
mod series;
mod series_moves;
mod series_snapshot;
mod shared;
mod side_rows;
mod silence;
mod steps;
mod store_impl;
mod subscriptions;
mod sweep;
mod tags;
mod texts;
mod time_slice;
mod transfer;
mod transfer_place;
mod tx;
mod uniques;
mod webhooks;
mod write_operation;
mod writer;

#[cfg(test)]
pub(crate) mod invariants;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use self::backup::restore;
pub use self::config::{Durability, LeaseClock, Location, SqliteConfig, Warn};
pub use self::health::health;
pub use self::migrate::newest as newest_schema;
pub use self::transfer::SqliteEnd;
pub use self::transfer_place::SqlitePlace;

use self::checkpoint::Checkpoints;
use self::fair_lock::FairLock;
use self::file_watch::FileWatch;
use self::instance_lock::InstanceLock;
use self::readers::Readers;
use self::shared::{LastRing, Shared};
use self::silence::SilenceWatch;
use self::tx::Tx;
use self::write_operation::{WriteCall, WriteOptions};
use self::writer::{CallersWriter, Message, Writer};
use crate::error::{Error, ErrorCode, Result};
use crate::store::{InstanceId, JobSeq};
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest wait for the writer at the end, somewhat more than the writer takes to give up a lock that others hold.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A store in a SQLite file, or in memory. Dropping it ends its threads; [`crate::store::Store::close`] also waits.
pub struct SqliteStore {
    writer: Sender<Message>,
    /// Dropped after the sender.
    _last_ring: LastRing,
    /// The writer, where it has no thread.
    callers_writer: Option<CallersWriter>,
    shared: Arc<Shared>,
    /// `None` in memory: there is only one connection, the writer's.
    readers: Option<Arc<Readers>>,
    lease_clock: LeaseClock,
    locks: Mutex<HashMap<InstanceId, InstanceLock>>,
    silence: Arc<Mutex<SilenceWatch>>,
    /// Longest wait of a call.
    call_timeout: Duration,
    /// The series whose history was trimmed last; the next sweep goes on behind it.
    trim_cursor: AtomicI64,
    warnings: Vec<String>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("closed", &self.shared.is_closed())
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens a store, creating or migrating it when needed. Blocks on the file system.
    ///
    /// # Errors
    /// `STORE_ERROR` when the file cannot be written or was made by a newer version, `STORE_CORRUPT` when it is damaged
    /// or no store of this package. Each message names the remedy.
    pub fn open(config: SqliteConfig) -> Result<Arc<Self>> {
        let (connection, mut file) = open::open_writer(&config.location)?;
        let fair_lock = file.as_ref().and_then(|file| FairLock::open(&file.locks).ok());
        let checkpoints = file
            .as_ref()
            .map(|file| Checkpoints::start(&file.path, config.warn))
            .transpose()?;
        let file_watch = file
            .as_ref()
            .map(|file| Arc::new(FileWatch::new(&file.called, &file.path)));
        let readers = file
            .as_ref()
            .zip(file_watch.clone())
            .map(|(file, watch)| Arc::new(Readers::new(file.path.clone(), watch)));
        let warnings = file
            .as_mut()
            .map(|file| std::mem::take(&mut file.warnings))
            .unwrap_or_default();
        let shared = Arc::new(Shared::new());
        let (writer, inbox) = channel();
        let on_callers_threads = config.on_callers_threads && file.is_none();
        let new_writer = Writer {
            connection,
            file,
            file_watch,
            fair_lock,
            checkpoints,
            inbox,
            shared: Arc::clone(&shared),
            durability: config.durability,
            state: writer::WriterState::default(),
        };
        let callers_writer = if on_callers_threads {
            Some(CallersWriter::new(new_writer))
        } else {
            start(new_writer)?;
            None
        };
        Ok(Arc::new(Self {
            writer,
            _last_ring: LastRing(Arc::clone(&shared)),
            callers_writer,
            shared,
            readers,
            lease_clock: config.lease_clock,
            locks: Mutex::new(HashMap::new()),
            silence: Arc::default(),
            call_timeout: config.call_timeout,
            trim_cursor: AtomicI64::new(JobSeq::MIN.get()),
            warnings,
        }))
    }

    /// Warnings about the location of the store, such as a network file system.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Runs `run` in a transaction of the writer. It may be called more than once; the last call counts.
    async fn write<R, F>(&self, options: WriteOptions, run: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<R> + Send + 'static,
    {
        if self.shared.is_closed() {
            return Err(Error::closed());
        }
        let deadline = Instant::now() + self.call_timeout;
        let write_permits = tokio::time::timeout_at(deadline.into(), self.shared.write_permits.acquire())
            .await
            .map_err(|_| self.too_much_queued_error())?
            .map_err(|_| self.writer_ended_error())?;
        let (reply_to, answer) = oneshot::channel();
        // The caller may have stopped waiting.
        let call = WriteCall::new(options, deadline, run, |answer| drop(reply_to.send(answer)));
        self.send(Message::WriteOperation(Box::new(call)))
            .map_err(|_| self.writer_ended_error())?;
        // The writer returns the permits when the verb is answered.
        write_permits.forget();
        answer.await.map_err(|_| self.writer_ended_error())?
    }

    /// Fails when the writer has ended.
    fn send(&self, message: Message) -> std::result::Result<(), SendError<Message>> {
        self.writer.send(message)?;
        self.shared.bell.ring();
        if let Some(writer) = &self.callers_writer {
            writer.run();
        }
        Ok(())
    }

    /// Runs `run` on one snapshot of the store.
    async fn read<R, F>(&self, run: F) -> Result<R>
    where
        R: Send + 'static,
        F: Fn(&Connection) -> Result<R> + Send + 'static,
    {
        if self.shared.is_closed() {
            return Err(Error::closed());
        }
        match &self.readers {
            Some(readers) => readers.read(run).await,
            None => self.write(WriteOptions::plain(1), move |tx| run(tx.connection)).await,
        }
    }

    fn writer_ended_error(&self) -> Error {
        if self.shared.is_closed() {
            return Error::closed();
        }
        Error::new(
            ErrorCode::StoreError,
            "the store's writer has ended by a defect of its own; create a new instance and report it",
        )
    }

    fn too_much_queued_error(&self) -> Error {
        let message = format!(
            "the store has not come to this call within {} ms, so much waits to be written",
            self.call_timeout.as_millis()
        );
        Error::new(ErrorCode::StoreError, message)
    }

    fn wake_writer(&self) {
        let _ = self.send(Message::WakeUp);
    }

    async fn close_writer(&self) -> Result<()> {
        self.shared.mark_closed();
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        let _ = self.send(Message::Close);
        let mut ended = self.shared.ended.subscribe();
        let waited = tokio::time::timeout(CLOSE_TIMEOUT, ended.wait_for(|ended| *ended)).await;
        self.instance_locks().clear();
        waited.map(|_| ()).map_err(|_| {
            Error::new(
                ErrorCode::StoreError,
                "the store did not close within 3 s; another process may hold its lock",
            )
        })
    }

    fn instance_locks(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, InstanceLock>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(writer: Writer) -> Result<()> {
    std::thread::Builder::new()
        .name("ductape-writer".into())
        .spawn(move || {
            // Also when it panics: nobody waits for it any more.
            let _end = shared::EndMark(Arc::clone(&writer.shared));
            writer.run();
        })
        .map(|_| ())
        .map_err(|e| Error::new(ErrorCode::StoreError, format!("cannot start the store's thread: {e}")).with_source(e))
}
