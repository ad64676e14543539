//! The one error of the crate and its closed list of codes.
//!
//! Knows nothing of Node, SQL drivers or connectors: those turn their own failures into an [`Error`] where they
//! happen, with the code a user can act on. Messages are lower case, name the value and the remedy.

use std::fmt;

/// What went wrong, as a user's program reads it in `error.code`. The list is closed: a new code is a change of the
/// public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// An argument has a wrong type, is missing, or is out of range.
    ValidationError,
    /// A `schedule` contradicts itself or can never run.
    InvalidSchedule,
    /// A cron expression that is not one.
    InvalidCron,
    /// A time zone name that the bundled database does not have.
    InvalidTimezone,
    /// A malformed expression in a job's input.
    InvalidExpression,
    /// No job (or other thing) with that id.
    NotFound,
    /// The state of the job forbids the change.
    Conflict,
    /// A missing, expired or wrongly signed credential.
    Unauthorized,
    /// A valid credential without the right.
    Forbidden,
    /// Took longer than it was allowed to.
    Timeout,
    /// Too much at once; try again later.
    RateLimited,
    /// A server answers and cannot serve now.
    ServiceUnavailable,
    /// A server cannot be reached.
    ConnectionError,
    /// The store refused or failed.
    StoreError,
    /// The store's data is damaged or is no store of this package.
    StoreCorrupt,
    /// Another process took the run, since this one did not renew its lease in time.
    LeaseLost,
    /// The process that ran it died too often.
    Crashed,
    /// Cancelled on request.
    Cancelled,
    /// The instance was closed.
    Closed,
    /// A handler threw something without a code of this list; shown under the handler's own code.
    HandlerError,
}

impl ErrorCode {
    /// Every code that errors of this package show in `error.code`.
    pub const ALL: [Self; 19] = [
        Self::ValidationError,
        Self::InvalidSchedule,
        Self::InvalidCron,
        Self::InvalidTimezone,
        Self::InvalidExpression,
        Self::NotFound,
        Self::Conflict,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Timeout,
        Self::RateLimited,
        Self::ServiceUnavailable,
        Self::ConnectionError,
        Self::StoreError,
        Self::StoreCorrupt,
        Self::LeaseLost,
        Self::Crashed,
        Self::Cancelled,
        Self::Closed,
    ];

    /// The code of that spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The spelling in `error.code`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ValidationError => "VALIDATION_ERROR",
            Self::InvalidSchedule => "INVALID_SCHEDULE",
            Self::InvalidCron => "INVALID_CRON",
            Self::InvalidTimezone => "INVALID_TIMEZONE",
            Self::InvalidExpression => "INVALID_EXPRESSION",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::Timeout => "TIMEOUT",
            Self::RateLimited => "RATE_LIMITED",
            Self::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Self::ConnectionError => "CONNECTION_ERROR",
            Self::StoreError => "STORE_ERROR",
            Self::StoreCorrupt => "STORE_CORRUPT",
            Self::LeaseLost => "LEASE_LOST",
            Self::Crashed => "CRASHED",
            Self::Cancelled => "CANCELLED",
            Self::Closed => "CLOSED",
            Self::HandlerError => "Error",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem of an input, and where it is. JavaScript gets it as `{ path, message }`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Path from the root of the argument, as in `schedule.cron`; empty for the argument itself.
    pub path: String,
    /// What is wrong there and what would be right.
    pub message: String,
    /// What kind of mistake it is; [`Error::invalid`] makes one code of those of all problems.
    #[serde(skip)]
    pub code: ErrorCode,
}

impl Problem {
    /// A problem at `path`, of the code `VALIDATION_ERROR`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            code: ErrorCode::ValidationError,
        }
    }

    /// The same, of the member at `place` of the object at `path`; without a place, of the object itself.
    pub fn of_member(path: &str, place: &str, message: impl Into<String>) -> Self {
        match place {
            "" => Self::new(path, message),
            place => Self::new(format!("{path}.{place}"), message),
        }
    }

    /// The same with another code.
    #[must_use]
    pub fn with_code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// What a handler threw, besides its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError {
    /// Its code, which need not be one of the list.
    pub code: Box<str>,
    /// Its stack.
    pub stack: Option<Box<str>>,
    /// JSON text of what it names as its causes.
    pub origin: Option<Box<str>>,
}

/// Any failure this crate reports.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What a program acts on.
    pub code: ErrorCode,
    /// What a person reads.
    pub message: String,
    /// Every problem found, when an input was refused.
    pub details: Vec<Problem>,
    /// What a handler threw, shown instead of `code` and of what is said here.
    pub handler: Option<Box<HandlerError>>,
    /// The failure that caused it, for `error.cause`.
    #[source]
    pub source: Option<std::sync::Arc<dyn std::error::Error + Send + Sync>>,
}

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
            handler: None,
            source: None,
        }
    }

    /// An error that lists every problem of an input; the message repeats them, one after the other. Its code is the one
    /// that all problems have in common, else `VALIDATION_ERROR`.
    #[must_use]
    pub fn invalid(details: Vec<Problem>) -> Self {
        let message = details.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self {
            code: common_code(&details),
            message,
            details,
            handler: None,
            source: None,
        }
    }

    /// What `error.code` says.
    #[must_use]
    pub fn code_text(&self) -> &str {
        self.handler
            .as_ref()
            .map_or(self.code.as_str(), |handler| &*handler.code)
    }

    /// The same error with the failure that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(std::sync::Arc::new(source));
        self
    }

    /// The instance was closed before or during the call.
    #[must_use]
    pub fn closed() -> Self {
        Self::new(ErrorCode::Closed, "this Ductape instance is closed; create a new one")
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::invalid(vec![problem])
    }
}

/// The code that all problems have in common, else `VALIDATION_ERROR`.
fn common_code(problems: &[Problem]) -> ErrorCode {
    let mut codes = problems.iter().map(|problem| problem.code);
    let first = codes.next().unwrap_or(ErrorCode::ValidationError);
    if codes.all(|code| code == first) {
        first
    } else {
        ErrorCode::ValidationError
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_an_error_is_the_one_its_problems_have_in_common() {
        let problem = |code| Problem::new("a", "b").with_code(code);
        let (cron, zone) = (ErrorCode::InvalidCron, ErrorCode::InvalidTimezone);
        for (codes, expected) in [
            (vec![], ErrorCode::ValidationError),
            (vec![cron], cron),
            (vec![cron, cron], cron),
            (vec![cron, zone], ErrorCode::ValidationError),
            (vec![cron, ErrorCode::ValidationError], ErrorCode::ValidationError),
        ] {
            let error = Error::invalid(codes.iter().map(|code| problem(*code)).collect());
            assert_eq!(error.code, expected, "{codes:?}");
        }
    }

    #[test]
    fn code_of_a_problem_is_not_shown() {
        let shown = serde_json::to_string(&Problem::new("a", "b").with_code(ErrorCode::Conflict)).unwrap();
        assert_eq!(shown, r#"{"path":"a","message":"b"}"#);
    }
}
