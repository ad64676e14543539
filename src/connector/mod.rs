//! Work without handlers: what `resources` describe, done by connectors in Rust.
//!
//! A [`Definition`] is one resource in one environment, checked but with its secrets unresolved; a [`Connector`] is the
//! same with its secrets resolved and its connections open, made by the first attempt that needs it. The [`Registry`] holds both and is what the
//! engine sees. Knows of the store only the steps of an attempt, and nothing of Node. Invariants: nothing is opened before
//! the first attempt or check; a failure names no secret and no more of an address than its host; a connector may be
//! dropped at any await, since an attempt that is cancelled is.

mod actions;
mod auth;
mod brokers;
mod call;
mod databases;
mod failure;
mod limits;
mod notifications;
mod registry;
mod storage;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

pub use call::Call;
pub use failure::Failure;
pub use limits::Limits;
pub use registry::{CheckResult, Registry};

use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::resources::{OutboundRules, Resources};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

/// Which resource, in which environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceName {
    /// Tag of the product.
    pub product: Box<str>,
    /// What it is: `app`, `notification`, `storage`, `broker`, `database`, `graph`.
    pub kind: &'static str,
    /// Its tag.
    pub tag: Box<str>,
    /// Slug of the environment.
    pub env: Box<str>,
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}, {})", self.kind, self.tag, self.product, self.env)
    }
}

/// Routes that a resource serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedTarget {
    /// Which routes.
    pub pattern: Pattern,
    /// Longest attempt for jobs that set none, ms; `None`: a minute.
    pub timeout: Option<i64>,
}

/// One resource in one environment, as `resources` define it. Plain data: it opens nothing until it is told to.
#[async_trait]
pub trait Definition: Send + Sync {
    /// Which one.
    fn name(&self) -> ResourceName;

    /// What it serves.
    fn targets(&self) -> Vec<ServedTarget>;

    /// Resolves the secrets and prepares a client. Need not connect: the first call may do that.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a text that turns out to be invalid once its secrets are resolved; errors of the source of
    /// secrets.
    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure>;
}

/// A resource ready for use, shared by concurrent attempts. Connects on first use, and again when a connection breaks.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Does the work of one attempt: JSON text of its result. The future is dropped when the attempt is aborted.
    ///
    /// # Errors
    /// With the code that retries go by (`TIMEOUT`, `RATE_LIMITED`, `SERVICE_UNAVAILABLE`, `CONNECTION_ERROR` are
    /// retried; `VALIDATION_ERROR`, `NOT_FOUND`, `UNAUTHORIZED`, `FORBIDDEN` are not).
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure>;

    /// Connects, authenticates, and changes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    async fn check(&self) -> Result<(), Failure>;

    /// Closes its connections gracefully; `run` is not called afterwards.
    async fn close(&self) {}
}

/// All definitions that connectors are for; their HTTP requests go where `outbound` allows.
#[must_use]
pub fn definitions(resources: &Resources, outbound: &OutboundRules) -> Vec<Arc<dyn Definition>> {
    let families = [
        actions::definitions(resources, outbound),
        notifications::definitions(resources, outbound),
        storage::definitions(resources),
        brokers::definitions(resources),
        databases::definitions(resources),
    ];
    families.into_iter().flatten().collect()
}
