//! Mailgun: <https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages>. Pure.
//!
//! One recipient for each request: with several, Mailgun fills `%recipient.…%` in texts, which must stay as they are.

use super::answer::{Answer, Outcome, all};
use super::mail::{MailContent, Sender};
use super::request::{ApiRequest, at};
use super::{Provider, Recipient};
use crate::connector::Failure;
use reqwest::Url;

pub(super) struct Mailgun {
    pub base: Url,
    pub api_key: String,
    pub domain: String,
    pub sender: Sender,
}

impl Provider<MailContent> for Mailgun {
    fn name(&self) -> &'static str {
        "mailgun"
    }

    fn request(&self, content: &MailContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let to = match &recipient.name {
            Some(name) => format!("\"{name}\" <{}>", recipient.address),
            None => recipient.address.clone(),
        };
        let from = self.sender.from.to_string();
        let reply_to = self.sender.reply_to.as_ref().map(ToString::to_string);
        // The same for all attempts: many mail systems drop the second one.
        let message_id = format!("<{}@{}>", recipient.key_text(), content.domain);
        let mut members = vec![
            ("from", &*from),
            ("to", &*to),
            ("subject", &*content.texts.subject),
            ("html", &*content.texts.html),
            ("h:Message-Id", &*message_id),
        ];
        if let Some(plain) = &content.texts.plain {
            members.push(("text", plain));
        }
        if let Some(reply_to) = &reply_to {
            members.push(("h:Reply-To", reply_to));
        }
        let url = at(&self.base, &["v3", &self.domain, "messages"]);
        Ok(ApiRequest::form(url, &members).basic("api", &self.api_key))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if answer.is_success() {
            return all(count, Outcome::Sent(answer.text("/id").map(str::to_owned)));
        }
        let text = answer.text("/message").unwrap_or_default();
        all(count, answer.of_one("", text))
    }

    fn probe(&self) -> Result<ApiRequest, Failure> {
        let url = at(&self.base, &["v4", "domains", &self.domain]);
        Ok(ApiRequest::get(url).basic("api", &self.api_key))
    }

    /// A key that may only send must not ask for the domain.
    fn is_known_by(&self, answer: &Answer) -> bool {
        answer.status == 403
    }
}
