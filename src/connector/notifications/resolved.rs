//! Messages with their secrets resolved and their templates parsed.

use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{CallbackMessage, EmailMessage, Message, PushMessage, Template, Text};

/// A message that is ready to be filled.
pub(super) struct ResolvedMessage {
    /// As e-mail.
    pub email: Option<ResolvedEmail>,
    /// As text message.
    pub sms: Option<Template>,
    /// As push notification.
    pub push_notification: Option<ResolvedPush>,
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

/// A push notification that is ready to be filled.
pub(super) struct ResolvedPush {
    /// Its title.
    pub title: Option<Template>,
    /// Its text.
    pub body: Option<Template>,
    /// JSON text of an object, whose strings are templates.
    pub data: Option<String>,
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
            sms: optional("sms", message.sms.as_ref(), expressions).await?,
            push_notification: match &message.push_notification {
                Some(push) => Some(ResolvedPush::resolve(push, expressions).await?),
                None => None,
            },
            callback: match &message.callback {
                Some(callback) => Some(ResolvedCallback::resolve(callback, expressions).await?),
                None => None,
            },
        })
    }
}

impl ResolvedEmail {
    async fn resolve(email: &EmailMessage, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        Ok(Self {
            subject: template("email.subject", &email.subject, expressions).await?,
            html: template("email.template", &email.template, expressions).await?,
            plain: optional("email.text", email.text.as_ref(), expressions).await?,
        })
    }
}

impl ResolvedPush {
    async fn resolve(push: &PushMessage, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        Ok(Self {
            title: optional("push_notification.title", push.title.as_ref(), expressions).await?,
            body: optional("push_notification.body", push.body.as_ref(), expressions).await?,
            data: match &push.data {
                Some(data) => Some(expressions.reveal_json(data.as_written(), SystemClock.now()).await?),
                None => None,
            },
        })
    }
}

impl ResolvedCallback {
    /// Resolves the secrets.
    pub(super) async fn resolve(callback: &CallbackMessage, expressions: &ExpressionResolver) -> Result<Self, Failure> {
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

async fn optional(
    name: &str,
    text: Option<&Text>,
    expressions: &ExpressionResolver,
) -> Result<Option<Template>, Failure> {
    match text {
        Some(text) => Ok(Some(template(name, text, expressions).await?)),
        None => Ok(None),
    }
}

async fn template(name: &str, text: &Text, expressions: &ExpressionResolver) -> Result<Template, Failure> {
    let text = expressions.reveal(text.as_written()).await?;
    Template::parse(&text).map_err(|why| Failure::invalid(format!("messages.{name}: {why}")))
}
