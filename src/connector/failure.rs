//! How work of a connector fails: the code that retries go by, and a message for people.

use crate::engine::HandlerFailure;
use crate::error::{Error, ErrorCode};
use crate::http;

/// Work that failed. Its message holds no secret, no payload, and no more of an address than the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What retries go by.
    pub code: Box<str>,
    /// What happened, and what to do about it.
    pub message: String,
    /// The delay that the other side asked for, ms.
    pub retry_after: Option<i64>,
}

impl Failure {
    /// A failure with a code of the list.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: code.as_str().into(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// What the job or the definition says cannot be done; not retried.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError, message)
    }

    /// There is no connection, or it broke; retried.
    pub fn connection(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ConnectionError, message)
    }

    /// The other side is there and cannot serve now; retried.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, message)
    }

    /// No answer in time; retried.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Timeout, message)
    }

    /// Wrong or missing credentials; not retried.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unauthorized, message)
    }

    /// Credentials without the right; not retried.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// What it is about is not there; not retried.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            code: error.code_text().into(),
            message: error.message,
            retry_after: None,
        }
    }
}

impl From<http::Failure> for Failure {
    fn from(failure: http::Failure) -> Self {
        Self {
            code: failure.code.into(),
            message: failure.message,
            retry_after: failure.retry_after,
        }
    }
}

impl From<Failure> for HandlerFailure {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message.into(),
            stack: None,
            retry_after: failure.retry_after,
        }
    }
}
