//! What DynamoDB answers when it refuses, and the failure of a job that it means.
//!
//! Invariant: no message of the server is shown, since it may quote values; its words only tell what went wrong.

use crate::connector::Failure;
use crate::connector::databases::operators::Operators;
use crate::error::ErrorCode;
use serde_json::Value;

/// A request that was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The type, without its namespace.
    pub(super) kind: String,
    message: String,
    /// Types for each part of a transaction.
    pub(super) reasons: Vec<String>,
    status: u16,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    Refused(Refusal),
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refusal) => refusal.failure(),
            Trouble::Failed(failure) => failure,
        }
    }
}

impl Trouble {
    /// The trouble of an update, with the operators that may mean it if a stored type was not what one takes.
    pub(super) fn of_operators(self, operators: &Operators) -> Self {
        if self.is_of_types() {
            return Self::Failed(operators.not_fitting(self.into(), None));
        }
        self
    }

    /// Whether a condition did not hold.
    pub(super) fn is_unmet_condition(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is("ConditionalCheckFailed"))
    }

    /// Whether the table may be another one than was thought.
    pub(super) fn doubts_table(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(&*refusal.kind, "ResourceNotFoundException" | "ValidationException"))
    }

    /// Whether a type in an update was not what its operator takes.
    pub(super) fn is_of_types(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.says(&["type mismatch", "incorrect data type", "incorrect operand type"]))
    }
}

impl Refusal {
    /// Reads an answer with a status of failure.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |names: [&str; 2]| names.iter().find_map(|name| body.get(*name)?.as_str());
        let kind = text(["__type", "code"]).unwrap_or_default();
        let kind = kind.rsplit('#').next().unwrap_or_default();
        let reasons = body.get("CancellationReasons").and_then(Value::as_array);
        let reasons = reasons.map(Vec::as_slice).unwrap_or_default().iter();
        let code = |reason: &Value| reason.get("Code").and_then(Value::as_str).unwrap_or("None").to_owned();
        Self {
            kind: kind.to_owned(),
            message: text(["message", "Message"]).unwrap_or_default().to_ascii_lowercase(),
            reasons: reasons.map(code).collect(),
            status,
        }
    }

    /// Whether it is of this type, or one of its parts is, where nothing worse is.
    fn is(&self, kind: &str) -> bool {
        let is = |found: &String| found.strip_suffix("Exception").unwrap_or(found) == kind;
        is(&self.kind) || self.reasons.iter().any(is)
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.message.contains(word))
    }

    /// Whether nothing was done since too much was asked for.
    pub(super) fn is_throttled(&self) -> bool {
        const KINDS: [&str; 8] = [
            "ProvisionedThroughputExceeded",
            "ProvisionedThroughputExceededError",
            "Throttling",
            "ThrottlingError",
            "RequestLimitExceeded",
            "TooManyRequests",
            "LimitExceeded",
            "RequestThrottled",
        ];
        self.status == 429 || KINDS.iter().any(|kind| self.is(kind))
    }

    /// Whether nothing was done since another change was in the way.
    pub(super) fn is_in_the_way(&self) -> bool {
        !self.is("ConditionalCheckFailed")
            && [
                "TransactionConflict",
                "TransactionInProgress",
                "ReplicatedWriteConflict",
            ]
            .iter()
            .any(|kind| self.is(kind))
    }

    /// Whether nobody knows what was done.
    pub(super) fn is_unknown(&self) -> bool {
        self.status >= 500
    }

    /// Whether the credentials have become invalid, so that newer ones may help.
    pub(super) fn is_expired(&self) -> bool {
        self.is("ExpiredToken") || self.is("UnrecognizedClient")
    }

    pub(super) fn failure(&self) -> Failure {
        let (code, what) = self.meaning();
        let kind: String = self.kind.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        let kind = if kind.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            kind
        };
        Failure::new(code, format!("DynamoDB: {what} ({kind})"))
    }

    fn meaning(&self) -> (ErrorCode, &'static str) {
        if self.is_throttled() {
            return (
                ErrorCode::RateLimited,
                "more was asked for than the table or the account allows",
            );
        }
        if self.is("ConditionalCheckFailed") || self.is("DuplicateItem") {
            return (ErrorCode::ValidationError, "a unique key is there already");
        }
        if self.is_in_the_way() {
            return (ErrorCode::ServiceUnavailable, "another operation was in the way");
        }
        match &*self.kind {
            "ResourceNotFoundException" => (ErrorCode::NotFound, "there is no such table or index"),
            "ResourceInUseException" => (
                ErrorCode::ServiceUnavailable,
                "the table is being made, changed or removed",
            ),
            "AccessDeniedException" | "AccessDenied" => (ErrorCode::Forbidden, "the credentials lack the right"),
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "ExpiredTokenException" => (ErrorCode::Unauthorized, "the credentials were refused"),
            "InvalidSignatureException" | "SignatureDoesNotMatch" => (
                ErrorCode::Unauthorized,
                "the signature was refused: the secret is wrong, or this machine's clock is",
            ),
            "ItemCollectionSizeLimitExceededException" => (
                ErrorCode::ValidationError,
                "the rows of one hash key are more than a local index takes, 10 GB",
            ),
            "RequestEntityTooLargeException" => (ErrorCode::ValidationError, "the request is larger than 16 MB"),
            _ if self.says(&["item size", "maximum allowed size", "exceeded the size limit"]) => (
                ErrorCode::ValidationError,
                "a row is larger than DynamoDB takes, 400 KB",
            ),
            _ if self.says(&["type mismatch", "incorrect data type", "incorrect operand type"]) => (
                ErrorCode::ValidationError,
                "a value does not fit the type of its attribute, such as a number to be added to text, or to a list that is a set",
            ),
            _ if self.says(&["document path"]) => (
                ErrorCode::ValidationError,
                "a path leads through an attribute that is not there or holds no object",
            ),
            _ if self.says(&["key element does not match", "missing the key", "key schema"]) => (
                ErrorCode::ValidationError,
                "a row lacks an attribute of a key, or has it in another type",
            ),
            _ if self.status == 413 => (ErrorCode::ValidationError, "the request is larger than 16 MB"),
            _ if self.status == 408 => (ErrorCode::Timeout, "the operation took too long"),
            _ if self.status == 401 => (ErrorCode::Unauthorized, "the credentials were refused"),
            _ if self.status == 403 => (ErrorCode::Forbidden, "the credentials lack the right"),
            _ if self.status >= 500 => (ErrorCode::ServiceUnavailable, "the server cannot do it now"),
            _ if !(400..500).contains(&self.status) => (
                ErrorCode::ConnectionError,
                "the endpoint does not answer as DynamoDB does",
            ),
            _ => (ErrorCode::ValidationError, "the operation was refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, kind: &str, message: &str) -> Refusal {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"{message}"}}"#);
        Refusal::read(status, body.as_bytes())
    }

    #[test]
    fn types_of_the_server_say_whether_to_retry() {
        for (status, kind, message, code) in [
            (400, "ProvisionedThroughputExceededException", "", "RATE_LIMITED"),
            (400, "ThrottlingException", "", "RATE_LIMITED"),
            (400, "RequestLimitExceeded", "", "RATE_LIMITED"),
            (400, "ConditionalCheckFailedException", "", "VALIDATION_ERROR"),
            (400, "TransactionConflictException", "", "SERVICE_UNAVAILABLE"),
            (400, "ResourceNotFoundException", "", "NOT_FOUND"),
            (400, "ResourceInUseException", "", "SERVICE_UNAVAILABLE"),
            (400, "AccessDeniedException", "", "FORBIDDEN"),
            (400, "UnrecognizedClientException", "", "UNAUTHORIZED"),
            (400, "ExpiredTokenException", "", "UNAUTHORIZED"),
            (403, "InvalidSignatureException", "", "UNAUTHORIZED"),
            (400, "ValidationException", "s3cret", "VALIDATION_ERROR"),
            (500, "InternalServerError", "", "SERVICE_UNAVAILABLE"),
            (503, "", "", "SERVICE_UNAVAILABLE"),
            (302, "", "", "CONNECTION_ERROR"),
        ] {
            let failure = refusal(status, kind, message).failure();
            assert_eq!(&*failure.code, code, "{kind}");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
        let large = refusal(
            400,
            "ValidationException",
            "Item size has exceeded the maximum allowed size",
        );
        assert!(large.failure().message.contains("400 KB"));
        let html = Refusal::read(502, b"<html>s3cret</html>").failure();
        assert_eq!(html.message, "DynamoDB: the server cannot do it now (HTTP 502)");
    }

    #[test]
    fn reasons_of_a_transaction_say_why_it_was_cancelled() {
        let cancelled = |codes: &[&str]| {
            let reasons: Vec<Value> = codes.iter().map(|code| serde_json::json!({ "Code": code })).collect();
            let body =
                serde_json::json!({ "__type": "x#TransactionCanceledException", "CancellationReasons": reasons });
            Refusal::read(400, body.to_string().as_bytes())
        };
        for (codes, code) in [
            (&["None", "ConditionalCheckFailed"][..], "VALIDATION_ERROR"),
            (&["TransactionConflict", "ConditionalCheckFailed"], "VALIDATION_ERROR"),
            (&["None", "TransactionConflict"], "SERVICE_UNAVAILABLE"),
            (&["ThrottlingError"], "RATE_LIMITED"),
            (&["ProvisionedThroughputExceeded"], "RATE_LIMITED"),
            (&["ValidationError"], "VALIDATION_ERROR"),
        ] {
            assert_eq!(&*cancelled(codes).failure().code, code, "{codes:?}");
        }
        assert!(Trouble::Refused(cancelled(&["ConditionalCheckFailed"])).is_unmet_condition());
    }
}
