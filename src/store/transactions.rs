//! How long transactions of this process took, and how many jobs they wrote together.
//!
//! Knows no engine and no database. Invariants: to count takes no lock; nothing is counted, and no clock is read, until somebody
//! [asks for it](TransactionCounts::turn_on); what was counted never becomes less.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bounds of times, µs: from a commit in memory to one that waits for the longest lock.
const TIME_BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];
/// Bounds of numbers of jobs, up to what a transaction holds.
const JOBS_BOUNDS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// Counts of values up to bounds.
struct Buckets<const N: usize> {
    bounds: [u64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

/// What was counted of values up to bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketCounts {
    /// Each bound, in order, and how many values did not exceed it.
    pub up_to: Vec<(u64, u64)>,
    /// How many values there were.
    pub count: u64,
    /// All of them together.
    pub sum: u64,
}

impl<const N: usize> Buckets<N> {
    const fn new(bounds: [u64; N]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; N],
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn record(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts
            .get(at)
            .unwrap_or(&self.above)
            .fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn counts(&self) -> BucketCounts {
        let mut count = 0;
        let up_to = self.bounds.iter().zip(&self.counts).map(|(bound, here)| {
            count += here.load(Ordering::Relaxed);
            (*bound, count)
        });
        let up_to = up_to.collect();
        BucketCounts {
            up_to,
            count: count + self.above.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// Counts of one store's transactions.
pub struct TransactionCounts {
    is_on: AtomicBool,
    times: Buckets<{ TIME_BOUNDS.len() }>,
    jobs: Buckets<{ JOBS_BOUNDS.len() }>,
}

impl Default for TransactionCounts {
    fn default() -> Self {
        Self {
            is_on: AtomicBool::new(false),
            times: Buckets::new(TIME_BOUNDS),
            jobs: Buckets::new(JOBS_BOUNDS),
        }
    }
}

impl TransactionCounts {
    /// Counts from now on.
    pub fn turn_on(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// A transaction begins. `None`: nothing is counted.
    pub(super) fn begin(&self) -> Option<Instant> {
        self.is_on.load(Ordering::Relaxed).then(Instant::now)
    }

    /// The one that began then is committed. It has written so many dispatches and ends of attempts.
    pub(super) fn committed(&self, began: Option<Instant>, jobs: usize) {
        let Some(began) = began else { return };
        self.times.record(micros(began.elapsed()));
        if jobs > 0 {
            self.jobs.record(jobs as u64);
        }
    }

    /// How long transactions took, µs.
    #[must_use]
    pub fn times(&self) -> BucketCounts {
        self.times.counts()
    }

    /// How many dispatches and ends of attempts were written together, of transactions that had any.
    #[must_use]
    pub fn jobs(&self) -> BucketCounts {
        self.jobs.counts()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_each_bound_that_it_does_not_exceed() {
        let buckets = Buckets::new([1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 1_000] {
            buckets.record(value);
        }
        let counts = buckets.counts();
        assert_eq!(counts.up_to, [(1, 2), (10, 4), (100, 5)]);
        assert_eq!((counts.count, counts.sum), (6, 1_024));
    }

    #[test]
    fn nothing_is_counted_before_it_is_asked_for() {
        let counts = TransactionCounts::default();
        counts.committed(counts.begin(), 5);
        assert_eq!((counts.begin(), counts.times().count), (None, 0));
        counts.turn_on();
        counts.committed(counts.begin(), 5);
        // One that wrote no job has taken its time all the same.
        counts.committed(counts.begin(), 0);
        assert_eq!(
            (counts.times().count, counts.jobs().count, counts.jobs().sum),
            (2, 1, 5)
        );
    }
}
