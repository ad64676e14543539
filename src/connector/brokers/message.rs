//! What is sent: the message of a job, as it is.
//!
//! Pure. Invariant: the body is the text of `input.message` as the job holds it, byte for byte; a string is sent as its
//! characters, without the quotes and escapes of JSON.

use crate::connector::Failure;
use crate::text::json::{self, Object};
use crate::text::spelling::truncated;

/// Media type of a message that is JSON.
const JSON_MEDIA_TYPE: &str = "application/json";
/// Media type of a message that is a string.
const TEXT_MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// What every message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The same for each attempt of a run.
    pub(super) id: String,
    /// Of which order it is, or which partition, where a broker has those.
    pub(super) key: Option<String>,
    /// What it is about.
    pub(super) body: Vec<u8>,
    /// What the body is.
    pub(super) content_type: &'static str,
}

impl Message {
    /// The message in the input of a job.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for an input without one, or with something beside it.
    pub(super) fn read(input: &str, id: String) -> Result<Self, Failure> {
        let Some(members) = Object::read(input) else {
            return Err(Failure::invalid("input: must be an object, as in { \"message\": … }"));
        };
        if let Some((other, _)) = members.iter().find(|(name, _)| !matches!(*name, "message" | "key")) {
            return Err(Failure::invalid(format!(
                "input.{}: is not known; what is sent is `message`, by its `key`, and how is said by the broker's topics (`headers`, names)",
                truncated(other)
            )));
        }
        let key = match members.get_present("key").map(json::string) {
            None => None,
            Some(Some(key)) if !key.is_empty() => Some(key.into_owned()),
            Some(None) if members.get("key").is_some_and(|key| key.starts_with('"')) => {
                return Err(half_a_pair("input.key"));
            }
            Some(Some(_)) => {
                return Err(Failure::invalid(
                    "input.key: is empty, and would say nothing; give a string such as 'customer-7', or leave it out",
                ));
            }
            Some(None) => {
                return Err(Failure::invalid(
                    "input.key: must be a string, as in 'customer-7'; give a number as text, or leave it out",
                ));
            }
        };
        let Some(message) = members.get("message") else {
            return Err(Failure::invalid("input.message: is missing; it is what is sent"));
        };
        let (body, content_type) = match json::string(message) {
            Some(text) => (text.into_owned().into_bytes(), TEXT_MEDIA_TYPE),
            None if message.starts_with('"') => return Err(half_a_pair("input.message")),
            None => (message.as_bytes().to_vec(), JSON_MEDIA_TYPE),
        };
        Ok(Self {
            id,
            key,
            body,
            content_type,
        })
    }

    /// Whether it is the `null` of JSON.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "others send it as it is"))]
    pub(super) fn is_null(&self) -> bool {
        self.content_type == JSON_MEDIA_TYPE && self.body == b"null"
    }
}

/// What is wrong with the only strings of JSON that are no text.
fn half_a_pair(place: &str) -> Failure {
    Failure::invalid(format!(
        "{place}: the text is no valid Unicode (half a surrogate pair); take it out, or send the text within an object"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> Result<(Vec<u8>, &'static str), Failure> {
        Message::read(input, "job_1/1".into()).map(|message| (message.body, message.content_type))
    }

    #[test]
    fn message_body_is_the_json_text_unchanged() {
        for text in [
            r#"{"b":1,"a":2}"#,
            r#"{ "id" : 12345678901234567890, "n": 1.50e3 }"#,
            "[1,  2]",
            "null",
            "0",
            r#"{"a":1,"a":2}"#,
        ] {
            let input = format!("{{\"message\":{text}}}");
            assert_eq!(read(&input), Ok((text.as_bytes().to_vec(), JSON_MEDIA_TYPE)), "{text}");
        }
    }

    #[test]
    fn string_message_is_sent_without_json_quotes() {
        assert_eq!(
            read(r#"{"message":"a \"b\" \u00fc\n"}"#),
            Ok(("a \"b\" ü\n".into(), TEXT_MEDIA_TYPE))
        );
    }

    #[test]
    fn half_a_surrogate_pair_is_refused_in_texts_and_left_alone_in_json() {
        for (input, place) in [
            (r#"{"message":"a\ud83d"}"#, "input.message:"),
            (r#"{"message":1,"key":"\ude00"}"#, "input.key:"),
        ] {
            let failure = read(input).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(
                failure.message.starts_with(place) && failure.message.contains("half a surrogate pair"),
                "{failure:?}"
            );
        }
        assert_eq!(
            read(r#"{"message":["\ud83d"]}"#),
            Ok((br#"["\ud83d"]"#.to_vec(), JSON_MEDIA_TYPE))
        );
        assert_eq!(
            read(r#"{"message":"\ud83d\ude00"}"#),
            Ok(("😀".into(), TEXT_MEDIA_TYPE))
        );
    }

    #[test]
    fn only_null_itself_is_null() {
        for (message, expected) in [("null", true), ("\"null\"", false), ("0", false)] {
            let input = format!("{{\"message\":{message},\"key\":\"k\"}}");
            let read = Message::read(&input, "job_1/1".into()).unwrap();
            assert_eq!(
                (read.is_null(), read.key.as_deref()),
                (expected, Some("k")),
                "{message}"
            );
        }
    }

    #[test]
    fn invalid_message_error_names_its_path() {
        for (input, place) in [
            ("{}", "input.message:"),
            ("[]", "input:"),
            (r#"{"message":{},"topic":"k"}"#, "input.topic:"),
            (r#"{"message":{},"key":7}"#, "input.key:"),
            (r#"{"message":{},"key":""}"#, "input.key:"),
        ] {
            let failure = read(input).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(failure.message.starts_with(place), "{}", failure.message);
        }
    }
}
