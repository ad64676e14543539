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
    pub sms: Option<SmsApi>,
    /// Provider of push notifications.
    pub push_notifications: Option<PushApi>,
    /// Endpoint of callbacks.
    pub callbacks: Option<Callback>,
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

/// A provider of text messages.
#[derive(Clone, Debug)]
pub struct SmsApi {
    /// Which one, with its credentials.
    pub service: SmsService,
    /// Number or name of the sender.
    pub sender: Text,
    /// Its URL, if not the public one.
    pub endpoint: Option<Text>,
}

/// Providers of text messages, with what they ask for.
#[derive(Clone, Debug)]
pub enum SmsService {
    /// Twilio.
    Twilio {
        /// Id of the account.
        account_sid: Text,
        /// Its token.
        auth_token: Text,
    },
    /// Vonage, which was Nexmo.
    Nexmo {
        /// Key of its API.
        api_key: Text,
        /// The secret that goes with it.
        api_secret: Text,
    },
    /// Plivo.
    Plivo {
        /// Id of the account.
        auth_id: Text,
        /// Its token.
        auth_token: Text,
    },
}

/// A provider of push notifications.
#[derive(Clone, Debug)]
pub struct PushApi {
    /// Which one, with its credentials.
    pub service: PushService,
    /// Its URL, if not the public one.
    pub endpoint: Option<Text>,
}

/// Providers of push notifications, with what they ask for.
#[derive(Clone, Debug)]
pub enum PushService {
    /// Expo.
    Expo {
        /// For projects that ask for one.
        access_token: Option<Text>,
    },
    /// Firebase Cloud Messaging.
    Firebase {
        /// JSON text of a service account, or an expression that is one.
        credentials: Text,
    },
}

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
    /// Credentials as parts of each request, which nothing of a job replaces.
    pub auth_parts: CallbackMessage,
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
