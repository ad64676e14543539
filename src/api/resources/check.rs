//! `ductape.resources.check()`: tries to connect to the servers in `resources` and reports the outcome of each.

use crate::api::fields::Fields;
use crate::error::{Error, ErrorCode, Result};
use async_trait::async_trait;
use serde::Serialize;
use std::time::Duration;

/// Default timeout for each resource, ms.
const DEFAULT_CHECK_TIMEOUT_MS: i64 = 10_000;
/// Longest timeout for each resource, ms.
const MAX_CHECK_TIMEOUT_MS: i64 = 600_000;

/// Which resources to check; `None` matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceFilter {
    /// Tag of the product.
    pub product: Option<Box<str>>,
    /// Slug of the environment.
    pub env: Option<Box<str>>,
    /// Tag of the resource.
    pub tag: Option<Box<str>>,
}

/// The outcome of checking one resource.
#[derive(Clone, Debug)]
pub struct ResourceReport {
    /// Tag of the product.
    pub product: Box<str>,
    /// Slug of the environment.
    pub env: Box<str>,
    /// Its kind, such as `database`.
    pub kind: &'static str,
    /// Its tag.
    pub tag: Box<str>,
    /// Why it is unusable; `None`: it is usable.
    pub error: Option<Error>,
    /// Duration of the check, ms.
    pub duration_ms: i64,
    /// Attempts that it has finished in this process.
    pub calls: u64,
    /// How many of these failed.
    pub failures: u64,
}

/// Connections to the servers in `resources`.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Whether there are none.
    fn is_empty(&self) -> bool;

    /// Connects to each resource that matches, with this timeout for each.
    async fn check(&self, filter: &ResourceFilter, timeout: Duration) -> Vec<ResourceReport>;

    /// Closes all connections.
    async fn close(&self);
}

/// Answers `resources.check(options)`.
///
/// # Errors
/// `VALIDATION_ERROR` for invalid options.
pub async fn check(connections: &dyn Connections, options: &str) -> Result<String> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["product", "env", "tag", "timeout"]);
    let mut tag = |name: &str| fields.tag(name).map(|tag| tag.as_ref().into());
    let filter = ResourceFilter {
        product: tag("product"),
        env: tag("env"),
        tag: tag("tag"),
    };
    let timeout = fields
        .integer("timeout", 1, MAX_CHECK_TIMEOUT_MS)
        .unwrap_or(DEFAULT_CHECK_TIMEOUT_MS);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let reports = connections
        .check(&filter, Duration::from_millis(timeout.unsigned_abs()))
        .await;
    let shown: Vec<_> = reports.iter().map(ReportView::from).collect();
    serde_json::to_string(&shown)
        .map_err(|error| Error::new(ErrorCode::StoreError, "cannot show the answer").with_source(error))
}

/// A report as JavaScript receives it.
#[derive(Serialize)]
struct ReportView<'a> {
    product: &'a str,
    env: &'a str,
    r#type: &'a str,
    tag: &'a str,
    ok: bool,
    duration_ms: i64,
    calls: u64,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ReportErrorView<'a>>,
}

#[derive(Serialize)]
struct ReportErrorView<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> From<&'a ResourceReport> for ReportView<'a> {
    fn from(report: &'a ResourceReport) -> Self {
        Self {
            product: &report.product,
            env: &report.env,
            r#type: report.kind,
            tag: &report.tag,
            ok: report.error.is_none(),
            duration_ms: report.duration_ms,
            calls: report.calls,
            failures: report.failures,
            error: report.error.as_ref().map(|error| ReportErrorView {
                code: error.code_text(),
                message: &error.message,
            }),
        }
    }
}
