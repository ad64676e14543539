//! The handlers of a process in a form that other processes can show.

use super::registrations::Registration;
use super::routing::Lane;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most handlers that are told of.
const MAX_HANDLERS: usize = 200;

/// What a handler takes; what it leaves open is missing.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct HandlerView<'a> {
    namespace: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    target: BTreeMap<&'static str, &'a str>,
    /// Attempts at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<usize>,
    /// Done by what `resources` define.
    built_in: bool,
}

/// JSON text of a list of these handlers, without the package's own work, in an order that does not
/// depend on theirs.
pub(super) fn describe<'a>(registrations: impl Iterator<Item = &'a Arc<Registration>>) -> String {
    let of_jobs = registrations.filter(|registration| registration.lane == Lane::Jobs);
    let mut handlers: Vec<HandlerView<'_>> = of_jobs.map(|registration| view(registration)).collect();
    handlers.sort_unstable();
    handlers.truncate(MAX_HANDLERS);
    serde_json::to_string(&handlers).unwrap_or_else(|_| "[]".to_owned())
}

fn view(registration: &Registration) -> HandlerView<'_> {
    let pattern = &registration.pattern;
    let names = pattern.namespace.target_fields().iter().copied();
    let target = names.zip(&pattern.target);
    HandlerView {
        namespace: pattern.namespace.as_str(),
        product: pattern.product.as_deref(),
        env: pattern.env.as_deref(),
        target: target
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .collect(),
        concurrency: registration.concurrency,
        built_in: registration.built_in,
    }
}
