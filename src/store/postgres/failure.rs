//! What can go wrong with a server, and what a user can do about it.
//!
//! Knows no verb. Invariant: no message holds a password; every message names the remedy where there is one.

use crate::error::{Error, ErrorCode};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Why a verb did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server or the connection failed, and nothing was committed.
    Database(tokio_postgres::Error),
    /// The connection failed while a commit may have been under way.
    Unknown(tokio_postgres::Error),
    /// No answer in time.
    TimedOut(Duration),
    /// Another process moved a row in the meantime: the verb begins anew.
    ConcurrentChange,
    /// An error for the caller.
    Rejected(Error),
}

pub(super) type DbResult<T> = std::result::Result<T, Failure>;

impl From<tokio_postgres::Error> for Failure {
    fn from(failure: tokio_postgres::Error) -> Self {
        Self::Database(failure)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Rejected(error)
    }
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureAction {
    /// Begin anew at once: another transaction was in the way.
    Again,
    /// Begin anew on another connection.
    Reconnect,
    /// Tell the caller.
    Tell,
}

impl Failure {
    pub(super) fn remedy(&self) -> FailureAction {
        match self {
            Self::ConcurrentChange => FailureAction::Again,
            Self::TimedOut(_) => FailureAction::Reconnect,
            Self::Rejected(_) => FailureAction::Tell,
            Self::Database(failure) | Self::Unknown(failure) => remedy_of(failure),
        }
    }

    /// Whether the work may have been committed all the same.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::TimedOut(_))
    }

    /// As the caller sees it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Rejected(error) => error,
            Self::ConcurrentChange => Error::new(
                ErrorCode::StoreError,
                "the job kept changing in other processes; try again",
            ),
            Self::TimedOut(after) => Error::new(
                ErrorCode::ConnectionError,
                format!(
                    "the store's server did not answer within {} s; whether the change was made is unknown",
                    after.as_secs()
                ),
            ),
            Self::Database(failure) => describe(&failure).with_source(ErrorText::of(&failure)),
            Self::Unknown(failure) => {
                let error = describe(&failure);
                let message = format!("{}; whether the change was made is unknown", error.message);
                Error::new(error.code, message).with_source(ErrorText::of(&failure))
            }
        }
    }
}

/// A failure of the driver as text: the driver's own value may hold more than a log should.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ErrorText(String);

impl ErrorText {
    fn of(failure: &tokio_postgres::Error) -> Self {
        Self(text_of(failure))
    }
}

fn text_of(failure: &tokio_postgres::Error) -> String {
    if let Some(server) = failure.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    match std::error::Error::source(failure) {
        Some(source) => format!("{failure}: {source}"),
        None => failure.to_string(),
    }
}

fn remedy_of(failure: &tokio_postgres::Error) -> FailureAction {
    let Some(code) = failure.code() else {
        // No answer of the server at all: the connection, or what it takes to make one.
        return if is_permanent(failure) {
            FailureAction::Tell
        } else {
            FailureAction::Reconnect
        };
    };
    match *code {
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => FailureAction::Again,
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => FailureAction::Reconnect,
        _ if code.code().starts_with("08") => FailureAction::Reconnect,
        // A statement that a pooler's other server connection does not know.
        SqlState::INVALID_SQL_STATEMENT_NAME => FailureAction::Reconnect,
        _ => FailureAction::Tell,
    }
}

/// Failures of the client that no second try mends.
fn is_permanent(failure: &tokio_postgres::Error) -> bool {
    let text = text_of(failure);
    text.contains("certificate")
        || text.contains("server does not support TLS")
        || text.contains("password missing")
        || text.starts_with("error serializing")
        || text.starts_with("error deserializing")
}

fn describe(failure: &tokio_postgres::Error) -> Error {
    let text = text_of(failure);
    let Some(code) = failure.code() else {
        return Error::new(
            ErrorCode::ConnectionError,
            format!("cannot reach the store's server: {text}; check the address in `store` and that the server runs"),
        );
    };
    let (kind, remedy) = match *code {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            ErrorCode::Unauthorized,
            "check user and password in `store`, and pg_hba.conf on the server",
        ),
        SqlState::INVALID_CATALOG_NAME => (
            ErrorCode::ConnectionError,
            "create the database, or name another in `store`",
        ),
        SqlState::INSUFFICIENT_PRIVILEGE => (
            ErrorCode::Forbidden,
            "grant the user of `store` CREATE on the database once, or create the schema for it and name it by `?schema=`",
        ),
        SqlState::TOO_MANY_CONNECTIONS => (
            ErrorCode::ConnectionError,
            "raise max_connections, lower `?connections=` in `store`, or use a pooler with `?pgbouncer=true`",
        ),
        SqlState::DISK_FULL => (
            ErrorCode::StoreError,
            "free some space on the server; the store then goes on by itself",
        ),
        SqlState::READ_ONLY_SQL_TRANSACTION => (
            ErrorCode::ConnectionError,
            "this server is a replica; name the primary in `store`",
        ),
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_FUNCTION | SqlState::INVALID_SCHEMA_NAME => (
            ErrorCode::StoreError,
            "the store's schema is gone or incomplete; create a new instance, which creates it again",
        ),
        _ => (ErrorCode::StoreError, "see the server's log for more"),
    };
    let kind = if remedy_of(failure) == FailureAction::Reconnect {
        ErrorCode::ConnectionError
    } else {
        kind
    };
    Error::new(kind, format!("the store's server refused: {text}; {remedy}"))
}

/// A row that no version of this code can have written.
pub(super) fn damaged(what: &str) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        format!("the store holds {what}; restore it from a backup"),
    )
}
