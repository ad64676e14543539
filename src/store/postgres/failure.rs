//! Failures of the server and the connection, and the errors that callers get.
//!
//! Knows no verb. Invariant: no message contains a password; every message names the remedy where there is one.

use crate::error::{Error, ErrorCode};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Why a verb failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server or the connection failed, and nothing was committed.
    Database(tokio_postgres::Error),
    /// The connection failed while a commit may have been under way.
    Unknown(tokio_postgres::Error),
    /// No answer within this time.
    TimedOut(Duration),
    /// No connection within this time: nothing was asked for.
    NoAnswer(Duration),
    /// All connections of the process were in use for this time: nothing was asked for.
    Busy(Duration),
    /// Another process moved a row concurrently: the verb must be retried.
    ConcurrentChange,
    /// The database no longer has a route that it had: the verb must be retried with what it has.
    RouteGone,
    /// An error for the caller.
    Rejected(Error),
}

pub(super) type DbResult<T> = std::result::Result<T, Failure>;

/// Of functions of the schema: a route is gone.
const ROUTE_GONE: &str = "DTR01";
/// Of the triggers of a store that is moved, or was.
const MOVED: &str = "DTR02";

impl From<tokio_postgres::Error> for Failure {
    fn from(failure: tokio_postgres::Error) -> Self {
        if failure.code().is_some_and(|code| code.code() == ROUTE_GONE) {
            return Self::RouteGone;
        }
        Self::Database(failure)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Rejected(error)
    }
}

/// How to react to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureAction {
    /// Retry at once after a conflict with another transaction.
    Again,
    /// Retry on another connection.
    Reconnect,
    /// Report to the caller.
    Tell,
}

impl Failure {
    pub(super) fn remedy(&self) -> FailureAction {
        match self {
            Self::ConcurrentChange | Self::RouteGone => FailureAction::Again,
            Self::TimedOut(_) | Self::NoAnswer(_) => FailureAction::Reconnect,
            Self::Rejected(_) | Self::Busy(_) => FailureAction::Tell,
            Self::Database(failure) | Self::Unknown(failure) => remedy_of(failure),
        }
    }

    /// Whether the work may have been committed nevertheless.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::TimedOut(_))
    }

    /// The error for the caller.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Rejected(error) => error,
            Self::ConcurrentChange => Error::new(
                ErrorCode::StoreError,
                "the job kept changing in other processes; try again",
            ),
            Self::NoAnswer(after) => Error::new(
                ErrorCode::ConnectionError,
                format!(
                    "cannot reach the store's server: no answer within {} ms; check the address in `store` and that the server runs",
                    after.as_millis()
                ),
            ),
            Self::Busy(after) => Error::new(
                ErrorCode::ConnectionError,
                format!(
                    "all connections of this process to the store's server were in use for {} ms; see what the server is busy \
                     with, or raise `?connections=` in `store`",
                    after.as_millis()
                ),
            ),
            Self::RouteGone => Error::new(
                ErrorCode::StoreError,
                "the database keeps losing the targets of jobs, as while it is restored; try again once it is as it should be",
            ),
            Self::TimedOut(after) => Error::new(
                ErrorCode::ConnectionError,
                format!(
                    "the store's server did not answer within {} ms; whether the change was made is unknown",
                    after.as_millis()
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

/// An error of the driver as text, since the driver's own value may contain more than a log should.
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
        // Not an answer of the server: the connection failed, or could not be made.
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
        // The statement was prepared on another server connection of a pooler.
        SqlState::INVALID_SQL_STATEMENT_NAME => FailureAction::Reconnect,
        _ => FailureAction::Tell,
    }
}

/// Whether a server says that it is not up, or that it is a replica where the primary is wanted.
pub(super) fn says_down(failure: &tokio_postgres::Error) -> bool {
    let down = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
    ];
    match failure.code() {
        Some(code) => down.contains(code),
        None => text_of(failure).contains("does not allow writes"),
    }
}

/// Whether the host says that no server listens.
pub(super) fn is_refused(failure: &tokio_postgres::Error) -> bool {
    io_kind(failure) == Some(std::io::ErrorKind::ConnectionRefused)
}

fn io_kind(failure: &tokio_postgres::Error) -> Option<std::io::ErrorKind> {
    let source = std::error::Error::source(failure)?;
    Some(source.downcast_ref::<std::io::Error>()?.kind())
}

/// Whether a failure of the client is permanent, so that a retry is useless.
fn is_permanent(failure: &tokio_postgres::Error) -> bool {
    let text = text_of(failure);
    // What TLS makes of a refusal by either side.
    io_kind(failure) == Some(std::io::ErrorKind::InvalidData)
        || text.starts_with("error performing TLS handshake") && io_kind(failure).is_none()
        || text.starts_with("authentication error")
        || text.starts_with("invalid configuration")
        || text.contains("certificate")
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
        _ if code.code() == MOVED => (ErrorCode::StoreError, "name the new store in `store`"),
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            ErrorCode::Unauthorized,
            "check user and password in `store`, and pg_hba.conf on the server",
        ),
        SqlState::INVALID_CATALOG_NAME => (
            ErrorCode::ConnectionError,
            "create the database, or name another in `store`",
        ),
        SqlState::INSUFFICIENT_PRIVILEGE => (ErrorCode::Forbidden, missing_right(&text)),
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
            "this server is a replica, or `default_transaction_read_only` is on for this role or database; name the primary in \
             `store`, or turn it off",
        ),
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_FUNCTION | SqlState::INVALID_SCHEMA_NAME => (
            ErrorCode::StoreError,
            "the store's schema is gone or incomplete: restore it from a backup, or drop what is left of it, so that a new instance \
             creates it again",
        ),
        SqlState::DUPLICATE_PSTATEMENT | SqlState::INVALID_SQL_STATEMENT_NAME => (
            ErrorCode::StoreError,
            "a pooler seems to share the connection with others; add `?pgbouncer=true` to `store`",
        ),
        SqlState::CHARACTER_NOT_IN_REPERTOIRE | SqlState::UNTRANSLATABLE_CHARACTER => (
            ErrorCode::ValidationError,
            "the database's encoding has no such character: leave it out, or use a database with the encoding UTF8",
        ),
        _ if is_about_data(code.code()) => (
            ErrorCode::ValidationError,
            "the database cannot hold this; make it smaller, or keep it elsewhere and store its address",
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

/// What to grant, by what the server says that the right is missing for.
fn missing_right(text: &str) -> &'static str {
    let about = |what: &str| text.contains(&format!("for {what}"));
    if about("table") || about("view") {
        "grant the user of `store` SELECT, INSERT, UPDATE and DELETE on all tables of the schema"
    } else if about("sequence") {
        "grant the user of `store` USAGE on all sequences of the schema"
    } else if about("function") {
        "grant the user of `store` EXECUTE on all functions of the schema"
    } else if about("schema") {
        "grant the user of `store` USAGE on the schema, and CREATE as long as tables are to be made in it"
    } else if text.contains("must be owner") {
        "the schema is of an older version: open it once as the role that owns it, which migrates it"
    } else {
        "grant the user of `store` CREATE on the database once, or create the schema for it and name it by `?schema=`"
    }
}

/// Data exceptions and limits of the program: the statement would fail again, whatever else it is sent with.
fn is_about_data(code: &str) -> bool {
    code.starts_with("22") || code.starts_with("54")
}

/// The error for a row that no version of this code can have written.
pub(super) fn damaged(what: &str) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        format!("the store holds {what}; restore it from a backup"),
    )
}
