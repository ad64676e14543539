//! What a server's codes mean for a message.

use super::settings::Address;
use crate::connector::Failure;
use crate::error::ErrorCode;
use crate::text::visible::escaped;

/// Longest words of a server that are shown.
const MAX_WORDS_CHARS: usize = 300;

/// Words of a server, fit for messages.
pub(super) fn shown(words: &str) -> String {
    let words: String = words.chars().take(MAX_WORDS_CHARS).collect();
    escaped(&words).into_owned()
}

/// Codes of Kafka that are dealt with by name.
pub(super) mod code {
    pub(in crate::connector::brokers::kafka) const NONE: i16 = 0;
    pub(super) const UNKNOWN_TOPIC: i16 = 3;
    pub(super) const MESSAGE_TOO_LARGE: i16 = 10;
    pub(super) const RECORD_LIST_TOO_LARGE: i16 = 18;
    pub(in crate::connector::brokers::kafka) const UNSUPPORTED_MECHANISM: i16 = 33;
    pub(in crate::connector::brokers::kafka) const NO_LOGIN_HERE: i16 = 34;
    pub(in crate::connector::brokers::kafka) const DUPLICATE: i16 = 46;
    pub(in crate::connector::brokers::kafka) const WRONG_CREDENTIALS: i16 = 58;
}

/// What became of a message that a server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not stored, and another try may be sent to whoever leads the partition then.
    Elsewhere(Failure),
    /// It is not sent, since that server cannot be reached.
    Unreached(Address, Failure),
    /// It is not stored, and the producer's numbers are of no use any more.
    Outdated(Failure),
    /// It is too large; in a batch, perhaps only with the others.
    TooLarge,
    /// It is not stored.
    Refused(Failure),
    /// Whether it is stored is unknown.
    Unknown(Failure),
}

/// What a code of a partition means.
pub(super) fn refusal(code: i16, topic: &str, words: Option<&str>) -> Refusal {
    let unavailable = |why: &str| Failure::unavailable(format!("the topic '{topic}' cannot take messages now: {why}"));
    let said = |what: &str| match words {
        Some(words) => format!("{what}: {}", shown(words)),
        None => what.to_owned(),
    };
    match code {
        code::UNKNOWN_TOPIC => Refusal::Elsewhere(Failure::not_found(format!(
            "the cluster has no topic '{topic}'; make it, or check the topic's `name`"
        ))),
        5 | 6 | 9 | 74 | 75 => Refusal::Elsewhere(unavailable("its partition has no leader, or another one")),
        56 => Refusal::Elsewhere(unavailable("the disk of its leader has failed")),
        7 => Refusal::Unknown(Failure::timeout(
            "not all replicas have the message in time; it may be stored",
        )),
        20 => Refusal::Unknown(unavailable("too few replicas have the message, which may be stored")),
        13 => Refusal::Unknown(unavailable(
            "the server has lost a connection; the message may be stored",
        )),
        19 => Refusal::Refused(unavailable("too few of its replicas are in sync")),
        code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE => Refusal::TooLarge,
        17 => Refusal::Refused(Failure::invalid(format!("'{topic}' is no name of a topic"))),
        29 => Refusal::Refused(Failure::forbidden(format!(
            "the user may not write to the topic '{topic}'"
        ))),
        31 => Refusal::Refused(Failure::forbidden("the user may not write to the cluster")),
        32 | 42 | 43 | 44 | 87 => Refusal::Refused(Failure::invalid(said("the server refuses the message"))),
        45 | 47 | 59 | 90 => Refusal::Outdated(unavailable("the server does not know the producer any more")),
        89 => Refusal::Refused(Failure::new(ErrorCode::RateLimited, "the user's quota is used up")),
        other => Refusal::Refused(unavailable(&said(&format!("the server says error {other}")))),
    }
}

/// A message that is too large by itself.
pub(super) fn too_large(bytes: usize) -> Failure {
    Failure::invalid(format!(
        "the message has {bytes} bytes with its key and headers, which is more than the topic takes (`max.message.bytes`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_server_are_shown_in_one_short_line() {
        let Refusal::Refused(failure) = refusal(87, "t", Some(&"a\n".repeat(10_000))) else {
            panic!("not refused")
        };
        assert!(
            failure.message.len() < 1_000 && !failure.message.contains('\n'),
            "{failure:?}"
        );
    }
}
