//! Writes what handlers say about their jobs, progress and log lines, in batches, beside everything else.
//!
//! Notes are bounded: what comes faster than the store takes it is dropped, with a warning. Invariant: what was submitted
//! while an attempt was going is written before the end of that attempt.

use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::service::{Service, StopSignal};
use crate::error::ErrorCode;
use crate::store::{Note, NoteKind};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::{Mutex, mpsc, watch};

/// Bytes of notes that may wait.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Bytes that a note takes beside its text, about.
const NOTE_BYTES: usize = 100;
/// Notes of one batch.
const MAX_BATCH_NOTES: usize = 1_000;

/// Notes that wait to be written.
pub struct Notes {
    /// Bounded by `bytes`.
    sender: mpsc::UnboundedSender<Note>,
    /// Held by the service while it runs: what waits outlives a service that dies.
    receiver: Mutex<mpsc::UnboundedReceiver<Note>>,
    /// Of what waits.
    bytes: AtomicUsize,
    submitted: AtomicU64,
    /// Of those submitted: written, or given up.
    written: watch::Sender<u64>,
    warned: AtomicBool,
}

impl Default for Notes {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: Mutex::new(receiver),
            bytes: AtomicUsize::new(0),
            submitted: AtomicU64::new(0),
            written: watch::Sender::new(0),
            warned: AtomicBool::new(false),
        }
    }
}

fn size(note: &Note) -> usize {
    let (NoteKind::Progress(text) | NoteKind::Log(text)) = &note.kind;
    NOTE_BYTES + text.len()
}

impl Notes {
    /// Takes a note; `false`: too many bytes wait, it was dropped. Says so once.
    pub fn submit(&self, context: &Context, note: Note) -> bool {
        let bytes = size(&note);
        if self.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes > MAX_QUEUED_BYTES {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            if !self.warned.swap(true, Ordering::Relaxed) {
                context.log(
                    Level::Warn,
                    "handlers report progress or log lines faster than they can be stored; some are dropped",
                );
            }
            return false;
        }
        self.submitted.fetch_add(1, Ordering::AcqRel);
        // The receiver lives as long as this does.
        self.sender.send(note).is_ok()
    }

    /// Whether something waits to be written, or is being written.
    #[must_use]
    pub fn any_unwritten(&self) -> bool {
        self.submitted.load(Ordering::Acquire) > *self.written.borrow()
    }

    /// Returns when all that was submitted before has been written, or given up.
    pub async fn flushed(&self) {
        let submitted = self.submitted.load(Ordering::Acquire);
        if submitted > *self.written.borrow() {
            // The sender lives as long as this does.
            let _ = self.written.subscribe().wait_for(|written| *written >= submitted).await;
        }
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
                    let _written = Written(&self.notes, received, batch.iter().map(size).sum());
                    self.context.failpoints.pass("progress writer");
                    self.save(std::mem::take(&mut batch)).await;
                }
                () = stop.stopped() => return,
            }
        }
    }
}

impl ProgressWriter {
    /// Writes notes; of those that the store cannot hold only these are lost.
    async fn save(&self, notes: Vec<Note>) {
        let mut parts = vec![notes];
        while let Some(mut notes) = parts.pop() {
            match self.context.store.save_notes(notes.clone()).await {
                Ok(()) => {}
                Err(error) if error.code == ErrorCode::ValidationError && notes.len() > 1 => {
                    let second = notes.split_off(notes.len() / 2);
                    parts.extend([second, notes]);
                }
                Err(error) => self
                    .context
                    .log(Level::Warn, &format!("cannot store what handlers reported: {error}")),
            }
        }
    }
}

/// A batch that no longer counts as unwritten when this is dropped, whatever became of it: how many notes, and their bytes.
struct Written<'a>(&'a Notes, usize, usize);

impl Drop for Written<'_> {
    fn drop(&mut self) {
        let Self(notes, count, bytes) = self;
        notes.bytes.fetch_sub(*bytes, Ordering::AcqRel);
        notes.written.send_modify(|written| *written += *count as u64);
    }
}
