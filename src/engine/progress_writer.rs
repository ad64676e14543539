//! Writes what handlers say about their jobs, in batches, beside everything else.
//!
//! Notes are bounded and never hold a job up: what comes faster than the store takes it is dropped, with a warning.

use super::handler::Level;
use super::worker::Engine;
use crate::store::Note;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Notes that may wait.
const MAX_QUEUED_NOTES: usize = 10_000;
/// Notes of one batch.
const MAX_BATCH_NOTES: usize = 500;

/// The way of notes into the store.
pub struct ProgressWriter {
    sender: mpsc::Sender<Note>,
    receiver: Mutex<Option<mpsc::Receiver<Note>>>,
    warned: AtomicBool,
}

impl Default for ProgressWriter {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_NOTES);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            warned: AtomicBool::new(false),
        }
    }
}

impl ProgressWriter {
    /// Takes a note; `false`: too many wait, it was dropped. Says so once.
    pub fn submit(&self, engine: &Engine, note: Note) -> bool {
        let taken = self.sender.try_send(note).is_ok();
        if !taken && !self.warned.swap(true, Ordering::Relaxed) {
            engine.logger.log(
                Level::Warn,
                "handlers report progress or log lines faster than they can be stored; some are dropped",
            );
        }
        taken
    }

    /// Whether something waits to be written.
    #[must_use]
    pub fn has_queued_notes(&self) -> bool {
        self.sender.capacity() < MAX_QUEUED_NOTES
    }

    /// Starts the writing task, once.
    pub fn start(&self, engine: &Arc<Engine>) {
        let taken = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = taken else { return };
        let engine = Arc::downgrade(engine);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while receiver.recv_many(&mut batch, MAX_BATCH_NOTES).await > 0 {
                let Some(engine) = engine.upgrade() else { return };
                if let Err(error) = engine.store.save_notes(std::mem::take(&mut batch)).await {
                    engine
                        .logger
                        .log(Level::Warn, &format!("cannot store what handlers reported: {error}"));
                }
            }
        });
    }
}
