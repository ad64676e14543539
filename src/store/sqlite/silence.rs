//! How long registrations of other processes have been silent, by this process's own clock.
//!
//! A lease is written as the time of its owner's clock at which it ends. Where containers have time namespaces of their
//! own, that clock is not the reader's, so the number says nothing by itself: what counts is for how long it has not
//! changed. Invariant: a registration is silent only if its lease has stood as it is for the whole of its time while this
//! process looked on.

use crate::store::InstanceId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What one store object has seen of leases. A new one knows nothing, and so takes nobody for silent at first.
#[derive(Debug, Default)]
pub(super) struct SilenceWatch {
    seen: HashMap<InstanceId, Sight>,
    /// The longest lease that was asked for here, milliseconds; `None`: none yet, and nobody is judged.
    lease: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Sight {
    /// When the lease ends, by its owner's clock.
    ends: i64,
    /// Since when it has been seen with that end, by the clock of this process.
    since: i64,
    /// Its length, where this process wrote it.
    lease: Option<i64>,
}

/// What has been seen, for one step.
pub(super) fn lock(watch: &Mutex<SilenceWatch>) -> MutexGuard<'_, SilenceWatch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SilenceWatch {
    /// This process has written a lease of `lease` milliseconds at `now`.
    pub(super) fn wrote(&mut self, instance: InstanceId, now: i64, lease: i64) {
        self.lease = self.lease.max(Some(lease));
        let sight = Sight {
            ends: now.saturating_add(lease),
            since: now,
            lease: Some(lease),
        };
        self.seen.insert(instance, sight);
    }

    /// Notes that the registration has a lease that ends at `ends` of its owner's clock, and says whether it has had it for
    /// so long that its owner is silent. `now` is the time of this process's clock.
    pub(super) fn is_silent(&mut self, instance: InstanceId, ends: i64, now: i64) -> bool {
        let first = Sight {
            ends,
            since: now,
            lease: None,
        };
        let sight = self.seen.entry(instance).or_insert(first);
        if sight.ends != ends {
            *sight = first;
        }
        let lease = sight.lease.or(self.lease);
        lease.is_some_and(|lease| now.saturating_sub(sight.since) >= lease)
    }

    /// Forgets registrations that are gone.
    pub(super) fn retain(&mut self, is_registered: impl Fn(InstanceId) -> bool) {
        self.seen.retain(|instance, _| is_registered(*instance));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: InstanceId = InstanceId::new(7);

    #[test]
    fn lease_is_judged_by_how_long_it_stands_and_not_by_its_number() {
        let mut watch = SilenceWatch::default();
        watch.wrote(InstanceId::new(1), 1_000, 10_000);
        // The owner's clock is far behind, or far ahead.
        for ends in [5, 9_000_000] {
            assert!(!watch.is_silent(OTHER, ends, 20_000));
            assert!(!watch.is_silent(OTHER, ends, 29_999));
            assert!(watch.is_silent(OTHER, ends, 30_000));
            // It has renewed.
            assert!(!watch.is_silent(OTHER, ends + 3_000, 30_500));
            assert!(!watch.is_silent(OTHER, ends + 3_000, 40_499));
            watch.retain(|instance| instance != OTHER);
        }
    }

    #[test]
    fn nobody_is_silent_to_a_process_that_has_no_lease_itself() {
        let mut watch = SilenceWatch::default();
        assert!(!watch.is_silent(OTHER, 5, 0));
        assert!(!watch.is_silent(OTHER, 5, 1_000_000));
    }
}
