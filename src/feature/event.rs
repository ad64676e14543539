//! One event of a feature: a call of the handler that serves its target, within the feature's attempt.
//!
//! Invariant: when the call is dropped or times out, the handler is told that its answer no longer counts.

use super::{InFlightEvents, lock};
use crate::engine::routing::Registration;
use crate::engine::spans::AttemptTrace;
use crate::engine::{AbortReason, Attempt, FeaturePart, Handler, HandlerFailure, Invocation, Reply};
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
        trace: AttemptTrace::of_part(&outer.trace),
    }
}

/// Registers an event as in flight for a feature's attempt until dropped.
struct CallGuard<'a> {
    in_flight: &'a InFlightEvents,
    /// Keys of the feature's attempt, and of the event's call.
    outer: Token,
    inner: Token,
}

impl CallGuard<'_> {
    /// Tells the handler, once, that its answer no longer counts.
    fn abort(&self, reason: &AbortReason) {
        if let Some(handler) = self.end() {
            handler.abort(self.inner, reason);
        }
    }

    /// From now on it is not in flight; `None`: it was not.
    fn end(&self) -> Option<Arc<dyn Handler>> {
        let mut all = lock(self.in_flight);
        let calls = all.get_mut(&self.outer)?;
        let place = calls.iter().position(|(_, key)| *key == self.inner)?;
        let (handler, _) = calls.swap_remove(place);
        if calls.is_empty() {
            all.remove(&self.outer);
        }
        Some(handler)
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
    let guard = CallGuard {
        in_flight,
        outer,
        inner: inner.key(),
    };
    let call = (Arc::clone(&registration.handler), inner.key());
    lock(in_flight).entry(outer).or_default().push(call);
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
                    origin: None,
                    retry_after: None,
                });
            }
        },
    };
    guard.end();
    // No answer: the process is stopping or the handler was removed. The job goes back, and whoever serves the feature
    // continues.
    answered.unwrap_or(Ok(Reply::Snooze(0)))
}
