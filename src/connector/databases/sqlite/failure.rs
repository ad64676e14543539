//! Maps errors of SQLite to failures of a job. SQLite's messages name tables and columns, and no values.

use crate::connector::Failure;
use crate::connector::databases::plan::Statement;
use crate::error::ErrorCode;
use rusqlite::{Error, ffi};

pub(super) fn failure(error: &Error) -> Failure {
    let (code, message) = match error {
        Error::SqliteFailure(cause, message) => (meaning(cause), message.clone()),
        Error::SqlInputError { msg, .. } => (code_from_text(msg), Some(msg.clone())),
        Error::MultipleStatement => (ErrorCode::ValidationError, Some("the SQL must be one statement".into())),
        _ => (ErrorCode::ValidationError, None),
    };
    let message = message.unwrap_or_else(|| "the statement was refused".into());
    let code = if code == ErrorCode::ValidationError {
        code_from_text(&message)
    } else {
        code
    };
    Failure::new(code, format!("SQLite: {message}"))
}

/// A failure of a statement with the operator that met what it cannot compute with.
pub(super) fn of_operators(failure: Failure, statement: &Statement) -> Failure {
    if let Some(refused) = statement.guards.of_mark(&failure.message) {
        return refused;
    }
    if failure.message.ends_with("malformed JSON") {
        return statement.operators.not_a_list(failure, None);
    }
    if failure.message.ends_with("integer overflow") {
        return statement.operators.out_of_range(failure);
    }
    failure
}

fn code_from_text(message: &str) -> ErrorCode {
    if message.starts_with("no such table") {
        ErrorCode::NotFound
    } else {
        ErrorCode::ValidationError
    }
}

fn meaning(cause: &ffi::Error) -> ErrorCode {
    use ffi::ErrorCode as Cause;
    match cause.code {
        Cause::DatabaseBusy
        | Cause::DatabaseLocked
        | Cause::DiskFull
        | Cause::OutOfMemory
        | Cause::SystemIoFailure
        | Cause::SchemaChanged
        | Cause::FileLockingProtocolFailed => ErrorCode::ServiceUnavailable,
        Cause::OperationInterrupted => ErrorCode::Timeout,
        Cause::PermissionDenied | Cause::ReadOnly | Cause::AuthorizationForStatementDenied => ErrorCode::Forbidden,
        Cause::CannotOpen => ErrorCode::ConnectionError,
        Cause::NotADatabase | Cause::DatabaseCorrupt => ErrorCode::ValidationError,
        _ => ErrorCode::ValidationError,
    }
}
