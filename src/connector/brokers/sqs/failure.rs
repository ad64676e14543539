//! What SQS answers when it refuses, and the failure of a job that it means.
//!
//! Invariant: no message of the server is shown, since it may quote values; its types alone tell what went wrong.

use crate::connector::Failure;
use crate::error::ErrorCode;
use serde_json::Value;

/// The failure of a request that was refused, and whether credentials have expired.
pub(super) fn refusal(status: u16, body: &[u8]) -> (Failure, bool) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let kind = ["__type", "code"].iter().find_map(|name| body.get(*name)?.as_str());
    let kind = kind.unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let is_expired = kind.starts_with("ExpiredToken") || kind.starts_with("UnrecognizedClient");
    let (code, what) = meaning(kind).unwrap_or(match status {
        429 => (ErrorCode::RateLimited, "too much was asked for"),
        401 => (ErrorCode::Unauthorized, "the credentials were refused"),
        403 => (ErrorCode::Forbidden, "the credentials lack the right"),
        408 => (ErrorCode::Timeout, "the operation took too long"),
        500.. => (ErrorCode::ServiceUnavailable, "the server cannot do it now"),
        400..500 => (ErrorCode::ValidationError, "the request was refused"),
        _ => (ErrorCode::ConnectionError, "the endpoint does not answer as SQS does"),
    });
    (failure(code, what, kind, status), is_expired)
}

/// The failure of one message among others; `ours`: it is to blame itself.
pub(super) fn entry_failure(kind: &str, ours: bool) -> Failure {
    let (code, what) = meaning(kind).unwrap_or(if ours {
        (ErrorCode::ValidationError, "the message was refused")
    } else {
        (ErrorCode::ServiceUnavailable, "the server cannot take the message now")
    });
    failure(code, what, kind, 200)
}

fn failure(code: ErrorCode, what: &str, kind: &str, status: u16) -> Failure {
    let is_shown = |character: &char| character.is_ascii_alphanumeric() || *character == '.';
    let kind: String = kind.chars().filter(is_shown).take(60).collect();
    let kind = if kind.is_empty() {
        format!("HTTP {status}")
    } else {
        kind
    };
    Failure::new(code, format!("SQS: {what} ({kind})"))
}

fn meaning(kind: &str) -> Option<(ErrorCode, &'static str)> {
    let kind = kind.strip_prefix("AWS.SimpleQueueService.").unwrap_or(kind);
    let kind = kind.strip_suffix("Exception").unwrap_or(kind);
    Some(match kind {
        "QueueDoesNotExist" | "NonExistentQueue" => (ErrorCode::NotFound, "there is no such queue"),
        "QueueDeletedRecently" => (ErrorCode::NotFound, "the queue was deleted a moment ago"),
        "AccessDenied" | "KmsAccessDenied" | "KMS.AccessDenied" => {
            (ErrorCode::Forbidden, "the credentials lack the right")
        }
        "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "ExpiredToken"
        | "InvalidSecurity"
        | "OptInRequired" => (ErrorCode::Unauthorized, "the credentials were refused"),
        "InvalidSignature" | "SignatureDoesNotMatch" | "RequestExpired" => (
            ErrorCode::Unauthorized,
            "the signature was refused: the secret is wrong, or this machine's clock is",
        ),
        "RequestThrottled" | "Throttling" | "TooManyRequests" | "KmsThrottled" | "OverLimit" => (
            ErrorCode::RateLimited,
            "more was asked for than the queue or the account allows",
        ),
        "InvalidMessageContents" => (
            ErrorCode::ValidationError,
            "the message has characters that SQS does not take",
        ),
        "BatchRequestTooLong" | "InvalidParameterValue" => (
            ErrorCode::ValidationError,
            "the message or its group, a header or its size is none that the queue takes",
        ),
        "ServiceUnavailable" | "InternalFailure" | "InternalError" => {
            (ErrorCode::ServiceUnavailable, "the server cannot do it now")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_server_say_whether_to_retry() {
        for (status, kind, code, expired) in [
            (400, "com.amazonaws.sqs#QueueDoesNotExist", "NOT_FOUND", false),
            (400, "AWS.SimpleQueueService.NonExistentQueue", "NOT_FOUND", false),
            (403, "AccessDenied", "FORBIDDEN", false),
            (403, "AccessDeniedException", "FORBIDDEN", false),
            (403, "InvalidClientTokenId", "UNAUTHORIZED", false),
            (400, "ExpiredTokenException", "UNAUTHORIZED", true),
            (400, "UnrecognizedClientException", "UNAUTHORIZED", true),
            (403, "SignatureDoesNotMatch", "UNAUTHORIZED", false),
            (400, "com.amazonaws.sqs#RequestThrottled", "RATE_LIMITED", false),
            (400, "InvalidMessageContents", "VALIDATION_ERROR", false),
            (400, "SomethingNew", "VALIDATION_ERROR", false),
            (429, "", "RATE_LIMITED", false),
            (500, "InternalFailure", "SERVICE_UNAVAILABLE", false),
            (503, "", "SERVICE_UNAVAILABLE", false),
            (302, "", "CONNECTION_ERROR", false),
        ] {
            let body = serde_json::json!({ "__type": kind, "message": "s3cret" }).to_string();
            let (failure, is_expired) = refusal(status, body.as_bytes());
            assert_eq!((&*failure.code, is_expired), (code, expired), "{kind}");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
        assert_eq!(&*entry_failure("SomethingNew", false).code, "SERVICE_UNAVAILABLE");
        assert_eq!(&*entry_failure("SomethingNew", true).code, "VALIDATION_ERROR");
    }
}
