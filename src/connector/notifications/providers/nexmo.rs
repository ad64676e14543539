//! Vonage, which was Nexmo: <https://developer.vonage.com/en/api/sms>. Pure.
//!
//! A request is answered with HTTP 200 whatever became of it; the body has a status for each part of the text.

use super::answer::{Answer, Outcome, Refusal, all};
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use crate::error::ErrorCode;
use reqwest::Url;
use serde_json::Value;

/// What GSM 03.38 has besides letters and digits of ASCII; other characters need `type=unicode`.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà^{}\\[~]|€";

pub(super) struct Nexmo {
    pub base: Url,
    pub api_key: String,
    pub api_secret: String,
    /// A number or a name.
    pub from: String,
}

impl Provider<String> for Nexmo {
    fn name(&self) -> &'static str {
        "nexmo"
    }

    fn request(&self, text: &String, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let is_gsm = text.chars().all(|one| one.is_ascii_alphanumeric() || GSM.contains(one));
        let members = [
            ("api_key", &*self.api_key),
            ("api_secret", &*self.api_secret),
            ("from", self.from.trim_start_matches('+')),
            ("to", recipient.address.trim_start_matches('+')),
            ("text", text),
            ("type", if is_gsm { "text" } else { "unicode" }),
        ];
        Ok(ApiRequest::form(at(&self.base, &["sms", "json"]), &members))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if !answer.is_success() {
            return all(count, answer.of_one("", ""));
        }
        let parts = answer.body.get("messages").and_then(Value::as_array);
        let parts: &[Value] = parts.map_or(&[], Vec::as_slice);
        // Of several parts, the first that failed decides; parts that were taken are paid for.
        let failed = parts.iter().find(|part| status(part) != Some("0"));
        let outcome = match failed.or_else(|| parts.first()) {
            Some(part) => read_part(part, answer),
            None => Outcome::Failed(answer.failure_as(ErrorCode::ServiceUnavailable, "the answer has no `messages`")),
        };
        all(count, outcome)
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        let request = ApiRequest::get(at(&self.base, &["account", "get-balance"]));
        Ok(request.basic(&self.api_key, &self.api_secret))
    }
}

fn status(part: &Value) -> Option<&str> {
    part.get("status").and_then(Value::as_str)
}

/// The codes are in <https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms>.
fn read_part(part: &Value, answer: &Answer) -> Outcome {
    let text = part.get("error-text").and_then(Value::as_str).unwrap_or_default();
    let failure = |code| Outcome::Unusable(answer.failure_as(code, text));
    match status(part).unwrap_or_default() {
        "0" => {
            let id = part.get("message-id").and_then(Value::as_str);
            Outcome::Sent(id.map(str::to_owned))
        }
        "1" | "10" => failure(ErrorCode::RateLimited),
        "5" => Outcome::Failed(answer.failure_as(ErrorCode::ServiceUnavailable, text)),
        "4" | "14" | "32" => failure(ErrorCode::Unauthorized),
        // The account, its money, or the sender: the same for all.
        "8" | "9" | "11" | "15" => failure(ErrorCode::Forbidden),
        code => Outcome::Refused(Refusal::new(code, text)),
    }
}
