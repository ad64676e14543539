//! Tickets that the intake's task has taken and not answered, so that their callers are told should the task die.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tickets of one entry of the map.
const BLOCK_TICKETS: u64 = 64;

/// A set of tickets, which come in rows: one bit for each.
#[derive(Default)]
pub(super) struct InHand(Mutex<HashMap<u64, u64>>);

impl InHand {
    fn blocks(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes tickets.
    pub(super) fn add(&self, tickets: Range<u64>) {
        let mut blocks = self.blocks();
        let mut from = tickets.start;
        while from < tickets.end {
            let (block, offset) = (from / BLOCK_TICKETS, from % BLOCK_TICKETS);
            let count = (BLOCK_TICKETS - offset).min(tickets.end - from);
            let mask = (u64::MAX >> (BLOCK_TICKETS - count)) << offset;
            *blocks.entry(block).or_default() |= mask;
            from += count;
        }
    }

    /// These are answered.
    pub(super) fn remove(&self, tickets: impl Iterator<Item = u64>) {
        let mut blocks = self.blocks();
        let mut tickets = tickets.peekable();
        while let Some(first) = tickets.next() {
            let block = first / BLOCK_TICKETS;
            let mut mask = 1 << (first % BLOCK_TICKETS);
            while let Some(next) = tickets.next_if(|next| next / BLOCK_TICKETS == block) {
                mask |= 1 << (next % BLOCK_TICKETS);
            }
            if let Some(left) = blocks.get_mut(&block) {
                *left &= !mask;
                if *left == 0 {
                    blocks.remove(&block);
                }
            }
        }
    }

    /// All that are left, in order; none is any more.
    pub(super) fn take_all(&self) -> Vec<u64> {
        let blocks = std::mem::take(&mut *self.blocks());
        let bits = |(block, mask): (u64, u64)| {
            (0..BLOCK_TICKETS)
                .filter(move |bit| mask >> bit & 1 == 1)
                .map(move |bit| block * BLOCK_TICKETS + bit)
        };
        let mut tickets: Vec<u64> = blocks.into_iter().flat_map(bits).collect();
        tickets.sort_unstable();
        tickets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_that_were_not_answered_are_left() {
        let in_hand = InHand::default();
        in_hand.add(60..200);
        in_hand.add(200..201);
        in_hand.remove([60, 61, 63, 64, 130].into_iter());
        in_hand.remove(65..130);
        in_hand.remove([7].into_iter());
        let left = in_hand.take_all();
        assert_eq!(left, [62].into_iter().chain(131..201).collect::<Vec<_>>());
        assert!(in_hand.take_all().is_empty());
    }
}
