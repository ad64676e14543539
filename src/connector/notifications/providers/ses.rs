//! Amazon SES: <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>.
//!
//! One recipient for each request: those for many take stored templates only.

use super::answer::{Answer, Outcome, all};
use super::mail::{MailContent, Sender};
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use crate::connector::aws::Credentials;
use crate::connector::notifications::address::Mailbox;
use crate::error::ErrorCode;
use crate::http::Client;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde_json::{Value, json};

/// Bytes of an encoded word: with its frame it has at most 75 characters.
const ENCODED_WORD_BYTES: usize = 45;

pub(super) struct Ses {
    pub base: Url,
    pub credentials: Credentials,
    pub sender: Sender,
}

#[async_trait]
impl Provider<MailContent> for Ses {
    fn name(&self) -> &'static str {
        "aws_ses"
    }

    fn request(&self, content: &MailContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let part = |text: &str| json!({ "Data": text, "Charset": "UTF-8" });
        let mut parts = json!({ "Html": part(&content.texts.html) });
        if let (Some(plain), Some(parts)) = (&content.texts.plain, parts.as_object_mut()) {
            parts.insert("Text".to_owned(), part(plain));
        }
        let mut body = json!({
            "FromEmailAddress": written(self.sender.from.name.as_deref(), &self.sender.from.address()),
            "Destination": { "ToAddresses": [written(recipient.name.as_deref(), &recipient.address)] },
            "Content": { "Simple": { "Subject": part(&content.texts.subject), "Body": parts } },
        });
        if let (Some(reply_to), Some(body)) = (&self.sender.reply_to, body.as_object_mut()) {
            let Mailbox { name, .. } = reply_to;
            let reply_to = written(name.as_deref(), &reply_to.address());
            body.insert("ReplyToAddresses".to_owned(), json!([reply_to]));
        }
        let url = at(&self.base, &["v2", "email", "outbound-emails"]);
        Ok(ApiRequest::json(url, &body))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if answer.is_success() {
            return all(count, Outcome::Sent(answer.text("/MessageId").map(str::to_owned)));
        }
        let text = message(&answer.body);
        let outcome = match error_type(answer) {
            "LimitExceededException" | "TooManyRequestsException" | "ThrottlingException" | "Throttling" => {
                Outcome::Unusable(answer.failure_as(ErrorCode::RateLimited, text))
            }
            // The account or the sender: the same for all.
            kind @ ("AccountSuspendedException" | "SendingPausedException" | "MailFromDomainNotVerifiedException") => {
                Outcome::Unusable(answer.failure(&format!("{kind} {text}")))
            }
            kind => answer.of_one(kind, text),
        };
        all(count, outcome)
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        Ok(ApiRequest::get(at(&self.base, &["v2", "email", "account"])))
    }

    /// A key that may only send must not ask for the account.
    fn is_known_by(&self, answer: &Answer) -> bool {
        answer.status == 403 && error_type(answer) == "AccessDeniedException"
    }

    async fn authorize(&self, _client: &Client, request: &mut ApiRequest) -> Result<(), Failure> {
        let place = (&request.method, &request.url);
        let signature = self
            .credentials
            .signature(place, &request.headers, &request.body)
            .await?;
        request.headers.extend(signature);
        Ok(())
    }
}

fn message(body: &Value) -> &str {
    let text = body.get("message").or_else(|| body.get("Message"));
    text.and_then(Value::as_str).unwrap_or_default()
}

/// `MessageRejected` of `MessageRejected:http://internal.amazon.com/…`
fn error_type(answer: &Answer) -> &str {
    let header = answer
        .headers
        .get("x-amzn-errortype")
        .and_then(|kind| kind.to_str().ok());
    let kind = header.or_else(|| answer.text("/__type")).unwrap_or_default();
    let kind = kind.split(':').next().unwrap_or_default();
    kind.rsplit('#').next().unwrap_or_default()
}

/// An address with a name, which is encoded where it is not ASCII.
fn written(name: Option<&str>, address: &str) -> String {
    match name {
        None => address.to_owned(),
        Some(name) if name.is_ascii() => format!("\"{name}\" <{address}>"),
        Some(name) => format!("{} <{address}>", encoded_words(name)),
    }
}

/// A text as encoded words of RFC 2047.
fn encoded_words(text: &str) -> String {
    let mut words = vec![String::new()];
    for character in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= ENCODED_WORD_BYTES => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    let encoded = |word: &String| format!("=?UTF-8?B?{}?=", STANDARD.encode(word));
    words.iter().map(encoded).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_not_ascii_is_encoded_in_short_words() {
        assert_eq!(written(Some("Ann"), "a@b.example"), "\"Ann\" <a@b.example>");
        assert_eq!(
            written(Some("Zoë"), "a@b.example"),
            "=?UTF-8?B?Wm/Dqw==?= <a@b.example>"
        );
        let long = encoded_words(&"ü".repeat(100));
        assert!(long.split(' ').count() > 1 && long.split(' ').all(|word| word.len() <= 75));
    }
}
