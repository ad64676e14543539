//! Brevo: <https://developers.brevo.com/reference/sendtransacemail>. Pure.
//!
//! One recipient for each request, which has a key by which Brevo recognises a repetition.

use super::answer::{Answer, Outcome, all};
use super::mail::{MailContent, Sender};
use super::request::{ApiRequest, at};
use super::sendgrid::named;
use super::{Provider, Recipient};
use crate::connector::Failure;
use reqwest::Url;
use serde_json::json;
use uuid::Builder;

pub(super) struct Brevo {
    pub base: Url,
    pub api_key: String,
    pub sender: Sender,
}

impl Provider<MailContent> for Brevo {
    fn name(&self) -> &'static str {
        "brevo"
    }

    fn request(&self, content: &MailContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let from = &self.sender.from;
        let key = Builder::from_random_bytes(recipient.key).into_uuid();
        let mut body = json!({
            "sender": named(&from.address(), from.name.as_deref()),
            "to": [named(&recipient.address, recipient.name.as_deref())],
            "subject": content.texts.subject,
            "htmlContent": content.texts.html,
            "headers": { "idempotencyKey": key.to_string() },
        });
        if let Some(body) = body.as_object_mut() {
            if let Some(plain) = &content.texts.plain {
                body.insert("textContent".to_owned(), plain.clone().into());
            }
            if let Some(reply_to) = &self.sender.reply_to {
                let reply_to = named(&reply_to.address(), reply_to.name.as_deref());
                body.insert("replyTo".to_owned(), reply_to);
            }
        }
        let url = at(&self.base, &["v3", "smtp", "email"]);
        Ok(ApiRequest::json(url, &body)
            .header("accept", "application/json")
            .header("api-key", &*self.api_key))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if answer.is_success() {
            return all(count, Outcome::Sent(answer.text("/messageId").map(str::to_owned)));
        }
        let text = answer.text("/message").unwrap_or_default();
        let code = answer.text("/code").unwrap_or_default();
        let outcome = match code {
            // An earlier attempt sent it, and did not get the answer.
            "duplicate_parameter" if answer.status == 400 => Outcome::Sent(None),
            _ => answer.of_one(code, text),
        };
        all(count, outcome)
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        let request = ApiRequest::get(at(&self.base, &["v3", "account"]));
        Ok(request.header("api-key", &*self.api_key))
    }
}
