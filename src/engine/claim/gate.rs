//! Whether this process claims, and who may do so at a time.
//!
//! Invariant: once [`ClaimGate::close`] has returned, no run starts until the gate is opened again.

use tokio::sync::{Mutex, MutexGuard, Notify, watch};

/// Opened by a start or a drain, closed by a stop.
pub struct ClaimGate {
    open: watch::Sender<bool>,
    round: Mutex<()>,
    /// Told when handlers or routes changed.
    pub handlers_changed: Notify,
}

impl Default for ClaimGate {
    fn default() -> Self {
        Self {
            open: watch::Sender::new(false),
            round: Mutex::default(),
            handlers_changed: Notify::new(),
        }
    }
}

impl ClaimGate {
    /// Whether this process claims runs now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Follows opening and closing.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// Lets this process claim.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns when the round that is under way has started its runs; the next one finds the gate closed.
    pub async fn close(&self) {
        self.open.send_replace(false);
        drop(self.round.lock().await);
    }

    /// Held during a round of claiming: two at once would both see the same free slots. Between two rounds no run is
    /// claimed and not yet in flight.
    pub async fn round(&self) -> MutexGuard<'_, ()> {
        self.round.lock().await
    }
}
