//! Notifications: messages, and the channels that send them.

use super::{HttpAuth, Method, Text};

/// A notification: channels by environment, and the messages sent by them.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Its name within the product.
    pub tag: Box<str>,
    /// Its channels, by environment.
    pub envs: Vec<Channels>,
    /// Its messages.
    pub messages: Vec<Message>,
}

/// The channels of one environment.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Provider of e-mail.
    pub emails: Option<EmailProvider>,
    /// Provider of text messages.
    pub sms: Option<ExternalProvider>,
    /// Provider of push notifications.
    pub push_notifications: Option<ExternalProvider>,
    /// Endpoint of callbacks.
    pub callbacks: Option<Callback>,
}

impl Channels {
    /// The provider of a message that is left to handlers: all of its parts that the environment has a channel for are.
    /// `None`: the package sends at least one of them, or the environment has no channel for any.
    #[must_use]
    pub fn external_provider(&self, message: &Message) -> Option<ExternalProvider> {
        if message.email.is_some() && self.emails.is_some() {
            return None;
        }
        if message.callback.is_some() && self.callbacks.is_some() {
            return None;
        }
        let sms = self.sms.filter(|_| message.sms.is_some());
        let push = self.push_notifications.filter(|_| message.push_notification.is_some());
        sms.or(push)
    }

    /// The provider that is left to handlers and that a job of a message needs, which asks for these channels of it.
    #[must_use]
    pub fn external_provider_of(&self, message: &Message, asked: AskedChannels) -> Option<ExternalProvider> {
        let email = match &self.emails {
            Some(EmailProvider::External(provider)) if asked.email && message.email.is_some() => Some(*provider),
            _ => None,
        };
        let sms = self.sms.filter(|_| asked.sms && message.sms.is_some());
        let has_push = asked.push_notification && message.push_notification.is_some();
        email.or(sms).or(self.push_notifications.filter(|_| has_push))
    }

    /// The first provider that is left to handlers.
    #[must_use]
    pub fn any_external_provider(&self) -> Option<ExternalProvider> {
        self.sms.or(self.push_notifications)
    }
}

/// Channels that a job asks for and that may be left to handlers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedChannels {
    /// E-mail.
    pub email: bool,
    /// Text messages.
    pub sms: bool,
    /// Push notifications.
    pub push_notification: bool,
}

/// Provider of e-mail.
#[derive(Clone, Debug)]
pub enum EmailProvider {
    /// An SMTP server.
    Smtp(Box<Smtp>),
    /// A provider with its own API.
    Api(Box<MailApi>),
}

/// A provider of e-mail with its own API.
#[derive(Clone, Debug)]
pub struct MailApi {
    /// Which one, with its credentials.
    pub service: MailService,
    /// Sender address.
    pub from: Text,
    /// Name of the sender, if `from` has none.
    pub from_name: Option<Text>,
    /// Reply address, if not the sender's.
    pub reply_to: Option<Text>,
    /// Its URL, if not the public one.
    pub endpoint: Option<Text>,
}

/// Providers of e-mail that have their own API, with what they ask for.
#[derive(Clone, Debug)]
pub enum MailService {
    /// Twilio SendGrid.
    SendGrid {
        /// Key of its API.
        api_key: Text,
    },
    /// Mailgun.
    Mailgun {
        /// Key of its API.
        api_key: Text,
        /// The domain that sends.
        domain: Text,
        /// In the European Union.
        europe: bool,
    },
    /// Postmark.
    Postmark {
        /// Token of the server that sends.
        server_token: Text,
    },
    /// Brevo.
    Brevo {
        /// Key of its API.
        api_key: Text,
    },
    /// Amazon SES.
    Ses {
        /// AWS region.
        region: Text,
        /// Id of the access key.
        access_key_id: Text,
        /// The access key.
        secret_access_key: Text,
        /// Token of temporary credentials.
        session_token: Option<Text>,
    },
}

/// A provider that is known by name only and has no connector: its jobs are left to handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalProvider(pub &'static str);

/// How a connection to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// Plain text until `STARTTLS`, which must succeed.
    StartTls,
    /// Plain text.
    None,
}

impl SmtpSecurity {
    /// Its default port.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

/// An SMTP server.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Host name or address.
    pub host: Text,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub security: SmtpSecurity,
    /// User name and password.
    pub credentials: Option<(Text, Text)>,
    /// Sender address.
    pub from: Text,
    /// Reply address, if not the sender's.
    pub reply_to: Option<Text>,
    /// CA certificates in PEM, trusted instead of the system's.
    pub ca: Option<Text>,
}

/// An HTTP endpoint that callbacks are sent to.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Its URL; the path may hold `:params`.
    pub url: Text,
    /// HTTP method.
    pub method: Method,
    /// Credentials of each request.
    pub auth: Option<HttpAuth>,
    /// Headers of each request.
    pub headers: Vec<(Box<str>, Text)>,
}

/// A message: its content for each channel.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name; the `event` of its jobs.
    pub tag: Box<str>,
    /// As e-mail.
    pub email: Option<EmailMessage>,
    /// As text message.
    pub sms: Option<Text>,
    /// As push notification.
    pub push_notification: Option<PushMessage>,
    /// As callback.
    pub callback: Option<CallbackMessage>,
}

/// An e-mail. Its texts are templates.
#[derive(Clone, Debug)]
pub struct EmailMessage {
    /// Its subject.
    pub subject: Text,
    /// Its body in HTML.
    pub template: Text,
    /// Its body in plain text.
    pub text: Option<Text>,
}

/// A push notification. Its texts are templates.
#[derive(Clone, Debug)]
pub struct PushMessage {
    /// Its title.
    pub title: Option<Text>,
    /// Its text.
    pub body: Option<Text>,
    /// JSON object sent with it.
    pub data: Option<Text>,
}

/// Parts of a callback that a job's input is merged into: JSON texts of objects, whose strings are templates.
#[derive(Clone, Debug, Default)]
pub struct CallbackMessage {
    /// Its query.
    pub query: Option<Text>,
    /// Its headers.
    pub headers: Option<Text>,
    /// Its path parameters.
    pub params: Option<Text>,
    /// Its body.
    pub body: Option<Text>,
}
