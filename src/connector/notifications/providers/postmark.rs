//! Postmark: <https://postmarkapp.com/developer/api/email-api#send-batch-emails>. Pure.
//!
//! A request takes up to 500 e-mails, each with an outcome of its own.

use super::answer::{Answer, Outcome, Refusal, all};
use super::mail::{MailContent, Sender};
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use crate::error::ErrorCode;
use reqwest::Url;
use serde_json::{Value, json};

pub(super) struct Postmark {
    pub base: Url,
    pub server_token: String,
    pub sender: Sender,
}

/// Postmark takes requests of up to 50 MB; below that, the number of e-mails is what bounds them.
const MAX_EMAILS: usize = 100;

impl Provider<MailContent> for Postmark {
    fn name(&self) -> &'static str {
        "postmark"
    }

    fn batch(&self) -> usize {
        MAX_EMAILS
    }

    fn request(&self, content: &MailContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let from = self.sender.from.to_string();
        let one = |recipient: &&Recipient| {
            let to = match &recipient.name {
                Some(name) => format!("\"{name}\" <{}>", recipient.address),
                None => recipient.address.clone(),
            };
            let mut email = json!({
                "From": from,
                "To": to,
                "Subject": content.texts.subject,
                "HtmlBody": content.texts.html,
            });
            if let Some(email) = email.as_object_mut() {
                if let Some(plain) = &content.texts.plain {
                    email.insert("TextBody".to_owned(), plain.clone().into());
                }
                if let Some(reply_to) = &self.sender.reply_to {
                    email.insert("ReplyTo".to_owned(), reply_to.to_string().into());
                }
            }
            email
        };
        let body = Value::Array(recipients.iter().map(one).collect());
        let url = at(&self.base, &["email", "batch"]);
        Ok(self.with_token(ApiRequest::json(url, &body)))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        let text = answer.text("/Message").unwrap_or_default();
        if let Some(outcome) = answer.general(text) {
            return all(count, outcome);
        }
        match &answer.body {
            Value::Array(emails) if answer.is_success() => emails.iter().map(|email| read_one(email, answer)).collect(),
            _ => all(count, Outcome::Unusable(answer.failure(text))),
        }
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        Ok(self.with_token(ApiRequest::get(at(&self.base, &["server"]))))
    }
}

impl Postmark {
    fn with_token(&self, request: ApiRequest) -> ApiRequest {
        let request = request.header("accept", "application/json");
        request.header("x-postmark-server-token", &*self.server_token)
    }
}

/// What is said of one e-mail; the codes are in <https://postmarkapp.com/developer/api/overview#error-codes>.
fn read_one(email: &Value, answer: &Answer) -> Outcome {
    let text = email.get("Message").and_then(Value::as_str).unwrap_or_default();
    match email.get("ErrorCode").and_then(Value::as_i64) {
        Some(0) => {
            let id = email.get("MessageID").and_then(Value::as_str);
            Outcome::Sent(id.map(str::to_owned))
        }
        Some(100) => Outcome::Failed(answer.failure_as(ErrorCode::ServiceUnavailable, text)),
        Some(429) => Outcome::Unusable(answer.failure_as(ErrorCode::RateLimited, text)),
        // The sender's signature, or the account: the same for all.
        Some(400 | 401 | 405 | 412 | 413) => Outcome::Unusable(answer.failure_as(ErrorCode::Forbidden, text)),
        Some(code) => Outcome::Refused(Refusal::new(code.to_string(), text)),
        None => Outcome::Failed(answer.failure_as(ErrorCode::ServiceUnavailable, "the answer has no ErrorCode")),
    }
}
