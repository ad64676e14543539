//! Why a stream of NATS does not store a message, and whether it may store the same one later.
//!
//! Invariant: what only another message, topic or stream would mend is not tried again.

use super::message::Message;
use crate::connector::Failure;
use async_nats::jetstream::{Error, ErrorCode};

/// What a store says that is full and discards what is new; the server has one code for these and for its disk's errors.
const FULL: [&str; 3] = [
    "maximum messages exceeded",
    "maximum bytes exceeded",
    "maximum messages per subject exceeded",
];
/// The same, for a message that no store takes.
const TOO_LARGE: &str = "message too large";
/// The server's word for a request that is wrong in itself, as in HTTP.
const BAD_REQUEST: usize = 400;

/// The answer of a stream, if that is what went wrong.
pub(super) fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(refusal);
        }
        cause = error.source();
    }
    None
}

/// The failure that a stream's answer is.
pub(super) fn failure(refusal: &Error, message: &Message) -> Failure {
    let said = refusal.to_string();
    let store_says = |text: &&str| refusal.error_code() == ErrorCode::STREAM_STORE_FAILED && said.starts_with(*text);
    match refusal.error_code() {
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => too_large(&said, message),
        _ if store_says(&TOO_LARGE) => too_large(&said, message),
        ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => {
            Failure::invalid(format!("{said}: the topic's `headers` are too large for the stream"))
        }
        ErrorCode::STREAM_SEALED => Failure::invalid(format!(
            "{said}: the stream takes no message any more; give the subject to another one"
        )),
        ErrorCode::STREAM_ROLLUP_FAILED => invalid(&said),
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            Failure::not_found(format!("{said}; enable it, or set `jetstream: false`"))
        }
        ErrorCode::STREAM_NOT_FOUND => Failure::not_found(said),
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED => Failure::unavailable(format!(
            "{said}: the streams of the account or the server are full; remove messages, or raise its limits"
        )),
        _ if FULL.iter().any(store_says) => Failure::unavailable(format!(
            "{said}: the stream is full and discards new messages; it takes some again when others were consumed or expired, \
             or with a higher limit"
        )),
        _ if refusal.code() == BAD_REQUEST => invalid(&said),
        // Without a leader, offline, the same message under way, too many requests: passes.
        _ => Failure::unavailable(said),
    }
}

fn too_large(said: &str, message: &Message) -> Failure {
    let size = message.body.len();
    Failure::invalid(format!(
        "{said}: the message has {size} bytes without its headers; send less, or raise the stream's `max_msg_size`"
    ))
}

fn invalid(said: &str) -> Failure {
    Failure::invalid(format!(
        "{said}: the stream takes no such message; see the topic's `headers`, and the stream's settings"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of the failure that this answer is.
    fn code(status: usize, code: usize, text: &str) -> String {
        let refusal = serde_json::json!({ "code": status, "err_code": code, "description": text });
        let message = Message::read(r#"{"message":1}"#, "job/1".to_owned()).unwrap();
        let failure = failure(&serde_json::from_value(refusal).unwrap(), &message);
        assert!(failure.message.contains(text), "{failure:?}");
        failure.code.to_string()
    }

    #[test]
    fn answers_that_a_real_server_seldom_gives_have_their_codes() {
        for (status, err_code, text, expected) in [
            (
                400,
                10002,
                "resource limits exceeded for account",
                "SERVICE_UNAVAILABLE",
            ),
            (503, 10023, "insufficient resources", "SERVICE_UNAVAILABLE"),
            (
                500,
                10028,
                "insufficient memory resources available",
                "SERVICE_UNAVAILABLE",
            ),
            (
                500,
                10047,
                "insufficient storage resources available",
                "SERVICE_UNAVAILABLE",
            ),
            (
                503,
                10008,
                "JetStream system temporarily unavailable",
                "SERVICE_UNAVAILABLE",
            ),
            (409, 10158, "duplicate message id is in process", "SERVICE_UNAVAILABLE"),
            (429, 10167, "too many requests", "SERVICE_UNAVAILABLE"),
            (503, 10077, "no space left on device", "SERVICE_UNAVAILABLE"),
            (503, 10077, "message too large", "VALIDATION_ERROR"),
            (
                400,
                10097,
                "header size exceeds maximum allowed of 64k",
                "VALIDATION_ERROR",
            ),
            (400, 10060, "expected stream does not match", "VALIDATION_ERROR"),
            (503, 10039, "JetStream not enabled for account", "NOT_FOUND"),
            (404, 10059, "stream not found", "NOT_FOUND"),
            (400, 19999, "something new", "VALIDATION_ERROR"),
            (500, 19999, "something new", "SERVICE_UNAVAILABLE"),
        ] {
            assert_eq!(code(status, err_code, text), expected, "{err_code} {text}");
        }
    }
}
