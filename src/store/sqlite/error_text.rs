//! Errors of attempts as JSON text, as columns store them.

use super::failure::damaged;
use crate::error::Result;
use crate::model::RunError;

/// Serialises an error as JSON text.
pub(super) fn error_text(error: &RunError) -> Result<String> {
    serde_json::to_string(error).map_err(|_| damaged("an error that cannot be written"))
}

/// Parses an error from JSON text.
pub(super) fn read_error(text: &str) -> Result<RunError> {
    serde_json::from_str(text).map_err(|_| damaged("an error that cannot be read"))
}
