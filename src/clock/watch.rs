//! Notices a wall clock that jumps, by a clock that cannot be set.

use super::{MachineClocks, Micros, Millis};

/// A difference that grew by more than this is a jump, µs.
const MIN_JUMP: Micros = 2_000_000;
/// A clock may gain or lose one in so many without jumping: it is being corrected slowly, or the other one is.
const MAX_DRIFT: i64 = 2_000;
/// The two clocks of a reading were read within this time, µs.
const MAX_READING: Micros = 1_000;
/// Tries before there is no reading: a process can be stopped between two clocks, even several times.
const MAX_TRIES: usize = 5;

/// Wall time and boot time of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Wall time since the epoch, µs.
    pub wall: Micros,
    /// Boot time, µs.
    pub boot: Micros,
}

impl ClockReading {
    /// Reads the clocks of a machine; `None`: not at once.
    #[must_use]
    pub fn of(machine: &dyn MachineClocks) -> Option<Self> {
        (0..MAX_TRIES).find_map(|_| {
            let boot = machine.boot();
            let wall = machine.wall();
            (machine.boot() - boot <= MAX_READING).then_some(Self { wall, boot })
        })
    }

    /// Wall time, ms.
    #[must_use]
    pub const fn now(self) -> Millis {
        self.wall.div_euclid(1_000)
    }

    const fn difference(self) -> Micros {
        self.wall.saturating_sub(self.boot)
    }
}

/// A time in which the wall clock went on without a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Wall time when it began, as far as known.
    pub start: Millis,
    /// Wall time less boot time, µs.
    pub difference: Micros,
}

/// The wall clock went on with another time than it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// What it would have shown.
    pub from: Millis,
    /// What it shows.
    pub to: Millis,
}

impl Jump {
    /// The jump that lies between a segment of which no more is known than when it began and a reading: it began later. There may
    /// be another that is not seen.
    #[must_use]
    pub fn back_before(segment: &Segment, reading: ClockReading) -> Option<Self> {
        let (from, to) = (segment.start, reading.now());
        (from.saturating_sub(to) > MIN_JUMP / 1_000).then_some(Self { from, to })
    }

    /// Whether it was put back.
    #[must_use]
    pub const fn is_backwards(&self) -> bool {
        self.to < self.from
    }
}

/// Compares readings.
#[derive(Clone, Copy, Debug)]
pub struct ClockWatch {
    segment: Segment,
    last_look: Micros,
}

impl ClockWatch {
    /// Watches from this reading on: a segment begins with it.
    #[must_use]
    pub const fn new(reading: ClockReading) -> Self {
        let segment = Segment {
            start: reading.now(),
            difference: reading.difference(),
        };
        Self::within(segment, reading)
    }

    /// Watches from this reading on, which should be within a segment that began earlier in this boot.
    #[must_use]
    pub const fn within(segment: Segment, reading: ClockReading) -> Self {
        Self {
            segment,
            last_look: reading.boot,
        }
    }

    /// The present segment.
    #[must_use]
    pub const fn segment(&self) -> Segment {
        self.segment
    }

    /// The jump that lies between the segment and a later reading, if there is one. It is reported until a watch begins
    /// [anew](Self::new). Follows a clock that runs a little faster or slower.
    pub fn look(&mut self, reading: ClockReading) -> Option<Jump> {
        let drift = reading.boot.saturating_sub(self.last_look).max(0) / MAX_DRIFT;
        self.last_look = reading.boot;
        let difference = reading.difference();
        let change = difference.saturating_sub(self.segment.difference);
        self.segment.difference = self.segment.difference.saturating_add(change.clamp(-drift, drift));
        let left = difference.saturating_sub(self.segment.difference);
        (left.unsigned_abs() > MIN_JUMP.unsigned_abs()).then(|| Jump {
            from: reading.wall.saturating_sub(left).div_euclid(1_000),
            to: reading.now(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Micros = 1_000_000;
    const HOUR: Micros = 3_600 * SECOND;
    const DAY: Micros = 24 * HOUR;
    /// Wall time less boot time at the start.
    const EPOCH: Micros = 1_700_000_000 * SECOND;

    fn reading(boot: Micros, off: Micros) -> ClockReading {
        ClockReading {
            wall: EPOCH + boot + off,
            boot,
        }
    }

    fn ms(boot: Micros, off: Micros) -> Millis {
        reading(boot, off).now()
    }

    #[test]
    fn a_clock_that_goes_on_does_not_jump_nor_does_one_that_was_suspended() {
        let mut watch = ClockWatch::new(reading(0, 0));
        for boot in [SECOND, 2 * SECOND, 8 * HOUR, 30 * DAY] {
            assert_eq!(watch.look(reading(boot, 0)), None);
        }
        assert_eq!(watch.segment().start, ms(0, 0));
    }

    #[test]
    fn jumps_are_seen_in_both_directions_and_across_a_suspend() {
        for off in [3 * SECOND, HOUR, DAY, -3 * SECOND, -HOUR, -DAY] {
            let mut watch = ClockWatch::new(reading(0, 0));
            assert_eq!(watch.look(reading(SECOND, 0)), None);
            let jump = watch.look(reading(2 * SECOND, off)).unwrap();
            // What the watch has followed of it is not more than a drift.
            assert!((jump.from - ms(2 * SECOND, 0)).abs() <= 1);
            assert_eq!(jump.to, ms(2 * SECOND, off));
            assert_eq!(jump.is_backwards(), off < 0);
        }
        let mut watch = ClockWatch::new(reading(0, 0));
        let jump = watch.look(reading(8 * HOUR, -HOUR)).unwrap();
        assert!(jump.is_backwards());
    }

    #[test]
    fn a_jump_is_reported_until_a_segment_begins_with_it_and_back_again_is_another() {
        let mut watch = ClockWatch::new(reading(0, 0));
        for boot in 1..10 {
            assert!(watch.look(reading(boot * SECOND, DAY)).is_some());
        }
        let mut watch = ClockWatch::new(reading(10 * SECOND, DAY));
        assert_eq!(watch.look(reading(11 * SECOND, DAY)), None);
        let back = watch.look(reading(12 * SECOND, 0)).unwrap();
        assert_eq!(back.to, ms(12 * SECOND, 0));
    }

    #[test]
    fn a_slow_correction_does_not_add_up_to_a_jump() {
        for sign in [-1, 1] {
            let mut watch = ClockWatch::new(reading(0, 0));
            for boot in 1..100_000 {
                let slewed = sign * boot * SECOND / 2_000;
                assert_eq!(watch.look(reading(boot * SECOND, slewed)), None);
            }
        }
    }

    #[test]
    fn small_steps_in_quick_succession_add_up_and_spread_out_ones_do_not() {
        let mut watch = ClockWatch::new(reading(0, 0));
        assert_eq!(watch.look(reading(SECOND, -3 * SECOND / 2)), None);
        assert!(watch.look(reading(2 * SECOND, -3 * SECOND)).is_some());
        let mut watch = ClockWatch::new(reading(0, 0));
        assert_eq!(watch.look(reading(SECOND, SECOND)), None);
        assert_eq!(watch.look(reading(HOUR, SECOND)), None);
        assert_eq!(watch.look(reading(HOUR + SECOND, 2 * SECOND)), None);
        assert_eq!(watch.look(reading(2 * HOUR, 2 * SECOND)), None);
    }

    #[test]
    fn noise_of_readings_does_not_add_up() {
        let mut watch = ClockWatch::new(reading(0, 0));
        for boot in 1..100_000 {
            let noise = [900, -300, 0, 700, -900][usize::try_from(boot % 5).unwrap()];
            assert_eq!(watch.look(reading(boot * SECOND / 10, noise)), None);
        }
        assert!((watch.segment().difference - EPOCH).abs() < 1_000);
    }

    #[test]
    fn a_jump_is_seen_across_a_restart() {
        let segment = ClockWatch::new(reading(0, 0)).segment();
        let later = reading(HOUR, -DAY);
        assert!(ClockWatch::within(segment, later).look(later).is_some());
        let later = reading(HOUR, 0);
        assert_eq!(ClockWatch::within(segment, later).look(later), None);
    }

    #[test]
    fn a_clock_that_shows_less_than_when_a_segment_began_was_put_back() {
        let segment = ClockWatch::new(reading(0, DAY)).segment();
        let jump = Jump::back_before(&segment, reading(HOUR, 0)).unwrap();
        assert_eq!((jump.from, jump.to), (ms(0, DAY), ms(HOUR, 0)));
        assert!(jump.is_backwards());
        // As far as several processes that estimate one clock may differ.
        assert_eq!(Jump::back_before(&segment, reading(0, DAY - SECOND)), None);
        assert_eq!(Jump::back_before(&segment, reading(2 * DAY, 0)), None);
    }

    #[test]
    fn clocks_that_cannot_be_read_at_once_give_no_reading() {
        #[derive(Debug)]
        struct Stopped(std::sync::atomic::AtomicI64);
        impl MachineClocks for Stopped {
            fn wall(&self) -> Micros {
                0
            }
            fn boot(&self) -> Micros {
                self.0.fetch_add(SECOND, std::sync::atomic::Ordering::Relaxed)
            }
        }
        assert_eq!(ClockReading::of(&Stopped(0.into())), None);
    }
}
