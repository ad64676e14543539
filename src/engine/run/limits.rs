//! What ends an attempt before its work is done: its timeout, and whoever tells it to stop.

use crate::engine::handler::AbortReason;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What ends an attempt before its work is done.
pub(super) struct AttemptLimits {
    /// `None` once nobody can abort any more.
    abort: Option<oneshot::Receiver<AbortReason>>,
    deadline: Option<(Instant, i64)>,
}

/// Comes when the attempt is to stop.
async fn aborted(abort: &mut Option<oneshot::Receiver<AbortReason>>) -> AbortReason {
    if let Some(receiver) = abort {
        let reason = receiver.await;
        *abort = None;
        if let Ok(reason) = reason {
            return reason;
        }
    }
    std::future::pending().await
}

impl AttemptLimits {
    /// `timeout` in ms, from now on.
    pub(super) fn new(abort: oneshot::Receiver<AbortReason>, timeout: Option<i64>) -> Self {
        let at = |limit: i64| Instant::now().checked_add(Duration::from_millis(limit.unsigned_abs()));
        let deadline = timeout.and_then(|limit| Some((at(limit)?, limit)));
        Self {
            abort: Some(abort),
            deadline,
        }
    }

    /// From now on the attempt may take any time.
    pub(super) fn lift_timeout(&mut self) {
        self.deadline = None;
    }

    /// Waits for the work, unless a bound comes first.
    pub(super) async fn race<T>(&mut self, work: impl Future<Output = T>) -> Result<T, AbortReason> {
        let deadline = self.deadline;
        let overdue = async {
            match deadline {
                Some((at, limit)) => {
                    tokio::time::sleep_until(at).await;
                    AbortReason::Timeout(limit)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            reason = aborted(&mut self.abort) => Err(reason),
            reason = overdue => Err(reason),
        }
    }
}
