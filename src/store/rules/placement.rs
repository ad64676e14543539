//! Where a run waits: which of the queue tables holds it, by its due time.

use super::phase::Phase;
use crate::clock::Millis;
use crate::model::Status;

/// ms per bucket of runs that are scheduled by day.
pub(in crate::store) const DAY: i64 = 86_400_000;

/// The table that a waiting run is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Place {
    /// Due: it can be claimed, or waits for a slot of its concurrency key.
    Ready,
    /// Waits for its due time.
    Scheduled,
    /// Waits for the day of its due time, which is this one; only a first attempt of a one-off.
    ScheduledByDay(i64),
    /// Waits until its job is resumed.
    Paused,
}

impl Place {
    /// What it counts as among the live runs of a series.
    pub(in crate::store) fn phase(self) -> Phase {
        match self {
            Self::Ready => Phase::Queued,
            Self::Scheduled | Self::ScheduledByDay(_) | Self::Paused => Phase::Waiting,
        }
    }

    /// The state of a one-off whose run is here.
    pub(in crate::store) fn status(self) -> Status {
        match self {
            Self::Ready => Status::Queued,
            Self::Scheduled | Self::ScheduledByDay(_) => Status::Scheduled,
            Self::Paused => Status::Paused,
        }
    }
}

/// Day bucket of a due time.
pub(in crate::store) fn day_of(due: Millis) -> i64 {
    due.div_euclid(DAY)
}

/// Last day whose runs wait one by one at `now`, not in the bucket of their day.
pub(in crate::store) fn last_near_day(now: Millis) -> i64 {
    day_of(now) + 1
}

/// Where an attempt waits that is due at `due`.
pub(in crate::store) fn of(due: Millis, now: Millis) -> Place {
    if due <= now { Place::Ready } else { Place::Scheduled }
}

/// Where the first attempt of a one-off waits: its attempt and run need not be written down.
pub(in crate::store) fn of_first(due: Millis, now: Millis) -> Place {
    match of(due, now) {
        Place::Scheduled if day_of(due) > last_near_day(now) => Place::ScheduledByDay(day_of(due)),
        place => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_attempt_waits_by_day_from_the_day_after_tomorrow_on() {
        let now = 10 * DAY + 5;
        for (due, place) in [
            (now - 1, Place::Ready),
            (now, Place::Ready),
            (now + 1, Place::Scheduled),
            (12 * DAY - 1, Place::Scheduled),
            (12 * DAY, Place::ScheduledByDay(12)),
        ] {
            assert_eq!(of_first(due, now), place, "{due}");
        }
        assert_eq!(of(12 * DAY, now), Place::Scheduled);
    }
}
