//! `ductape.jobs.explain`: gathers what the store and this instance know of a job; [`reasons`](super::reasons) decides.

use super::jobs::{not_found, read_id, route_of, to_json};
use super::reasons::{COUNTED_AHEAD, Facts, Reason, Server, Worker, reasons};
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
    let found = engine.store.whereabouts(&id, COUNTED_AHEAD).await?;
    let found = found.ok_or_else(|| not_found(&id.to_string()))?;
    let route = route_of(engine, found.record.route).await?;
    let facts = Facts {
        now: engine.clock.now(),
        found: &found,
        route: &route,
        instance: engine.instance(),
        worker: worker(engine),
        server: server(engine, &route),
    };
    to_json(&Explanation {
        status: found.record.status.as_str(),
        reasons: reasons(&facts),
    })
}

fn worker(engine: &Engine) -> Worker {
    if engine.config.worker.is_none() {
        return Worker::Off;
    }
    if !engine.is_claiming() {
        return Worker::Idle;
    }
    if engine.instance().is_none() {
        return Worker::Unregistered;
    }
    let (busy, slots) = engine.load();
    Worker::Working { busy, slots }
}

fn server(engine: &Engine, route: &Route) -> Server {
    if !engine.routing.admits(route) {
        return Server::Excluded;
    }
    engine.routing.find(route).map_or(Server::Nobody, |registration| {
        let (running, most) = registration.load();
        Server::Handler { running, most }
    })
}
