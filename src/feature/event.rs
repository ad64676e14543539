//! One event: a call of the handler that serves it, as a part of the feature's attempt.
//!
//! Invariant: when this is dropped or late, the handler is told that its answer no longer counts.

use super::{InFlightEvents, lock};
use crate::engine::routing::Registration;
use crate::engine::{AbortReason, Attempt, FeaturePart, HandlerFailure, Invocation, Reply};
use crate::model::Route;
use crate::store::{ClaimedRun, Token};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Keys of calls: below those of claims, which are not negative.
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

/// Says that an event of a feature's attempt is going, as long as it is there.
struct CallGuard<'a> {
    in_flight: &'a InFlightEvents,
    /// Key of the feature's attempt.
    outer: Token,
}

impl CallGuard<'_> {
    /// Has the handler told that its answer no longer counts, unless that was done.
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

/// Calls the handler and waits for its answer, as long as its registration allows.
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
    // Without an answer its side has gone, with the program or because the handler was taken away: whoever serves the
    // feature then goes on.
    answered.unwrap_or(Ok(Reply::Snooze(0)))
}
