//! How long work on many jobs may hold the writer at a time.
//!
//! Invariant: whoever has begun a slice does at least one job in it, so that every slice gets on.

use std::time::{Duration, Instant};

/// Longest time before the writer looks at what else waits. A dispatch beside a change of many jobs waits for half of it
/// in the mean, and for the sync that ends it.
const MIN_LENGTH: Duration = Duration::from_micros(500);
/// Longest slice of work that must keep pace with others. A transaction of theirs is about as long.
const MAX_LENGTH: Duration = Duration::from_millis(4);

/// A share of the writer's time that has begun.
pub(super) struct TimeSlice {
    end: Instant,
}

impl TimeSlice {
    /// Begins one.
    pub(super) fn begin() -> Self {
        Self::of(MIN_LENGTH)
    }

    /// Begins one of work that must not fall behind others, who have worked for so long since its last slice: as long as
    /// they have, so that it gets half of the time of a busy writer and no more than [`begin`](Self::begin) of an idle one.
    pub(super) fn matching_work_of(others: Duration) -> Self {
        Self::of(others.clamp(MIN_LENGTH, MAX_LENGTH))
    }

    fn of(length: Duration) -> Self {
        Self {
            end: Instant::now() + length,
        }
    }

    /// Whether others are to have their turn.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(others: Duration) -> Duration {
        let now = Instant::now();
        let end = TimeSlice::matching_work_of(others).end;
        end - now
    }

    #[test]
    fn time_slice_follows_the_work_of_others_within_bounds() {
        let little = Duration::from_micros(300);
        assert!(length(Duration::ZERO) < MIN_LENGTH + little);
        let work = Duration::from_millis(2);
        assert!(length(work) >= work);
        assert!(length(Duration::from_secs(1)) >= MAX_LENGTH);
        assert!(length(Duration::from_secs(1)) < Duration::from_secs(1));
    }
}
