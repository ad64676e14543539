//! Maps errors of MongoDB and its driver to failures of a job, by number and kind.
//!
//! Invariant: no message of a server is shown, since it may quote values; the name of an index is.

use crate::connector::Failure;
use crate::connector::databases::guards::Guards;
use crate::connector::databases::operators::Operators;
use crate::connector::limits::DATABASE_CONNECT_TIMEOUT;
use crate::error::ErrorCode;
use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, WriteFailure};
use std::time::Duration;

/// How long was waited is said by whoever knows the address.
const NO_SERVER: &str = "MongoDB: no answer of a server that could do it";

/// What is said of a pattern that the server cannot read.
pub(super) const INVALID_PATTERN: &str = "the regular expression is invalid";

/// A unique key is there already.
const DUPLICATE_KEY: i32 = 11000;

/// The failure that an error of the driver means.
pub(super) fn failure(error: &Error) -> Failure {
    match &*error.kind {
        ErrorKind::Command(refused) => from_server(error, refused.code, &refused.message),
        ErrorKind::Write(WriteFailure::WriteError(refused)) => from_server(error, refused.code, &refused.message),
        ErrorKind::Write(WriteFailure::WriteConcernError(late)) => write_concern(late.code),
        ErrorKind::InsertMany(several) => match (&several.write_errors, &several.write_concern_error) {
            (Some(errors), _) if !errors.is_empty() => {
                let (number, message) = errors.first().map_or((0, ""), |first| (first.code, &*first.message));
                let mut failure = from_server(error, number, message);
                // Rows are written in order, and the first error is the last row that was tried.
                let written = errors.first().map_or(0, |first| first.index);
                if written > 0 {
                    failure
                        .message
                        .push_str(&format!("; {written} rows before it are written"));
                }
                failure
            }
            (_, Some(late)) => write_concern(late.code),
            _ => Failure::connection("MongoDB: the server's answer cannot be read"),
        },
        ErrorKind::Authentication { .. } => Failure::unauthorized("MongoDB: the credentials were refused"),
        ErrorKind::ServerSelection { .. } => Failure::connection(NO_SERVER),
        ErrorKind::DnsResolve { .. } => Failure::connection("MongoDB: the host of connection_url cannot be found"),
        ErrorKind::Io(io) => Failure::connection(format!("MongoDB: {}", io.kind())),
        ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Shutdown => {
            Failure::connection("MongoDB: the connection was lost")
        }
        ErrorKind::InvalidTlsConfig { .. } => {
            Failure::invalid("MongoDB: the certificates of connection_url cannot be used")
        }
        ErrorKind::InvalidArgument { .. } => Failure::invalid("MongoDB: the operation was refused by the driver"),
        ErrorKind::Bson(_) => Failure::invalid("MongoDB: a document cannot be written or read as BSON"),
        ErrorKind::IncompatibleServer { .. } | ErrorKind::SessionsNotSupported => {
            Failure::invalid("MongoDB: the server's version cannot do it")
        }
        _ => Failure::connection("MongoDB: the server's answer cannot be read"),
    }
}

/// A failure with the time that the driver has waited for a server, if it was that.
pub(super) fn waited(failure: Failure, most: Duration) -> Failure {
    if failure.message != NO_SERVER {
        return failure;
    }
    Failure::connection(format!(
        "{NO_SERVER} within {} ms; `serverSelectionTimeoutMS` of connection_url may say less, and at most {} ms",
        most.as_millis(),
        DATABASE_CONNECT_TIMEOUT.as_millis()
    ))
}

/// The failure of an update: of what an operator met with that operator.
pub(super) fn of_update(error: &Error, operators: &Operators) -> Failure {
    let failure = failure(error);
    match &*error.kind {
        ErrorKind::Command(refused) => of_type(failure, refused.code, &refused.message, operators),
        ErrorKind::Write(WriteFailure::WriteError(refused)) => {
            of_type(failure, refused.code, &refused.message, operators)
        }
        _ => failure,
    }
}

/// The same of an error by its number and the server's words.
pub(super) fn of_type(failure: Failure, number: i32, message: &str, operators: &Operators) -> Failure {
    if !matches!(number, 2 | 14) {
        return failure;
    }
    operators.not_fitting(failure, stored_type(message))
}

/// The failure of an aggregate: of one that met something else than numbers with its place.
pub(super) fn of_guards(error: &Error, guards: &Guards) -> Failure {
    match &*error.kind {
        ErrorKind::Command(refused) if matches!(refused.code, 14 | 16_555) && !guards.is_empty() => {
            guards.any_refused(stored_type(&refused.message).unwrap_or("something else"))
        }
        _ => failure(error),
    }
}

/// The type that the server says a field has; its other words may be of values.
fn stored_type(message: &str) -> Option<&'static str> {
    const TYPES: [(&str, &str); 11] = [
        ("null", "null"),
        ("missing", "nothing"),
        ("string", "a string"),
        ("object", "an object"),
        ("array", "a list"),
        ("bool", "a boolean"),
        ("date", "a date"),
        ("objectId", "an ObjectId"),
        ("int", "a number"),
        ("long", "a number"),
        ("double", "a number"),
    ];
    let (_, rest) = message.rsplit_once("type ").or_else(|| message.rsplit_once(", not "))?;
    let word = rest
        .split(|character: char| !character.is_ascii_alphanumeric())
        .next()?;
    TYPES.iter().find(|(name, _)| *name == word).map(|(_, shown)| *shown)
}

/// Whether a unique key was there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Command(refused) => refused.code == DUPLICATE_KEY,
        ErrorKind::Write(WriteFailure::WriteError(refused)) => refused.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// The failure that an error within the server's answer means.
pub(super) fn from_answer(number: i32, message: &str, of_write_concern: bool) -> Failure {
    if of_write_concern {
        write_concern(number)
    } else {
        refused(number, message, false)
    }
}

fn write_concern(number: i32) -> Failure {
    match number {
        79 | 100 => Failure::invalid(format!(
            "MongoDB: the change is made, and its write concern can never be met ({number})"
        )),
        _ => Failure::unavailable(format!(
            "MongoDB: the change is made on one server, and not on as many as its write concern asks for ({number})"
        )),
    }
}

fn from_server(error: &Error, number: i32, message: &str) -> Failure {
    let transient = [RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR]
        .iter()
        .any(|label| error.contains_label(label));
    refused(number, message, transient)
}

fn refused(number: i32, message: &str, transient: bool) -> Failure {
    let (code, what) = match meaning(number) {
        (ErrorCode::ValidationError, "the operation was refused") if transient => {
            (ErrorCode::ServiceUnavailable, "the server cannot do it now")
        }
        meaning => meaning,
    };
    let index = Some(message)
        .filter(|_| number == DUPLICATE_KEY)
        .and_then(|message| message.split_once("index: "))
        .and_then(|(_, rest)| rest.split_whitespace().next());
    let index = index.map_or_else(String::new, |name| format!(", index {name}"));
    Failure::new(code, format!("MongoDB: {what}{index} ({number})"))
}

fn meaning(number: i32) -> (ErrorCode, &'static str) {
    match number {
        11 | 18 | 8000 => (ErrorCode::Unauthorized, "the credentials were refused"),
        13 => (ErrorCode::Forbidden, "the user lacks the right"),
        26 => (ErrorCode::NotFound, "there is no such collection"),
        DUPLICATE_KEY | 11001 | 12582 => (ErrorCode::ValidationError, "a unique key is there already"),
        121 => (
            ErrorCode::ValidationError,
            "a document is not what the collection's validator asks for",
        ),
        50 | 11601 => (ErrorCode::Timeout, "the operation took too long, or was cancelled"),
        24 | 46 => (ErrorCode::ServiceUnavailable, "a lock was not free"),
        112 | 251 => (ErrorCode::ServiceUnavailable, "another operation was in the way"),
        6 | 7 | 89 | 9001 => (ErrorCode::ConnectionError, "the server lost a connection"),
        91 | 189 | 10058 | 10107 | 11600 | 11602 | 13435 | 13436 => (
            ErrorCode::ServiceUnavailable,
            "the server is not the primary, or is about to stop",
        ),
        134 | 146 | 202 | 262 | 14031 => (ErrorCode::ServiceUnavailable, "the server cannot do it now"),
        462 | 16500 => (ErrorCode::RateLimited, "the server takes no more requests now"),
        2 | 9 | 14 | 28 | 40 | 52 | 55 | 56 | 57 | 66 => (
            ErrorCode::ValidationError,
            "a value or a field does not fit the operation",
        ),
        51091 | 51108 => (ErrorCode::ValidationError, INVALID_PATTERN),
        59 | 40324 => (ErrorCode::ValidationError, "the server knows no such command or stage"),
        10334 | 17419 | 17420 => (ErrorCode::ValidationError, "a document is larger than the server takes"),
        _ => (ErrorCode::ValidationError, "the operation was refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_server_say_whether_to_retry() {
        for (number, code) in [
            (18, "UNAUTHORIZED"),
            (13, "FORBIDDEN"),
            (50, "TIMEOUT"),
            (10107, "SERVICE_UNAVAILABLE"),
            (16500, "RATE_LIMITED"),
            (11000, "VALIDATION_ERROR"),
            (2, "VALIDATION_ERROR"),
            (99999, "VALIDATION_ERROR"),
        ] {
            assert_eq!(meaning(number).0.as_str(), code, "{number}");
        }
    }

    #[test]
    fn type_that_an_operator_met_is_read_from_a_closed_list() {
        for (message, expected) in [
            (
                "The field 'a' must be an array but is of type null in document {_id: 1}",
                Some("null"),
            ),
            (
                "Cannot apply $inc to a value of non-numeric type. {_id: 1} has the field 'a' of non-numeric type string",
                Some("a string"),
            ),
            ("of type s3cret", None),
            ("no such words", None),
        ] {
            assert_eq!(stored_type(message), expected, "{message}");
        }
    }

    #[test]
    fn write_concern_that_can_be_met_later_is_retried() {
        assert_eq!(&*write_concern(64).code, "SERVICE_UNAVAILABLE");
        assert_eq!(&*write_concern(100).code, "VALIDATION_ERROR");
    }
}
