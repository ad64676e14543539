//! Which runs of a process that is gone count a crash, and what a crash costs a run: a delay, and then its company.
//!
//! A process dies with all that it was executing, and one of these runs may be the cause. None of them can be told from
//! the others, so each counts a crash; what was claimed and not begun is no suspect. A run with [`SUSPECT_AFTER`] crashes
//! runs alone from then on, so that the cause is found and the others are cleared. `docs/design/crashes.md` has the reasons.

use crate::clock::Millis;

/// Crashes from which on a run is claimed alone. The statements of the stores and their partial index have this number, too.
pub const SUSPECT_AFTER: u32 = 3;

/// Delay of the attempt after the second crash; it doubles with each further one.
const FIRST_DELAY: Millis = 1_000;
const MAX_DELAY: Millis = 60_000;

/// A process whose claims are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct GoneProcess {
    /// Whether it is known, or must be assumed, to have ended by itself: not when it is stopped or hangs, nor when its
    /// machine has started anew.
    pub(in crate::store) died: bool,
    /// How many attempts it ran at once; `None`: it was registered by a version that did not say.
    pub(in crate::store) slots: Option<i64>,
}

impl GoneProcess {
    /// Whether the claim at this place among its claims, the one with the lowest token at 1, counts a crash. Claims are begun in the order of
    /// their tokens, so that the first ones were being executed and the others waited for a slot.
    pub(in crate::store) fn crashed(self, place: i64) -> bool {
        self.died && self.slots.is_none_or(|slots| place <= slots)
    }
}

/// How long a run waits after its `crashes`th crash. Not at all after the first one, so that a process that is killed for
/// another reason costs nothing.
pub(in crate::store) fn delay(crashes: u32) -> Millis {
    match crashes.checked_sub(2) {
        None => 0,
        Some(doublings) => FIRST_DELAY
            .checked_shl(doublings)
            .filter(|_| doublings < 16)
            .map_or(MAX_DELAY, |delay| delay.min(MAX_DELAY)),
    }
}

/// The delays after the first crash, the second one and so on, up to the longest one.
pub(in crate::store) fn delays() -> Vec<Millis> {
    let mut delays: Vec<Millis> = (1..).map(delay).take_while(|delay| *delay < MAX_DELAY).collect();
    delays.push(MAX_DELAY);
    delays
}

/// When a crash was found, after which its run waits until `due`.
pub(in crate::store) fn found(due: Millis, crashes: u32) -> Millis {
    due.saturating_sub(delay(crashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_crash_costs_no_time_and_the_others_ever_more_up_to_a_minute() {
        let delays: Vec<Millis> = (1..=10).map(delay).collect();
        assert_eq!(
            delays,
            [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
        );
        assert_eq!((delay(0), delay(100), delay(u32::MAX)), (0, MAX_DELAY, MAX_DELAY));
        assert_eq!(super::delays(), delays[..8]);
    }

    #[test]
    fn only_runs_that_were_being_executed_when_their_process_died_count_a_crash() {
        let counted = |died, slots| -> Vec<i64> {
            let process = GoneProcess { died, slots };
            (1..=4).filter(|place| process.crashed(*place)).collect()
        };
        assert_eq!(counted(true, Some(2)), [1, 2]);
        assert_eq!(counted(true, Some(9)), [1, 2, 3, 4]);
        assert_eq!(counted(true, None), [1, 2, 3, 4]);
        assert!(counted(false, Some(2)).is_empty() && counted(false, None).is_empty());
    }
}
