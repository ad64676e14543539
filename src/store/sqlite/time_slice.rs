//! Time slices: how long bulk work may occupy the writer at a time.
//!
//! Invariant: each slice processes at least one job, so that bulk work always progresses.

use std::time::{Duration, Instant};

/// Length of a slice of bulk work. A concurrent dispatch waits for half of it on average, and for the sync at its end.
const MIN_LENGTH: Duration = Duration::from_micros(500);
/// Longest slice of background work that must keep pace with other writes; about as long as their transactions.
const MAX_LENGTH: Duration = Duration::from_millis(4);

/// A slice of the writer's time.
pub(super) struct TimeSlice {
    end: Instant,
}

impl TimeSlice {
    /// Starts a slice.
    pub(super) fn begin() -> Self {
        Self::of(MIN_LENGTH)
    }

    /// Starts a slice for work that must not fall behind other writes. It is as long as `others` have worked since the last
    /// slice, so that it gets half the time of a busy writer and no more than [`begin`](Self::begin) of an idle one.
    pub(super) fn matching_work_of(others: Duration) -> Self {
        Self::of(others.clamp(MIN_LENGTH, MAX_LENGTH))
    }

    fn of(length: Duration) -> Self {
        Self {
            end: Instant::now() + length,
        }
    }

    /// Whether the slice is used up.
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
