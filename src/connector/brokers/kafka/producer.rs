//! By which numbers a cluster tells messages that it has from new ones.
//!
//! Knows no connection. Invariant: two batches of one producer that may both be stored never have the same numbers.

use super::batch::Sequence;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The producer of a process, as the cluster knows it.
#[derive(Default)]
pub(super) struct Producer(Mutex<State>);

#[derive(Default)]
struct State {
    /// Number and epoch; `None`: not asked for yet.
    id: Option<(i64, i16)>,
    /// Whether the cluster gives out none.
    unnumbered: bool,
    /// Numbers of the next records, by topic and partition.
    next: HashMap<Box<str>, HashMap<i32, i32>>,
}

impl Producer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a number is still to be asked for.
    pub(super) fn wants_id(&self) -> bool {
        let state = self.state();
        state.id.is_none() && !state.unnumbered
    }

    /// Takes a number; another that came meanwhile stays.
    pub(super) fn set_id(&self, id: i64, epoch: i16) {
        self.state().id.get_or_insert((id, epoch));
    }

    /// There is none to be had.
    pub(super) fn go_without_id(&self) {
        self.state().unnumbered = true;
    }

    /// The numbers of the next records of a partition.
    pub(super) fn take(&self, topic: &str, partition: i32, count: usize) -> Sequence {
        let mut state = self.state();
        let Some((producer, epoch)) = state.id else {
            return Sequence::NONE;
        };
        if !state.next.contains_key(topic) {
            state.next.insert(topic.into(), HashMap::new());
        }
        let next = state
            .next
            .entry(topic.into())
            .or_default()
            .entry(partition)
            .or_insert(0);
        let first = *next;
        *next = after(first, count);
        Sequence { producer, epoch, first }
    }

    /// These records are not stored: their numbers are those of the next ones, unless others have come after them.
    pub(super) fn give_back(&self, topic: &str, partition: i32, sequence: Sequence, count: usize) {
        let mut state = self.state();
        if state.id != Some((sequence.producer, sequence.epoch)) {
            return;
        }
        let next = state.next.get_mut(topic).and_then(|topic| topic.get_mut(&partition));
        if let Some(next) = next
            && *next == after(sequence.first, count)
        {
            *next = sequence.first;
        }
    }

    /// It is not known any more which numbers are used up.
    pub(super) fn forget(&self, sequence: Sequence) {
        let mut state = self.state();
        if state.id == Some((sequence.producer, sequence.epoch)) {
            state.id = None;
            state.next.clear();
        }
    }
}

/// The number after so many records; after the largest comes 0.
fn after(first: i32, count: usize) -> i32 {
    let sum = i64::from(first) + i64::try_from(count).unwrap_or(i64::MAX);
    i32::try_from(sum & i64::from(i32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_each_other_in_each_partition() {
        let producer = Producer::default();
        assert!(producer.wants_id());
        assert_eq!(producer.take("t", 0, 2), Sequence::NONE);
        producer.set_id(7, 1);
        producer.set_id(8, 0);
        let first = |topic, partition, count| producer.take(topic, partition, count).first;
        assert_eq!(first("t", 0, 2), 0);
        assert_eq!(first("t", 0, 3), 2);
        assert_eq!(first("t", 1, 1), 0);
        assert_eq!(first("u", 0, 1), 0);
        let last = producer.take("t", 0, 4);
        assert_eq!((last.producer, last.epoch, last.first), (7, 1, 5));
        producer.give_back("t", 0, last, 4);
        assert_eq!(first("t", 0, 1), 5);
        // Others have come after them.
        producer.give_back("t", 0, last, 4);
        assert_eq!(first("t", 0, 1), 6);
        producer.forget(last);
        assert!(producer.wants_id());
        producer.set_id(9, 0);
        producer.forget(last);
        assert_eq!(producer.take("t", 0, 1).first, 0);
    }

    #[test]
    fn after_the_largest_number_comes_zero() {
        assert_eq!(after(i32::MAX, 1), 0);
        assert_eq!(after(i32::MAX - 1, 3), 1);
        assert_eq!(after(i32::MAX - 1, 1), i32::MAX);
    }
}
