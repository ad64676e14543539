//! The wall clock of a store that several machines share, as an estimate on this machine's boot time.
//!
//! Each sample says that the store's clock read a time somewhere between question and answer. Invariant: the estimate lies
//! within the bounds of the last sample, and does not move while it does, unless to a much better one.

use super::{Clock, ClockReading, MachineClocks, Micros, Millis, SystemClock};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// No difference is known: the machine's own clock counts.
const UNKNOWN: i64 = i64::MIN;
/// A sample is asked for when the last one is older than this, µs.
const MAX_SAMPLE_AGE: Micros = 1_000_000;
/// A machine whose clock is wrong by more than this is worth a warning, µs.
const MAX_SKEW: Micros = 1_000_000;
/// The store's time comes in ms.
const RESOLUTION: Micros = 1_000;
/// A sample as good as this needs no other beside it, µs.
const GOOD_UNCERTAINTY: Micros = 50_000;

/// What the store's clock said, and when by this machine's boot time.
#[derive(Clone, Copy, Debug)]
pub struct TimeSample {
    /// Before the question, µs of boot time.
    pub asked: Micros,
    /// The answer.
    pub time: Millis,
    /// After the answer, µs of boot time.
    pub answered: Micros,
}

impl TimeSample {
    /// The store's clock may differ from what the sample says by so much, µs.
    fn uncertainty(&self) -> Micros {
        (self.answered - self.asked).max(0) / 2 + RESOLUTION
    }

    /// Whether another one is hardly better.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.uncertainty() <= GOOD_UNCERTAINTY
    }

    /// The store's clock less boot time.
    fn difference(&self) -> Micros {
        let middle = self.asked + (self.answered - self.asked) / 2;
        self.time.saturating_mul(1_000).saturating_sub(middle)
    }
}

/// The store's wall clock where it has one, else this machine's.
#[derive(Debug)]
pub struct StoreClock {
    machine: Box<dyn MachineClocks>,
    /// The store's clock less boot time, µs.
    difference: AtomicI64,
    /// Of that, µs.
    uncertainty: AtomicI64,
    /// When a sample was last asked for, µs of boot time; `i64::MAX`: none is needed.
    last_asked: AtomicI64,
    /// Somebody was told that the machine's clock is wrong.
    told: AtomicBool,
}

impl Default for StoreClock {
    fn default() -> Self {
        Self::on(Box::new(SystemClock))
    }
}

impl StoreClock {
    /// A clock that goes by that of `machine` until the store's is known.
    #[must_use]
    pub fn on(machine: Box<dyn MachineClocks>) -> Self {
        Self {
            machine,
            difference: AtomicI64::new(UNKNOWN),
            uncertainty: AtomicI64::new(0),
            last_asked: AtomicI64::new(UNKNOWN),
            told: AtomicBool::new(false),
        }
    }

    /// This machine's boot time, µs.
    #[must_use]
    pub fn boot(&self) -> Micros {
        self.machine.boot()
    }

    /// Whether this is the clock of the store.
    #[must_use]
    pub fn follows_store(&self) -> bool {
        self.known_difference().is_some()
    }

    /// The store has no clock: this machine's counts, and no sample is due any more.
    pub fn follow_machine(&self) {
        self.last_asked.store(i64::MAX, Ordering::Relaxed);
    }

    /// Whether a new sample is due, or being taken.
    #[must_use]
    pub fn is_sample_old(&self) -> bool {
        let (last, now) = (self.last_asked.load(Ordering::Relaxed), self.boot());
        now.saturating_sub(last) > MAX_SAMPLE_AGE
    }

    /// Whether the last sample is old. Of several that ask at once one is told so, who is to take a new one.
    #[must_use]
    pub fn sample_is_due(&self) -> bool {
        let (last, now) = (self.last_asked.load(Ordering::Relaxed), self.boot());
        let is_old = now.saturating_sub(last) > MAX_SAMPLE_AGE;
        is_old
            && self
                .last_asked
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Goes by a sample if it says that the estimate is wrong, or is much better than what that came from.
    pub fn take(&self, sample: TimeSample) {
        self.last_asked.store(sample.answered, Ordering::Relaxed);
        let uncertainty = sample.uncertainty();
        let keep = self.known_difference().is_some_and(|known| {
            known.abs_diff(sample.difference()) <= uncertainty.unsigned_abs()
                && uncertainty.saturating_mul(2) > self.uncertainty.load(Ordering::Relaxed)
        });
        if !keep {
            self.uncertainty.store(uncertainty, Ordering::Relaxed);
            self.difference.store(sample.difference(), Ordering::Relaxed);
        }
    }

    /// By how much this machine's clock is ahead of the store's (behind: negative), ms, when that is more than a second.
    #[must_use]
    pub fn skew(&self) -> Option<Millis> {
        let difference = self.known_difference()?;
        let reading = self.machine_reading()?;
        let skew = reading.wall.saturating_sub(reading.boot.saturating_add(difference));
        let at_least = MAX_SKEW.saturating_add(self.uncertainty.load(Ordering::Relaxed));
        (skew.unsigned_abs() > at_least.unsigned_abs()).then_some(skew / 1_000)
    }

    /// The same, once.
    #[must_use]
    pub fn skew_to_tell(&self) -> Option<Millis> {
        let skew = self.skew()?;
        (!self.told.swap(true, Ordering::Relaxed)).then_some(skew)
    }

    fn known_difference(&self) -> Option<Micros> {
        let known = self.difference.load(Ordering::Relaxed);
        (known != UNKNOWN).then_some(known)
    }

    fn machine_reading(&self) -> Option<ClockReading> {
        ClockReading::of(&*self.machine)
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Millis {
        let now = match self.known_difference() {
            Some(difference) => self.boot().saturating_add(difference),
            None => self.machine.wall(),
        };
        now.div_euclid(1_000)
    }

    fn store_clock(&self) -> Option<&StoreClock> {
        Some(self)
    }

    fn reading(&self) -> Option<ClockReading> {
        let Some(difference) = self.known_difference() else {
            return self.machine_reading();
        };
        let boot = self.boot();
        Some(ClockReading {
            wall: boot.saturating_add(difference),
            boot,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    const SECOND: Micros = 1_000_000;
    /// What the store's clock shows less boot time.
    const SERVER: Micros = 1_700_000_000 * SECOND;

    #[derive(Clone, Debug, Default)]
    struct Machine {
        boot: Arc<AtomicI64>,
        /// Its clock, less that of the store.
        skew: Arc<AtomicI64>,
    }

    impl MachineClocks for Machine {
        fn wall(&self) -> Micros {
            self.boot() + SERVER + self.skew.load(Ordering::Relaxed)
        }

        fn boot(&self) -> Micros {
            self.boot.load(Ordering::Relaxed)
        }
    }

    fn clock() -> (StoreClock, Machine) {
        let machine = Machine::default();
        (StoreClock::on(Box::new(machine.clone())), machine)
    }

    /// A sample of a server whose clock is `off` its right time, read right before it answered.
    fn sample(machine: &Machine, round_trip: Micros, off: Micros) -> TimeSample {
        let asked = machine.boot.fetch_add(round_trip, Ordering::Relaxed);
        TimeSample {
            asked,
            time: (asked + round_trip + SERVER + off) / 1_000,
            answered: asked + round_trip,
        }
    }

    #[test]
    fn before_the_first_sample_the_machine_counts_and_afterwards_the_store() {
        let (clock, machine) = clock();
        machine.skew.store(600 * SECOND, Ordering::Relaxed);
        assert_eq!(clock.now(), (SERVER + 600 * SECOND) / 1_000);
        assert_eq!(clock.skew(), None);
        clock.take(sample(&machine, 2_000, 0));
        let right = (machine.boot() + SERVER) / 1_000;
        assert!((clock.now() - right).abs() <= 2, "{} {right}", clock.now());
        let skew = clock.skew().unwrap();
        assert!((skew - 600_000).abs() <= 2, "{skew}");
        assert_eq!(clock.skew_to_tell(), Some(skew));
        assert_eq!(clock.skew_to_tell(), None);
    }

    #[test]
    fn setting_the_machines_clock_changes_nothing() {
        let (clock, machine) = clock();
        clock.take(sample(&machine, 2_000, 0));
        let before = clock.now();
        machine.skew.store(-86_400 * SECOND, Ordering::Relaxed);
        assert_eq!(clock.now(), before);
    }

    #[test]
    fn an_estimate_stays_while_samples_agree_with_it() {
        let (clock, machine) = clock();
        clock.take(sample(&machine, 4_000, 0));
        let known = clock.known_difference();
        for off in [-1_000, 1_000, 0] {
            clock.take(sample(&machine, 3_000, off));
            assert_eq!(clock.known_difference(), known);
        }
        // As slow as this, a sample agrees with nearly everything.
        clock.take(sample(&machine, 10 * SECOND, 0));
        assert_eq!(clock.known_difference(), known);
    }

    #[test]
    fn a_sample_that_contradicts_or_is_much_better_counts() {
        let (clock, machine) = clock();
        clock.take(sample(&machine, 3 * SECOND, 0));
        clock.take(sample(&machine, 2_000, 0));
        let right = (machine.boot() + SERVER) / 1_000;
        assert!((clock.now() - right).abs() <= 2);
        clock.take(sample(&machine, 2_000, -3_600 * SECOND));
        let right = (machine.boot() + SERVER - 3_600 * SECOND) / 1_000;
        assert!((clock.now() - right).abs() <= 2);
    }

    #[test]
    fn one_of_several_takes_the_next_sample() {
        let (clock, machine) = clock();
        assert!(clock.sample_is_due());
        assert!(!clock.sample_is_due());
        clock.take(sample(&machine, 2_000, 0));
        machine.boot.fetch_add(MAX_SAMPLE_AGE, Ordering::Relaxed);
        assert!(!clock.sample_is_due());
        machine.boot.fetch_add(1, Ordering::Relaxed);
        assert!(clock.sample_is_due());
        clock.follow_machine();
        machine.boot.fetch_add(100 * MAX_SAMPLE_AGE, Ordering::Relaxed);
        assert!(!clock.sample_is_due());
    }

    #[test]
    fn a_skew_within_what_is_uncertain_is_none() {
        let (clock, machine) = clock();
        machine.skew.store(2 * SECOND, Ordering::Relaxed);
        clock.take(sample(&machine, 4 * SECOND, 0));
        assert_eq!(clock.skew(), None);
    }
}
