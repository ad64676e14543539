//! Errors of attempts as columns: JSON text.

use super::failure::{DbResult, damaged};
use crate::model::RunError;
use tokio_postgres::Row;

/// JSON text of an error.
pub(super) fn error_text(error: &RunError) -> DbResult<String> {
    Ok(serde_json::to_string(error).map_err(|_| damaged("an error that cannot be written"))?)
}

/// JSON text of an error as webhooks are told of it: without its stack.
pub(super) fn event_error_text(error: &RunError) -> DbResult<String> {
    error_text(&RunError {
        stack: None,
        ..error.clone()
    })
}

/// An error from a column with its JSON text.
pub(super) fn error_of(row: &Row, at: usize) -> DbResult<Option<RunError>> {
    let text: Option<&str> = row.try_get(at)?;
    let read = |text: &str| serde_json::from_str(text).map_err(|_| damaged("an error that cannot be read"));
    Ok(text.map(read).transpose()?)
}
