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
const LONG_ATTEMPT: Duration = Duration::from_secs(3_600);

/// Renews, recovers and compares until told to stop.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut keeper = Keeper::new();
    let mut ticks = tokio::time::interval(engine.config.recover_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !*stop.borrow_and_update() {
        tokio::select! {
            _ = stop.changed() => {}
            _ = ticks.tick() => keeper.tick(&engine).await,
        }
    }
}

struct Keeper {
    renewed: Instant,
    /// Claims the store says are ours and this process knew nothing of at the last tick.
    unknown: HashSet<Token>,
    warned_failure: bool,
    count: u64,
}

impl Keeper {
    fn new() -> Self {
        Self {
            renewed: Instant::now(),
            unknown: HashSet::new(),
            warned_failure: false,
            count: 0,
        }
    }

    async fn tick(&mut self, engine: &Arc<Engine>) {
        self.count += 1;
        self.keep_registered(engine).await;
        let Some(instance) = engine.instance() else { return };
        self.recover(engine).await;
        self.reconcile(engine, instance).await;
        if self.count % 10 == 1 {
            engine.warn_unserved().await;
            warn_long_attempts(engine);
        }
    }

    async fn keep_registered(&mut self, engine: &Arc<Engine>) {
        let config = &engine.config;
        let Some(instance) = engine.instance() else {
            if engine.register().await.is_ok() {
                self.renewed = Instant::now();
            }
            return;
        };
        if self.renewed.elapsed() < config.renew_every {
            return;
        }
        // The renewal counts from before the call: the store may have written it at any time since.
        let before = Instant::now();
        match engine.store.renew(instance, millis(config.lease)).await {
            Ok(true) => {
                self.renewed = before;
                self.warned_failure = false;
            }
            Ok(false) => lose(engine, "its registration is gone: another process took it for dead"),
            Err(error) => {
                if !std::mem::replace(&mut self.warned_failure, true) && error.code != ErrorCode::Closed {
                    engine
                        .journal
                        .log(Level::Warn, &format!("cannot renew the lease of this process: {error}"));
                }
                if self.renewed.elapsed() + config.renew_every / 2 >= config.lease {
                    lose(engine, "its lease could not be renewed in time");
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
            Ok(recovered) if recovered.requeued + recovered.failed > 0 => engine.journal.log(
                Level::Warn,
                &format!(
                    "took over {} runs of {} processes that died; {} more failed as CRASHED",
                    recovered.requeued, recovered.instances, recovered.failed
                ),
            ),
            Ok(_) => {}
            Err(error) => engine
                .journal
                .log(Level::Debug, &format!("cannot look for dead processes: {error}")),
        }
    }

    /// Attempts the store no longer counts as ours are aborted; claims whose answer was lost are handed back.
    async fn reconcile(&mut self, engine: &Arc<Engine>, instance: InstanceId) {
        let going = engine.running.going(instance);
        let Ok(held) = engine.store.held(instance).await else {
            return;
        };
        let tokens: HashSet<Token> = held.iter().map(|(_, _, token)| *token).collect();
        for token in going.into_iter().filter(|token| !tokens.contains(token)) {
            if let Some((job, run, _)) = engine.running.attempt_of(token) {
                let reason = lost_reason(engine, job, run).await;
                engine.running.abort(token, reason);
            }
        }
        let unknown = held.into_iter().filter(|(_, _, token)| !engine.running.knows(*token));
        let (again, fresh): (Vec<_>, Vec<_>) = unknown.partition(|(_, _, token)| self.unknown.contains(token));
        self.unknown = fresh.into_iter().map(|(_, _, token)| token).collect();
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
async fn lost_reason(engine: &Engine, job: JobSeq, run: i64) -> AbortReason {
    match engine.store.cancellation(job, run).await {
        Ok(Some(Cancellation { reason })) => AbortReason::Cancelled(reason),
        _ => AbortReason::LeaseLost,
    }
}

fn lose(engine: &Engine, why: &str) {
    engine.forget_instance();
    engine.running.abort_all(&AbortReason::LeaseLost);
    engine
        .journal
        .log(Level::Error, &format!("this process lost its runs: {why}"));
}

fn warn_long_attempts(engine: &Engine) {
    for job in engine.running.newly_longer_than(LONG_ATTEMPT) {
        engine.journal.log(
            Level::Warn,
            &format!("an attempt of job number {job} has been going for over an hour; give it a `timeout`"),
        );
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
