//! Moving a manual clock: everything that falls due on the way runs, in order, before the clock goes on.

use super::claim::round::NextClaim;
use super::engine::Engine;
use crate::clock::{ManualClock, Millis};
use crate::error::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Jobs named in the error about work that does not settle.
const MAX_NAMED_JOBS: usize = 10;

/// Moves `clock` on to `target`, stopping at every instant at which something falls due, until all of it has settled.
/// `no_dispatch_waits` says whether all dispatches that were made are in the store.
///
/// # Errors
/// `VALIDATION_ERROR` when `target` is past; `TIMEOUT`, naming the jobs, when the work of one instant does not settle
/// within `timeout` of real time; what the store says.
pub async fn advance(
    engine: &Arc<Engine>,
    clock: &ManualClock,
    target: Millis,
    timeout: Duration,
    no_dispatch_waits: &(dyn Fn() -> bool + Sync),
) -> Result<()> {
    let now = engine.clock.now();
    if target < now {
        let message = format!("cannot go back in time: it is {now} and {target} was asked for");
        return Err(Error::new(ErrorCode::ValidationError, message));
    }
    if engine.config.worker.is_some() {
        engine.work().await?;
    }
    let _rounds = engine.gate.take_over();
    let mut since_relayed = engine.store.changes();
    since_relayed.mark_changed();
    loop {
        let next = run_due(engine, &mut since_relayed, timeout, no_dispatch_waits).await?;
        match next.filter(|due| *due <= target) {
            Some(due) => clock.set(due),
            None if engine.clock.now() < target => clock.set(target),
            None => return Ok(()),
        }
    }
}

/// Runs what is due at the present instant. Returns when the next thing falls due. `since_relayed` is unchanged as long as there
/// can be nothing to tell webhooks.
async fn run_due(
    engine: &Arc<Engine>,
    since_relayed: &mut watch::Receiver<u64>,
    timeout: Duration,
    no_dispatch_waits: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Millis>> {
    let deadline = Instant::now() + timeout;
    let mut changes = engine.store.changes();
    loop {
        changes.mark_unchanged();
        let relayed = engine.outbox_relay.relayed().await;
        let round = engine.claim_round().await?;
        if round.next == NextClaim::Now {
            continue;
        }
        if round.started > 0 || engine.in_flight.unfinished() > 0 {
            let all_done = wait_until_done(engine, &mut changes, round.next, deadline).await?;
            // All that was due is done, and nothing has come of it that could be due before the rest. What a dispatch that no
            // longer waits has changed is seen afterwards.
            let is_settled = all_done && claimed_all(round.next) && no_dispatch_waits();
            if !is_settled || changes.has_changed().unwrap_or(true) {
                continue;
            }
        }
        if !since_relayed.has_changed().unwrap_or(true) {
            return Ok(round.next_due());
        }
        // What the runs have said to webhooks is delivered at the same instant.
        since_relayed.mark_unchanged();
        if engine.outbox_relay.relay_pending().await? == relayed {
            return Ok(round.next_due());
        }
        since_relayed.mark_changed();
    }
}

/// Whether a round left nothing that is due.
fn claimed_all(next: NextClaim) -> bool {
    matches!(
        next,
        NextClaim::WhenChanged {
            or_slot_frees: false,
            ..
        }
    )
}

/// Waits until nothing is in flight. `false`: there is a reason for another round before that, something new in the store or a
/// slot for what the last round left.
async fn wait_until_done(
    engine: &Engine,
    changes: &mut watch::Receiver<u64>,
    next: NextClaim,
    deadline: Instant,
) -> Result<bool> {
    loop {
        let freed = engine.in_flight.changed.notified();
        tokio::pin!(freed);
        freed.as_mut().enable();
        if engine.in_flight.unfinished() == 0 {
            return Ok(true);
        }
        tokio::select! {
            () = freed => {
                if !claimed_all(next) {
                    return Ok(false);
                }
            }
            _ = changes.changed() => return Ok(false),
            () = engine.gate.handlers_changed.notified() => return Ok(false),
            () = tokio::time::sleep_until(deadline) => {
                let jobs = engine.in_flight.job_ids(MAX_NAMED_JOBS).join(", ");
                let message = format!(
                    "the clock cannot go on: these jobs are still running: {jobs}; raise `timeout` if they need longer"
                );
                return Err(Error::new(ErrorCode::Timeout, message));
            }
        }
    }
}
