//! When a run of a series was being done: asked of its attempts.

use crate::clock::Millis;
use crate::model::RunStatus;
use crate::store::Span;

/// An occurrence that is dealt with no later than this after it fell due, ms, is dealt with by what is there then; and a run of
/// it that begins no later is in time.
pub(in crate::store) const PROMPT_MS: i64 = 1_000;
/// Only of the last runs it is asked: they follow each other where it matters.
pub(in crate::store) const BUSY_RUNS: i64 = 16;
/// Most attempts that are looked at.
pub(in crate::store) const MAX_BUSY_ATTEMPTS: usize = 1_000;

/// An attempt of which history tells.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct PastAttempt {
    pub(in crate::store) started: Millis,
    pub(in crate::store) ended: Millis,
    /// Number of its [`RunStatus`].
    pub(in crate::store) status: i64,
    /// When the run was to go on.
    pub(in crate::store) next_due: Option<Millis>,
}

impl PastAttempt {
    /// From when to when its run was being done: with the wait for a retry behind it, but not with the one after a crash.
    pub(in crate::store) fn busy(self) -> Option<Span> {
        let waits = matches!(
            RunStatus::from_code(self.status),
            Some(RunStatus::Retried | RunStatus::Snoozed)
        );
        let to = self
            .next_due
            .filter(|_| waits)
            .map_or(self.ended, |due| due.max(self.ended));
        span(self.started, to)
    }
}

/// A run was being done from a start to an end: what fell due at the start, or before, had been waiting already.
pub(in crate::store) fn span(started: Millis, to: Millis) -> Option<Span> {
    (started < to).then_some((started + 1, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(status: RunStatus, next_due: Option<Millis>) -> Option<Span> {
        let attempt = PastAttempt {
            started: 10,
            ended: 20,
            status: status as i64,
            next_due,
        };
        attempt.busy()
    }

    #[test]
    fn waits_for_retries_belong_to_the_run_and_what_follows_a_crash_does_not() {
        assert_eq!(attempt(RunStatus::Completed, None), Some((11, 20)));
        assert_eq!(attempt(RunStatus::Retried, Some(50)), Some((11, 50)));
        assert_eq!(attempt(RunStatus::Snoozed, Some(50)), Some((11, 50)));
        assert_eq!(attempt(RunStatus::Crashed, Some(50)), Some((11, 20)));
    }
}
