//! Maps errors of PostgreSQL to failures of a job, by SQLSTATE.
//!
//! Invariant: a server's message is shown only if it contains nothing but names; one that may quote a value is left out,
//! and so is every DETAIL.

use crate::connector::Failure;
use crate::error::ErrorCode;
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

/// The failure that an error of the driver means.
pub(super) fn failure(error: &Error) -> Failure {
    match error.as_db_error() {
        Some(refused) => from_server(refused),
        None if error.is_closed() => Failure::connection("PostgreSQL: the connection was lost"),
        None => {
            // The cause is more specific than the driver's message, such as "connection refused".
            let cause = std::error::Error::source(error);
            let what = cause.map_or_else(|| error.to_string(), ToString::to_string);
            Failure::connection(format!("PostgreSQL: {what}"))
        }
    }
}

fn from_server(error: &DbError) -> Failure {
    let state = error.code().code();
    let (code, what) = meaning(state);
    let mut message = format!("PostgreSQL: {what}");
    if speaks_of_names(state) {
        message = format!("PostgreSQL: {}", error.message());
    } else {
        let named = [
            ("table", error.table()),
            ("column", error.column()),
            ("constraint", error.constraint()),
        ];
        for (kind, name) in named {
            if let Some(name) = name {
                message.push_str(&format!(", {kind} \"{name}\""));
            }
        }
    }
    Failure::new(code, format!("{message} ({state})"))
}

/// Whether messages of this SQLSTATE contain only names and no values.
fn speaks_of_names(state: &str) -> bool {
    matches!(
        state,
        // Undefined or ambiguous objects, type errors in a statement, missing privileges, refused logins, unknown
        // databases, and errors raised by functions of the database.
        "42P01"
            | "42703"
            | "42883"
            | "42702"
            | "42804"
            | "42P10"
            | "42P18"
            | "42725"
            | "42501"
            | "28000"
            | "28P01"
            | "3D000"
            | "3F000"
            | "42704"
            | "42803"
            | "P0001"
    )
}

fn meaning(state: &str) -> (ErrorCode, &'static str) {
    match state {
        "23505" => (ErrorCode::ValidationError, "a unique key is there already"),
        "23503" => (ErrorCode::ValidationError, "a foreign key is not met"),
        "23502" => (ErrorCode::ValidationError, "a column that needs a value has none"),
        "23514" => (ErrorCode::ValidationError, "a check is not met"),
        "42P01" | "3F000" => (ErrorCode::NotFound, "there is no such table"),
        "3D000" => (ErrorCode::NotFound, "there is no such database"),
        "28000" | "28P01" => (ErrorCode::Unauthorized, "the credentials were refused"),
        "42501" => (ErrorCode::Forbidden, "the user lacks the right"),
        "25006" => (ErrorCode::ServiceUnavailable, "the server takes no writes now"),
        "40001" | "40P01" => (ErrorCode::ServiceUnavailable, "another transaction was in the way"),
        "55P03" => (ErrorCode::ServiceUnavailable, "a lock was not free"),
        "57014" => (ErrorCode::Timeout, "the statement took too long, or was cancelled"),
        "57P01" | "57P02" | "57P05" => (ErrorCode::ConnectionError, "the server ended the connection"),
        "57P03" => (ErrorCode::ServiceUnavailable, "the server is starting or stopping"),
        "42601" => (ErrorCode::ValidationError, "the SQL cannot be read"),
        "42P05" | "26000" => (
            ErrorCode::ServiceUnavailable,
            "a pooler seems to share the connection with others; add `?pgbouncer=true` to connection_url",
        ),
        _ => match state.get(..2) {
            Some("08") => (ErrorCode::ConnectionError, "the connection failed"),
            Some("22") => (ErrorCode::ValidationError, "a value does not fit its type"),
            Some("23") => (ErrorCode::ValidationError, "a constraint is not met"),
            Some("40" | "53" | "58" | "XX") => (ErrorCode::ServiceUnavailable, "the server cannot do it now"),
            _ => (ErrorCode::ValidationError, "the statement was refused"),
        },
    }
}
