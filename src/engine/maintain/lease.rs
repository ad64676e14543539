//! Keeps this process's registration alive, takes over the runs of dead ones, and compares the store's account of what
//! this process holds with its own.
//!
//! Invariants: a handler is told `LEASE_LOST` before another process can have taken its run for lack of renewal; this
//! process gives up its registration only when the store says that it is gone, not when the store says nothing; it takes
//! over from silent processes only after it has itself got on without trouble for as long as they need to say that they
//! live.

use super::outbox_relay::OutboxRelay;
use super::registration::InstanceRegistration;
use super::unserved::UnservedRoutes;
use crate::clock::{StoreClock, TimeSample};
use crate::engine::claim::gate::{ClaimGate, RoundNumber};
use crate::engine::claim::routes::Routes;
use crate::engine::claim::suspects::Suspects;
use crate::engine::context::Context;
use crate::engine::handler::{AbortReason, Level};
use crate::engine::run::completer::Completions;
use crate::engine::run::in_flight::InFlightAttempts;
use crate::engine::service::{Service, StopSignal};
use crate::error::{Error, ErrorCode};
use crate::model::RunOutcome;
use crate::store::{Cancellation, Completion, InstanceId, JobSeq, RecoverParams, Takeover, Token};
use async_trait::async_trait;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An attempt without a timeout is worth a warning after this time.
const LONG_ATTEMPT_AFTER: Duration = Duration::from_secs(3_600);

/// Ticks between two looks for attempts and routes that are worth a warning.
const TICKS_PER_WARNING: u64 = 10;

/// Ticks between two comparisons while this process has nothing in hand and has claimed nothing.
const TICKS_PER_COMPARISON: u64 = 10;

/// How many times as long as it took to ask for all claims of this process they are not asked for again, at most
/// [`MAX_COMPARISON_REST`]: where an old transaction keeps rows of earlier claims, the store steps over all of these.
const COMPARISON_REST_FACTOR: u32 = 20;
const MAX_COMPARISON_REST: Duration = Duration::from_secs(15);

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
    routes: Routes,
    unserved: Arc<UnservedRoutes>,
    outbox_relay: Arc<OutboxRelay>,
    suspects: Arc<Suspects>,
    gate: Arc<ClaimGate>,
    last_renewed: Instant,
    last_tick: Instant,
    /// Since when the store has answered and this process has got on.
    untroubled_since: Option<Instant>,
    /// The handlers were told that the lease is lost, since it could not be renewed in time.
    lease_over: bool,
    /// Claims the store says are ours and this process knew nothing of, each with the latest round in which it can have been
    /// made. Whether its answer was lost is known when that round has ended.
    unknown_claims: HashMap<Token, RoundNumber>,
    /// Until then, only what is in hand is compared with the store's account.
    comparison_rest: Option<Instant>,
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
        (routes, unserved, outbox_relay): (Routes, Arc<UnservedRoutes>, Arc<OutboxRelay>),
        (suspects, gate): (Arc<Suspects>, Arc<ClaimGate>),
    ) -> Self {
        Self {
            context,
            times,
            registration,
            in_flight,
            completions,
            routes,
            unserved,
            outbox_relay,
            suspects,
            gate,
            last_renewed: Instant::now(),
            last_tick: Instant::now(),
            untroubled_since: Some(Instant::now()),
            lease_over: false,
            unknown_claims: HashMap::new(),
            comparison_rest: None,
            warned_failure: false,
            tick_count: 0,
        }
    }

    async fn tick(&mut self) {
        self.tick_count += 1;
        if self.last_tick.elapsed() > self.times.renew_interval {
            // This process was stopped, or starved.
            self.untroubled_since = None;
        }
        self.keep_registered().await;
        self.last_tick = Instant::now();
        self.context.failpoints.pass("lease");
        let Some(instance) = self.registration.id() else { return };
        // It is for people: the next tick tells it again.
        let _ = self.registration.describe(instance).await;
        self.recover(instance).await;
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
                self.renewed(Instant::now());
            }
            return;
        };
        if self.last_renewed.elapsed() < self.times.renew_interval && self.untroubled_since.is_some() {
            return;
        }
        // The renewal counts from before the call: the store may have written it at any time since.
        let before = Instant::now();
        let renewal = self.registration.renew(instance);
        let renewed = tokio::time::timeout(self.times.renew_interval, renewal).await;
        match renewed.unwrap_or_else(|_| Err(no_answer(self.times.renew_interval))) {
            Ok(true) => self.renewed(before),
            Ok(false) => self.lose_lease(),
            Err(error) => self.not_renewed(&error),
        }
    }

    fn renewed(&mut self, at: Instant) {
        self.last_renewed = at;
        if at.elapsed() > self.times.renew_interval {
            // This process was stopped meanwhile, perhaps with a lock that kept the others from renewing.
            self.untroubled_since = None;
        }
        self.untroubled_since.get_or_insert_with(Instant::now);
        self.warned_failure = false;
        self.lease_over = false;
    }

    /// The store did not answer. Where others may be able to write meanwhile, they may take over the runs of this process
    /// once its lease has ended.
    fn not_renewed(&mut self, error: &Error) {
        self.untroubled_since = None;
        if !std::mem::replace(&mut self.warned_failure, true) && error.code != ErrorCode::Closed {
            self.context
                .log(Level::Warn, &format!("cannot renew the lease of this process: {error}"));
        }
        let ends = self.last_renewed.elapsed() + self.times.renew_interval / 2 >= self.times.lease;
        if ends && !self.context.store.outages_are_shared() && !std::mem::replace(&mut self.lease_over, true) {
            self.in_flight.abort_all(&AbortReason::LeaseLost);
            let message = "the lease of this process could not be renewed in time: its handlers are told that they have lost their runs";
            self.context.log(Level::Error, message);
        }
    }

    /// What happens when this process loses its lease: it claims under no registration, its handlers are told
    /// `LEASE_LOST`, and the next tick registers it again.
    fn lose_lease(&mut self) {
        self.untroubled_since = None;
        self.registration.forget();
        self.in_flight.abort_all(&AbortReason::LeaseLost);
        let message = "this process lost its runs: its registration is gone, another process took it for dead";
        self.context.log(Level::Error, message);
    }

    async fn recover(&self, by: InstanceId) {
        // Whoever was kept from renewing by the same trouble has done so by then.
        let others_had_time = self
            .untroubled_since
            .is_some_and(|since| since.elapsed() >= self.times.renew_interval + self.times.recover_interval);
        let params = RecoverParams {
            by: Some(by),
            takeover: if others_had_time {
                Takeover::ProvenOrSilent
            } else {
                Takeover::Proven
            },
            now: self.context.now(),
            max_crashes: self.times.max_crashes,
        };
        let clock = self.context.clock.store_clock();
        let asked = clock.map(StoreClock::boot);
        let recovered = match self.context.store.recover(params).await {
            Ok(recovered) => recovered,
            Err(error) => {
                let message = format!("cannot look for dead processes: {error}");
                return self.context.log(Level::Debug, &message);
            }
        };
        if let (Some(clock), Some(asked), Some(time)) = (clock, asked, recovered.server_time) {
            let answered = clock.boot();
            clock.take(TimeSample { asked, time, answered });
        }
        if recovered.has_events {
            self.outbox_relay.events_wait();
        }
        if recovered.requeued + recovered.failed > 0 {
            self.completions
                .log_failed_runs(&self.context, &self.routes, &recovered.failed_runs)
                .await;
            let message = format!(
                "took over {} runs of {} processes that died; {} more failed as CRASHED",
                recovered.requeued, recovered.instances, recovered.failed
            );
            self.context.log(Level::Warn, &message);
        }
        self.context
            .figures
            .count_crashes(self.context.now(), &recovered.crashed);
        self.suspects.report(recovered.suspects);
    }

    /// Attempts the store no longer counts as ours are aborted; claims whose answer was lost are handed back.
    async fn reconcile(&mut self, instance: InstanceId) {
        let active = self.in_flight.active(instance);
        if self.comparison_rest.is_some_and(|rest| Instant::now() < rest) {
            if !active.is_empty()
                && let Ok(held) = self.context.store.held_among(instance, active.clone()).await
            {
                self.abort_all_but(&active, &held.into_iter().collect()).await;
            }
            return;
        }
        let may_hold = !active.is_empty() || !self.unknown_claims.is_empty();
        // What it knows nothing of came from a claim that was not answered, or it is not the store's account any more.
        if !self.registration.take_unsettled_claims() && !may_hold && self.tick_count % TICKS_PER_COMPARISON != 1 {
            return;
        }
        let asked = Instant::now();
        let claims = self.context.store.claims_of(instance).await;
        let rest = (asked.elapsed() * COMPARISON_REST_FACTOR).min(MAX_COMPARISON_REST);
        self.comparison_rest = Some(Instant::now() + rest);
        let Ok(claims) = claims else {
            // As if something had been claimed: it has not been compared.
            return drop(self.registration.claiming());
        };
        let tokens: HashSet<Token> = claims.iter().map(|(_, _, token)| *token).collect();
        self.abort_all_but(&active, &tokens).await;
        for (job, run, token) in self.lost_claims(claims) {
            let now = self.context.now();
            let completion = Completion {
                job,
                run,
                token,
                recurring: false,
                started_at: now,
                ended_at: now,
                outcome: RunOutcome::Released,
            };
            self.completions.submit(instance, completion).await;
        }
    }

    /// Aborts those of the `active` attempts whose tokens the store does not count as ours.
    async fn abort_all_but(&self, active: &[(JobSeq, i64, Token)], held: &HashSet<Token>) {
        for (job, run, token) in active.iter().filter(|(.., token)| !held.contains(token)) {
            // It may have ended meanwhile.
            if self.in_flight.contains(*token) {
                let reason = self.abort_reason(*job, *run).await;
                self.in_flight.abort(*token, reason);
            }
        }
    }

    /// Those of the `claims`, read just now, whose answer did not reach this process and will not: it knew nothing of them
    /// at an earlier tick, and whatever was being claimed then has begun by now. An answer may be long under way.
    fn lost_claims(&mut self, claims: Vec<(JobSeq, i64, Token)>) -> Vec<(JobSeq, i64, Token)> {
        let latest = self.gate.latest_round();
        let before = std::mem::take(&mut self.unknown_claims);
        // Asked before what is in flight: what begins meanwhile belongs to a round that has not ended.
        let (lost, unsure): (Vec<_>, Vec<_>) = claims.into_iter().partition(|(_, _, token)| {
            let round = before.get(token);
            round.is_some_and(|round| self.gate.has_ended(*round))
        });
        let unknown = |token: &Token| !self.in_flight.contains(*token);
        let unsure = unsure.into_iter().map(|(_, _, token)| token).filter(unknown);
        self.unknown_claims = unsure
            .map(|token| (token, before.get(&token).copied().unwrap_or(latest)))
            .collect();
        lost.into_iter().filter(|(_, _, token)| unknown(token)).collect()
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

fn no_answer(after: Duration) -> Error {
    let message = format!("the store has not answered within {} ms", after.as_millis());
    Error::new(ErrorCode::StoreError, message)
}
