//! Checkpoints: copies the write-ahead log into the database file, so that the log stays short.
//!
//! A background thread does it concurrently with the writer (PASSIVE blocks nobody). Alone it never catches up with a busy
//! writer, so beyond a bound the writer itself helps between two transactions. Invariant: only PASSIVE while the store is
//! in use, since every other mode waits for readers.

use super::config::Warn;
use super::failure::is_write_failure;
use super::fair_lock::FairLock;
use super::log_growth::LogGrowth;
use super::open;
use crate::error::{Error, ErrorCode, Result};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Frames (pages) not yet in the database file at which the background thread is woken: 4 MiB.
const BACKGROUND_CHECKPOINT_FRAMES: i64 = 1_024;
/// Length of the log, in frames, at which the writer helps: 32 MiB.
const WRITER_CHECKPOINT_FRAMES: i64 = 8_192;
/// The writer spends at most about one part in this many of its time on checkpoints.
const WRITER_CHECKPOINT_PAUSE_FACTOR: u32 = 8;
/// Longest wait for the background thread on close.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The writer's side of the checkpoints of one file.
pub(super) struct Checkpoints {
    request: Option<SyncSender<()>>,
    ended: Receiver<()>,
    /// A checkpoint could not sync what it needed to, since the last look.
    failed: Arc<AtomicBool>,
    next_writer_checkpoint: Option<Instant>,
    growth: LogGrowth,
}

impl Checkpoints {
    /// Starts the background thread on a connection of its own.
    pub(super) fn start(path: &Path, warn: Warn) -> Result<Self> {
        let connection = open::open_additional(path)?;
        let (request, requests) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        let failed = Arc::new(AtomicBool::new(false));
        let failure = Arc::clone(&failed);
        std::thread::Builder::new()
            .name("ductape-checkpoint".into())
            .spawn(move || {
                for () in requests {
                    if passive_checkpoint(&connection).is_err_and(|error| is_write_failure(&error.into())) {
                        failure.store(true, Ordering::Release);
                    }
                }
                drop(connection);
                let _ = end.send(());
            })
            .map_err(|e| Error::new(ErrorCode::StoreError, format!("cannot start a thread: {e}")).with_source(e))?;
        Ok(Self {
            request: Some(request),
            ended,
            failed,
            next_writer_checkpoint: None,
            growth: LogGrowth::new(path, warn),
        })
    }

    /// Starts a checkpoint if the log is long.
    pub(super) fn after_commit(&mut self, connection: &Connection, fair_lock: Option<&FairLock>) {
        let Ok(wal) = WalState::of(connection, "PRAGMA wal_checkpoint(NOOP)") else {
            return;
        };
        if wal.frames > WRITER_CHECKPOINT_FRAMES
            && self.next_writer_checkpoint.is_none_or(|again| Instant::now() >= again)
        {
            let started = Instant::now();
            // While the lock is held nobody adds frames, so that the next transaction can restart the log.
            let _turn = fair_lock.map(FairLock::acquire);
            if let Some(wal) = self.checkpoint(connection) {
                self.growth.look(wal.frames, wal.frames - wal.checkpointed_frames);
            }
            self.next_writer_checkpoint = Some(Instant::now() + started.elapsed() * WRITER_CHECKPOINT_PAUSE_FACTOR);
        } else if wal.frames - wal.checkpointed_frames > BACKGROUND_CHECKPOINT_FRAMES
            && let Some(request) = &self.request
        {
            // Full: a request is pending already.
            if matches!(request.try_send(()), Err(TrySendError::Disconnected(()))) {
                self.checkpoint(connection);
            }
        }
    }
}

impl Checkpoints {
    fn checkpoint(&self, connection: &Connection) -> Option<WalState> {
        match passive_checkpoint(connection) {
            Ok(wal) => (!wal.busy).then_some(wal),
            Err(error) => {
                if is_write_failure(&error.into()) {
                    self.failed.store(true, Ordering::Release);
                }
                None
            }
        }
    }

    /// Whether a checkpoint has failed to write or sync since the last call.
    pub(super) fn take_failure(&self) -> bool {
        self.failed.load(Ordering::Acquire) && self.failed.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.request = None;
        let _ = self.ended.recv_timeout(JOIN_TIMEOUT);
    }
}

/// State of a write-ahead log.
#[derive(Clone, Copy, Debug)]
struct WalState {
    /// Another process is at it; then nothing was done.
    busy: bool,
    frames: i64,
    checkpointed_frames: i64,
}

impl WalState {
    fn of(connection: &Connection, pragma: &str) -> std::result::Result<Self, rusqlite::Error> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self {
                busy: row.get(0)?,
                frames: row.get(1)?,
                checkpointed_frames: row.get(2)?,
            })
        };
        connection.prepare_cached(pragma)?.query_row([], read)
    }
}

/// Frames of the log that belong to committed transactions.
pub(super) fn committed_frames(connection: &Connection) -> std::result::Result<i64, rusqlite::Error> {
    Ok(WalState::of(connection, "PRAGMA wal_checkpoint(NOOP)")?.frames)
}

fn passive_checkpoint(connection: &Connection) -> std::result::Result<WalState, rusqlite::Error> {
    WalState::of(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// The last checkpoint: tries to empty the log, and leaves it if others still use it. Does not take the fair lock: a
/// suspended process that holds it must not keep this one from ending.
pub(super) fn final_checkpoint(connection: &Connection) {
    let _ = connection.busy_timeout(Duration::from_millis(100));
    let _ = WalState::of(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
}
