//! Work without handlers: what `resources` describe, done by connectors in Rust.
//!
//! A [`Definition`] is one resource in one environment, checked but with its secrets unresolved; a [`Connector`] is the
//! same with its secrets resolved and its connections open, made by the first attempt that needs it. The [`Registry`] holds both and is what the
//! engine sees. Knows of the store only the steps of an attempt, and nothing of Node. Invariants: nothing is opened before
//! the first attempt or check; a failure names no secret and no more of an address than its host; a connector may be
//! dropped at any await, since an attempt that is cancelled is.

mod actions;
mod auth;
#[cfg(any(feature = "dynamodb", feature = "sqs", feature = "ses", feature = "cloud-storage"))]
mod aws;
mod brokers;
mod call;
mod contract;
mod databases;
mod failure;
mod google;
mod graph_definition;
#[cfg(feature = "graphs")]
mod graphs;
mod limits;
mod notifications;
mod registry;
mod storage;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

#[cfg(all(fuzzing, feature = "kafka"))]
pub use brokers::fuzzing as kafka_fuzzing;
pub use call::Call;
pub use contract::{Connector, Definition, LeftToHandlers, ResourceName, ServedTarget};
#[cfg(fuzzing)]
pub use databases::fuzzing;
pub use failure::Failure;
#[cfg(all(fuzzing, feature = "graphs"))]
pub use graphs::fuzzing as graph_fuzzing;
pub use limits::Limits;
pub use registry::{CheckResult, Registry};

use crate::error::Problem;
use crate::resources::{OutboundRules, Resources};
use std::sync::Arc;

/// All definitions that connectors are for; their HTTP requests go where `outbound` allows, and `warn` takes what they warn
/// of.
#[must_use]
pub fn definitions(
    resources: &Resources,
    outbound: &OutboundRules,
    warn: &Arc<dyn Fn(&str) + Send + Sync>,
) -> Vec<Arc<dyn Definition>> {
    let families = [
        actions::definitions(resources, outbound),
        notifications::definitions(resources, outbound),
        storage::definitions(resources, outbound),
        brokers::definitions(resources, outbound),
        databases::definitions(resources, outbound, warn),
        graph_definition::definitions(resources),
    ];
    families.into_iter().flatten().collect()
}

/// What is wrong with definitions that only their connectors can tell.
#[must_use]
pub fn problems(resources: &Resources) -> Vec<Problem> {
    let families = [
        databases::problems(resources),
        #[cfg(feature = "graphs")]
        graphs::problems(resources),
    ];
    families.into_iter().flatten().collect()
}
