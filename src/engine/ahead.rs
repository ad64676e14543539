//! How many runs to claim ahead of the slots that are free.
//!
//! Work that takes less time than a claim leaves slots empty between two claims, and makes claims of a few runs each, which
//! cost nearly as much as claims of many. So as many runs are claimed ahead as are done within a few hundredths of a second: enough for the
//! next claim to be under way meanwhile, and too short for another process to miss them. Work that takes its time is never
//! claimed ahead. Pure; knows no store and no run.

use std::time::Duration;

/// What is claimed ahead is to be begun within this time.
const HORIZON: Duration = Duration::from_millis(25);
/// Most runs ahead, and most bytes of their inputs.
const MOST: usize = 500;
const MOST_BYTES: f64 = 8_388_608.0;
/// After so long, a run that was claimed ahead is given back: work takes longer than it did.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// Weight of the latest attempt in the means.
const WEIGHT: f64 = 1.0 / 32.0;

/// How long attempts take a slot, and how large their inputs are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    seconds: Option<f64>,
    bytes: f64,
}

impl Pace {
    /// A run was claimed, with so large an input.
    pub fn claimed(&mut self, bytes: usize) {
        self.bytes += (bytes as f64 - self.bytes) * WEIGHT;
    }

    /// An attempt had its slot for so long. One that took long counts at once.
    pub fn took(&mut self, time: Duration) {
        let took = time.as_secs_f64();
        let mean = self.seconds.unwrap_or(took);
        let weight = if time >= HORIZON { 1.0 } else { WEIGHT };
        self.seconds = Some(mean + (took - mean) * weight);
    }

    /// How many runs `concurrency` slots get through within the horizon, beyond those that they hold.
    #[must_use]
    pub fn worth_ahead(&self, concurrency: usize) -> usize {
        let Some(seconds) = self.seconds else { return 0 };
        let rounds = HORIZON.as_secs_f64() / seconds.max(1e-6) - 1.0;
        let by_time = (concurrency as f64 * rounds.max(0.0)).min(MOST as f64);
        // A cast of a float stays within the integer's range.
        by_time.min(MOST_BYTES / self.bytes.max(1.0)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(millis: f64, bytes: usize) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..200 {
            pace.claimed(bytes);
            pace.took(Duration::from_secs_f64(millis / 1e3));
        }
        pace
    }

    #[test]
    fn nothing_is_claimed_ahead_of_what_is_not_known() {
        assert_eq!(Pace::default().worth_ahead(100), 0);
    }

    #[test]
    fn what_is_claimed_ahead_is_done_within_the_horizon() {
        assert_eq!(pace(5.0, 100).worth_ahead(10), 40);
        assert_eq!(pace(25.0, 100).worth_ahead(10), 0);
        assert_eq!(pace(3_000.0, 100).worth_ahead(10), 0);
        assert_eq!(pace(0.01, 100).worth_ahead(100), MOST);
    }

    #[test]
    fn one_slow_attempt_ends_it() {
        let mut pace = pace(0.1, 100);
        assert!(pace.worth_ahead(10) > 0);
        pace.took(Duration::from_secs(1));
        assert_eq!(pace.worth_ahead(10), 0);
    }

    #[test]
    fn large_inputs_are_bounded_by_their_bytes() {
        assert!(pace(0.1, 1 << 20).worth_ahead(100) <= 8);
    }
}
