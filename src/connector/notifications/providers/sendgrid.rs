//! Twilio SendGrid: <https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send>. Pure.
//!
//! A request takes up to a thousand recipients, each in a personalization of its own, so that none sees the others. It is
//! accepted or refused as a whole; a refusal names the personalizations that are wrong.

use super::answer::{Answer, Outcome, Refusal, all};
use super::mail::{MailContent, Sender};
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use crate::connector::notifications::address::Mailbox;
use reqwest::Url;
use serde_json::{Value, json};
use std::collections::HashMap;

pub(super) struct SendGrid {
    pub base: Url,
    pub api_key: String,
    pub sender: Sender,
}

impl Provider<MailContent> for SendGrid {
    fn name(&self) -> &'static str {
        "sendgrid"
    }

    fn batch(&self) -> usize {
        1_000
    }

    fn request(&self, content: &MailContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let one = |recipient: &&Recipient| json!({ "to": [named(&recipient.address, recipient.name.as_deref())] });
        let mut parts = Vec::new();
        // Plain text must come first.
        if let Some(plain) = &content.texts.plain {
            parts.push(json!({ "type": "text/plain", "value": plain }));
        }
        parts.push(json!({ "type": "text/html", "value": content.texts.html }));
        let mut body = json!({
            "personalizations": recipients.iter().map(one).collect::<Vec<_>>(),
            "from": mailbox(&self.sender.from),
            "subject": content.texts.subject,
            "content": parts,
        });
        if let (Some(reply_to), Some(body)) = (&self.sender.reply_to, body.as_object_mut()) {
            body.insert("reply_to".to_owned(), mailbox(reply_to));
        }
        let url = at(&self.base, &["v3", "mail", "send"]);
        Ok(ApiRequest::json(url, &body).header("authorization", format!("Bearer {}", self.api_key)))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if answer.is_success() {
            let id = answer.headers.get("x-message-id").and_then(|id| id.to_str().ok());
            return all(count, Outcome::Sent(id.map(str::to_owned)));
        }
        let errors = answer.body.get("errors").and_then(Value::as_array);
        let errors: &[Value] = errors.map_or(&[], Vec::as_slice);
        let text = |error: &Value| {
            let text = error.get("message").and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let first = errors.first().map(text).unwrap_or_default();
        if let Some(outcome) = answer.general(&first) {
            return all(count, outcome);
        }
        let of_one = |error: &Value| Some((personalization(error.get("field")?.as_str()?)?, text(error)));
        let refused: HashMap<usize, String> = errors.iter().filter_map(of_one).collect();
        if refused.is_empty() {
            return all(count, Outcome::Unusable(answer.failure(&first)));
        }
        let outcome = |index| match refused.get(&index) {
            Some(text) => Outcome::Refused(Refusal::new("", text)),
            None => Outcome::Again,
        };
        (0..count).map(outcome).collect()
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        let request = ApiRequest::get(at(&self.base, &["v3", "scopes"]));
        Ok(request.header("authorization", format!("Bearer {}", self.api_key)))
    }
}

/// The index in `personalizations.3.to.0.email`.
fn personalization(field: &str) -> Option<usize> {
    field.strip_prefix("personalizations.")?.split('.').next()?.parse().ok()
}

fn mailbox(mailbox: &Mailbox) -> Value {
    named(&mailbox.address(), mailbox.name.as_deref())
}

pub(super) fn named(address: &str, name: Option<&str>) -> Value {
    match name {
        Some(name) => json!({ "email": address, "name": name }),
        None => json!({ "email": address }),
    }
}
