//! Whether this process claims, and who may do so at a time.
//!
//! Invariant: once [`ClaimGate::close`] has returned, no run starts until the gate is opened again.

use super::routing::Holds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};

/// Opened by a start or a drain, closed by a stop.
pub struct ClaimGate {
    open: watch::Sender<bool>,
    round: Arc<Mutex<()>>,
    /// How many make rounds by hand.
    by_hand: watch::Sender<usize>,
    rounds: Arc<Rounds>,
    /// How many wait until nothing is due.
    draining: AtomicUsize,
    /// Told when handlers or routes changed.
    pub handlers_changed: Notify,
    /// Told when a round that the claimer has not made has left no slot free.
    pub filled: Notify,
}

impl Default for ClaimGate {
    fn default() -> Self {
        Self {
            open: watch::Sender::new(false),
            round: Arc::default(),
            by_hand: watch::Sender::new(0),
            rounds: Arc::default(),
            draining: AtomicUsize::new(0),
            handlers_changed: Notify::new(),
            filled: Notify::new(),
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

    /// Rounds are made by whoever holds this, and the claimer's own task makes none: moving a clock by hand would else be
    /// followed by two that look for the same.
    #[must_use]
    pub fn take_over(&self) -> TakenOver<'_> {
        self.by_hand.send_modify(|count| *count += 1);
        TakenOver(self)
    }

    /// Waits while somebody else makes the rounds.
    pub async fn given_back(&self) {
        // The sender lives as long as this does.
        let _ = self.by_hand.subscribe().wait_for(|count| *count == 0).await;
    }

    /// What becomes of handlers whose attempts are put off: while somebody waits until nothing is due, they are not.
    #[must_use]
    pub fn holds(&self) -> Holds {
        if self.draining.load(Ordering::Acquire) == 0 {
            Holds::Kept
        } else {
            Holds::Passed
        }
    }

    /// Somebody waits until nothing is due, as long as this is held.
    #[must_use]
    pub fn drain(&self) -> Draining<'_> {
        self.draining.fetch_add(1, Ordering::AcqRel);
        Draining(self)
    }

    /// Returns when the round that is under way has started its runs; the next one finds the gate closed.
    pub async fn close(&self) {
        self.open.send_replace(false);
        drop(self.round.lock().await);
    }

    /// Held during a round of claiming: two at once would both see the same free slots. Between two rounds no run is
    /// claimed and not yet in flight.
    pub async fn round(&self) -> RoundGuard {
        let lock = Arc::clone(&self.round).lock_owned().await;
        self.begin(lock)
    }

    /// The same at once; `None`: another round is under way, or somebody else makes them all.
    #[must_use]
    pub fn try_round(&self) -> Option<RoundGuard> {
        let lock = Arc::clone(&self.round).try_lock_owned().ok()?;
        (*self.by_hand.borrow() == 0).then(|| self.begin(lock))
    }

    fn begin(&self, lock: OwnedMutexGuard<()>) -> RoundGuard {
        self.rounds.begun.fetch_add(1, Ordering::AcqRel);
        RoundGuard {
            _lock: lock,
            rounds: Arc::clone(&self.rounds),
        }
    }

    /// The round that began last. What the store says was claimed before this was asked for was claimed in it or before.
    #[must_use]
    pub fn latest_round(&self) -> RoundNumber {
        RoundNumber(self.rounds.begun.load(Ordering::Acquire))
    }

    /// Whether everything that was claimed in this round or before, and whose claim was answered, is in flight or has been.
    #[must_use]
    pub fn has_ended(&self, round: RoundNumber) -> bool {
        self.rounds.ended.load(Ordering::Acquire) >= round.0
    }
}

/// Makes the rounds of claiming, until it is dropped.
pub struct TakenOver<'a>(&'a ClaimGate);

impl Drop for TakenOver<'_> {
    fn drop(&mut self) {
        self.0.by_hand.send_modify(|count| *count -= 1);
    }
}

/// Somebody waits until nothing is due.
pub struct Draining<'a>(&'a ClaimGate);

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.0.draining.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How many rounds there have been, one after the other.
#[derive(Default)]
struct Rounds {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// Names a round of claiming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoundNumber(u64);

/// A round of claiming, which ends with this.
pub struct RoundGuard {
    _lock: OwnedMutexGuard<()>,
    rounds: Arc<Rounds>,
}

impl Drop for RoundGuard {
    fn drop(&mut self) {
        self.rounds.ended.fetch_add(1, Ordering::AcqRel);
    }
}
