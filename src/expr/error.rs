//! The error of an expression that is malformed or cannot be evaluated.

use crate::error::{Error, ErrorCode, Problem};

/// A code, and a message that contains no value of the input: it could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// `INVALID_EXPRESSION`, `VALIDATION_ERROR` or `UNAUTHORIZED`.
    pub code: ErrorCode,
    /// The message, and the path in the input.
    pub problem: Problem,
}

impl ExpressionError {
    /// A value is missing or of the wrong kind (`VALIDATION_ERROR`).
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError, message)
    }

    /// The text is not a valid expression (`INVALID_EXPRESSION`).
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidExpression, message)
    }

    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            problem: Problem::new("", message),
        }
    }

    /// The same error, located at `path` of the input.
    pub(super) fn at(mut self, path: String) -> Self {
        self.problem.path = path;
        self
    }

    /// Converts it to the error that an attempt fails with.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::invalid(vec![self.problem.with_code(self.code)])
    }
}
