//! The answer of a provider, and what it means for each recipient. Pure.

use crate::connector::Failure;
use crate::error::ErrorCode;
use crate::http;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Longest text of an answer that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 160;
/// Longest word that is shown: longer ones are tokens and keys.
const MAX_WORD_CHARS: usize = 40;
/// Digits of a word that may be a telephone number.
const MIN_NUMBER_DIGITS: usize = 7;

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Accepted, with the provider's id.
    Sent(Option<String>),
    /// Permanently refused.
    Refused(Refusal),
    /// Failed for this recipient; the failure's code decides about a retry.
    Failed(Failure),
    /// Failed, and so would every other recipient at present.
    Unusable(Failure),
    /// Not sent, since the request was refused for another recipient of it.
    Again,
}

/// A permanent refusal of a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The provider's code.
    pub code: String,
    /// The provider's text, fit for messages.
    pub text: String,
    /// Nothing will ever be delivered to this address.
    pub dead: bool,
}

impl Refusal {
    /// A refusal with the provider's code and text.
    pub(super) fn new(code: impl Into<String>, text: &str) -> Self {
        Self {
            code: code.into(),
            text: shown(text),
            dead: false,
        }
    }

    /// `21211 is not a valid phone number`
    pub(super) fn message(&self) -> String {
        match (self.code.is_empty(), self.text.is_empty()) {
            (true, true) => "refused".to_owned(),
            (true, false) => self.text.clone(),
            (false, true) => self.code.clone(),
            (false, false) => format!("{} {}", self.code, self.text),
        }
    }
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// `null` if it is no JSON.
    pub body: Value,
    /// The delay that was asked for, ms.
    pub retry_after: Option<i64>,
}

impl Answer {
    pub(super) fn read(response: http::HttpResponse, now: i64) -> Self {
        Self {
            status: response.status,
            retry_after: http::retry_after_in(&response.headers, now),
            body: serde_json::from_slice(&response.body).unwrap_or_default(),
            headers: response.headers,
        }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A text in the body, by JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer)?.as_str()
    }

    /// What the status says whoever the provider is: of credentials, of too many requests, of a service that is down. `None`:
    /// a success, or a refusal that the provider has to explain. `text` is what the provider says of it.
    pub(super) fn general(&self, text: &str) -> Option<Outcome> {
        match self.status {
            200..=299 | 400 | 402 | 404 | 405 | 409 | 410 | 412..=422 => None,
            500..=502 | 504.. => Some(Outcome::Failed(self.failure(text))),
            _ => Some(Outcome::Unusable(self.failure(text))),
        }
    }

    /// The same for a request to one recipient, where what the request got wrong is permanent, and taken as that
    /// recipient's: others may still get theirs.
    pub(super) fn of_one(&self, code: &str, text: &str) -> Outcome {
        self.general(text).unwrap_or_else(|| match self.status {
            400 | 413 | 422 => Outcome::Refused(Refusal::new(code, text)),
            _ => Outcome::Unusable(self.failure(text)),
        })
    }

    /// The answer as a failure, with what the provider says of it.
    pub(super) fn failure(&self, text: &str) -> Failure {
        let failure = http::from_status(self.status, self.retry_after).map(Failure::from);
        let mut failure = failure.unwrap_or_else(|| unreadable(self.status));
        match shown(text) {
            _ if self.status == 401 => failure.message.push_str("; check the credentials"),
            text if text.is_empty() => {}
            text => failure.message = format!("{}: {text}", failure.message),
        }
        failure
    }

    /// The same as a failure with this code.
    pub(super) fn failure_as(&self, code: ErrorCode, text: &str) -> Failure {
        Failure {
            code: code.as_str().into(),
            message: shown(text),
            retry_after: self.retry_after,
        }
    }
}

fn unreadable(status: u16) -> Failure {
    Failure::unavailable(format!("the answer cannot be read (HTTP {status})"))
}

/// The same outcome for each of `count` recipients.
pub(super) fn all(count: usize, outcome: Outcome) -> Vec<Outcome> {
    vec![outcome; count]
}

/// Text of a provider made fit for messages: one short line without addresses, numbers and tokens.
pub(super) fn shown(text: &str) -> String {
    let printable: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let words: Vec<&str> = printable
        .split_whitespace()
        .map(|word| if may_identify(word) { "…" } else { word })
        .collect();
    let joined = words.join(" ");
    if joined.chars().count() <= MAX_SHOWN_CHARS {
        return joined;
    }
    joined.chars().take(MAX_SHOWN_CHARS).chain(['…']).collect()
}

fn may_identify(word: &str) -> bool {
    word.contains('@')
        || word.contains("PushToken[")
        || word.chars().count() > MAX_WORD_CHARS
        || word.bytes().filter(u8::is_ascii_digit).count() >= MIN_NUMBER_DIGITS
}
