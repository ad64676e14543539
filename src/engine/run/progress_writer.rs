//! Writes what handlers say about their jobs, progress and log lines, in batches, beside everything else.
//!
//! Notes are bounded and never hold a job up: what comes faster than the store takes it is dropped, with a warning.

use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::service::{Service, StopSignal};
use crate::store::Note;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{Mutex, mpsc};

/// Notes that may wait.
const MAX_QUEUED_NOTES: usize = 10_000;
/// Notes of one batch.
const MAX_BATCH_NOTES: usize = 500;

/// Notes that wait to be written.
pub struct Notes {
    sender: mpsc::Sender<Note>,
    /// Held by the service while it runs: what waits outlives a service that dies.
    receiver: Mutex<mpsc::Receiver<Note>>,
    /// Taken by [`submit`](Self::submit) and neither written nor given up yet.
    unwritten: AtomicUsize,
    warned: AtomicBool,
}

impl Default for Notes {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_NOTES);
        Self {
            sender,
            receiver: Mutex::new(receiver),
            unwritten: AtomicUsize::new(0),
            warned: AtomicBool::new(false),
        }
    }
}

impl Notes {
    /// Takes a note; `false`: too many wait, it was dropped. Says so once.
    pub fn submit(&self, context: &Context, note: Note) -> bool {
        self.unwritten.fetch_add(1, Ordering::AcqRel);
        let taken = self.sender.try_send(note).is_ok();
        if !taken {
            self.unwritten.fetch_sub(1, Ordering::AcqRel);
            if !self.warned.swap(true, Ordering::Relaxed) {
                context.log(
                    Level::Warn,
                    "handlers report progress or log lines faster than they can be stored; some are dropped",
                );
            }
        }
        taken
    }

    /// Whether something waits to be written, or is being written.
    #[must_use]
    pub fn any_unwritten(&self) -> bool {
        self.unwritten.load(Ordering::Acquire) > 0
    }
}

/// Writes them.
pub struct ProgressWriter {
    /// Store, clock and logger.
    pub context: Context,
    /// What waits.
    pub notes: Arc<Notes>,
}

#[async_trait]
impl Service for ProgressWriter {
    fn name(&self) -> &'static str {
        "progress writer"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let mut receiver = self.notes.receiver.lock().await;
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = receiver.recv_many(&mut batch, MAX_BATCH_NOTES) => {
                    if received == 0 {
                        return;
                    }
                    let _written = Written(&self.notes.unwritten, received);
                    self.context.failpoints.pass("progress writer");
                    if let Err(error) = self.context.store.save_notes(std::mem::take(&mut batch)).await {
                        self.context.log(Level::Warn, &format!("cannot store what handlers reported: {error}"));
                    }
                }
                () = stop.stopped() => return,
            }
        }
    }
}

/// A batch that no longer counts as unwritten when this is dropped, whatever became of it.
struct Written<'a>(&'a AtomicUsize, usize);

impl Drop for Written<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}
