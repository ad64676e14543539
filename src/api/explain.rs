//! `ductape.jobs.explain`: gathers what the store and this instance know of a job; [`reasons`](super::reasons) decides.

use super::jobs::{not_found, read_id, route_of, to_json};
use super::reasons::{Facts, HandlerState, MAX_COUNTED_AHEAD, Reason, WorkerState, reasons};
use crate::clock::StoreClock;
use crate::engine::Engine;
use crate::error::Result;
use crate::model::Route;
use serde::Serialize;

/// `explain(id)`.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn explain(engine: &Engine, id: &str) -> Result<String> {
    #[derive(Serialize)]
    struct Explanation {
        status: &'static str,
        reasons: Vec<Reason>,
    }
    let id = read_id(id)?;
    let found = engine.store.run_location(&id, MAX_COUNTED_AHEAD).await?;
    let found = found.ok_or_else(|| not_found(&id.to_string()))?;
    let route = route_of(engine, found.record.route).await?;
    let (handler, left_to_handlers) = handler_state(engine, &route);
    let facts = Facts {
        now: engine.clock.now(),
        found: &found,
        route: &route,
        instance: engine.instance(),
        worker: worker_state(engine),
        handler,
        left_to_handlers,
        hold: engine
            .routing
            .find(&route)
            .and_then(|registration| registration.handler.hold(&route)),
        another_runs_alone: engine.another_runs_alone(),
        clock_skew: engine.clock.store_clock().and_then(StoreClock::skew),
    };
    to_json(&Explanation {
        status: found.record.status.as_str(),
        reasons: reasons(&facts),
    })
}

fn worker_state(engine: &Engine) -> WorkerState {
    if engine.config.worker.is_none() {
        return WorkerState::Off;
    }
    if !engine.is_claiming() {
        return WorkerState::Idle;
    }
    if engine.instance().is_none() {
        return WorkerState::Unregistered;
    }
    let (busy, slots) = engine.slot_usage();
    WorkerState::Working { busy, slots }
}

/// What there is for a job, and why nothing built in does it though a definition names its route.
fn handler_state(engine: &Engine, route: &Route) -> (HandlerState, Option<Box<str>>) {
    if !engine.routing.admits(route) {
        return (HandlerState::Excluded, None);
    }
    let Some(registration) = engine.routing.find(route) else {
        return (HandlerState::NoHandler, engine.routing.why_left(route));
    };
    let (running, concurrency) = registration.slot_usage();
    (HandlerState::Handler { running, concurrency }, None)
}
