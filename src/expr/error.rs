//! Why an input cannot be resolved.

use crate::error::{Error, ErrorCode, Problem};

/// A refusal: a code, and what is wrong in words that hold no value of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// `INVALID_EXPRESSION`, `VALIDATION_ERROR` or `UNAUTHORIZED`.
    pub code: ErrorCode,
    /// What is wrong, and where it stands in the input.
    pub problem: Problem,
}

impl ExpressionError {
    /// A value that does not fit, or is missing.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError, message)
    }

    /// A text that is no expression.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidExpression, message)
    }

    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            problem: Problem::new("", message),
        }
    }

    /// The same at a place of the input.
    pub(super) fn at(mut self, path: String) -> Self {
        self.problem.path = path;
        self
    }

    /// As the error of an attempt.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::invalid(vec![self.problem.with_code(self.code)])
    }
}
