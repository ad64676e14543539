//! Plivo: <https://www.plivo.com/docs/messaging/api/message/send-a-message>. Pure.

use super::answer::{Answer, Outcome, all};
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use reqwest::Url;
use serde_json::json;

pub(super) struct Plivo {
    pub base: Url,
    pub auth_id: String,
    pub auth_token: String,
    /// A number or a name.
    pub from: String,
}

impl Provider<String> for Plivo {
    fn name(&self) -> &'static str {
        "plivo"
    }

    fn request(&self, text: &String, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let body = json!({ "src": self.from, "dst": recipient.address, "text": text });
        let url = at(&self.base, &["v1", "Account", &self.auth_id, "Message", ""]);
        Ok(ApiRequest::json(url, &body).basic(&self.auth_id, &self.auth_token))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        let outcome = if answer.is_success() {
            Outcome::Sent(answer.text("/message_uuid/0").map(str::to_owned))
        } else {
            answer.of_one("", answer.text("/error").unwrap_or_default())
        };
        all(count, outcome)
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        let url = at(&self.base, &["v1", "Account", &self.auth_id, ""]);
        Ok(ApiRequest::get(url).basic(&self.auth_id, &self.auth_token))
    }
}
