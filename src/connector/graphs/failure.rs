//! Maps what servers refuse to failures of a job, by their codes, such as `Neo.ClientError.Security.Unauthorized`.
//!
//! Invariant: a server's message is shown only as far as it contains nothing but names.

use super::bolt::BoltError;
use crate::connector::Failure;
use crate::error::ErrorCode;

/// What is told of a value whose type does not fit.
pub(super) const NO_FITTING_TYPE: &str = "a value is of a type that does not fit";
/// What is told of a property that would hold a map, or a list of several types.
pub(super) const MIXED_LIST: &str = "a property holds one value, or a list of values of one type";

/// Something that did not work out, and whether it may be tried again by itself.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) cause: Cause,
}

/// What is known of something that did not work out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It would not work out again.
    Final,
    /// The server has undone it, and asks to try again.
    Transient,
    /// Another server is in charge now.
    Moved,
    /// The connection broke.
    Lost,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            cause: Cause::Final,
        }
    }
}

impl From<BoltError> for Trouble {
    fn from(error: BoltError) -> Self {
        match error {
            BoltError::Server { code, message } => from_server(&code, &message),
            BoltError::Lost(error) => Self {
                failure: Failure::connection(format!("graph: {error}")),
                cause: Cause::Lost,
            },
            BoltError::Protocol(what) => Failure::connection(format!("graph: {what}")).into(),
            BoltError::TooLarge => Failure::invalid(
                "a record is larger than 4 MiB, the most that is read; ask for fewer properties by `query`",
            )
            .into(),
        }
    }
}

fn from_server(code: &str, message: &str) -> Trouble {
    let (meant, what, cause) = match class_and_reason(code) {
        (_, "Procedure.ProcedureCallFailed") if message.contains("There is no such") => {
            (ErrorCode::NotFound, "there is no such index", Cause::Final)
        }
        _ => meaning(code),
    };
    let what = names_in(code, message).unwrap_or_else(|| what.to_owned());
    Trouble {
        failure: Failure::new(meant, format!("graph: {what} ({code})")),
        cause,
    }
}

/// What a message says as far as it names things and holds no value.
fn names_in(code: &str, message: &str) -> Option<String> {
    let (_, reason) = class_and_reason(code);
    match reason {
        // `Node(7) already exists with label `Person` and property `mail` = 'ann@example.org'`
        "Schema.ConstraintValidationFailed" => {
            let at = message.find("already exists with")?;
            let (names, _) = message.get(at..)?.split_once(" = ")?;
            Some(format!("a node or relationship {names}"))
        }
        // `Both Node(0) and Node(1) have the label `Person` and property `mail` = 'ann@example.org'`
        "Schema.ConstraintCreationFailed" | "Schema.ConstraintViolation" => {
            let (_, both) = message.split_once("Both ")?;
            let (_, names) = both.split_once(" have ")?;
            let (names, _) = names.split_once(" = ")?;
            Some(format!(
                "values that are there already are not unique: two nodes or relationships have {names} in common; change one of them first"
            ))
        }
        "Statement.SyntaxError" | "Statement.ArgumentError" => value_in(message).or_else(|| {
            let what = if reason == "Statement.SyntaxError" {
                mistake_in(message)
            } else {
                return None;
            };
            // `Invalid input …: expected … (line 1, column 7 (offset: 6))`
            let (_, place) = message.split_once("(line ")?;
            let (line, rest) = place.split_once(", column ")?;
            let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let numbers = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()) && !column.is_empty();
            numbers.then(|| format!("{what}, at line {line}, column {column}"))
        }),
        "Statement.TypeError" if message.contains("storage as") || message.starts_with("Property values can only") => {
            Some(MIXED_LIST.to_owned())
        }
        "Statement.SemanticError" if message.starts_with("Invalid Regex") => {
            Some("a regular expression cannot be read".to_owned())
        }
        _ => None,
    }
}

/// A value that a function of the server does not take, which it calls a mistake in the Cypher.
fn value_in(message: &str) -> Option<String> {
    // `Text cannot be parsed to a Date`, with the text in the next line.
    if let Some((_, kind)) = message.split_once("Text cannot be parsed to a") {
        let kind = kind.trim_start_matches('n').split_whitespace().next()?;
        let told = TIMES.iter().find(|(name, _)| *name == kind);
        return told.map(|(_, told)| (*told).to_owned());
    }
    let begins = |words: &str| message.starts_with(words);
    let told = if begins("Invalid value for TimeZone") {
        "a time names a time zone that the server does not know"
    } else if begins("Invalid date '") || begins("Invalid value for ") {
        "a date or time has a part that is out of its range, such as a 30th of February"
    } else if begins("A point must contain") || begins("Cannot create ") && message.contains(" point with ") {
        "a point lacks a coordinate, or has one that is out of its range"
    } else {
        return None;
    };
    Some(told.to_owned())
}

/// What is wrong with Cypher, with the name that it is about.
fn mistake_in(message: &str) -> String {
    let name = |after: &str, quote: char| {
        let (name, _) = message.strip_prefix(after)?.split_once(quote)?;
        let is_plain = name
            .chars()
            .all(|character| character.is_alphanumeric() || matches!(character, '_' | '.'));
        is_plain.then_some(name)
    };
    if let Some(name) = name("Unknown function '", '\'') {
        return format!("the server has no function '{name}'");
    }
    if let Some(name) = name("Variable `", '`').filter(|_| message.contains("not defined")) {
        return format!("the Cypher has no variable `{name}` there");
    }
    if message.starts_with("Type mismatch") {
        return NO_FITTING_TYPE.to_owned();
    }
    if message.contains("cannot be represented as an integer") {
        return "a number is beyond 64 bits".to_owned();
    }
    "the Cypher cannot be read".to_owned()
}

/// What a text that is none of these is told to be.
const TIMES: [(&str, &str); 6] = [
    ("Date", "a text is no date, which is written as in '2026-01-31'"),
    (
        "DateTime",
        "a text is no point in time, which is written as in '2026-01-31T09:30:00Z'",
    ),
    (
        "LocalDateTime",
        "a text is no local date with a time, which is written as in '2026-01-31T09:30:00'",
    ),
    ("Time", "a text is no time, which is written as in '09:30:00+01:00'"),
    (
        "LocalTime",
        "a text is no local time, which is written as in '09:30:00'",
    ),
    ("Duration", "a text is no duration, which is written as in 'P1DT2H'"),
];

/// `ClientError` and `Security.Unauthorized` of `Neo.ClientError.Security.Unauthorized`.
fn class_and_reason(code: &str) -> (&str, &str) {
    let (_, rest) = code.split_once('.').unwrap_or(("", code));
    rest.split_once('.').unwrap_or((rest, ""))
}

fn meaning(code: &str) -> (ErrorCode, &'static str, Cause) {
    use ErrorCode::{Forbidden, NotFound, RateLimited, ServiceUnavailable, Timeout, Unauthorized, ValidationError};
    let (class, reason) = class_and_reason(code);
    let (meant, what) = match reason {
        "Security.AuthenticationRateLimit" => (RateLimited, "the server has refused credentials too often"),
        "Security.Forbidden" | "Security.CredentialsExpired" => (Forbidden, "the user lacks the right"),
        "Security.AuthorizationExpired" => {
            return (ServiceUnavailable, "the server has forgotten the login", Cause::Lost);
        }
        _ if reason.starts_with("Security.") => (Unauthorized, "the credentials were refused"),
        "Database.DatabaseNotFound" => (NotFound, "there is no such database"),
        "Cluster.NotALeader" | "General.ForbiddenOnReadOnlyDatabase" => {
            return (ServiceUnavailable, "the server takes no writes", Cause::Moved);
        }
        "Schema.IndexNotFound"
        | "Schema.ConstraintNotFound"
        | "Schema.IndexDropFailed"
        | "Schema.ConstraintDropFailed" => (NotFound, "there is no such index or constraint"),
        "Schema.ConstraintValidationFailed" => (ValidationError, "a constraint is not met"),
        "Schema.ConstraintCreationFailed" | "Statement.NotSystemDatabaseError" | "Schema.IndexCreationFailed" => (
            ValidationError,
            "the server cannot have this index or constraint; some need another edition of it",
        ),
        "Transaction.TransactionStartFailed" => (
            ValidationError,
            "the statement commits by itself, which `autoCommit: true` allows",
        ),
        "Statement.SyntaxError" => (ValidationError, "the Cypher cannot be read"),
        "Statement.ParameterMissing" => (
            ValidationError,
            "the Cypher names a parameter that `params` does not have",
        ),
        "Statement.EntityNotFound" => (NotFound, "a node or relationship is not there any more"),
        "Statement.TypeError" => (ValidationError, NO_FITTING_TYPE),
        "Statement.ArgumentError" => (ValidationError, "a value is none that its function takes"),
        "Statement.ArithmeticError" => (ValidationError, "a number is beyond 64 bits, or divided by zero"),
        "Statement.ExternalResourceFailed" => (
            ValidationError,
            "the server cannot read a file or URL that the Cypher names",
        ),
        "Statement.AccessMode" => (ValidationError, "the Cypher writes where it may only read"),
        "Statement.UnsupportedAdministrationCommand" => (
            ValidationError,
            "the server does not have this command; some need another edition of it",
        ),
        "Schema.EquivalentSchemaRuleAlreadyExists" | "Schema.IndexAlreadyExists" | "Schema.ConstraintAlreadyExists" => {
            (
                ValidationError,
                "there is such an index or constraint already; `IF NOT EXISTS` leaves it",
            )
        }
        "Schema.IndexWithNameAlreadyExists" | "Schema.ConstraintWithNameAlreadyExists" => {
            (ValidationError, "another index or constraint has this name")
        }
        "Procedure.ProcedureNotFound" => (ValidationError, "the server has no such procedure"),
        _ if reason.starts_with("Transaction.TransactionTimedOut") => (Timeout, "the statement took too long"),
        "Transaction.Terminated" | "Transaction.LockClientStopped" => {
            (ServiceUnavailable, "the server has ended the transaction")
        }
        _ if class == "TransientError" => {
            return (ServiceUnavailable, "the server cannot do it now", Cause::Transient);
        }
        _ if class == "DatabaseError" && reason.starts_with("Statement.") => {
            (ValidationError, "the statement was refused")
        }
        _ if class == "DatabaseError" => (ServiceUnavailable, "the server has failed"),
        _ => (ValidationError, "the statement was refused"),
    };
    (meant, what, Cause::Final)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_servers_decide_about_retries() {
        for (code, meant, cause) in [
            ("Neo.ClientError.Security.Unauthorized", "UNAUTHORIZED", Cause::Final),
            ("Neo.ClientError.Security.Forbidden", "FORBIDDEN", Cause::Final),
            (
                "Neo.ClientError.Security.AuthenticationRateLimit",
                "RATE_LIMITED",
                Cause::Final,
            ),
            ("Neo.ClientError.Database.DatabaseNotFound", "NOT_FOUND", Cause::Final),
            (
                "Neo.ClientError.Cluster.NotALeader",
                "SERVICE_UNAVAILABLE",
                Cause::Moved,
            ),
            (
                "Neo.TransientError.Transaction.DeadlockDetected",
                "SERVICE_UNAVAILABLE",
                Cause::Transient,
            ),
            (
                "Memgraph.TransientError.MemgraphError.MemgraphError",
                "SERVICE_UNAVAILABLE",
                Cause::Transient,
            ),
            (
                "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
                "TIMEOUT",
                Cause::Final,
            ),
            (
                "Neo.TransientError.Transaction.Terminated",
                "SERVICE_UNAVAILABLE",
                Cause::Final,
            ),
            (
                "Neo.ClientError.Statement.SyntaxError",
                "VALIDATION_ERROR",
                Cause::Final,
            ),
            (
                "Neo.DatabaseError.General.UnknownError",
                "SERVICE_UNAVAILABLE",
                Cause::Final,
            ),
            ("", "VALIDATION_ERROR", Cause::Final),
        ] {
            let trouble = from_server(code, "s3cret");
            assert_eq!((&*trouble.failure.code, trouble.cause), (meant, cause), "{code}");
            assert!(!trouble.failure.message.contains("s3cret"), "{code}");
        }
    }

    #[test]
    fn names_are_shown_and_values_are_not() {
        let taken = "Node(7) already exists with label `Person` and property `mail` = 's3cret'";
        let message = from_server("Neo.ClientError.Schema.ConstraintValidationFailed", taken)
            .failure
            .message;
        assert!(message.contains("`mail`") && !message.contains("s3cret"), "{message}");
        let text = "Invalid input 's3cret': expected 'MATCH' (line 3, column 12 (offset: 40))\n\"s3cret\"";
        let message = from_server("Neo.ClientError.Statement.SyntaxError", text)
            .failure
            .message;
        assert!(
            message.contains("line 3, column 12") && !message.contains("s3cret"),
            "{message}"
        );
        let text = "s3cret (line s3cret, column 1";
        let message = from_server("Neo.ClientError.Statement.SyntaxError", text)
            .failure
            .message;
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn values_that_functions_refuse_are_no_mistakes_in_cypher() {
        let told = |reason: &str, message: &str| {
            from_server(&format!("Neo.ClientError.Statement.{reason}"), message)
                .failure
                .message
        };
        for (reason, message, expected) in [
            (
                "SyntaxError",
                "Text cannot be parsed to a Date\n\"s3cret\"\n ^",
                "no date, which is written as in",
            ),
            (
                "SyntaxError",
                "Text cannot be parsed to a DateTime\n\"s3cret\"",
                "no point in time",
            ),
            ("SyntaxError", "Invalid date 'FEBRUARY 30'", "out of its range"),
            ("SyntaxError", "Invalid value for TimeZone: Text 's3cret'", "time zone"),
            (
                "ArgumentError",
                "A point must contain either 'x' and 'y' or …",
                "lacks a coordinate",
            ),
            (
                "ArgumentError",
                "Step argument to 'range()' cannot be zero",
                "none that its function takes",
            ),
            ("ArithmeticError", "/ by zero", "divided by zero"),
            (
                "SyntaxError",
                "Unknown function 'a.b' (line 1, column 8 (offset: 7))",
                "no function 'a.b', at line 1, column 8",
            ),
            (
                "SyntaxError",
                "Variable `x` not defined (line 1, column 8 (offset: 7))",
                "no variable `x` there, at line 1",
            ),
            (
                "SyntaxError",
                "Variable `s3cret x` not defined (line 1, column 8 (offset: 7))",
                "cannot be read, at line 1",
            ),
            (
                "SyntaxError",
                "Type mismatch for parameter 'i': … (line 1, column 2 (offset: 1))",
                "type that does not fit, at line 1",
            ),
            (
                "SemanticError",
                "Invalid Regex: Unclosed group near index 1\n(s3cret",
                "a regular expression cannot be read",
            ),
        ] {
            let message = told(reason, message);
            assert!(
                message.contains(expected) && !message.contains("s3cret"),
                "{expected}: {message}"
            );
        }
    }
}
