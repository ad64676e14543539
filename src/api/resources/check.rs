//! `ductape.resources.check()`: connects to what `resources` describe, and says what came of it.

use crate::api::fields::Fields;
use crate::error::{Error, ErrorCode, Result};
use async_trait::async_trait;
use serde::Serialize;
use std::time::Duration;

/// Default time for each resource.
const DEFAULT_CHECK_TIMEOUT_MS: i64 = 10_000;
/// Longest time for each resource, ms.
const MAX_CHECK_TIMEOUT_MS: i64 = 600_000;

/// Which resources are meant; what is left out is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceFilter {
    /// Tag of the product.
    pub product: Option<Box<str>>,
    /// Slug of the environment.
    pub env: Option<Box<str>>,
    /// Tag of the resource.
    pub tag: Option<Box<str>>,
}

/// What was found of one resource.
#[derive(Clone, Debug)]
pub struct ResourceReport {
    /// Tag of the product.
    pub product: Box<str>,
    /// Slug of the environment.
    pub env: Box<str>,
    /// What it is, as in `database`.
    pub kind: &'static str,
    /// Its tag.
    pub tag: Box<str>,
    /// Why it cannot be used; `None`: it can.
    pub error: Option<Error>,
    /// How long it took, ms.
    pub duration_ms: i64,
    /// Attempts of jobs that it has ended in this process.
    pub calls: u64,
    /// How many of them failed.
    pub failures: u64,
}

/// The servers that `resources` describe.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Whether there are none.
    fn is_empty(&self) -> bool;

    /// Connects to each that is wanted, and gives up after `timeout`.
    async fn check(&self, filter: &ResourceFilter, timeout: Duration) -> Vec<ResourceReport>;

    /// Ends all connections.
    async fn close(&self);
}

/// Answers `resources.check(options)`.
///
/// # Errors
/// `VALIDATION_ERROR` for options that are none.
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

/// A finding as JavaScript sees it.
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
