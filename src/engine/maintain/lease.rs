//! Keeps this process's registration alive, takes over the runs of dead ones, and compares the store's account of what
//! this process holds with its own.
//!
//! Invariant: a handler is told `LEASE_LOST` before another process can have taken its run for lack of renewal.

use super::registration::InstanceRegistration;
use super::unserved::UnservedRoutes;
use crate::engine::context::Context;
use crate::engine::handler::{AbortReason, Level};
use crate::engine::run::completer::Completions;
use crate::engine::run::in_flight::InFlightAttempts;
use crate::engine::service::{Service, StopSignal};
use crate::error::ErrorCode;
use crate::model::RunOutcome;
use crate::store::{Cancellation, Completion, InstanceId, JobSeq, Token};
use async_trait::async_trait;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An attempt without a timeout is worth a warning after this time.
const LONG_ATTEMPT_AFTER: Duration = Duration::from_secs(3_600);

/// Ticks between two looks for attempts and routes that are worth a warning.
const TICKS_PER_WARNING: u64 = 10;

/// Times of the lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimes {
    /// How long a silent process keeps its runs.
    pub lease: Duration,
    /// Time between two renewals.
    pub renew_interval: Duration,
    /// Time between two looks for dead processes.
    pub recover_interval: Duration,
    /// Crashes after which a run has failed.
    pub max_crashes: u32,
}

/// Renews, recovers and compares.
pub struct LeaseKeeper {
    context: Context,
    times: LeaseTimes,
    registration: Arc<InstanceRegistration>,
    in_flight: Arc<InFlightAttempts>,
    completions: Arc<Completions>,
    unserved: Arc<UnservedRoutes>,
    last_renewed: Instant,
    /// Claims the store says are ours and this process knew nothing of at the last tick.
    unknown_claims: HashSet<Token>,
    warned_failure: bool,
    tick_count: u64,
}

#[async_trait]
impl Service for LeaseKeeper {
    fn name(&self) -> &'static str {
        "lease"
    }

    async fn run(mut self: Box<Self>, mut stop: StopSignal) {
        let mut ticks = tokio::time::interval(self.times.recover_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return,
                _ = ticks.tick() => self.tick().await,
            }
        }
    }
}

impl LeaseKeeper {
    /// For a registration that was made just now.
    #[must_use]
    pub fn new(
        context: Context,
        times: LeaseTimes,
        registration: Arc<InstanceRegistration>,
        in_flight: Arc<InFlightAttempts>,
        completions: Arc<Completions>,
        unserved: Arc<UnservedRoutes>,
    ) -> Self {
        Self {
            context,
            times,
            registration,
            in_flight,
            completions,
            unserved,
            last_renewed: Instant::now(),
            unknown_claims: HashSet::new(),
            warned_failure: false,
            tick_count: 0,
        }
    }

    async fn tick(&mut self) {
        self.tick_count += 1;
        self.keep_registered().await;
        self.context.failpoints.pass("lease");
        let Some(instance) = self.registration.id() else { return };
        self.recover().await;
        self.reconcile(instance).await;
        if self.tick_count % TICKS_PER_WARNING == 1 {
            self.unserved.warn().await;
            self.warn_long_attempts();
        }
    }

    async fn keep_registered(&mut self) {
        let Some(instance) = self.registration.id() else {
            if self
                .registration
                .register_again()
                .await
                .is_ok_and(|registered| registered)
            {
                self.last_renewed = Instant::now();
            }
            return;
        };
        if self.last_renewed.elapsed() < self.times.renew_interval {
            return;
        }
        // The renewal counts from before the call: the store may have written it at any time since.
        let before = Instant::now();
        match self.registration.renew(instance).await {
            Ok(true) => {
                self.last_renewed = before;
                self.warned_failure = false;
            }
            Ok(false) => self.lose_lease("its registration is gone: another process took it for dead"),
            Err(error) => {
                if !std::mem::replace(&mut self.warned_failure, true) && error.code != ErrorCode::Closed {
                    self.context
                        .log(Level::Warn, &format!("cannot renew the lease of this process: {error}"));
                }
                if self.last_renewed.elapsed() + self.times.renew_interval / 2 >= self.times.lease {
                    self.lose_lease("its lease could not be renewed in time");
                }
            }
        }
    }

    /// What happens when this process loses its lease: it claims under no registration, its handlers are told
    /// `LEASE_LOST`, and the next tick registers it anew.
    fn lose_lease(&self, why: &str) {
        self.registration.forget();
        self.in_flight.abort_all(&AbortReason::LeaseLost);
        self.context
            .log(Level::Error, &format!("this process lost its runs: {why}"));
    }

    async fn recover(&self) {
        let recovered = self
            .context
            .store
            .recover(self.context.now(), self.times.max_crashes)
            .await;
        match recovered {
            Ok(recovered) if recovered.requeued + recovered.failed > 0 => self.context.log(
                Level::Warn,
                &format!(
                    "took over {} runs of {} processes that died; {} more failed as CRASHED",
                    recovered.requeued, recovered.instances, recovered.failed
                ),
            ),
            Ok(_) => {}
            Err(error) => self
                .context
                .log(Level::Debug, &format!("cannot look for dead processes: {error}")),
        }
    }

    /// Attempts the store no longer counts as ours are aborted; claims whose answer was lost are handed back.
    async fn reconcile(&mut self, instance: InstanceId) {
        let active = self.in_flight.active_tokens(instance);
        let Ok(claims) = self.context.store.claims_of(instance).await else {
            return;
        };
        let tokens: HashSet<Token> = claims.iter().map(|(_, _, token)| *token).collect();
        for token in active.into_iter().filter(|token| !tokens.contains(token)) {
            if let Some((job, run, _)) = self.in_flight.attempt_of(token) {
                let reason = self.abort_reason(job, run).await;
                self.in_flight.abort(token, reason);
            }
        }
        let unknown = claims
            .into_iter()
            .filter(|(_, _, token)| !self.in_flight.contains(*token));
        let (again, fresh): (Vec<_>, Vec<_>) = unknown.partition(|(_, _, token)| self.unknown_claims.contains(token));
        self.unknown_claims = fresh.into_iter().map(|(_, _, token)| token).collect();
        for (job, run, token) in again {
            let now = self.context.now();
            let completion = Completion {
                job,
                run,
                token,
                started_at: now,
                ended_at: now,
                outcome: RunOutcome::Released,
            };
            self.completions.submit(instance, completion).await;
        }
    }

    /// Why a run is no longer ours: cancelled, or taken.
    async fn abort_reason(&self, job: JobSeq, run: i64) -> AbortReason {
        match self.context.store.cancellation(job, run).await {
            Ok(Some(Cancellation { reason })) => AbortReason::Cancelled(reason),
            _ => AbortReason::LeaseLost,
        }
    }

    fn warn_long_attempts(&self) {
        for job in self.in_flight.newly_long_running(LONG_ATTEMPT_AFTER) {
            self.context.log(
                Level::Warn,
                &format!("an attempt of job number {job} has been going for over an hour; give it a `timeout`"),
            );
        }
    }
}
