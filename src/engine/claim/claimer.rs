//! Claims what this process can run, when there is something to claim and a slot to run it in.
//!
//! Sleeps until the store tells of a change, a slot becomes free, a handler comes or goes, or the next due time; never
//! longer than a second, so that a change of the wall clock or a suspended machine costs no more than that.

use super::clock_jumps::ClockJumps;
use super::gate::ClaimGate;
use super::incomputable::IncomputableSeries;
use super::prefetch;
use super::recurrence;
use super::round::{Limits, NextClaim, Round};
use super::routes::Routes;
use super::routing::{Holds, Routing, ServedRoutes};
use super::suspects::{Suspects, Turn};
use crate::clock::{Millis, StoreClock, TimeSample};
use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::maintain::registration::InstanceRegistration;
use crate::engine::run::executor::Executor;
use crate::engine::run::in_flight::InFlightAttempts;
use crate::engine::service::{Service, StopSignal};
use crate::error::{Error, ErrorCode, Result};
use crate::model::Recurrence;
use crate::store::{ClaimParams, Claimed, InstanceId, PlanAdvance, RouteMark, SeriesAdvance, SeriesSnapshot, Span};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest sleep: wall time may jump while a monotonic timer runs.
const MAX_SLEEP_MS: i64 = 1_000;
/// Shorter pauses are not worth a timer.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// First and longest pause after a claim that failed.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Claims runs and starts them.
pub struct Claimer {
    /// Store, clock and logger.
    pub context: Context,
    /// Tells the time.
    pub clock_jumps: ClockJumps,
    /// Whether to claim.
    pub gate: Arc<ClaimGate>,
    /// What claims are made under.
    pub registration: Arc<InstanceRegistration>,
    /// What is served.
    pub routing: Arc<Routing>,
    /// Routes that are new to this process.
    pub routes: Routes,
    /// Runs that run alone.
    pub suspects: Arc<Suspects>,
    /// Slots.
    pub in_flight: Arc<InFlightAttempts>,
    /// Starts what was claimed.
    pub executor: Arc<Executor>,
    /// Attempts at once in the worker's slots.
    pub concurrency: usize,
    /// Series that this version cannot compute.
    pub incomputable: IncomputableSeries,
    /// Time is moved by hand: due times are no reason to wake up.
    pub manual_clock: bool,
}

/// [`Claimer`] as a background task.
pub struct ClaimerService(pub Arc<Claimer>);

#[async_trait]
impl Service for ClaimerService {
    fn name(&self) -> &'static str {
        "claimer"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let claimer = self.0;
        let mut changes = claimer.context.store.changes();
        let mut open = claimer.gate.subscribe();
        let mut pause = RETRY_PAUSES.0;
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return,
                () = claimer.gate.given_back() => {}
            }
            changes.mark_unchanged();
            let may_claim = *open.borrow_and_update();
            let freed = claimer.in_flight.changed.notified();
            let handlers_changed = claimer.gate.handlers_changed.notified();
            tokio::pin!(freed, handlers_changed);
            freed.as_mut().enable();
            handlers_changed.as_mut().enable();
            let next = match claimer.round().await {
                Ok(round) => {
                    pause = RETRY_PAUSES.0;
                    round.next
                }
                Err(error) => {
                    let sleep = claimer.after_failure(&error, &mut pause);
                    tokio::select! {
                        () = stop.stopped() => {}
                        _ = open.changed() => {}
                        () = &mut freed => {}
                        () = &mut handlers_changed => {}
                        () = tokio::time::sleep(sleep) => {}
                    }
                    continue;
                }
            };
            let (mut on_change, mut on_slot) = match next {
                NextClaim::Now => continue,
                NextClaim::WhenSlotFrees { .. } => (false, true),
                NextClaim::WhenChanged { or_slot_frees, .. } => (may_claim, or_slot_frees),
            };
            let sleep = tokio::time::sleep(claimer.sleep_until(next));
            tokio::pin!(sleep);
            loop {
                tokio::select! {
                    () = stop.stopped() => {}
                    _ = open.changed() => {}
                    _ = changes.changed(), if on_change => {}
                    () = &mut freed, if on_slot => {}
                    () = &mut handlers_changed => {}
                    () = claimer.suspects.changed.notified() => {}
                    () = &mut sleep => {}
                    () = claimer.gate.filled.notified(), if !on_slot => {
                        (on_change, on_slot) = (false, true);
                        continue;
                    }
                }
                break;
            }
        }
    }
}

impl Claimer {
    /// How long to sleep unless something happens.
    fn sleep_until(&self, next: NextClaim) -> Duration {
        let due = match next {
            NextClaim::Now => return Duration::ZERO,
            NextClaim::WhenSlotFrees { due } | NextClaim::WhenChanged { due, .. } => due,
        };
        let wait = due.map_or(MAX_SLEEP_MS, |due| due.saturating_sub(self.context.now()));
        let sleep = if self.manual_clock {
            MAX_SLEEP_MS
        } else {
            wait.clamp(0, MAX_SLEEP_MS)
        };
        let sleep = Duration::from_millis(sleep.unsigned_abs());
        if self.in_flight.waiting() > 0 {
            sleep.min(prefetch::PREFETCH_TIMEOUT)
        } else {
            sleep
        }
    }

    /// Says that a claim failed, unless the store is being closed; returns how long to wait.
    fn after_failure(&self, error: &Error, pause: &mut Duration) -> Duration {
        if error.code != ErrorCode::Closed {
            self.context
                .log(Level::Error, &format!("cannot claim jobs, will try again: {error}"));
        }
        *pause = (*pause * 2).min(RETRY_PAUSES.1);
        *pause
    }

    /// Moves what is due and claims what fits, once.
    ///
    /// # Errors
    /// What the store says.
    pub async fn round(&self) -> Result<Round> {
        let Some(instance) = self.registration.id() else {
            return Ok(Round::IDLE);
        };
        let pause = self.routing.pause_before_served();
        if pause >= MIN_PAUSE {
            tokio::time::sleep(pause).await;
        }
        let _round = self.gate.round().await;
        // Asked for under the lock: once the gate is closed and the lock was free, no run can start any more.
        if !self.gate.is_open() {
            return Ok(Round::IDLE);
        }
        let now = self.clock_jumps.now().await?;
        let turn = self.turn(&self.routing.served());
        if turn == Turn::Suspect {
            return self.claim_suspect(instance, now).await;
        }
        let Some((params, asked)) = self.ask(instance, now, turn) else {
            return Ok(Round {
                started: 0,
                next: NextClaim::WhenSlotFrees { due: None },
            });
        };
        let claimed = self.claim(params, asked.known).await?;
        self.take(asked, claimed).await
    }

    /// What to claim now; `None`: nothing, enough are waiting.
    pub(super) fn ask(&self, instance: InstanceId, now: Millis, turn: Turn) -> Option<(ClaimParams, AskedClaim)> {
        // Before `served`, which may be about more routes: others load them too.
        let known = self.routing.newest_route();
        let served = self.routing.served();
        let holds = if self.manual_clock {
            Holds::Passed
        } else {
            self.gate.holds()
        };
        let group_slots = served.group_slots(holds);
        let slots = self.slots_to_claim(turn, &group_slots)?;
        // Those that are only put off for a while are no reason to wait for a slot.
        let limits = Limits::of(&group_slots, &served.group_slots(Holds::Passed));
        let params = ClaimParams {
            passed_over: self.incomputable.all(),
            planner: self.planner(now),
            group_slots,
            ..params(now, instance, served, slots)
        };
        let asked = AskedClaim {
            instance,
            now,
            turn,
            holds,
            known,
            slots,
            limits,
            begun: 0,
        };
        Some((params, asked))
    }

    /// Starts what was claimed, and does what else there is to do in a round.
    pub(super) async fn take(&self, asked: AskedClaim, claimed: Claimed) -> Result<Round> {
        let AskedClaim {
            instance,
            now,
            turn,
            holds,
            known,
            slots,
            limits,
            begun,
        } = asked;
        self.context.failpoints.pass("claimer");
        let has_new_routes = claimed.newest_route != known;
        let started = begun + claimed.runs.len();
        let all_full = limits.all_full || slots == 0 || started >= slots;
        for run in claimed.runs {
            self.executor.start(instance, run);
        }
        self.executor.started_in_order();
        let internal = self.claim_internal((turn, holds), instance, now, known).await?;
        let mut again = claimed.more || has_new_routes;
        again |= self.advance_series(claimed.series, now).await?;
        again |= started == 0 && self.in_flight.unfinished() == 0 && self.suspects.others_are_done();
        let due = claimed.next_due;
        Ok(Round {
            started: started + internal.started,
            next: match (again, all_full) {
                (true, _) => NextClaim::Now,
                (false, true) => NextClaim::WhenSlotFrees { due },
                (false, false) => NextClaim::WhenChanged {
                    due,
                    or_slot_frees: internal.full || limits.may_be_full(started),
                },
            },
        })
    }

    /// Claims, and loads the routes that were added, `known` being the newest one that is known, before anything begins: when
    /// the database was restored, the numbers of routes may have another meaning than they had.
    async fn claim(&self, params: ClaimParams, known: RouteMark) -> Result<Claimed> {
        let clock = self.context.clock.store_clock();
        let asked = clock.map(StoreClock::boot);
        let claiming = self.registration.claiming();
        let claimed = self.context.store.claim(params).await?;
        if claimed.runs.is_empty() {
            claiming.got_nothing();
        }
        if let (Some(clock), Some(asked), Some(time)) = (clock, asked, claimed.server_time) {
            clock.take(TimeSample {
                asked,
                time,
                answered: clock.boot(),
            });
        }
        self.load_new_routes(&claimed, known).await?;
        Ok(claimed)
    }

    pub(super) async fn load_new_routes(&self, claimed: &Claimed, known: RouteMark) -> Result<()> {
        if claimed.newest_route == known {
            return Ok(());
        }
        self.routes.load().await
    }

    /// What may be claimed now.
    pub(super) fn turn(&self, served: &ServedRoutes) -> Turn {
        let idle = self.in_flight.unfinished() == 0;
        self.suspects.turn(Instant::now(), idle, |route| {
            let internal = || self.routing.internal_served();
            served.contains(route) || internal().contains(route)
        })
    }

    /// Claims one run that runs alone, while nothing is in flight.
    async fn claim_suspect(&self, instance: InstanceId, now: Millis) -> Result<Round> {
        let known = self.routing.newest_route();
        for served in [self.routing.served(), self.routing.internal_served()] {
            let suspect = ClaimParams {
                suspect: true,
                passed_over: self.incomputable.all(),
                planner: self.planner(now),
                ..params(now, instance, served, 1)
            };
            let claimed = self.claim(suspect, known).await?;
            self.advance_series(claimed.series, now).await?;
            if let Some(run) = claimed.runs.into_iter().next() {
                self.suspects.claimed(true);
                self.executor.start(instance, run);
                return Ok(Round {
                    started: 1,
                    next: NextClaim::WhenSlotFrees { due: claimed.next_due },
                });
            }
        }
        self.suspects.claimed(false);
        Ok(Round {
            started: 0,
            next: NextClaim::Now,
        })
    }

    /// How many runs to claim: for the slots that are free, and ahead of those to come. `None`: enough are waiting.
    fn slots_to_claim(&self, turn: Turn, group_slots: &[usize]) -> Option<usize> {
        if turn == Turn::Nobody {
            self.in_flight.release_prefetched(prefetch::PREFETCH_TIMEOUT);
            return Some(0);
        }
        let free = self.concurrency.saturating_sub(self.in_flight.busy());
        // Ahead of a handler with a limit of its own it cannot be said whose slot will be free next.
        let limited = group_slots.iter().any(|slots| *slots != usize::MAX);
        if limited || self.manual_clock {
            return Some(free);
        }
        self.in_flight.release_prefetched(prefetch::PREFETCH_TIMEOUT);
        let (wanted, waiting) = (
            self.in_flight.runs_to_prefetch(self.concurrency),
            self.in_flight.waiting(),
        );
        if free == 0 && wanted > 0 && waiting > wanted / 2 {
            return None;
        }
        Some(free + wanted.saturating_sub(waiting))
    }

    /// Claims for work of the package's own; costs nothing while there has never been any. What was due has been moved.
    async fn claim_internal(
        &self,
        (turn, holds): (Turn, Holds),
        instance: InstanceId,
        now: Millis,
        known: RouteMark,
    ) -> Result<InternalClaim> {
        let served = self.routing.internal_served();
        let group_slots = served.group_slots(holds);
        let slots = match turn {
            Turn::Nobody => 0,
            _ => ServedRoutes::total_slots(&group_slots),
        };
        if slots == 0 {
            let full = !served.routes.is_empty();
            return Ok(InternalClaim { started: 0, full });
        }
        let asked = ClaimParams {
            group_slots,
            ..params(now, instance, served.clone(), slots)
        };
        let claimed = self.claim(asked, known).await?;
        let started = claimed.runs.len();
        for run in claimed.runs {
            self.executor.start(instance, run);
        }
        self.executor.started_in_order();
        let full = served.has_full_group();
        Ok(InternalClaim { started, full })
    }

    /// Turns due occurrences into runs; returns whether there may be more to do.
    async fn advance_series(&self, series: Vec<SeriesSnapshot>, now: Millis) -> Result<bool> {
        if series.is_empty() {
            return Ok(false);
        }
        // A process that stood still while it claimed may have a time in hand that the clock does not show any more; and the claim
        // has told what the store's clock shows.
        if self.clock_jumps.now().await? < now {
            return Ok(true);
        }
        let plan = self.plan(now);
        let advances: Vec<SeriesAdvance> = series.iter().filter_map(plan).collect();
        if advances.is_empty() {
            return Ok(false);
        }
        Ok(self.context.store.advance(now, advances).await? > 0)
    }

    /// Computes what [`Self::advance_series`] does, for a store that does it within the claim.
    fn planner(&self, now: Millis) -> Option<PlanAdvance> {
        Some(PlanAdvance::new(self.plan(now)))
    }

    fn plan(&self, now: Millis) -> impl Fn(&SeriesSnapshot) -> Option<SeriesAdvance> + use<> {
        let (context, incomputable) = (self.context.clone(), self.incomputable.clone());
        let passed_over = self.clock_jumps.passed_over();
        move |due| plan_advance(&context, &incomputable, &passed_over, due, now)
    }
}

fn plan_advance(
    context: &Context,
    incomputable: &IncomputableSeries,
    passed_over: &[Span],
    due: &SeriesSnapshot,
    now: Millis,
) -> Option<SeriesAdvance> {
    let due = due.idle_within(passed_over);
    let planned = serde_json::from_str::<Recurrence>(&due.recurrence)
        .map_err(|error| error.to_string())
        .and_then(|recurrence| recurrence::plan(&recurrence, &due, now).map_err(|error| error.to_string()));
    planned.unwrap_or_else(|error| {
        if incomputable.add(due.job, due.version, &error) {
            let message = format!(
                "job {}: this version of the package cannot compute its schedule and leaves it to others: {error}",
                due.id
            );
            context.log(Level::Error, &message);
        }
        None
    })
}

fn params(now: Millis, instance: InstanceId, served: ServedRoutes, slots: usize) -> ClaimParams {
    ClaimParams {
        now,
        instance,
        group_slots: served.group_slots(Holds::Passed),
        served: served.routes,
        slots,
        suspect: false,
        passed_over: Arc::default(),
        planner: None,
    }
}

/// What a claim was made for.
pub(super) struct AskedClaim {
    pub(super) instance: InstanceId,
    now: Millis,
    turn: Turn,
    holds: Holds,
    /// The newest route that was known.
    pub(super) known: RouteMark,
    slots: usize,
    limits: Limits,
    /// Runs of it that were started before the rest of the round.
    pub(super) begun: usize,
}

/// What was claimed in slots of the package's own.
struct InternalClaim {
    started: usize,
    full: bool,
}
