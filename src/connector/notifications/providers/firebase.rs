//! Firebase Cloud Messaging, HTTP v1:
//! <https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send>.
//!
//! One device for each request. Requests carry an access token of a service account.

use super::answer::{Answer, Outcome, Refusal, all};
use super::push::PushContent;
use super::request::{ApiRequest, at};
use super::sender::REQUEST_TIMEOUT;
use super::{Provider, Recipient};
use crate::connector::Failure;
use crate::connector::google::{Purpose, ServiceAccount, Tokens};
use crate::engine::inputs::ExpressionResolver;
use crate::http::Client;
use async_trait::async_trait;
use reqwest::Url;
use serde_json::{Map, Value, json};

/// What tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

pub(super) struct Firebase {
    base: Url,
    project: String,
    tokens: Tokens,
}

impl Firebase {
    /// `credentials`: a service account, as the console of Firebase gives it.
    pub(super) fn new(base: Url, credentials: &str, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let purpose = Purpose {
            label: "Firebase",
            place: "push_notifications.credentials",
            scope: SCOPE,
            within: REQUEST_TIMEOUT,
        };
        let account = ServiceAccount::read(credentials, purpose, expressions)?;
        let project = account
            .project
            .clone()
            .ok_or_else(|| Failure::invalid("push_notifications.credentials.project_id: is missing"))?;
        Ok(Self {
            base,
            project,
            tokens: Tokens::new(account),
        })
    }

    fn url(&self) -> Url {
        at(&self.base, &["v1", "projects", &self.project, "messages:send"])
    }
}

#[async_trait]
impl Provider<PushContent> for Firebase {
    fn name(&self) -> &'static str {
        "FIREBASE"
    }

    fn request(&self, content: &PushContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let mut message = Map::new();
        message.insert("token".to_owned(), recipient.address.clone().into());
        let mut shown = Map::new();
        for (name, text) in [("title", &content.title), ("body", &content.body)] {
            if let Some(text) = text {
                shown.insert(name.to_owned(), text.clone().into());
            }
        }
        if !shown.is_empty() {
            message.insert("notification".to_owned(), shown.into());
        }
        if !content.data.is_empty() {
            // Firebase takes texts alone.
            let texts = content.data.iter().map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (name.clone(), Value::String(text))
            });
            message.insert("data".to_owned(), texts.collect::<Map<_, _>>().into());
        }
        Ok(ApiRequest::json(self.url(), &json!({ "message": message })))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if answer.is_success() {
            return all(count, Outcome::Sent(answer.text("/name").map(str::to_owned)));
        }
        let text = answer.text("/error/message").unwrap_or_default();
        let code = error_code(answer);
        let refusal = |dead| {
            Outcome::Refused(Refusal {
                dead,
                ..Refusal::new(code, text)
            })
        };
        let outcome = match (code, answer.status) {
            ("UNREGISTERED", _) | (_, 404) => refusal(true),
            ("SENDER_ID_MISMATCH", _) => refusal(false),
            _ => answer.of_one(code, text),
        };
        all(count, outcome)
    }

    /// Checks a message and does not send it.
    fn probe(&self) -> Result<ApiRequest, Failure> {
        let message = json!({ "topic": "check", "notification": { "title": "check" } });
        let body = json!({ "validate_only": true, "message": message });
        Ok(ApiRequest::json(self.url(), &body))
    }

    async fn authorize(&self, client: &Client, request: &mut ApiRequest) -> Result<(), Failure> {
        let token = self.tokens.current(client).await?;
        // It was made of a text.
        let header = token.header.to_str().unwrap_or_default();
        request.headers.push(("authorization", header.to_owned()));
        Ok(())
    }

    fn forget_credentials(&self) -> bool {
        self.tokens.forget(None);
        true
    }
}

/// The code of Firebase, else that of the status.
fn error_code(answer: &Answer) -> &str {
    let details = answer.body.pointer("/error/details").and_then(Value::as_array);
    let code = details
        .into_iter()
        .flatten()
        .find_map(|detail| detail.get("errorCode")?.as_str());
    code.or_else(|| answer.text("/error/status")).unwrap_or_default()
}
