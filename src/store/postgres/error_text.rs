//! Errors of attempts as JSON text, as columns store them.

use super::failure::{DbResult, damaged};
use crate::model::RunError;
use tokio_postgres::Row;

/// Serialises an error as JSON text.
pub(super) fn error_text(error: &RunError) -> DbResult<String> {
    Ok(serde_json::to_string(error).map_err(|_| damaged("an error that cannot be written"))?)
}

/// JSON text of an error as webhooks receive it, without its stack and causes.
pub(super) fn event_error_text(error: &RunError) -> DbResult<String> {
    error_text(&RunError {
        stack: None,
        origin: None,
        ..error.clone()
    })
}

/// Parses an error from a column of JSON text.
pub(super) fn error_of(row: &Row, at: usize) -> DbResult<Option<RunError>> {
    let text: Option<&str> = row.try_get(at)?;
    let read = |text: &str| serde_json::from_str(text).map_err(|_| damaged("an error that cannot be read"));
    Ok(text.map(read).transpose()?)
}
