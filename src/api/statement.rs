//! A dispatch as SQL, for a transaction of the caller's own.
//!
//! Reads and checks the input as a dispatch does. Invariant: nothing is promised that a single statement cannot keep.

use super::dispatch::{Defaults, Dispatch, DispatchReader};
use super::fields::Fields;
use crate::engine::{Engine, Level};
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::{Namespace, OnConflict, TraceContext};
use serde_json::json;
use std::borrow::Cow;

/// `{ text, values }` of a dispatch. `namespace` is a JSON string, `input` what `dispatch` takes, `trace` a JSON string or null.
pub async fn statement(
    engine: &Engine,
    defaults: &Defaults,
    namespace: &str,
    (input, trace): (&str, &str),
) -> Result<String> {
    let name: String = serde_json::from_str(namespace).unwrap_or_default();
    let namespace = Namespace::parse_public(&name)
        .ok_or_else(|| Error::new(ErrorCode::NotFound, format!("there is no namespace {name}")))?;
    let Dispatch { mut job, warning } = DispatchReader::new(defaults, engine.clock.now()).read(namespace, input)?;
    let trace: Option<Cow<'_, str>> = serde_json::from_str(trace).unwrap_or_default();
    job.options.trace = trace.and_then(|trace| TraceContext::parse(&trace));
    let refuse = |path: &str, message: &str| Err(Problem::new(path, message).into());
    if Fields::read(input, "")?.raw("job_id").is_none() {
        // A fresh id has nobody to be in conflict with, also of a recurring job.
        job.on_conflict = OnConflict::Return;
    }
    if job.on_conflict == OnConflict::Replace {
        return refuse(
            "onConflict",
            "a statement cannot replace the job that has the `job_id` (the default of a recurring one); say 'return' or 'error'",
        );
    }
    if job.options.unique.is_some() {
        return refuse(
            "unique",
            "a statement cannot hold a unique key for a transaction of unknown length; use a `job_id` with onConflict: 'return'",
        );
    }
    match engine.store.statement(&job).await? {
        Some(statement) => {
            if let Some(warning) = warning {
                let message = format!("job {} ({}): {warning}", job.id, job.route);
                engine.logger.log(Level::Warn, &message);
            }
            Ok(json!({ "text": statement.text, "values": [statement.value] }).to_string())
        }
        None => refuse("store", "a statement needs a PostgreSQL store, as in 'postgres://…'"),
    }
}
