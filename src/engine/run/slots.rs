//! Who has a slot, and who waits for one.
//!
//! Plain data; what locks it is [`InFlightAttempts`](super::in_flight::InFlightAttempts).

use crate::engine::claim::prefetch::AttemptAverages;
use crate::engine::claim::routing::Lane;
use crate::store::Token;
use std::collections::VecDeque;
use std::time::Duration;

/// Slots of one process.
#[derive(Default)]
pub(super) struct Slots {
    /// Attempts with a handler that is going: in the worker's slots, and in others.
    busy: usize,
    internal_busy: usize,
    /// Prefetched, in the order they are to begin; some may have been given up since.
    queue: VecDeque<Token>,
    waiting: usize,
    /// So few waiting that it is time to claim more.
    refill_at: usize,
    averages: AttemptAverages,
}

impl Slots {
    fn busy_in(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Jobs => &mut self.busy,
            Lane::Internal => &mut self.internal_busy,
        }
    }

    /// An attempt with so large an input was claimed. Takes a slot for it; `false`: none of the worker's `concurrency` is
    /// free, it waits.
    pub(super) fn take_or_queue(&mut self, token: Token, lane: Lane, input_bytes: usize, concurrency: usize) -> bool {
        self.averages.record_claim(input_bytes);
        if lane == Lane::Jobs && self.busy >= concurrency {
            self.queue.push_back(token);
            self.waiting += 1;
            return false;
        }
        *self.busy_in(lane) += 1;
        true
    }

    /// The attempt that has waited longest; it may have been given up. Takes no slot.
    pub(super) fn next_in_queue(&mut self) -> Option<Token> {
        self.queue.pop_front()
    }

    /// The attempt that [`next_in_queue`](Self::next_in_queue) named takes a slot of the worker's.
    pub(super) fn start_waiting(&mut self) {
        self.busy += 1;
        self.stop_waiting();
    }

    /// An attempt waits no longer.
    pub(super) fn stop_waiting(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// An attempt that had its slot for so long gives it back.
    pub(super) fn free(&mut self, lane: Lane, took: Duration) {
        let busy = self.busy_in(lane);
        *busy = busy.saturating_sub(1);
        if lane == Lane::Jobs {
            self.averages.record_duration(took);
        }
    }

    /// Attempts keep others waiting for so long: none are worth claiming ahead until they are done.
    pub(super) fn record_wait(&mut self, waited: Duration) {
        self.averages.record_duration(waited);
    }

    /// Attempts that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether exactly so few wait that it is time to claim more.
    pub(super) fn is_time_to_refill(&self) -> bool {
        self.waiting == self.refill_at
    }

    /// How many attempts are worth claiming ahead of `concurrency` slots.
    pub(super) fn runs_to_prefetch(&mut self, concurrency: usize) -> usize {
        let prefetch = self.averages.runs_to_prefetch(concurrency);
        self.refill_at = prefetch / 2;
        prefetch
    }

    /// Attempts in slots of the worker's.
    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    /// Attempts in any slot.
    pub(super) fn total_busy(&self) -> usize {
        self.busy + self.internal_busy
    }
}
