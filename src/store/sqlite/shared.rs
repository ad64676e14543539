//! What the writer's thread and the store's callers share.

use super::commit_signs::Bell;
use crate::store::TransactionCounts;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, watch};

/// Most verbs in the writer's queue; further callers wait before they send.
const MAX_QUEUED_WRITES: usize = 16_384;

/// What the writer's thread and the store's callers share.
pub(super) struct Shared {
    pub(super) changes: watch::Sender<u64>,
    pub(super) watch_other_processes: AtomicBool,
    pub(super) closed: AtomicBool,
    pub(super) ended: watch::Sender<bool>,
    pub(super) write_permits: Semaphore,
    pub(super) transactions: TransactionCounts,
    /// Rung after each message to the writer.
    pub(super) bell: Bell,
}

/// Says that the writer's thread is over, however it came to that.
pub(super) struct EndMark(pub(super) Arc<Shared>);

impl Drop for EndMark {
    fn drop(&mut self) {
        self.0.mark_ended();
    }
}

/// Tells the writer that nobody sends it anything any more, once the sender beside it is gone.
pub(super) struct LastRing(pub(super) Arc<Shared>);

impl Drop for LastRing {
    fn drop(&mut self) {
        self.0.bell.ring();
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            changes: watch::Sender::new(0),
            watch_other_processes: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            write_permits: Semaphore::new(MAX_QUEUED_WRITES),
            transactions: TransactionCounts::default(),
            bell: Bell::default(),
        }
    }

    pub(super) fn notify_changes(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn watches_others(&self) -> bool {
        self.watch_other_processes.load(Ordering::Relaxed)
    }

    pub(super) fn release_write_permits(&self, count: usize) {
        self.write_permits.add_permits(count);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn mark_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn mark_ended(&self) {
        // Callers that wait for a permit must not wait forever.
        self.write_permits.close();
        self.ended.send_replace(true);
    }
}
