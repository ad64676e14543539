//! What databases are opened by.

use crate::resources::OutboundRules;
use std::sync::Arc;

/// What a database is opened by, its secrets resolved.
#[cfg_attr(
    not(feature = "dynamodb"),
    allow(dead_code, reason = "endpoint, rules and warnings are of DynamoDB alone")
)]
pub(super) struct Settings<'a> {
    pub(super) url: &'a str,
    pub(super) ca: Option<&'a str>,
    /// Where DynamoDB is, if not at its region's address.
    pub(super) endpoint: Option<&'a str>,
    pub(super) connections: usize,
    /// Where HTTP requests may go.
    pub(super) outbound: &'a OutboundRules,
    /// Takes warnings.
    pub(super) warn: Arc<dyn Fn(&str) + Send + Sync>,
}
