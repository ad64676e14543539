//! How work of a connector fails: the code that retries go by, and a message for people.

use crate::engine::HandlerFailure;
use crate::error::{Error, ErrorCode};
use crate::http;
use crate::model::RetryAfter;
use crate::text::spelling::{suggestion, truncated};

/// Work that failed. Its message holds no secret, no payload, and no more of an address than the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Error code; decides whether the attempt is retried.
    pub code: Box<str>,
    /// What happened, and what to do about it.
    pub message: String,
    /// Delay before a retry that the server asked for, ms.
    pub retry_after: Option<i64>,
}

impl Failure {
    /// A failure with one of the package's codes.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: code.as_str().into(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// The input or the definition is invalid; not retried.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError, message)
    }

    /// The object at `path` of an input has a member that is not among `known`; not retried.
    pub fn unknown_member(path: &str, name: &str, known: &[&str]) -> Self {
        Self::invalid(format!(
            "{path}.{}: is not known here; {}",
            truncated(name),
            suggestion(name, known)
        ))
    }

    /// A type of server that is known and has no connector in this build; not retried.
    pub fn not_built_in(namespace: &str, name: &str) -> Self {
        Self::invalid(format!(
            "the type '{name}' is not built in; its jobs wait for a handler, registered by `ductape.{namespace}.handle`"
        ))
    }

    /// There is no connection, or it broke; retried.
    pub fn connection(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ConnectionError, message)
    }

    /// The server cannot serve the request at the moment; retried.
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

    /// The credentials lack a right; not retried.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// The object that was asked for does not exist; not retried.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            // Of a definition: it will not read otherwise the next time.
            code: match error.code_text() {
                "INVALID_EXPRESSION" => ErrorCode::ValidationError.as_str().into(),
                code => code.into(),
            },
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
            origin: None,
            retry_after: failure.retry_after.map(RetryAfter::AtLeast),
        }
    }
}
