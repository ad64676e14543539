//! What a round of claiming comes to. Knows no store.

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
