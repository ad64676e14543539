//! Whether and when a failed attempt is retried. Pure: random numbers are passed in.

use serde::{Deserialize, Serialize};

/// Error codes that are not retried unless the job lists them as retryable.
const NON_RETRYABLE_BY_DEFAULT: [&str; 4] = ["VALIDATION_ERROR", "NOT_FOUND", "UNAUTHORIZED", "FORBIDDEN"];

/// No delay is longer, ms: it leads to a time that JavaScript's `Date` can show.
const LONGEST_DELAY: f64 = 8e15;

/// `retryConfig` of a job, with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryPolicy {
    /// Delay before the first retry, ms.
    pub initial_delay: f64,
    /// Maximum delay, ms, with jitter.
    pub max_delay: f64,
    /// Factor from one delay to the next.
    pub backoff_multiplier: f64,
    /// Maximum random addition to a delay, as a fraction of it from 0 to 1.
    pub jitter: f64,
    /// If given, only these error codes are retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable_errors: Option<Vec<Box<str>>>,
    /// These error codes are never retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_retryable_errors: Option<Vec<Box<str>>>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_delay: 1_000.0,
            max_delay: 300_000.0,
            backoff_multiplier: 2.0,
            jitter: 0.0,
            retryable_errors: None,
            non_retryable_errors: None,
        }
    }
}

/// The delay that an error asks for, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// The program's own wish.
    Exactly(i64),
    /// What a server asked for: it may say when it is too early, and nothing of how many retries the job has.
    AtLeast(i64),
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Retry after this many ms.
    After(i64),
    /// The run has failed.
    GiveUp,
}

impl RetryPolicy {
    /// Whether errors with this code are retried. `non_retryable_errors` takes precedence over `retryable_errors`.
    #[must_use]
    pub fn retries_error(&self, code: &str) -> bool {
        let contains = |list: &Option<Vec<Box<str>>>| list.as_ref().map(|codes| codes.iter().any(|c| &**c == code));
        if contains(&self.non_retryable_errors) == Some(true) {
            return false;
        }
        contains(&self.retryable_errors).unwrap_or_else(|| !NON_RETRYABLE_BY_DEFAULT.contains(&code))
    }

    fn longest_delay(&self) -> f64 {
        self.max_delay.min(LONGEST_DELAY)
    }

    /// Delay before retry number `retry` (1-based), ms, for a random number `random` from 0 to 1.
    #[must_use]
    pub fn delay(&self, retry: u32, random: f64) -> i64 {
        let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
        let base = self.initial_delay * self.backoff_multiplier.powi(exponent);
        let delay = (base * (1.0 + self.jitter * random)).min(self.longest_delay());
        // A float beyond i64 saturates, and NaN becomes 0: both are safe delays.
        delay.round() as i64
    }

    /// What follows an attempt that failed with the error code `code` when `spent` of `retries` retries have been used.
    /// `retry_after` is the delay that the error asks for; it is capped at `max_delay`.
    #[must_use]
    pub fn decide(
        &self,
        code: &str,
        spent: u32,
        retries: u32,
        retry_after: Option<RetryAfter>,
        random: f64,
    ) -> RetryDecision {
        if spent >= retries || !self.retries_error(code) {
            return RetryDecision::GiveUp;
        }
        let backoff = || self.delay(spent + 1, random);
        let delay = match retry_after {
            Some(RetryAfter::Exactly(asked)) => asked,
            Some(RetryAfter::AtLeast(asked)) => asked.max(backoff()),
            None => backoff(),
        };
        RetryDecision::After(delay.clamp(0, self.longest_delay() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_backoff_doubles_from_one_second_to_five_minutes() {
        let policy = RetryPolicy::default();
        let delays: Vec<i64> = (1..=10).map(|retry| policy.delay(retry, 0.5)).collect();
        assert_eq!(
            delays,
            [1000, 2000, 4000, 8000, 16000, 32000, 64000, 128_000, 256_000, 300_000]
        );
        assert_eq!(policy.delay(u32::MAX, 0.0), 300_000);
    }

    #[test]
    fn jitter_adds_up_to_its_fraction() {
        let policy = RetryPolicy {
            jitter: 0.5,
            ..RetryPolicy::default()
        };
        assert_eq!((policy.delay(1, 0.0), policy.delay(1, 1.0)), (1000, 1500));
        // The maximum holds for the sum.
        assert_eq!((policy.delay(9, 0.0), policy.delay(9, 1.0)), (256_000, 300_000));
        assert_eq!(policy.delay(u32::MAX, 1.0), 300_000);
    }

    #[test]
    fn no_delay_leads_beyond_what_a_date_can_hold() {
        let policy = RetryPolicy {
            initial_delay: 9e15,
            max_delay: 9e15,
            ..RetryPolicy::default()
        };
        assert_eq!(policy.delay(1, 0.0), 8_000_000_000_000_000);
        assert_eq!(
            policy.decide("A", 0, 1, Some(RetryAfter::Exactly(i64::MAX)), 0.0),
            RetryDecision::After(8_000_000_000_000_000)
        );
    }

    #[test]
    fn non_retryable_errors_take_precedence() {
        let policy = RetryPolicy::default();
        assert!(policy.retries_error("TIMEOUT") && policy.retries_error("Error"));
        assert!(!policy.retries_error("VALIDATION_ERROR"));
        let listed = RetryPolicy {
            retryable_errors: Some(vec!["NOT_FOUND".into(), "A".into()]),
            non_retryable_errors: Some(vec!["A".into()]),
            ..policy
        };
        assert!(listed.retries_error("NOT_FOUND"));
        assert!(!listed.retries_error("A") && !listed.retries_error("TIMEOUT"));
    }

    #[test]
    fn retry_after_is_capped_at_the_maximum_delay() {
        let policy = RetryPolicy::default();
        let decided = |asked| policy.decide("RATE_LIMITED", 0, 1, Some(asked), 0.0);
        for asked in [RetryAfter::Exactly, RetryAfter::AtLeast] {
            assert_eq!(decided(asked(7_000)), RetryDecision::After(7_000));
            assert_eq!(decided(asked(i64::MAX)), RetryDecision::After(300_000));
            let last = policy.decide("RATE_LIMITED", 1, 1, Some(asked(1)), 0.0);
            assert_eq!(last, RetryDecision::GiveUp);
        }
    }

    #[test]
    fn a_server_shortens_no_delay_and_a_program_does() {
        let policy = RetryPolicy::default();
        let decided = |spent, asked| policy.decide("RATE_LIMITED", spent, 10, Some(asked), 0.0);
        for (asked, expected) in [(0, 4_000), (-5, 4_000), (3_999, 4_000), (4_001, 4_001)] {
            assert_eq!(decided(2, RetryAfter::AtLeast(asked)), RetryDecision::After(expected));
        }
        assert_eq!(decided(2, RetryAfter::Exactly(0)), RetryDecision::After(0));
        assert_eq!(decided(2, RetryAfter::Exactly(-5)), RetryDecision::After(0));
    }
}
