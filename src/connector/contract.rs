//! What every connector is: a checked definition, and the open connection that it becomes.

use super::{Call, Failure};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::Route;
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

/// Routes that a resource does not serve, though it is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftToHandlers {
    /// Which routes.
    pub pattern: Pattern,
    /// The type that has no connector.
    pub type_name: &'static str,
}

/// One resource in one environment, as `resources` define it. Plain data: it opens nothing until it is told to.
#[async_trait]
pub trait Definition: Send + Sync {
    /// Which one.
    fn name(&self) -> ResourceName;

    /// What it serves.
    fn targets(&self) -> Vec<ServedTarget>;

    /// What of it is left to handlers, since its type has no connector.
    fn left_to_handlers(&self) -> Vec<LeftToHandlers> {
        Vec::new()
    }

    /// What is known, before anything is opened, of the server that an attempt for this route calls: attributes of a span, by the
    /// semantic conventions. Holds no secret.
    fn span_attributes(&self, _route: &Route) -> Vec<(&'static str, Box<str>)> {
        Vec::new()
    }

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
