//! Ways to tell people and programs something.

use super::{HttpAuth, Method, Text};

/// Ways to tell people and programs something: channels by environment, and messages that go by them.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Its name within the product.
    pub tag: Box<str>,
    /// What it sends with, by environment.
    pub envs: Vec<Channels>,
    /// What it sends.
    pub messages: Vec<Message>,
}

/// The channels of one environment.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Who takes e-mail.
    pub emails: Option<EmailProvider>,
    /// Who takes text messages.
    pub sms: Option<ExternalProvider>,
    /// Who takes push notifications.
    pub push_notifications: Option<ExternalProvider>,
    /// Which program is called.
    pub callbacks: Option<Callback>,
}

/// Who takes e-mail.
#[derive(Clone, Debug)]
pub enum EmailProvider {
    /// A mail server.
    Smtp(Box<Smtp>),
    /// A provider with an interface of its own.
    External(ExternalProvider),
}

/// A provider that is known by name and not built in: its jobs are done by handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalProvider(pub &'static str);

/// How a connection to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// In the clear until `STARTTLS`, which must succeed.
    StartTls,
    /// In the clear.
    None,
}

impl SmtpSecurity {
    /// The port that goes with it.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Its name or address.
    pub host: Text,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub security: SmtpSecurity,
    /// User name and password.
    pub credentials: Option<(Text, Text)>,
    /// Who sends.
    pub from: Text,
    /// Who gets answers, if not the sender.
    pub reply_to: Option<Text>,
    /// Certificates in PEM of those who may vouch for the server, instead of the public ones.
    pub ca: Option<Text>,
}

/// A program that is called by HTTP.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Where it is; may hold `:params` in its path.
    pub url: Text,
    /// Method of HTTP.
    pub method: Method,
    /// How calls are authorised.
    pub auth: Option<HttpAuth>,
    /// Headers of each call.
    pub headers: Vec<(Box<str>, Text)>,
}

/// A message: what is sent by each channel.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name; the `event` of its jobs.
    pub tag: Box<str>,
    /// By e-mail.
    pub email: Option<EmailMessage>,
    /// By text message.
    pub sms: Option<Text>,
    /// By push notification.
    pub push_notification: Option<PushMessage>,
    /// By a call.
    pub callback: Option<CallbackMessage>,
}

/// An e-mail. Its texts are templates.
#[derive(Clone, Debug)]
pub struct EmailMessage {
    /// Its subject.
    pub subject: Text,
    /// Its text in HTML.
    pub template: Text,
    /// Its text for readers without HTML.
    pub text: Option<Text>,
}

/// A push notification. Its texts are templates.
#[derive(Clone, Debug)]
pub struct PushMessage {
    /// Its title.
    pub title: Option<Text>,
    /// Its text.
    pub body: Option<Text>,
    /// JSON text of the object that goes with it.
    pub data: Option<Text>,
}

/// What a call holds beside what its job gives: JSON texts of objects, whose strings are templates.
#[derive(Clone, Debug, Default)]
pub struct CallbackMessage {
    /// Its query.
    pub query: Option<Text>,
    /// Its headers.
    pub headers: Option<Text>,
    /// Its parameters in the path.
    pub params: Option<Text>,
    /// Its body.
    pub body: Option<Text>,
}
