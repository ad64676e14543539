//! `jobs.targets`: numbers by target.

use super::fields::Fields;
use super::filter::read_routes;
use super::jobs::to_json;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::Route;
use crate::store::{RouteId, Stats};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Most targets of an answer, those with the most jobs that have not ended.
const MAX_TARGETS: usize = 1_000;

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    namespace: &'static str,
    product: &'a str,
    env: &'a str,
    target: BTreeMap<&'static str, &'a str>,
    handled_here: bool,
    total: i64,
    scheduled: i64,
    queued: i64,
    running: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    paused: i64,
}

/// `targets(filter)`.
///
/// # Errors
/// `VALIDATION_ERROR` for an unknown filter.
pub async fn targets(engine: &Engine, filter: &str) -> Result<String> {
    engine.load_routes().await?;
    let mut fields = Fields::read(filter, "")?;
    fields.refuse_unknown(&["product", "env", "namespace", "target"]);
    let routes = read_routes(engine, &mut fields);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let wanted: Option<HashSet<RouteId>> = routes.map(|routes| routes.into_iter().collect());
    let mut counted = engine.store.stats_by_route().await?;
    counted.retain(|(route, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(route)));
    // Ended jobs are history.
    let live = |stats: &Stats| stats.by_status.iter().sum::<i64>() - ended(stats);
    counted.sort_by_key(|(_, stats)| std::cmp::Reverse((live(stats), ended(stats))));
    let served = engine.routing.served();
    let known = counted.into_iter().filter_map(|(id, stats)| {
        let route = engine
            .routing
            .route(id)
            .filter(|route| !route.namespace.is_internal())?;
        Some((id, route, stats))
    });
    let known: Vec<_> = known.take(MAX_TARGETS).collect();
    let views = known
        .iter()
        .map(|(id, route, stats)| view(route, served.contains(*id), stats));
    to_json(&views.collect::<Vec<_>>())
}

fn view<'a>(route: &'a Route, handled_here: bool, stats: &Stats) -> TargetView<'a> {
    let [scheduled, queued, running, completed, failed, cancelled, paused] = stats.by_status;
    TargetView {
        namespace: route.namespace.as_str(),
        product: &route.product,
        env: &route.env,
        target: route.fields().collect(),
        handled_here,
        total: stats.by_status.iter().sum(),
        scheduled,
        queued,
        running,
        completed,
        failed,
        cancelled,
        paused,
    }
}

fn ended(stats: &Stats) -> i64 {
    let [_, _, _, completed, failed, cancelled, _] = stats.by_status;
    completed + failed + cancelled
}
