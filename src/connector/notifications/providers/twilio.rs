//! Twilio: <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>. Pure.

use super::answer::{Answer, Outcome, all};
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use reqwest::Url;
use serde_json::Value;

/// Codes of what is wrong with the sender, which is the same for all: <https://www.twilio.com/docs/api/errors>.
const SENDER_CODES: [i64; 7] = [21_212, 21_603, 21_606, 21_659, 21_660, 21_701, 21_703];

pub(super) struct Twilio {
    pub base: Url,
    pub account_sid: String,
    pub auth_token: String,
    /// A number, a name, or the id of a messaging service.
    pub from: String,
}

impl Provider<String> for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn request(&self, text: &String, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let is_service = self.from.starts_with("MG") && self.from.len() == 34;
        let sender = if is_service { "MessagingServiceSid" } else { "From" };
        let members = [("To", &*recipient.address), (sender, &*self.from), ("Body", text)];
        let url = at(
            &self.base,
            &["2010-04-01", "Accounts", &self.account_sid, "Messages.json"],
        );
        Ok(ApiRequest::form(url, &members).basic(&self.account_sid, &self.auth_token))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if answer.is_success() {
            return all(count, Outcome::Sent(answer.text("/sid").map(str::to_owned)));
        }
        let text = answer.text("/message").unwrap_or_default();
        let code = answer.body.get("code").and_then(Value::as_i64);
        let outcome = match code {
            Some(code) if SENDER_CODES.contains(&code) => Outcome::Unusable(answer.failure(&format!("{code} {text}"))),
            Some(code) => answer.of_one(&code.to_string(), text),
            None => answer.of_one("", text),
        };
        all(count, outcome)
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        let account = format!("{}.json", self.account_sid);
        let url = at(&self.base, &["2010-04-01", "Accounts", &account]);
        Ok(ApiRequest::get(url).basic(&self.account_sid, &self.auth_token))
    }
}
