//! Whether a server is tried at all, that of a resource or of a webhook: after connections failed several times in a row, attempts are
//! made one at a time, further and further apart, until one finds a connection.
//!
//! Knows no connector. Pure: the time is passed in. Invariants: what answers, with whatever answer, closes the circuit; a failure of an attempt that had
//! begun before the pause says nothing new and makes it no longer.

use crate::error::ErrorCode;
use std::time::{Duration, Instant};

/// Failures in a row that open the circuit: a single job with its own delays seldom has so many.
const FAILURES_TO_OPEN: u32 = 5;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause, and with it the longest time until somebody notices that the server is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What an attempt says of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It answered.
    Answer,
    /// There was no connection, or it broke.
    NoConnection,
    /// No answer in time: while the circuit is closed, only slow.
    Timeout,
}

impl Sign {
    /// What a failure with this code says; `None`: nothing, since the server may not have been asked.
    #[must_use]
    pub fn of_failure(code: &str) -> Option<Self> {
        match ErrorCode::parse(code)? {
            ErrorCode::ConnectionError => Some(Self::NoConnection),
            ErrorCode::Timeout => Some(Self::Timeout),
            ErrorCode::Unauthorized | ErrorCode::NotFound | ErrorCode::RateLimited | ErrorCode::ServiceUnavailable => {
                Some(Self::Answer)
            }
            _ => None,
        }
    }
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Attempts are made one at a time from now on.
    Opened,
    /// All attempts are made again.
    Closed,
}

/// The state of one server, as this process sees it.
#[derive(Debug, Default)]
pub struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// Open: how long the pause is, and when it ends.
    pause: Option<(Duration, Instant)>,
}

impl Circuit {
    /// How long no attempt is to be made; zero: one at a time. `None`: any number.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        self.pause.map(|(_, end)| end.saturating_duration_since(now))
    }

    /// Takes what an attempt has found that began at `began` and ended `now`.
    pub fn take(&mut self, sign: Sign, began: Instant, now: Instant) -> Option<Change> {
        match (sign, self.pause) {
            (Sign::Answer, pause) => {
                *self = Self::default();
                pause.map(|_| Change::Closed)
            }
            (Sign::Timeout, None) => None,
            (Sign::NoConnection, None) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures < FAILURES_TO_OPEN {
                    return None;
                }
                self.pause = Some((FIRST_PAUSE, now + FIRST_PAUSE));
                Some(Change::Opened)
            }
            (Sign::NoConnection | Sign::Timeout, Some((pause, end))) => {
                self.failures = self.failures.saturating_add(1);
                if began >= end {
                    let pause = (pause * 2).min(LONGEST_PAUSE);
                    self.pause = Some((pause, now + pause));
                }
                None
            }
        }
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A circuit that was opened at this time.
    fn opened(at: Instant) -> Circuit {
        let mut circuit = Circuit::default();
        for failure in 1..=5 {
            let change = circuit.take(Sign::NoConnection, at, at);
            assert_eq!(change, (failure == 5).then_some(Change::Opened));
            assert_eq!(circuit.wait(at).is_some(), failure == 5);
        }
        circuit
    }

    #[test]
    fn pauses_grow_from_attempt_to_attempt_up_to_half_a_minute() {
        let mut now = Instant::now();
        let mut circuit = opened(now);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let pause = circuit.wait(now).unwrap();
            pauses.push(pause.as_millis());
            now += pause;
            assert_eq!(circuit.wait(now), Some(Duration::ZERO));
            assert_eq!(circuit.take(Sign::NoConnection, now, now), None);
        }
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(circuit.failures(), 14);
    }

    #[test]
    fn attempts_of_before_make_no_pause_longer() {
        let now = Instant::now();
        let mut circuit = opened(now);
        for _ in 0..100 {
            assert_eq!(circuit.take(Sign::NoConnection, now, now + SECOND), None);
        }
        assert_eq!(circuit.wait(now), Some(FIRST_PAUSE));
        // One that times out after the pause does.
        circuit.take(Sign::Timeout, now + SECOND, now + 3 * SECOND);
        assert_eq!(circuit.wait(now + 3 * SECOND), Some(2 * FIRST_PAUSE));
    }

    #[test]
    fn an_answer_closes_the_circuit_and_counts_anew() {
        let now = Instant::now();
        let mut circuit = opened(now);
        assert_eq!(circuit.take(Sign::Answer, now, now), Some(Change::Closed));
        assert_eq!((circuit.wait(now), circuit.failures()), (None, 0));
        for _ in 0..20 {
            for _ in 0..4 {
                assert_eq!(circuit.take(Sign::NoConnection, now, now), None);
            }
            assert_eq!(circuit.take(Sign::Answer, now, now), None);
        }
        for _ in 0..20 {
            assert_eq!(circuit.take(Sign::Timeout, now, now), None, "slow, and there");
        }
    }
}
