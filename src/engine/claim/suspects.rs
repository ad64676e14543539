//! When this process runs one of the runs that crashed so often that they run alone, and what it leaves alone for that.
//!
//! Knows no store and no run. Invariant: from the claim of a suspect until it has ended nothing else is claimed, and it is
//! claimed only while nothing else is in flight; so when the process dies with it, it was the cause.

use crate::store::RouteId;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long this process claims nothing else while suspects wait, and how long it then leaves them waiting, so that neither
/// long attempts nor many suspects keep the others from running.
const TURN: Duration = Duration::from_secs(30);

/// What may be claimed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All but suspects.
    Others,
    /// Nothing: until what is in flight has ended.
    Nobody,
    /// One suspect.
    Suspect,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Free,
    /// The suspects' turn until then.
    Suspects(Instant),
    /// The others' turn until then, though suspects wait.
    Others(Instant),
}

#[derive(Debug, Default)]
struct State {
    /// Routes of suspects that are ready, as the store said last.
    routes: Vec<RouteId>,
    phase: Phase,
    /// A suspect was claimed and may not have ended.
    runs_alone: bool,
}

/// Suspects that wait, and whose turn it is.
#[derive(Debug, Default)]
pub struct Suspects {
    state: Mutex<State>,
    /// Told when suspects appear or are gone.
    pub changed: Notify,
}

impl Suspects {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store says on which routes suspects wait.
    pub fn report(&self, routes: Vec<RouteId>) {
        let mut state = self.state();
        let changed = state.routes.is_empty() != routes.is_empty();
        state.routes = routes;
        drop(state);
        if changed {
            self.changed.notify_one();
        }
    }

    /// What may be claimed at `now`. `idle`: nothing is in flight; `serves`: whether this process runs what is on a route.
    pub fn turn(&self, now: Instant, idle: bool, serves: impl Fn(RouteId) -> bool) -> Turn {
        let mut state = self.state();
        state.runs_alone &= !idle;
        if state.runs_alone {
            return Turn::Nobody;
        }
        if !state.routes.iter().any(|route| serves(*route)) {
            if let Phase::Suspects(_) = state.phase {
                state.phase = Phase::Free;
            }
            return Turn::Others;
        }
        state.phase = match state.phase {
            Phase::Suspects(until) if now >= until => Phase::Others(now + TURN),
            Phase::Free => Phase::Suspects(now + TURN),
            Phase::Others(until) if now >= until => Phase::Suspects(now + TURN),
            same => same,
        };
        match state.phase {
            Phase::Suspects(_) if idle => Turn::Suspect,
            Phase::Suspects(_) => Turn::Nobody,
            Phase::Others(_) | Phase::Free => Turn::Others,
        }
    }

    /// Whether a suspect runs or is to run next, so that others wait.
    pub fn keep_others_waiting(&self) -> bool {
        let state = self.state();
        state.runs_alone || matches!(state.phase, Phase::Suspects(_))
    }

    /// What a claim in the suspects' turn came to.
    pub fn claimed(&self, found: bool) {
        let mut state = self.state();
        state.runs_alone = found;
        if !found {
            state.routes.clear();
        }
    }

    /// There is nothing else to do: ends the others' turn. `true`: suspects may wait.
    pub fn others_are_done(&self) -> bool {
        let mut state = self.state();
        let early = matches!(state.phase, Phase::Others(_)) && !state.routes.is_empty();
        if early {
            state.phase = Phase::Free;
        }
        early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: RouteId = RouteId::new(1);

    fn suspects() -> (Suspects, Instant) {
        let suspects = Suspects::default();
        suspects.report(vec![ROUTE]);
        (suspects, Instant::now())
    }

    #[test]
    fn without_suspects_on_served_routes_others_are_claimed() {
        let (suspects, now) = suspects();
        assert_eq!(Suspects::default().turn(now, true, |_| true), Turn::Others);
        assert_eq!(suspects.turn(now, true, |_| false), Turn::Others);
        suspects.report(vec![]);
        assert_eq!(suspects.turn(now, true, |_| true), Turn::Others);
    }

    #[test]
    fn a_suspect_is_claimed_once_nothing_is_in_flight_and_keeps_others_out_until_it_has_ended() {
        let (suspects, now) = suspects();
        assert!(!suspects.keep_others_waiting());
        assert_eq!(suspects.turn(now, false, |_| true), Turn::Nobody);
        assert!(suspects.keep_others_waiting());
        assert_eq!(suspects.turn(now, true, |_| true), Turn::Suspect);
        suspects.claimed(true);
        // However long it takes, and whatever the store says meanwhile.
        suspects.report(vec![]);
        assert_eq!(suspects.turn(now + 3 * TURN, false, |_| true), Turn::Nobody);
        assert!(suspects.keep_others_waiting());
        assert_eq!(suspects.turn(now + 3 * TURN, true, |_| true), Turn::Others);
        assert!(!suspects.keep_others_waiting());
    }

    #[test]
    fn one_suspect_follows_the_other_until_none_is_found() {
        let (suspects, now) = suspects();
        for _ in 0..2 {
            assert_eq!(suspects.turn(now, true, |_| true), Turn::Suspect);
            suspects.claimed(true);
        }
        assert_eq!(suspects.turn(now, true, |_| true), Turn::Suspect);
        suspects.claimed(false);
        assert_eq!(suspects.turn(now, true, |_| true), Turn::Others);
    }

    #[test]
    fn suspects_and_others_take_turns() {
        let (suspects, now) = suspects();
        assert_eq!(suspects.turn(now, false, |_| true), Turn::Nobody);
        assert_eq!(suspects.turn(now + TURN, false, |_| true), Turn::Others);
        assert_eq!(
            suspects.turn(now + TURN * 2 - Duration::from_millis(1), true, |_| true),
            Turn::Others
        );
        assert_eq!(suspects.turn(now + TURN * 2, false, |_| true), Turn::Nobody);
    }

    #[test]
    fn suspects_do_not_wait_for_others_that_are_not_there() {
        let (suspects, now) = suspects();
        assert!(!suspects.others_are_done());
        suspects.turn(now, false, |_| true);
        assert_eq!(suspects.turn(now + TURN, false, |_| true), Turn::Others);
        assert!(suspects.others_are_done());
        assert_eq!(suspects.turn(now + TURN, true, |_| true), Turn::Suspect);
    }
}
