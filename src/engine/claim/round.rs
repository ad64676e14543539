//! What a round of claiming comes to, and what it waits for then. Knows no store.

use crate::clock::Millis;

/// When another round is worth its while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextClaim {
    /// At once: there is more to do.
    Now,
    /// When a slot is free. A change of the store is no reason before, as all slots of the worker's are taken.
    WhenSlotFrees {
        /// Something falls due then, for slots of the package's own.
        due: Option<Millis>,
    },
    /// When the store changes, or something falls due.
    WhenChanged {
        /// When that is.
        due: Option<Millis>,
        /// Some handlers' slots are taken: a free one is a reason too.
        or_slot_frees: bool,
    },
}

/// What one round of claiming came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Runs started.
    pub started: usize,
    /// When to come again.
    pub next: NextClaim,
}

impl Round {
    /// Nothing was claimed, and nothing can be before something changes.
    pub(super) const IDLE: Self = Self {
        started: 0,
        next: NextClaim::WhenChanged {
            due: None,
            or_slot_frees: false,
        },
    };

    /// When something falls due; `None`: nothing, or there is more to do at once.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        match self.next {
            NextClaim::Now => None,
            NextClaim::WhenSlotFrees { due } | NextClaim::WhenChanged { due, .. } => due,
        }
    }
}

/// What handlers with limits of their own had free when a claim was made for them.
pub(super) struct Limits {
    /// There is nobody else, and they have nothing free.
    pub(super) all_full: bool,
    /// One of them has nothing free.
    some_full: bool,
    /// The fewest that one of the others had free.
    fewest: Option<usize>,
}

impl Limits {
    /// `now`: what may be claimed for each group of handlers; `passed`: the same, but for those that are put off for a while.
    pub(super) fn of(now: &[usize], passed: &[usize]) -> Self {
        Self {
            all_full: !passed.is_empty() && passed.iter().all(|free| *free == 0),
            some_full: passed.contains(&0),
            fewest: now.iter().copied().filter(|free| (1..usize::MAX).contains(free)).min(),
        }
    }

    /// Whether one may have nothing free after so many runs were started, so that a slot which is freed is a reason to claim.
    pub(super) fn may_be_full(&self, started: usize) -> bool {
        self.some_full || self.fewest.is_some_and(|fewest| started >= fewest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: usize = usize::MAX;

    #[test]
    fn a_slot_that_is_freed_matters_where_a_handler_may_have_none_left() {
        // What each group has free, how many runs were started, and whether one may have none left.
        for (free, started, expected) in [
            (vec![ANY], 9, false),
            (vec![ANY, 2], 1, false),
            (vec![ANY, 2], 2, true),
            (vec![ANY, 5, 1], 1, true),
            (vec![ANY, 0], 0, true),
        ] {
            let limits = Limits::of(&free, &free);
            assert_eq!(limits.may_be_full(started), expected, "{free:?}, {started}");
            assert!(!limits.all_full, "there are others: {free:?}");
        }
    }

    #[test]
    fn news_of_jobs_matter_unless_all_handlers_have_nothing_left() {
        assert!(Limits::of(&[0, 0], &[0, 0]).all_full);
        assert!(!Limits::of(&[], &[]).all_full);
        // They are only put off for a while.
        let put_off = Limits::of(&[0, 0], &[3, ANY]);
        assert!(!put_off.all_full && !put_off.may_be_full(0));
    }
}
