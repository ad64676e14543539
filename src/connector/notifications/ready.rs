//! Messages with their secrets in them, and their templates read.

use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::engine::preparation::Preparation;
use crate::resources::{CallbackMessage, MailMessage, Message, Template, Text};

/// A message that can be filled.
pub(super) struct Ready {
    /// By e-mail.
    pub email: Option<ReadyMail>,
    /// Whether it has a text for text messages.
    pub sms: bool,
    /// Whether it has a push notification.
    pub push_notification: bool,
    /// By a call.
    pub callback: Option<ReadyCallback>,
}

/// What a call holds beside what its job gives: JSON texts of objects, whose strings are templates.
#[derive(Default)]
pub(super) struct ReadyCallback {
    /// Its query.
    pub query: Option<String>,
    /// Its headers.
    pub headers: Option<String>,
    /// Its parameters in the path.
    pub params: Option<String>,
    /// Its body.
    pub body: Option<String>,
}

/// An e-mail that can be filled.
pub(super) struct ReadyMail {
    /// Its subject.
    pub subject: Template,
    /// Its text in HTML.
    pub html: Template,
    /// Its text for readers without HTML.
    pub plain: Option<Template>,
}

impl Ready {
    /// Puts the secrets in.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a text that is no template, or names a secret that is missing; what the source of secrets
    /// says.
    pub(super) async fn of(message: &Message, preparation: &Preparation) -> Result<Self, Failure> {
        Ok(Self {
            email: match &message.email {
                Some(email) => Some(ReadyMail::of(email, preparation).await?),
                None => None,
            },
            sms: message.sms.is_some(),
            push_notification: message.push_notification.is_some(),
            callback: match &message.callback {
                Some(callback) => Some(ReadyCallback::of(callback, preparation).await?),
                None => None,
            },
        })
    }
}

impl ReadyMail {
    async fn of(email: &MailMessage, preparation: &Preparation) -> Result<Self, Failure> {
        let plain = match &email.text {
            Some(text) => Some(template("text", text, preparation).await?),
            None => None,
        };
        Ok(Self {
            subject: template("subject", &email.subject, preparation).await?,
            html: template("template", &email.template, preparation).await?,
            plain,
        })
    }
}

impl ReadyCallback {
    async fn of(callback: &CallbackMessage, preparation: &Preparation) -> Result<Self, Failure> {
        let mut ready = Self::default();
        let parts = [
            (&callback.query, &mut ready.query),
            (&callback.headers, &mut ready.headers),
            (&callback.params, &mut ready.params),
            (&callback.body, &mut ready.body),
        ];
        for (text, place) in parts {
            if let Some(text) = text {
                *place = Some(preparation.reveal_json(text.as_written(), SystemClock.now()).await?);
            }
        }
        Ok(ready)
    }
}

async fn template(name: &str, text: &Text, preparation: &Preparation) -> Result<Template, Failure> {
    let text = preparation.reveal(text.as_written()).await?;
    Template::parse(&text).map_err(|why| Failure::invalid(format!("messages.email.{name}: {why}")))
}
