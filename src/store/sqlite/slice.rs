//! How long work on many jobs may hold the writer at a time.
//!
//! Invariant: whoever has begun a slice does at least one job in it, so that every slice gets on.

use std::time::{Duration, Instant};

/// Longest time before the writer looks at what else waits. A dispatch beside a change of many jobs waits for half of it
/// in the mean, and for the sync that ends it.
const LENGTH: Duration = Duration::from_micros(500);

/// A share of the writer's time that has begun.
pub(super) struct Slice {
    end: Instant,
}

impl Slice {
    /// Begins one.
    pub(super) fn begin() -> Self {
        Self {
            end: Instant::now() + LENGTH,
        }
    }

    /// Whether others are to have their turn.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}
