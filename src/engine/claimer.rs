//! Claims what this process can run, when there is something to claim and a slot to run it in.
//!
//! Sleeps until the store tells of a change, a slot becomes free, a handler comes or goes, or the next due time; never
//! longer than a second, so that a change of the wall clock or a suspended machine costs no more than that.

use super::executor;
use super::handler::Level;
use super::prefetch;
use super::recurrence;
use super::worker::Engine;
use crate::clock::Millis;
use crate::error::{ErrorCode, Result};
use crate::model::Recurrence;
use crate::store::{ClaimParams, DueSeries, InstanceId, SeriesAdvance};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Longest sleep: wall time may jump while a monotonic timer runs.
const MAX_SLEEP_MS: i64 = 1_000;
/// A series whose schedule this version cannot compute is looked at again after this time, ms.
const BROKEN_SERIES_RETRY_MS: i64 = 3_600_000;

/// What one round of claiming came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// There is more to do at once.
    pub again: bool,
    /// Runs started.
    pub started: usize,
    /// Some slots were taken: a free one is worth another round.
    pub full: bool,
    /// Slots of the worker's were taken: a change is not worth another round until one is free.
    pub shut: bool,
    /// When something falls due.
    pub next_due: Option<Millis>,
}

/// Claims until told to stop.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut changes = engine.store.changes();
    let mut claiming = engine.claiming.subscribe();
    let mut pause = Duration::from_millis(50);
    while !*stop.borrow_and_update() {
        changes.mark_unchanged();
        let may_claim = *claiming.borrow_and_update();
        let freed = engine.in_flight.changed.notified();
        let woken = engine.claimer_wake.notified();
        tokio::pin!(freed, woken);
        freed.as_mut().enable();
        woken.as_mut().enable();
        let round = if may_claim {
            round(&engine).await
        } else {
            Ok(IDLE_ROUND)
        };
        let (sleep, full, shut) = match round {
            Ok(round) if round.again => continue,
            Ok(round) => {
                pause = Duration::from_millis(50);
                (time_until_due(&engine, round.next_due), round.full, round.shut)
            }
            Err(error) if error.code == ErrorCode::Closed => return,
            Err(error) => {
                engine
                    .logger
                    .log(Level::Error, &format!("cannot claim jobs, will try again: {error}"));
                pause = (pause * 2).min(Duration::from_secs(5));
                (pause, true, true)
            }
        };
        let sleep = if engine.in_flight.waiting() > 0 {
            sleep.min(prefetch::PREFETCH_TIMEOUT)
        } else {
            sleep
        };
        tokio::select! {
            _ = stop.changed() => {}
            _ = claiming.changed() => {}
            _ = changes.changed(), if may_claim && !shut => {}
            () = &mut freed, if full => {}
            () = &mut woken => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

const IDLE_ROUND: Round = Round {
    again: false,
    started: 0,
    full: false,
    shut: false,
    next_due: None,
};

fn time_until_due(engine: &Engine, next_due: Option<Millis>) -> Duration {
    let wait = next_due.map_or(MAX_SLEEP_MS, |due| due.saturating_sub(engine.clock.now()));
    let sleep = if engine.config.manual_clock {
        MAX_SLEEP_MS
    } else {
        wait.clamp(0, MAX_SLEEP_MS)
    };
    Duration::from_millis(sleep.unsigned_abs())
}

/// Moves what is due and claims what fits, once.
pub async fn round(engine: &Arc<Engine>) -> Result<Round> {
    let Some(instance) = engine.instance() else {
        return Ok(IDLE_ROUND);
    };
    // One round at a time: two would both see the same free slots.
    let _claim_guard = engine.claim_lock.lock().await;
    // Asked for under the lock: once claiming is off and the lock was free, no run can start any more.
    if !*engine.claiming.borrow() {
        return Ok(IDLE_ROUND);
    }
    let now = engine.clock.now();
    // Before `served`, which may be about more routes: others learn of them too.
    let highest_known = engine.routing.highest_route();
    let served = engine.routing.served();
    let group_slots = served.group_slots();
    let Some(slots) = slots_to_claim(engine, &group_slots) else {
        return Ok(Round {
            full: true,
            shut: true,
            ..IDLE_ROUND
        });
    };
    let full = slots == 0 || group_slots.contains(&0);
    let params = ClaimParams {
        now,
        instance,
        served: served.routes,
        group_slots,
        slots,
    };
    let claimed = engine.store.claim(params).await?;

    let started = claimed.runs.len();
    let shut = full || started >= slots;
    for run in claimed.runs {
        executor::start(engine, instance, run);
    }
    let internal = claim_internal(engine, instance, now).await?;
    let mut again = claimed.more;
    if claimed.highest_route > highest_known {
        engine.load_routes().await?;
        again = true;
    }
    again |= advance_series(engine, claimed.series, now).await? > 0;
    Ok(Round {
        again,
        started: started + internal.started,
        full: shut || internal.full,
        shut,
        next_due: claimed.next_due,
    })
}

/// How many runs to claim: for the slots that are free, and ahead of those to come. `None`: enough are waiting.
fn slots_to_claim(engine: &Engine, group_slots: &[usize]) -> Option<usize> {
    let free = engine.free_slots();
    // Ahead of a handler with a limit of its own it cannot be said whose slot will be free next.
    let limited = group_slots.iter().any(|slots| *slots != usize::MAX);
    if limited || engine.config.manual_clock {
        return Some(free);
    }
    engine.in_flight.release_prefetched(prefetch::PREFETCH_TIMEOUT);
    let (_, concurrency) = engine.slot_usage();
    let (prefetch, waiting) = (
        engine.in_flight.runs_to_prefetch(concurrency),
        engine.in_flight.waiting(),
    );
    if free == 0 && prefetch > 0 && waiting > prefetch / 2 {
        return None;
    }
    Some(free + prefetch.saturating_sub(waiting))
}

/// What was claimed in slots of the package's own.
struct InternalClaim {
    started: usize,
    full: bool,
}

/// Claims for work of the package's own; costs nothing while there has never been any. What was due has been moved.
async fn claim_internal(engine: &Arc<Engine>, instance: InstanceId, now: Millis) -> Result<InternalClaim> {
    let served = engine.routing.internal_served();
    let slots = served.internal_slots();
    if slots == 0 {
        let full = !served.routes.is_empty();
        return Ok(InternalClaim { started: 0, full });
    }
    let params = ClaimParams {
        now,
        instance,
        group_slots: served.group_slots(),
        served: served.routes,
        slots,
    };
    let claimed = engine.store.claim(params).await?;
    let started = claimed.runs.len();
    for run in claimed.runs {
        executor::start(engine, instance, run);
    }
    let full = started >= slots;
    Ok(InternalClaim { started, full })
}

/// Turns due occurrences into runs.
async fn advance_series(engine: &Engine, series: Vec<DueSeries>, now: Millis) -> Result<usize> {
    if series.is_empty() {
        return Ok(0);
    }
    let advances = series.iter().map(|due| plan_advance(engine, due, now)).collect();
    engine.store.advance(now, advances).await
}

fn plan_advance(engine: &Engine, due: &DueSeries, now: Millis) -> SeriesAdvance {
    let planned = serde_json::from_str::<Recurrence>(&due.recurrence)
        .map_err(|error| error.to_string())
        .and_then(|recurrence| recurrence::plan(&recurrence, due, now).map_err(|error| error.to_string()));
    planned.unwrap_or_else(|error| {
        engine.logger.log(
            Level::Error,
            &format!(
                "job {}: its schedule cannot be computed, will try again in an hour: {error}",
                due.id
            ),
        );
        SeriesAdvance {
            job: due.job,
            version: due.version,
            occurrences: Vec::new(),
            gaps: Vec::new(),
            next_at: Some(now.saturating_add(BROKEN_SERIES_RETRY_MS)),
            after_live_runs: false,
        }
    })
}
