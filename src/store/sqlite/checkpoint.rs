//! Moves the write-ahead log into the database file, so that the log stays short.
//!
//! A thread of its own does it beside the writer (PASSIVE blocks nobody); alone it never catches up with a busy writer,
//! so beyond a bound the writer does the rest itself, between two transactions. Invariant: only PASSIVE while working,
//! since every other mode waits for readers.

use super::open;
use super::turnstile::Turnstile;
use crate::error::{Error, ErrorCode, Result};
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Frames (pages) not yet in the database file from which on the background thread is called: 4 MiB.
const BACKGROUND_FRAMES: i64 = 1_024;
/// Length of the log, in frames, from which on the writer helps: 32 MiB.
const OWN_FRAMES: i64 = 8_192;
/// The writer spends at most about one part in this many of its time on checkpoints.
const OWN_SHARE: u32 = 8;
/// Longest wait for the background thread at the end.
const JOIN: Duration = Duration::from_secs(5);

/// The writer's side of the checkpoints of one file.
pub(super) struct Checkpoints {
    request: Option<SyncSender<()>>,
    ended: Receiver<()>,
    own_again: Option<Instant>,
}

impl Checkpoints {
    /// Starts the background thread on a connection of its own.
    pub(super) fn start(path: &Path) -> Result<Self> {
        let connection = open::open_beside(path)?;
        let (request, requests) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        std::thread::Builder::new()
            .name("ductape-checkpoint".into())
            .spawn(move || {
                for () in requests {
                    let _ = passive(&connection);
                }
                drop(connection);
                let _ = end.send(());
            })
            .map_err(|e| Error::new(ErrorCode::StoreError, format!("cannot start a thread: {e}")).with_source(e))?;
        Ok(Self {
            request: Some(request),
            ended,
            own_again: None,
        })
    }

    /// Looks at the log and has it moved if it is long.
    pub(super) fn after_commit(&mut self, connection: &Connection, turnstile: Option<&Turnstile>) {
        let Ok(log) = Log::of(connection, "PRAGMA wal_checkpoint(NOOP)") else {
            return;
        };
        if log.frames > OWN_FRAMES && self.own_again.is_none_or(|again| Instant::now() >= again) {
            let started = Instant::now();
            // Within the turn nobody adds frames, so that the next transaction can start the log anew.
            let _turn = turnstile.map(Turnstile::enter);
            let _ = passive(connection);
            self.own_again = Some(Instant::now() + started.elapsed() * OWN_SHARE);
        } else if log.frames - log.moved > BACKGROUND_FRAMES
            && let Some(request) = &self.request
        {
            // Full: it has been called already.
            let _ = request.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.request = None;
        let _ = self.ended.recv_timeout(JOIN);
    }
}

/// State of a write-ahead log.
#[derive(Clone, Copy, Debug)]
struct Log {
    frames: i64,
    moved: i64,
}

impl Log {
    fn of(connection: &Connection, pragma: &str) -> std::result::Result<Self, rusqlite::Error> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self {
                frames: row.get(1)?,
                moved: row.get(2)?,
            })
        };
        connection.prepare_cached(pragma)?.query_row([], read)
    }
}

fn passive(connection: &Connection) -> std::result::Result<Log, rusqlite::Error> {
    Log::of(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// The last checkpoint: tries to empty the log, and leaves it when others still use it. Takes no turn: a process that
/// was stopped in its own must not keep this one from ending.
pub(super) fn last(connection: &Connection) {
    let _ = connection.busy_timeout(Duration::from_millis(100));
    let _ = Log::of(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
}
