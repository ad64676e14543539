//! What happened to the jobs of a route in a span of time, as numbers that can be added up.
//!
//! Invariant: to add figures is commutative and loses nothing: it does not matter which process counted what, or in which order.

use serde::{Deserialize, Serialize};

/// Bins of a doubling: a bin is at most a quarter wide.
const BINS_PER_DOUBLING: u64 = 4;
/// Times from this one on, ms (34 years), share the last bin.
const MAX_BINNED_MS: u64 = (1 << 40) - 1;

/// How many times of which length there were, ms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// Bins with times in them, by number, and how many.
    #[serde(rename = "b", skip_serializing_if = "Vec::is_empty")]
    bins: Vec<(u8, u64)>,
    /// All of them together.
    #[serde(rename = "s", skip_serializing_if = "is_zero")]
    sum: u64,
    /// The longest one.
    #[serde(rename = "m", skip_serializing_if = "is_zero")]
    max: u64,
}

impl Histogram {
    /// Counts a time; one before its beginning counts as none.
    pub fn record(&mut self, ms: i64) {
        let ms = u64::try_from(ms).unwrap_or(0);
        self.count(bin_of(ms), 1);
        self.sum = self.sum.saturating_add(ms);
        self.max = self.max.max(ms);
    }

    fn count(&mut self, bin: u8, count: u64) {
        match self.bins.binary_search_by_key(&bin, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, known)) = self.bins.get_mut(at) {
                    *known = known.saturating_add(count);
                }
            }
            Err(at) => self.bins.insert(at, (bin, count)),
        }
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bins.clear();
        (self.sum, self.max) = (0, 0);
    }

    /// Adds a bin behind the others.
    pub(super) fn push(&mut self, bin: u8, count: u64) {
        self.bins.push((bin, count));
    }

    pub(super) fn set_sum(&mut self, sum: u64) -> Option<()> {
        self.sum = sum;
        Some(())
    }

    pub(super) fn set_max(&mut self, max: u64) -> Option<()> {
        self.max = max;
        Some(())
    }

    /// Whether the bins stand in their order, each of them once.
    pub(super) fn is_ascending(&self) -> bool {
        self.bins.is_sorted_by(|(one, _), (next, _)| one < next)
    }

    /// How many times were shorter than so many ms, of which each is one that a bin ends at.
    #[must_use]
    pub fn shorter_than(&self, bounds: &[u64]) -> Vec<u64> {
        let below = |bound: &u64| {
            let bins = self.bins.iter().filter(|(bin, _)| bounds_of(*bin).1 <= *bound);
            bins.fold(0, |total: u64, (_, count)| total.saturating_add(*count))
        };
        bounds.iter().map(below).collect()
    }

    /// All times together, ms.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Takes away what was added. The longest time stays.
    fn remove(&mut self, other: &Self) {
        for (bin, count) in &other.bins {
            if let Ok(at) = self.bins.binary_search_by_key(bin, |(known, _)| *known)
                && let Some((_, known)) = self.bins.get_mut(at)
            {
                *known = known.saturating_sub(*count);
            }
        }
        self.bins.retain(|(_, count)| *count > 0);
        self.sum = self.sum.saturating_sub(other.sum);
    }

    fn add(&mut self, other: &Self) {
        for (bin, count) in &other.bins {
            self.count(*bin, *count);
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many times were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bins
            .iter()
            .fold(0, |total: u64, (_, count)| total.saturating_add(*count))
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    /// The longest time, exact.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The average, exact; 0 of none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self.len() {
            0 => 0.0,
            count => self.sum as f64 / count as f64,
        }
    }

    /// The time that this share of all, 0 to 1, does not exceed; off by at most an eighth. 0 of none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = share * self.len() as f64;
        let mut below = 0.0;
        for (bin, count) in &self.bins {
            let (from, to) = bounds_of(*bin);
            let count = *count as f64;
            if below + count >= rank {
                let within = ((rank - below) / count).clamp(0.0, 1.0);
                // A bin of one time is that time.
                let width = (to - from - 1) as f64;
                return (from as f64 + width * within).min(self.max as f64);
            }
            below += count;
        }
        self.max as f64
    }
}

/// The bin of a time: one for each ms up to 7, then four for each doubling.
fn bin_of(ms: u64) -> u8 {
    let ms = ms.min(MAX_BINNED_MS);
    if ms < BINS_PER_DOUBLING {
        return ms as u8;
    }
    let doubling = u64::from(ms.ilog2());
    (BINS_PER_DOUBLING * (doubling - 1) + ((ms >> (doubling - 2)) & 3)) as u8
}

/// The shortest time of a bin, and that of the next one.
fn bounds_of(bin: u8) -> (u64, u64) {
    let bin = u64::from(bin);
    if bin < BINS_PER_DOUBLING {
        return (bin, bin + 1);
    }
    // What another version wrote may be any number.
    let shift = (bin / BINS_PER_DOUBLING - 1).min(56);
    let lowest = BINS_PER_DOUBLING + bin % BINS_PER_DOUBLING;
    (lowest << shift, (lowest + 1) << shift)
}

/// What happened, of one route or several. The names of what is stored are short: there is a row for each minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Dispatches that made a job.
    #[serde(rename = "n", skip_serializing_if = "is_zero")]
    pub dispatched: u64,
    /// Runs that completed.
    #[serde(rename = "c", skip_serializing_if = "is_zero")]
    pub completed: u64,
    /// Of these, without a retry.
    #[serde(rename = "t", skip_serializing_if = "is_zero")]
    pub first_try: u64,
    /// Runs that failed for good.
    #[serde(rename = "f", skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Retries that runs had spent when they ended.
    #[serde(rename = "e", skip_serializing_if = "is_zero")]
    pub spent_retries: u64,
    /// Attempts that failed, and were to be tried again.
    #[serde(rename = "r", skip_serializing_if = "is_zero")]
    pub retried: u64,
    /// Attempts that put themselves off.
    #[serde(rename = "z", skip_serializing_if = "is_zero")]
    pub snoozed: u64,
    /// Attempts that ended with their process.
    #[serde(rename = "k", skip_serializing_if = "is_zero")]
    pub crashed: u64,
    /// How long attempts took.
    #[serde(rename = "d", skip_serializing_if = "Histogram::is_empty")]
    pub duration: Histogram,
    /// How much later than due attempts began.
    #[serde(rename = "l", skip_serializing_if = "Histogram::is_empty")]
    pub lateness: Histogram,
}

impl Figures {
    /// Empties them, and keeps their memory.
    pub(super) fn clear(&mut self) {
        let (mut duration, mut lateness) = (std::mem::take(&mut self.duration), std::mem::take(&mut self.lateness));
        duration.clear();
        lateness.clear();
        *self = Self {
            duration,
            lateness,
            ..Self::default()
        };
    }

    /// Each counter, with the count of others.
    fn counters_with(&mut self, other: &Self) -> [(&mut u64, u64); 8] {
        [
            (&mut self.dispatched, other.dispatched),
            (&mut self.completed, other.completed),
            (&mut self.first_try, other.first_try),
            (&mut self.spent_retries, other.spent_retries),
            (&mut self.failed, other.failed),
            (&mut self.retried, other.retried),
            (&mut self.snoozed, other.snoozed),
            (&mut self.crashed, other.crashed),
        ]
    }

    /// Adds what another process or another span has counted.
    pub fn add(&mut self, other: &Self) {
        for (counter, count) in self.counters_with(other) {
            *counter = counter.saturating_add(count);
        }
        self.duration.add(&other.duration);
        self.lateness.add(&other.lateness);
    }

    /// Takes away what was [added](Self::add); the longest times stay.
    pub fn remove(&mut self, other: &Self) {
        for (counter, count) in self.counters_with(other) {
            *counter = counter.saturating_sub(count);
        }
        self.duration.remove(&other.duration);
        self.lateness.remove(&other.lateness);
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_follow_each_other_without_a_gap_and_are_a_quarter_wide_at_most() {
        let mut expected = 0;
        for bin in 0..=bin_of(u64::MAX) {
            let (from, to) = bounds_of(bin);
            assert_eq!(from, expected, "bin {bin}");
            assert_eq!((bin_of(from), bin_of(to - 1)), (bin, bin));
            assert!(from < 4 || (to - from) * 4 <= from, "bin {bin}");
            expected = to;
        }
        assert_eq!(expected, MAX_BINNED_MS + 1);
    }

    #[test]
    fn quantiles_are_near_the_exact_ones() {
        let times: Vec<i64> = (0..10_000).map(|n| (n * n) / 1_000).collect();
        let mut histogram = Histogram::default();
        for ms in &times {
            histogram.record(*ms);
        }
        for share in [0.01, 0.5, 0.95, 0.99, 1.0] {
            let exact = times[((times.len() - 1) as f64 * share) as usize] as f64;
            let told = histogram.quantile(share);
            assert!(
                (told - exact).abs() <= 1.0 + exact / 8.0,
                "{share}: {told}, not {exact}"
            );
        }
        assert_eq!((histogram.len(), histogram.max()), (10_000, 99_980));
        let mean = times.iter().sum::<i64>() as f64 / 10_000.0;
        assert!((histogram.mean() - mean).abs() < 1e-9);
    }

    #[test]
    fn times_below_bounds_are_counted_exactly_where_bins_end() {
        let mut histogram = Histogram::default();
        for ms in [0, 3, 4, 7, 8, 1_023, 1_024, i64::MAX] {
            histogram.record(ms);
        }
        assert_eq!(histogram.shorter_than(&[4, 8, 1_024, 2_048]), [2, 4, 6, 7]);
        assert_eq!(histogram.len(), 8);
    }

    #[test]
    fn what_was_added_can_be_taken_away() {
        let (mut all, mut part) = (Figures::default(), Figures::default());
        for (figures, ms) in [(&mut all, 5), (&mut part, 900)] {
            figures.completed = 2;
            figures.duration.record(ms);
        }
        let before = all.clone();
        all.add(&part);
        assert_eq!((all.completed, all.duration.len(), all.duration.sum()), (4, 2, 905));
        all.remove(&part);
        assert_eq!((all.completed, all.duration.shorter_than(&[8])), (2, vec![1]));
        assert_eq!((all.duration.len(), all.duration.sum()), (1, before.duration.sum()));
    }

    #[test]
    fn one_time_is_told_as_it_is() {
        let mut histogram = Histogram::default();
        histogram.record(1_000);
        assert!((histogram.quantile(0.5) - 1_000.0).abs() < 130.0);
        assert!((histogram.quantile(1.0) - 1_000.0).abs() < f64::EPSILON);
        histogram.record(-5);
        assert_eq!((histogram.len(), histogram.max()), (2, 1_000));
        assert!(histogram.quantile(0.01).abs() < f64::EPSILON);
        assert!(Histogram::default().quantile(0.5).abs() < f64::EPSILON);
    }
}
