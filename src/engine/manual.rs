//! Moving a manual clock: everything that falls due on the way runs, in order, before the clock goes on.

use super::claim::claimer::NextClaim;
use super::engine::Engine;
use crate::clock::{ManualClock, Millis};
use crate::error::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Jobs named in the error about work that does not settle.
const MAX_NAMED_JOBS: usize = 10;

/// Moves `clock` on to `target`, stopping at every instant at which something falls due, until all of it has settled.
///
/// # Errors
/// `VALIDATION_ERROR` when `target` is past; `TIMEOUT`, naming the jobs, when the work of one instant does not settle
/// within `timeout` of real time; what the store says.
pub async fn advance(engine: &Arc<Engine>, clock: &ManualClock, target: Millis, timeout: Duration) -> Result<()> {
    let now = engine.clock.now();
    if target < now {
        let message = format!("cannot go back in time: it is {now} and {target} was asked for");
        return Err(Error::new(ErrorCode::ValidationError, message));
    }
    if engine.config.worker.is_some() {
        engine.work().await?;
    }
    loop {
        let next = run_due(engine, timeout).await?;
        match next.filter(|due| *due <= target) {
            Some(due) => clock.set(due),
            None if engine.clock.now() < target => clock.set(target),
            None => return Ok(()),
        }
    }
}

/// Runs what is due at the present instant. Returns when the next thing falls due.
async fn run_due(engine: &Arc<Engine>, timeout: Duration) -> Result<Option<Millis>> {
    let deadline = Instant::now() + timeout;
    loop {
        // What the runs have said to webhooks is delivered at the same instant.
        let relayed = engine.outbox_relay.relay_pending().await?;
        let round = engine.claim_round().await?;
        if round.next == NextClaim::Now || round.started > 0 || engine.in_flight.unfinished() > 0 {
            wait_until_finished(engine, deadline).await?;
            continue;
        }
        if engine.outbox_relay.relay_pending().await? == relayed {
            return Ok(round.next_due());
        }
    }
}

async fn wait_until_finished(engine: &Engine, deadline: Instant) -> Result<()> {
    loop {
        let changed = engine.in_flight.changed.notified();
        if engine.in_flight.unfinished() == 0 {
            return Ok(());
        }
        if tokio::time::timeout_at(deadline, changed).await.is_err() {
            let jobs = engine.in_flight.job_ids(MAX_NAMED_JOBS).join(", ");
            let message = format!(
                "the clock cannot go on: these jobs are still running: {jobs}; raise `timeout` if they need longer"
            );
            return Err(Error::new(ErrorCode::Timeout, message));
        }
    }
}
