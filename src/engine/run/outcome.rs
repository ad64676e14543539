//! What follows from the way an attempt ended: it is completed, tried again, handed back, or no longer this process's.
//!
//! Pure, but for the mask over the values of secrets.

use super::late;
use crate::clock::Millis;
use crate::cron::MAX_INSTANT_MS;
use crate::engine::handler::{AbortReason, Attempt, HandlerFailure, Reply};
use crate::engine::inputs::Masker;
use crate::model::{RetryDecision, RetryPolicy, RunError, RunOutcome};
use crate::store::{ClaimedRun, Token};

/// How an attempt ended, before anybody decided what follows from it.
pub(super) enum AttemptEnd {
    Answered(Result<Reply, HandlerFailure>),
    Aborted(AbortReason),
    /// The handler's side went away without an answer.
    Dropped,
}

/// What follows. `None`: the run is no longer ours, there is nothing to write.
pub(super) fn outcome_after(attempt: &Attempt, end: AttemptEnd, now: Millis, masker: &Masker) -> Option<RunOutcome> {
    match end {
        AttemptEnd::Answered(Ok(Reply::Done(result))) => Some(RunOutcome::Completed { result }),
        AttemptEnd::Answered(Ok(Reply::Snooze(delay))) => Some(RunOutcome::Snoozed {
            due: due_after(now, delay),
        }),
        AttemptEnd::Answered(Err(failure)) => Some(after_failure(attempt, &failure, now, masker)),
        AttemptEnd::Aborted(reason @ AbortReason::Timeout(_)) => {
            let failure = HandlerFailure {
                code: reason.code().into(),
                message: reason.message().into(),
                stack: None,
                origin: None,
                retry_after: None,
            };
            Some(after_failure(attempt, &failure, now, masker))
        }
        AttemptEnd::Aborted(AbortReason::Closed) | AttemptEnd::Dropped => {
            Some(if late::has_only_waited(&attempt.run) {
                RunOutcome::Interrupted { at: now }
            } else {
                RunOutcome::Released
            })
        }
        AttemptEnd::Aborted(AbortReason::Cancelled(_) | AbortReason::LeaseLost) => None,
    }
}

fn after_failure(attempt: &Attempt, failure: &HandlerFailure, now: Millis, masker: &Masker) -> RunOutcome {
    let error = masked_error(failure, masker);
    let decision = attempt.decide_retry(failure, random_fraction(attempt.run.token));
    retry_or_fail(error, decision, now)
}

fn retry_or_fail(error: RunError, decision: RetryDecision, now: Millis) -> RunOutcome {
    match decision {
        RetryDecision::After(delay) => RunOutcome::Retry {
            error,
            due: due_after(now, delay),
        },
        RetryDecision::GiveUp => RunOutcome::Failed { error },
    }
}

/// `delay` ms from now, no later than a date can be.
fn due_after(now: Millis, delay: i64) -> Millis {
    now.saturating_add(delay.max(0)).min(MAX_INSTANT_MS)
}

/// What follows when the code around a handler panics: the run is tried again as after a failure of the handler, by the
/// default policy, so that a defect that comes back every time comes to an end.
#[derive(Clone, Copy)]
pub(super) struct PanicRetry {
    spent: u32,
    retries: u32,
    token: Token,
}

impl PanicRetry {
    pub(super) fn of(run: &ClaimedRun) -> Self {
        Self {
            spent: run.attempt.saturating_sub(1).saturating_sub(run.crashes),
            retries: run.retries,
            token: run.token,
        }
    }

    pub(super) fn outcome(self, now: Millis) -> RunOutcome {
        let message = "the attempt failed by a defect of the package; please report it";
        let error = RunError::new("CRASHED", message, None);
        let random = random_fraction(self.token);
        let decision = RetryPolicy::default().decide("CRASHED", self.spent, self.retries, None, random);
        retry_or_fail(error, decision, now)
    }
}

/// The error as it is stored and shown: without the values of secrets.
fn masked_error(failure: &HandlerFailure, masker: &Masker) -> RunError {
    let stack = failure.stack.as_deref().map(|stack| masker.mask(stack));
    RunError::new(
        &masker.mask(&failure.code),
        &masker.mask(&failure.message),
        stack.as_deref(),
    )
    .with_origin(failure.origin.as_deref().map(|origin| masker.mask(origin)).as_deref())
}

/// Of internal work nothing stays when it is over: its handler has written down what came of it.
pub(super) fn discard_internal(outcome: RunOutcome) -> RunOutcome {
    match outcome {
        RunOutcome::Completed { .. } | RunOutcome::Failed { .. } => RunOutcome::Discarded,
        other => other,
    }
}

/// A number from 0 to 1, different for each attempt: enough to spread retries, and nothing else depends on it.
pub(crate) fn random_fraction(token: Token) -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(token);
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_attempt_is_put_off_beyond_what_a_date_can_hold() {
        let due = |delay| due_after(1_767_225_600_000, delay);
        assert_eq!(due(1_000), 1_767_225_601_000);
        assert_eq!(due(-1), 1_767_225_600_000);
        for delay in [9_007_199_254_740_991, i64::MAX] {
            assert_eq!(due(delay), MAX_INSTANT_MS);
        }
    }
}
