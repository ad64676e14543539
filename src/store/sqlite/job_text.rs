//! Columns of a job with JSON text.

use crate::error::{Error, ErrorCode, Result};
use crate::model::{JobOptions, Recurrence};

/// JSON text of options; `None`: all are defaults.
pub(super) fn options_text(options: &JobOptions) -> Result<Option<String>> {
    if *options == JobOptions::default() {
        return Ok(None);
    }
    serde_json::to_string(options)
        .map(Some)
        .map_err(|e| not_serializable("options", e))
}

/// JSON text of a schedule.
pub(super) fn spec_text(recurrence: &Recurrence) -> Result<String> {
    serde_json::to_string(recurrence).map_err(|e| not_serializable("schedule", e))
}

fn not_serializable(what: &str, failure: serde_json::Error) -> Error {
    Error::new(
        ErrorCode::ValidationError,
        format!("the job's {what} cannot be written as JSON: {failure}"),
    )
    .with_source(failure)
}
