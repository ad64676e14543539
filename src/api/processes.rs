//! `jobs.processes`.

use super::jobs::to_json;
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::Result;
use crate::store::{InstanceId, Liveness, Process};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Debug, Serialize)]
struct ProcessView<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i64>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_ends_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<i64>,
    claimed: i64,
    running: i64,
    prefetched: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handlers: Option<&'a RawValue>,
    is_this: bool,
}

impl<'a> ProcessView<'a> {
    fn new(process: &'a Process, own: Option<InstanceId>) -> Self {
        let running = process.running();
        Self {
            // It may be more than a number of JavaScript holds.
            id: process.id.to_string(),
            host: process.host.as_deref(),
            pid: process.pid,
            state: match process.liveness {
                Liveness::Alive => "alive",
                Liveness::Silent => "silent",
                Liveness::Dead => "dead",
            },
            registered_at: process.registered_at,
            seen_at: process.seen_at,
            lease_ends_at: process.lease_ends_at,
            slots: process.slots,
            claimed: process.claimed,
            running,
            prefetched: process.claimed - running,
            version: process.version.as_deref(),
            handlers: process
                .handlers
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok()),
            is_this: own == Some(process.id),
        }
    }
}

/// `processes()`.
///
/// # Errors
/// Those of the store.
pub async fn processes(engine: &Engine) -> Result<String> {
    let processes = engine.store.processes(engine.clock.now()).await?;
    let own = engine.instance();
    let views = processes.iter().map(|process| ProcessView::new(process, own));
    to_json(&views.collect::<Vec<_>>())
}
