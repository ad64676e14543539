//! Work without handlers: what `resources` describe, done by connectors in Rust.
//!
//! A [`Definition`] is one resource in one environment, as it is written; a [`Connector`] is the same with its secrets
//! in it and its connections open, made by the first attempt that needs it. The [`Registry`] holds both and is what the
//! engine sees. Knows no store but what an attempt remembers, and nothing of Node. Invariants: nothing is opened before
//! the first attempt or check; a failure names no secret and no more of an address than its host; a connector may be
//! dropped at any await, since an attempt that is cancelled is.

mod actions;
mod auth;
mod brokers;
mod call;
mod databases;
mod failure;
mod notifications;
mod registry;
mod storage;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

pub use call::{Call, Limits};
pub use failure::Failure;
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

    /// Puts the secrets in, and makes what is needed to reach it. Need not connect yet: the first call may.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a text that is none of what it should be once its secrets are in it; what the source of
    /// secrets says.
    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure>;
}

/// A resource that can be used. Its connections are made on first use, mended when they break, and used by many
/// attempts at once.
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

    /// Ends its connections in good order; nothing is run any more.
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
