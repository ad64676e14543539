//! Maps what servers refuse to failures of a job, by their codes, such as `Neo.ClientError.Security.Unauthorized`.
//!
//! Invariant: a server's message is shown only as far as it contains nothing but names.

use super::bolt::BoltError;
use crate::connector::Failure;
use crate::error::ErrorCode;

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
        // `Invalid input …: expected … (line 1, column 7 (offset: 6))`
        "Statement.SyntaxError" => {
            let (_, place) = message.split_once("(line ")?;
            let (line, rest) = place.split_once(", column ")?;
            let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let numbers = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()) && !column.is_empty();
            numbers.then(|| format!("the Cypher cannot be read, at line {line}, column {column}"))
        }
        _ => None,
    }
}

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
        "Schema.IndexNotFound" | "Schema.ConstraintNotFound" => (NotFound, "there is no such index or constraint"),
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
        "Statement.TypeError" | "Statement.ArgumentError" => {
            (ValidationError, "a value is of a type that does not fit")
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
}
