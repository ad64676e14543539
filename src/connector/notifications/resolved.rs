//! Messages with their secrets resolved and their templates parsed.

use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{CallbackMessage, EmailMessage, Message, Template, Text};

/// A message that is ready to be filled.
pub(super) struct ResolvedMessage {
    /// As e-mail.
    pub email: Option<ResolvedEmail>,
    /// Whether it has content for text messages.
    pub sms: bool,
    /// Whether it has content for push notifications.
    pub push_notification: bool,
    /// As callback.
    pub callback: Option<ResolvedCallback>,
}

/// Parts of a callback that a job's input is merged into: JSON texts of objects, whose strings are templates.
#[derive(Default)]
pub(super) struct ResolvedCallback {
    /// Its query.
    pub query: Option<String>,
    /// Its headers.
    pub headers: Option<String>,
    /// Its path parameters.
    pub params: Option<String>,
    /// Its body.
    pub body: Option<String>,
}

/// An e-mail that is ready to be filled.
pub(super) struct ResolvedEmail {
    /// Its subject.
    pub subject: Template,
    /// Its body in HTML.
    pub html: Template,
    /// Its body in plain text.
    pub plain: Option<Template>,
}

impl ResolvedMessage {
    /// Resolves the secrets and parses the templates.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a text that is no valid template or names a missing secret; errors of the source of secrets.
    pub(super) async fn resolve(message: &Message, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        Ok(Self {
            email: match &message.email {
                Some(email) => Some(ResolvedEmail::resolve(email, expressions).await?),
                None => None,
            },
            sms: message.sms.is_some(),
            push_notification: message.push_notification.is_some(),
            callback: match &message.callback {
                Some(callback) => Some(ResolvedCallback::resolve(callback, expressions).await?),
                None => None,
            },
        })
    }
}

impl ResolvedEmail {
    async fn resolve(email: &EmailMessage, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let plain = match &email.text {
            Some(text) => Some(template("text", text, expressions).await?),
            None => None,
        };
        Ok(Self {
            subject: template("subject", &email.subject, expressions).await?,
            html: template("template", &email.template, expressions).await?,
            plain,
        })
    }
}

impl ResolvedCallback {
    async fn resolve(callback: &CallbackMessage, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let mut resolved = Self::default();
        let parts = [
            (&callback.query, &mut resolved.query),
            (&callback.headers, &mut resolved.headers),
            (&callback.params, &mut resolved.params),
            (&callback.body, &mut resolved.body),
        ];
        for (text, place) in parts {
            if let Some(text) = text {
                *place = Some(expressions.reveal_json(text.as_written(), SystemClock.now()).await?);
            }
        }
        Ok(resolved)
    }
}

async fn template(name: &str, text: &Text, expressions: &ExpressionResolver) -> Result<Template, Failure> {
    let text = expressions.reveal(text.as_written()).await?;
    Template::parse(&text).map_err(|why| Failure::invalid(format!("messages.email.{name}: {why}")))
}
