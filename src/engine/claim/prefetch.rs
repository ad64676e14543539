//! How many runs to claim ahead of the slots that are free.
//!
//! Work that takes less time than a claim leaves slots empty between two claims, and makes claims of a few runs each, which
//! cost nearly as much as claims of many. So as many runs are claimed ahead as are done within a few hundredths of a second: enough for the
//! next claim to be under way meanwhile, and too short for another process to miss them. Work that takes its time is never
//! claimed ahead. Pure; knows no store and no run.

use std::time::Duration;

/// What is claimed ahead is to be begun within this time.
const PREFETCH_HORIZON: Duration = Duration::from_millis(25);
/// Most runs ahead, and most bytes of their inputs.
const MAX_PREFETCHED_RUNS: usize = 500;
const MAX_PREFETCHED_BYTES: f64 = 8_388_608.0;
/// After so long, a run that was claimed ahead is given back: work takes longer than it did.
pub const PREFETCH_TIMEOUT: Duration = Duration::from_millis(250);
/// Weight of the latest attempt in the means.
const SAMPLE_WEIGHT: f64 = 1.0 / 32.0;

/// How long attempts take a slot, and how large their inputs are.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttemptAverages {
    seconds: Option<f64>,
    bytes: f64,
}

impl AttemptAverages {
    /// A run was claimed, with so large an input.
    pub fn record_claim(&mut self, bytes: usize) {
        self.bytes += (bytes as f64 - self.bytes) * SAMPLE_WEIGHT;
    }

    /// An attempt had its slot for so long. One that took long counts at once.
    pub fn record_duration(&mut self, time: Duration) {
        let took = time.as_secs_f64();
        let mean = self.seconds.unwrap_or(took);
        let weight = if time >= PREFETCH_HORIZON { 1.0 } else { SAMPLE_WEIGHT };
        self.seconds = Some(mean + (took - mean) * weight);
    }

    /// How many runs `concurrency` slots get through within the horizon, beyond those that they hold.
    #[must_use]
    pub fn runs_to_prefetch(&self, concurrency: usize) -> usize {
        let Some(seconds) = self.seconds else { return 0 };
        let rounds = PREFETCH_HORIZON.as_secs_f64() / seconds.max(1e-6) - 1.0;
        let by_time = (concurrency as f64 * rounds.max(0.0)).min(MAX_PREFETCHED_RUNS as f64);
        // A cast of a float stays within the integer's range.
        by_time.min(MAX_PREFETCHED_BYTES / self.bytes.max(1.0)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn averages(millis: f64, bytes: usize) -> AttemptAverages {
        let mut averages = AttemptAverages::default();
        for _ in 0..200 {
            averages.record_claim(bytes);
            averages.record_duration(Duration::from_secs_f64(millis / 1e3));
        }
        averages
    }

    #[test]
    fn nothing_is_prefetched_before_the_first_measurement() {
        assert_eq!(AttemptAverages::default().runs_to_prefetch(100), 0);
    }

    #[test]
    fn prefetched_runs_are_done_within_the_horizon() {
        assert_eq!(averages(5.0, 100).runs_to_prefetch(10), 40);
        assert_eq!(averages(25.0, 100).runs_to_prefetch(10), 0);
        assert_eq!(averages(3_000.0, 100).runs_to_prefetch(10), 0);
        assert_eq!(averages(0.01, 100).runs_to_prefetch(100), MAX_PREFETCHED_RUNS);
    }

    #[test]
    fn one_slow_attempt_stops_prefetching() {
        let mut averages = averages(0.1, 100);
        assert!(averages.runs_to_prefetch(10) > 0);
        averages.record_duration(Duration::from_secs(1));
        assert_eq!(averages.runs_to_prefetch(10), 0);
    }

    #[test]
    fn large_inputs_limit_prefetching_by_their_bytes() {
        assert!(averages(0.1, 1 << 20).runs_to_prefetch(100) <= 8);
    }
}
