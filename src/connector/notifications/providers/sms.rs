//! Text messages by a provider's API.

use super::mail::secret;
use super::recipients::{self, ReadAddress};
use super::request::base_url;
use super::sender::ApiSender;
use super::{Batch, Delivery, Provider, nexmo, plivo, twilio};
use crate::connector::Failure;
use crate::connector::notifications::history::DeliveryHistory;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{OutboundRules, SmsApi, SmsService};

/// Longest text, in characters: what Twilio and Plivo take.
const MAX_TEXT_CHARS: usize = 1_600;

/// Sends text messages by one provider.
pub(in crate::connector::notifications) struct ApiTexter {
    sender: ApiSender<String>,
}

impl ApiTexter {
    /// Resolves the secrets. Does not connect yet.
    pub(in crate::connector::notifications) async fn open(
        api: &SmsApi,
        outbound: OutboundRules,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let endpoint = match &api.endpoint {
            Some(text) => Some(expressions.reveal(text.as_written()).await?),
            None => None,
        };
        let public = match &api.service {
            SmsService::Twilio { .. } => "https://api.twilio.com",
            SmsService::Nexmo { .. } => "https://rest.nexmo.com",
            SmsService::Plivo { .. } => "https://api.plivo.com",
        };
        let base = base_url(endpoint.as_deref().unwrap_or(public), "sms.endpoint")?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let from = expressions.reveal(api.sender.as_written()).await?;
        let provider: Box<dyn Provider<String>> = match &api.service {
            SmsService::Twilio {
                account_sid,
                auth_token,
            } => Box::new(twilio::Twilio {
                base,
                account_sid: expressions.reveal(account_sid.as_written()).await?,
                auth_token: secret(auth_token, expressions).await?,
                from,
            }),
            SmsService::Nexmo { api_key, api_secret } => Box::new(nexmo::Nexmo {
                base,
                api_key: expressions.reveal(api_key.as_written()).await?,
                api_secret: secret(api_secret, expressions).await?,
                from,
            }),
            SmsService::Plivo { auth_id, auth_token } => Box::new(plivo::Plivo {
                base,
                auth_id: expressions.reveal(auth_id.as_written()).await?,
                auth_token: secret(auth_token, expressions).await?,
                from,
            }),
        };
        Ok(Self {
            sender: ApiSender::open(provider, &host, outbound).await?,
        })
    }

    /// A text message to these numbers. `key` is the same for all attempts of the run.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with the index of what is no number, and for a text that is empty or too long.
    pub(in crate::connector::notifications) fn message(
        text: String,
        written: Vec<String>,
        key: &str,
    ) -> Result<Batch<String>, Failure> {
        if text.trim().is_empty() {
            return Err(Failure::invalid("input.sms.body: the text becomes empty"));
        }
        if text.chars().count() > MAX_TEXT_CHARS {
            return Err(Failure::invalid(format!(
                "input.sms.body: the text becomes longer than {MAX_TEXT_CHARS} characters"
            )));
        }
        let (channel, list) = ("sms", "recipients");
        Ok(Batch {
            channel,
            list,
            recipients: recipients::read((channel, list), written, key, number)?,
            content: text,
        })
    }

    /// Sends to each recipient without a recorded outcome. Returns all outcomes in the order of recipients.
    pub(in crate::connector::notifications) async fn send(
        &self,
        batch: &Batch<String>,
        history: &DeliveryHistory<'_>,
    ) -> Vec<Delivery> {
        self.sender.send(batch, history).await
    }

    /// Asks whether the credentials are right.
    pub(in crate::connector::notifications) async fn check(&self) -> Result<(), Failure> {
        self.sender.check().await
    }
}

/// Reads a telephone number with its country code, as in `+49 170 1234567`; the `+` may be missing.
fn number(written: &str) -> Result<ReadAddress, &'static str> {
    const WRONG: &str = "must be a telephone number with its country code, as in '+491701234567'";
    let separators = [' ', '-', '.', '(', ')'];
    let plain: String = written.trim().chars().filter(|one| !separators.contains(one)).collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    let is_number = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.starts_with('0') {
        return Err(WRONG);
    }
    Ok(ReadAddress {
        address: format!("+{digits}"),
        name: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_usual_forms() {
        for written in ["+491701234567", "491701234567", " +49 (170) 123-45.67 "] {
            assert_eq!(number(written).map(|read| read.address), Ok("+491701234567".to_owned()));
        }
        for written in [
            "",
            "+",
            "01701234567",
            "+0170123456",
            "12345",
            "+49170x234567",
            "+1234567890123456",
            "+4９1701234567",
        ] {
            assert!(number(written).is_err(), "{written}");
        }
    }

    #[test]
    fn text_is_neither_empty_nor_too_long() {
        let to = || vec!["+491701234567".to_owned()];
        let refused = |text: String| ApiTexter::message(text, to(), "k").err().unwrap().message;
        assert!(refused(" ".into()).contains("empty"));
        assert!(refused("x".repeat(1_601)).contains("longer than 1600"));
        assert!(ApiTexter::message("x".repeat(1_600), to(), "k").is_ok());
        let twice = vec!["+49 170 1234567".to_owned(), "491701234567".to_owned()];
        assert_eq!(
            ApiTexter::message("x".into(), twice, "k")
                .ok()
                .unwrap()
                .recipients
                .len(),
            1
        );
    }
}
