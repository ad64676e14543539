//! An error of an attempt as everybody sees it: with its causes as members, where the store has them as one text.

use crate::model::RunError;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// Shows an error.
#[derive(Serialize)]
pub struct ShownError<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Origin<'a> {
    #[serde(borrow, default)]
    cause: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

impl<'a> From<&'a RunError> for ShownError<'a> {
    fn from(error: &'a RunError) -> Self {
        // A text that cannot be read, since it is encrypted, is left out: the message says so.
        let origin = error.origin.as_deref();
        let Origin { cause, errors } = origin
            .and_then(|origin| serde_json::from_str(origin).ok())
            .unwrap_or_default();
        Self {
            code: &error.code,
            message: &error.message,
            stack: error.stack.as_deref(),
            cause,
            errors,
        }
    }
}

/// For members of that type.
///
/// # Errors
/// What the serializer says.
pub fn shown<S: Serializer>(error: &Option<RunError>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(ShownError::from).serialize(serializer)
}
