//! Expo: <https://docs.expo.dev/push-notifications/sending-notifications/#http2-api>. Pure.
//!
//! A request takes up to a hundred messages and answers with a ticket for each. What became of those that were taken is in
//! receipts, which are there later.

use super::answer::{Answer, Outcome, Refusal, all};
use super::push::PushContent;
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use crate::error::ErrorCode;
use reqwest::Url;
use serde_json::{Map, Value, json};

/// Most messages of one request.
const MAX_MESSAGES: usize = 100;

pub(super) struct Expo {
    pub base: Url,
    /// For projects that ask for one.
    pub access_token: Option<String>,
}

impl Provider<PushContent> for Expo {
    fn name(&self) -> &'static str {
        "EXPO"
    }

    fn batch(&self) -> usize {
        MAX_MESSAGES
    }

    fn request(&self, content: &PushContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let one = |recipient: &&Recipient| {
            let mut message = Map::new();
            message.insert("to".to_owned(), recipient.address.clone().into());
            for (name, text) in [("title", &content.title), ("body", &content.body)] {
                if let Some(text) = text {
                    message.insert(name.to_owned(), text.clone().into());
                }
            }
            if !content.data.is_empty() {
                message.insert("data".to_owned(), content.data.clone().into());
            }
            Value::Object(message)
        };
        let messages = Value::Array(recipients.iter().map(one).collect());
        Ok(self.with_token(ApiRequest::json(at(&self.base, &["push", "send"]), &messages)))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        let text = answer.text("/errors/0/message").unwrap_or_default();
        if let Some(outcome) = answer.general(text) {
            return all(count, outcome);
        }
        match answer.body.get("data").and_then(Value::as_array) {
            Some(tickets) => tickets.iter().map(|ticket| read_ticket(ticket, answer)).collect(),
            None if answer.is_success() => all(
                count,
                Outcome::Failed(answer.failure_as(ErrorCode::ServiceUnavailable, text)),
            ),
            None => all(count, Outcome::Unusable(answer.failure(text))),
        }
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        self.receipts(&["00000000-0000-0000-0000-000000000000"])
            .ok_or_else(|| Failure::invalid("no request"))
    }

    fn receipts(&self, ids: &[&str]) -> Option<ApiRequest> {
        let url = at(&self.base, &["push", "getReceipts"]);
        Some(self.with_token(ApiRequest::json(url, &json!({ "ids": ids }))))
    }

    fn read_receipt(&self, answer: &Answer, id: &str) -> Option<Result<(), Refusal>> {
        let receipt = answer.body.get("data")?.get(id)?;
        Some(match error_of(receipt) {
            None => Ok(()),
            Some(refusal) => Err(refusal),
        })
    }
}

impl Expo {
    fn with_token(&self, request: ApiRequest) -> ApiRequest {
        let request = request.header("accept", "application/json");
        match &self.access_token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

fn read_ticket(ticket: &Value, answer: &Answer) -> Outcome {
    let Some(refusal) = error_of(ticket) else {
        let id = ticket.get("id").and_then(Value::as_str);
        return Outcome::Sent(id.map(str::to_owned));
    };
    let failure = |code| answer.failure_as(code, &refusal.message());
    match &*refusal.code {
        "MessageRateExceeded" => Outcome::Failed(failure(ErrorCode::RateLimited)),
        // The project's: the same for all.
        "InvalidCredentials" => Outcome::Unusable(failure(ErrorCode::Unauthorized)),
        _ => Outcome::Refused(refusal),
    }
}

/// The error of a ticket or a receipt.
fn error_of(part: &Value) -> Option<Refusal> {
    if part.get("status").and_then(Value::as_str) == Some("ok") {
        return None;
    }
    let code = part
        .pointer("/details/error")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let text = part.get("message").and_then(Value::as_str).unwrap_or_default();
    Some(Refusal {
        dead: code == "DeviceNotRegistered",
        ..Refusal::new(code, text)
    })
}
