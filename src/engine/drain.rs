//! Running what is due and leaving nothing behind: for serverless functions and tests.

use super::engine::{Engine, FLUSH_TIMEOUT};
use super::handler::AbortReason;
use crate::cron::MAX_INSTANT_MS;
use crate::error::{Error, Result};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Runs counted at most when a drain looks at what is left.
const MAX_COUNTED_RUNS: usize = 100_000;
/// Longest pause between two looks at whether all is done: due runs may be claimed by another process, which nobody tells us.
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Longest time in which attempts that nobody will answer are handed back.
const HANDED_BACK_TIMEOUT: Duration = Duration::from_millis(200);

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DrainReport {
    /// Runs that completed.
    pub completed: u64,
    /// Runs that failed for good.
    pub failed: u64,
    /// Attempts that will be tried again.
    pub retried: u64,
    /// Attempts handed back at the timeout.
    pub released: u64,
    /// Runs still due that this process could run.
    pub remaining: usize,
}

impl Engine {
    /// Runs what is due now and leaves nothing running; claims no more afterwards, until [`work`](Self::work) is called.
    ///
    /// # Errors
    /// As [`work`](Self::work).
    pub async fn drain(self: &Arc<Self>, timeout: Option<Duration>) -> Result<DrainReport> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let before = self.counter_snapshot();
        let due_by = self.clock.now();
        let _draining = self.gate.drain();
        self.work().await?;
        let drained = self.wait_drained(due_by, deadline).await?;
        self.gate.close().await;
        if !drained {
            self.in_flight.abort_all(&AbortReason::Closed);
        }
        let flushed_by = if drained {
            deadline
        } else {
            Some(Instant::now() + FLUSH_TIMEOUT)
        };
        self.wait_finished(flushed_by).await;
        // What the last claims brought and did not end in time.
        self.in_flight.abort_all(&AbortReason::Closed);
        self.wait_finished(Some(Instant::now() + FLUSH_TIMEOUT)).await;
        let remaining = self.count_due(due_by).await? + self.count_blocked().await?;
        let after = self.counter_snapshot();
        Ok(DrainReport {
            completed: after.completed - before.completed,
            failed: after.failed - before.failed,
            retried: after.retried - before.retried,
            released: after.released - before.released,
            remaining,
        })
    }

    /// Whether runs wait that this process has a handler for, now or for a later time. To be asked when the process ends: nothing is
    /// claimed any more.
    pub async fn leaves_work(&self) -> bool {
        self.gate.close().await;
        // What handlers did not finish is handed back, and waits as well.
        self.in_flight.abort_all(&AbortReason::Closed);
        self.wait_finished(Some(Instant::now() + HANDED_BACK_TIMEOUT)).await;
        self.in_flight.total_busy() > 0 || self.count_due(MAX_INSTANT_MS).await.is_ok_and(|waiting| waiting > 0)
    }

    /// Waits until nothing that was due is left. `false`: time ran out.
    async fn wait_drained(&self, due_by: i64, deadline: Option<Instant>) -> Result<bool> {
        loop {
            self.check_running()?;
            if *self.stopping.borrow() && self.instance().is_none() {
                return Err(Error::closed());
            }
            let changed = self.in_flight.changed.notified();
            let relayed = self.outbox_relay.relay_pending().await.ok();
            // Between two rounds: within one, a run may be claimed and not begun.
            let round = self.gate.round().await;
            // Without a registration, runs that this process gave up may not be due again yet.
            let idle = self.in_flight.unfinished() == 0 && self.instance().is_some();
            drop(round);
            if idle && self.count_due(due_by).await.is_ok_and(|due| due == 0) && self.is_relayed(relayed).await {
                return Ok(true);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
            let _ = tokio::time::timeout(DRAIN_POLL_INTERVAL, changed).await;
        }
    }

    async fn count_due(&self, due_by: i64) -> Result<usize> {
        self.load_routes().await?;
        self.store
            .count_due(self.routing.served().route_ids(), due_by, MAX_COUNTED_RUNS)
            .await
    }

    /// What waits for runs of other processes with the same concurrency key.
    async fn count_blocked(&self) -> Result<usize> {
        let routes = self.routing.served().route_ids();
        self.store.count_blocked(routes, MAX_COUNTED_RUNS).await
    }

    /// Whether what the runs have said to webhooks is delivered, as far as it is due, and nothing was relayed since
    /// `before`.
    async fn is_relayed(&self, before: Option<usize>) -> bool {
        let internal = self.routing.internal_served().route_ids();
        let due = async move || {
            self.store
                .count_due(internal, self.clock.now(), 1)
                .await
                .is_ok_and(|due| due > 0)
        };
        before.is_some() && !due().await && self.outbox_relay.relay_pending().await.ok() == before
    }

    fn counter_snapshot(&self) -> DrainReport {
        let counters = &self.completions.counters;
        DrainReport {
            completed: counters.completed.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            retried: counters.retried.load(Ordering::Relaxed),
            released: counters.released.load(Ordering::Relaxed),
            remaining: 0,
        }
    }
}
