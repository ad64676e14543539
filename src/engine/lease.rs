//! Keeps this process's registration alive, takes over the runs of dead ones, and compares the store's account of what
//! this process holds with its own.
//!
//! Invariant: a handler is told `LEASE_LOST` before another process can have taken its run for lack of renewal.

use super::handler::{AbortReason, Level};
use super::worker::Engine;
use crate::error::ErrorCode;
use crate::model::RunOutcome;
use crate::store::{Cancellation, Completion, InstanceId, JobSeq, Token};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// An attempt without a timeout is worth a warning after this time.
const LONG_ATTEMPT_AFTER: Duration = Duration::from_secs(3_600);

/// Renews, recovers and compares until told to stop.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut monitor = LeaseMonitor::new();
    let mut ticks = tokio::time::interval(engine.config.recover_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !*stop.borrow_and_update() {
        tokio::select! {
            _ = stop.changed() => {}
            _ = ticks.tick() => monitor.tick(&engine).await,
        }
    }
}

struct LeaseMonitor {
    last_renewed: Instant,
    /// Claims the store says are ours and this process knew nothing of at the last tick.
    unknown_claims: HashSet<Token>,
    warned_failure: bool,
    tick_count: u64,
}

impl LeaseMonitor {
    fn new() -> Self {
        Self {
            last_renewed: Instant::now(),
            unknown_claims: HashSet::new(),
            warned_failure: false,
            tick_count: 0,
        }
    }

    async fn tick(&mut self, engine: &Arc<Engine>) {
        self.tick_count += 1;
        self.keep_registered(engine).await;
        let Some(instance) = engine.instance() else { return };
        self.recover(engine).await;
        self.reconcile(engine, instance).await;
        if self.tick_count % 10 == 1 {
            engine.warn_unserved_routes().await;
            warn_long_attempts(engine);
        }
    }

    async fn keep_registered(&mut self, engine: &Arc<Engine>) {
        let config = &engine.config;
        let Some(instance) = engine.instance() else {
            if engine.register().await.is_ok() {
                self.last_renewed = Instant::now();
            }
            return;
        };
        if self.last_renewed.elapsed() < config.renew_interval {
            return;
        }
        // The renewal counts from before the call: the store may have written it at any time since.
        let before = Instant::now();
        match engine.store.renew(instance, millis(config.lease)).await {
            Ok(true) => {
                self.last_renewed = before;
                self.warned_failure = false;
            }
            Ok(false) => lose_lease(engine, "its registration is gone: another process took it for dead"),
            Err(error) => {
                if !std::mem::replace(&mut self.warned_failure, true) && error.code != ErrorCode::Closed {
                    engine
                        .logger
                        .log(Level::Warn, &format!("cannot renew the lease of this process: {error}"));
                }
                if self.last_renewed.elapsed() + config.renew_interval / 2 >= config.lease {
                    lose_lease(engine, "its lease could not be renewed in time");
                }
            }
        }
    }

    async fn recover(&mut self, engine: &Engine) {
        match engine
            .store
            .recover(engine.clock.now(), engine.config.max_crashes)
            .await
        {
            Ok(recovered) if recovered.requeued + recovered.failed > 0 => engine.logger.log(
                Level::Warn,
                &format!(
                    "took over {} runs of {} processes that died; {} more failed as CRASHED",
                    recovered.requeued, recovered.instances, recovered.failed
                ),
            ),
            Ok(_) => {}
            Err(error) => engine
                .logger
                .log(Level::Debug, &format!("cannot look for dead processes: {error}")),
        }
    }

    /// Attempts the store no longer counts as ours are aborted; claims whose answer was lost are handed back.
    async fn reconcile(&mut self, engine: &Arc<Engine>, instance: InstanceId) {
        let active = engine.in_flight.active_tokens(instance);
        let Ok(held) = engine.store.claims_of(instance).await else {
            return;
        };
        let tokens: HashSet<Token> = held.iter().map(|(_, _, token)| *token).collect();
        for token in active.into_iter().filter(|token| !tokens.contains(token)) {
            if let Some((job, run, _)) = engine.in_flight.attempt_of(token) {
                let reason = abort_reason_of(engine, job, run).await;
                engine.in_flight.abort(token, reason);
            }
        }
        let unknown = held
            .into_iter()
            .filter(|(_, _, token)| !engine.in_flight.contains(*token));
        let (again, fresh): (Vec<_>, Vec<_>) = unknown.partition(|(_, _, token)| self.unknown_claims.contains(token));
        self.unknown_claims = fresh.into_iter().map(|(_, _, token)| token).collect();
        for (job, run, token) in again {
            let now = engine.clock.now();
            let completion = Completion {
                job,
                run,
                token,
                started_at: now,
                ended_at: now,
                outcome: RunOutcome::Released,
            };
            engine.completer.submit(instance, completion).await;
        }
    }
}

/// Why a run is no longer ours: cancelled, or taken.
async fn abort_reason_of(engine: &Engine, job: JobSeq, run: i64) -> AbortReason {
    match engine.store.cancellation(job, run).await {
        Ok(Some(Cancellation { reason })) => AbortReason::Cancelled(reason),
        _ => AbortReason::LeaseLost,
    }
}

fn lose_lease(engine: &Engine, why: &str) {
    engine.forget_instance();
    engine.in_flight.abort_all(&AbortReason::LeaseLost);
    engine
        .logger
        .log(Level::Error, &format!("this process lost its runs: {why}"));
}

fn warn_long_attempts(engine: &Engine) {
    for job in engine.in_flight.newly_long_running(LONG_ATTEMPT_AFTER) {
        engine.logger.log(
            Level::Warn,
            &format!("an attempt of job number {job} has been going for over an hour; give it a `timeout`"),
        );
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
