//! One event of a feature: a call of the handler that serves its target, within the feature's attempt.
//!
//! Invariant: when the call is dropped or times out, the handler is told that its answer no longer counts.

use super::{InFlightEvents, lock};
use crate::engine::routing::Registration;
use crate::engine::{AbortReason, Attempt, FeaturePart, HandlerFailure, Invocation, Reply};
use crate::model::Route;
use crate::store::{ClaimedRun, Token};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Keys of calls are negative, so that they never equal those of claims.
static LAST_CALL_KEY: AtomicI64 = AtomicI64::new(0);

/// The attempt as the event's handler sees it.
pub(super) fn attempt(outer: &Attempt, route: Route, name: &str, input: String) -> Attempt {
    let name = match &outer.part {
        Some(part) => format!("{}/{name}", part.name),
        None => name.to_owned(),
    };
    let key = Token::new(LAST_CALL_KEY.fetch_sub(1, Ordering::Relaxed) - 1);
    Attempt {
        run: ClaimedRun {
            input: input.into(),
            ..outer.run.clone()
        },
        instance: outer.instance,
        part: Some(FeaturePart { name: name.into(), key }),
        route: Arc::new(route),
        options: outer.options.clone(),
        claims: outer.claims.clone(),
        started_at: outer.started_at,
    }
}

/// Registers an event as in flight for a feature's attempt until dropped.
struct CallGuard<'a> {
    in_flight: &'a InFlightEvents,
    /// Key of the feature's attempt.
    outer: Token,
}

impl CallGuard<'_> {
    /// Tells the handler, once, that its answer no longer counts.
    fn abort(&self, reason: &AbortReason) {
        let in_flight = lock(self.in_flight).remove(&self.outer);
        if let Some((handler, key)) = in_flight {
            handler.abort(key, reason);
        }
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.abort(&AbortReason::Closed);
    }
}

/// Calls the handler and waits for its answer, at most for the timeout of its registration.
pub(super) async fn call(
    in_flight: &InFlightEvents,
    outer: Token,
    registration: &Registration,
    inner: Attempt,
) -> Result<Reply, HandlerFailure> {
    let (reply, answer) = oneshot::channel();
    lock(in_flight).insert(outer, (Arc::clone(&registration.handler), inner.key()));
    let guard = CallGuard { in_flight, outer };
    let attempt = Arc::new(inner);
    registration.handler.call(Invocation { attempt, reply });
    let answered = match registration.timeout {
        None => answer.await,
        Some(limit) => match tokio::time::timeout(Duration::from_millis(limit.unsigned_abs()), answer).await {
            Ok(answered) => answered,
            Err(_) => {
                let reason = AbortReason::Timeout(limit);
                guard.abort(&reason);
                return Err(HandlerFailure {
                    code: reason.code().into(),
                    message: reason.message().into(),
                    stack: None,
                    retry_after: None,
                });
            }
        },
    };
    lock(in_flight).remove(&outer);
    // No answer: the process is stopping or the handler was removed. The job goes back, and whoever serves the feature
    // continues.
    answered.unwrap_or(Ok(Reply::Snooze(0)))
}
