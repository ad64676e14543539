//! Options that other queues have, and what does it here.
//!
//! Names are those of BullMQ, pg-boss, graphile-worker, Agenda, Bree, Bee-Queue, Sidekiq and Celery, as their documentation spells them.

mod names;

use self::names::{CONSTRUCTOR, DISPATCH, HANDLER, RETRY, SCHEDULE, Table};
use super::fields::Fields;
use crate::text::spelling::simplified;

/// Where an option was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a dispatch, or its `options`.
    Dispatch,
    /// In the `retryConfig` of a dispatch.
    Retry,
    /// In a `schedule`.
    Schedule,
    /// In the options of `handle`.
    Handler,
    /// In the options of the constructor, or its `worker`.
    Constructor,
}

/// Refuses fields that are not among `known`, with what does here what other queues do by them.
pub(super) fn refuse_unknown(fields: &mut Fields<'_>, known: &[&str], place: Place) {
    fields.refuse_unknown_with(known, |name| remedy(name, place));
}

/// What does here what an option of another queue does; `None`: no queue has such an option.
fn remedy(name: &str, place: Place) -> Option<&'static str> {
    let name = simplified(name);
    let is_meant = |(names, _): &&(&[&str], &str)| names.iter().any(|other| simplified(other) == name);
    table(place).iter().find(is_meant).map(|(_, remedy)| *remedy)
}

fn table(place: Place) -> Table {
    match place {
        Place::Dispatch => DISPATCH,
        Place::Retry => RETRY,
        Place::Schedule => SCHEDULE,
        Place::Handler => HANDLER,
        Place::Constructor => CONSTRUCTOR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_every_spelling() {
        for name in ["maxAttempts", "max_attempts", "MAX-ATTEMPTS"] {
            assert_eq!(remedy(name, Place::Dispatch), Some(names::RETRIES), "{name}");
        }
        assert_eq!(remedy("retrys", Place::Dispatch), None);
    }

    #[test]
    fn no_name_stands_twice_in_a_table() {
        for place in [
            Place::Dispatch,
            Place::Retry,
            Place::Schedule,
            Place::Handler,
            Place::Constructor,
        ] {
            let mut names: Vec<&str> = table(place)
                .iter()
                .flat_map(|(names, _)| names.iter().copied())
                .collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{place:?}");
        }
    }
}
