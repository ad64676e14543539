//! A notification in one environment, with its secrets resolved.
//!
//! The whole input is read, checked and filled into the message before anything is sent; then all channels send
//! concurrently.

use super::callback::{self, CallbackClient, CallbackRequest};
use super::history::{DeliveryHistory, DeliveryOutcome};
use super::input::{Escaping, Input, Values, email_members, fill, object_members, string_list};
use super::outcome::{ChannelOutcome, PartOutcome, overall_result};
use super::providers::{ApiMailer, Batch, MailContent};
use super::resolved::ResolvedMessage;
use super::result::{CallbackResult, NotificationResult, RecipientResult, channel_outcome};
use super::smtp::{Email, Mailer, Texts};
use crate::connector::{Call, Connector, Failure};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{Channels, EmailProvider, ExternalProvider, Message, OutboundRules};
use async_trait::async_trait;
use futures_util::future::join;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// How e-mail is sent.
enum EmailChannel {
    /// Not configured.
    Absent,
    /// By SMTP.
    Server(Box<Mailer>),
    /// By a provider's API.
    Api(Box<ApiMailer>),
}

/// Sends one notification's messages.
pub(super) struct NotificationConnector {
    mail: EmailChannel,
    sms: Option<ExternalProvider>,
    push: Option<ExternalProvider>,
    /// A provider that is left to handlers.
    external: Option<ExternalProvider>,
    caller: Option<CallbackClient>,
    messages: HashMap<Box<str>, ResolvedMessage>,
}

/// What one job sends.
#[derive(Default)]
struct OutgoingMessages {
    email: Option<OutgoingEmail>,
    callback: Option<CallbackRequest>,
}

/// An e-mail, for those who send it.
enum OutgoingEmail {
    Smtp(Box<Email>),
    Api(Batch<MailContent>),
}

impl NotificationConnector {
    /// Resolves the secrets. Does not connect yet.
    pub(super) async fn open(
        channels: &Channels,
        messages: &[Message],
        outbound: OutboundRules,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let mail = match &channels.emails {
            None => EmailChannel::Absent,
            Some(EmailProvider::Smtp(smtp)) => EmailChannel::Server(Box::new(Mailer::open(smtp, expressions).await?)),
            Some(EmailProvider::Api(api)) => {
                EmailChannel::Api(Box::new(ApiMailer::open(api, outbound.clone(), expressions).await?))
            }
        };
        let mut resolved = HashMap::with_capacity(messages.len());
        for message in messages {
            resolved.insert(
                message.tag.clone(),
                ResolvedMessage::resolve(message, expressions).await?,
            );
        }
        Ok(Self {
            mail,
            sms: channels.sms,
            external: channels.any_external_provider(),
            push: channels.push_notifications,
            caller: match &channels.callbacks {
                Some(callback) => Some(CallbackClient::open(callback, outbound, expressions).await?),
                None => None,
            },
            messages: resolved,
        })
    }

    /// Checks the input and fills the message with it.
    fn outgoing(&self, call: &Call<'_>) -> Result<OutgoingMessages, Failure> {
        let message = self
            .messages
            .get(call.event())
            .ok_or_else(|| Failure::invalid("the notification defines no such message"))?;
        let input = Input::read(call.input())?;
        if input.sms.is_some() {
            return Err(self.unavailable_channel("sms", "text messages", message.sms, self.sms));
        }
        if input.push_notification.is_some() {
            return Err(self.unavailable_channel(
                "push_notification",
                "push notifications",
                message.push_notification,
                self.push,
            ));
        }
        let mut outgoing = OutgoingMessages::default();
        if let Some(email) = input.email {
            let values = email_members(email)?;
            outgoing.email = Some(self.email(message, &values, &call.idempotency_key())?);
        }
        if let Some(callback) = input.callback {
            outgoing.callback = Some(self.callback(message, callback, &call.idempotency_key())?);
        }
        if outgoing.email.is_none() && outgoing.callback.is_none() {
            return Err(Failure::invalid(
                "input: names nobody to tell; give it `email` or `callback`",
            ));
        }
        Ok(outgoing)
    }

    fn email(&self, message: &ResolvedMessage, values: &Values<'_>, key: &str) -> Result<OutgoingEmail, Failure> {
        let Some(email) = &message.email else {
            return Err(Failure::invalid("input.email: the message has no `email`"));
        };
        let subject = object_members(values.get("subject").copied(), "input.email.subject")?;
        let body = object_members(values.get("template").copied(), "input.email.template")?;
        let email_texts = Texts {
            subject: fill(&email.subject, &subject, "input.email.subject", Escaping::Line)?,
            html: fill(&email.html, &body, "input.email.template", Escaping::Html)?,
            plain: match &email.plain {
                Some(plain) => Some(fill(plain, &body, "input.email.template", Escaping::Text)?),
                None => None,
            },
        };
        let recipients = string_list(values.get("recipients"), "input.email.recipients")?;
        match &self.mail {
            EmailChannel::Absent => Err(Failure::invalid("input.email: the environment has no `emails`")),
            EmailChannel::Server(mailer) => {
                let email = mailer.email(email_texts, recipients, key)?;
                Ok(OutgoingEmail::Smtp(Box::new(email)))
            }
            EmailChannel::Api(mailer) => Ok(OutgoingEmail::Api(mailer.email(email_texts, recipients, key)?)),
        }
    }

    fn callback(&self, message: &ResolvedMessage, input: &RawValue, key: &str) -> Result<CallbackRequest, Failure> {
        let Some(callback) = &message.callback else {
            return Err(Failure::invalid("input.callback: the message has no `callback`"));
        };
        let Some(caller) = &self.caller else {
            return Err(Failure::invalid("input.callback: the environment has no `callbacks`"));
        };
        caller.callback(callback, input, key)
    }

    /// Why a channel that is left to handlers cannot be used here.
    fn unavailable_channel(
        &self,
        name: &str,
        what: &str,
        has_text: bool,
        provider: Option<ExternalProvider>,
    ) -> Failure {
        match provider {
            _ if !has_text => Failure::invalid(format!("input.{name}: the message has no `{name}`")),
            None => Failure::invalid(format!("input.{name}: the environment sends no {what}")),
            Some(provider) => not_built_in(what, provider),
        }
    }

    async fn send_email(
        &self,
        email: Option<&OutgoingEmail>,
        history: &DeliveryHistory<'_>,
    ) -> Option<(ChannelOutcome, Vec<RecipientResult>)> {
        match (email?, &self.mail) {
            (OutgoingEmail::Smtp(email), EmailChannel::Server(mailer)) => {
                let outcomes = mailer.send(email, history).await;
                let part = |(recipient, outcome): (&super::smtp::Recipient, DeliveryOutcome)| PartOutcome {
                    place: format!("recipients[{}]", recipient.place),
                    outcome,
                };
                let outcome = ChannelOutcome {
                    name: "email",
                    parts: email.recipients().iter().zip(outcomes).map(part).collect(),
                };
                Some((outcome, email.recipients().iter().map(RecipientResult::sent).collect()))
            }
            (OutgoingEmail::Api(batch), EmailChannel::Api(mailer)) => {
                let deliveries = mailer.send(batch, history).await;
                Some(channel_outcome(batch, deliveries))
            }
            _ => None,
        }
    }

    async fn make_call(
        &self,
        callback: Option<&CallbackRequest>,
        history: &DeliveryHistory<'_>,
        call: &Call<'_>,
    ) -> Option<ChannelOutcome> {
        let (Some(callback), Some(caller)) = (callback, &self.caller) else {
            return None;
        };
        let outcome = match history.outcome(callback::CALLBACK_STEP) {
            Some(outcome) => outcome,
            None => {
                let outcome = caller.call(callback, call).await;
                match history.record(callback::CALLBACK_STEP, &outcome).await {
                    Ok(()) => outcome,
                    Err(failure) => DeliveryOutcome::Failed(failure),
                }
            }
        };
        let place = String::new();
        Some(ChannelOutcome {
            name: "callback",
            parts: vec![PartOutcome { place, outcome }],
        })
    }
}

fn not_built_in(what: &str, provider: ExternalProvider) -> Failure {
    Failure::invalid(format!(
        "{what} by {} is not built in yet; register a handler with ductape.notifications.handle for it",
        provider.0
    ))
}

#[async_trait]
impl Connector for NotificationConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let outgoing = self.outgoing(call)?;
        let history = DeliveryHistory::load(call.steps, call.attempt.run.run).await?;
        let (email, callback) = join(
            self.send_email(outgoing.email.as_ref(), &history),
            self.make_call(outgoing.callback.as_ref(), &history, call),
        )
        .await;
        let (email, email_results) = email.unzip();
        let channels: Vec<ChannelOutcome> = email.into_iter().chain(callback).collect();
        overall_result(&channels, &call.attempt.options.retry.clone().unwrap_or_default())?;
        let result = NotificationResult {
            email: email_results,
            callback: outgoing.callback.as_ref().map(|_| CallbackResult { ok: true }),
        };
        serde_json::to_string(&result)
            .map(|text| Some(text.into()))
            .map_err(|_| Failure::unavailable("the result cannot be written as JSON"))
    }

    async fn check(&self) -> Result<(), Failure> {
        match &self.mail {
            EmailChannel::Absent => {}
            EmailChannel::Server(mailer) => mailer.check().await?,
            EmailChannel::Api(mailer) => mailer.check().await?,
        }
        if let Some(caller) = &self.caller {
            caller.check().await?;
        }
        match self.external {
            Some(provider) => Err(Failure::not_built_in("notifications", provider.0)),
            None => Ok(()),
        }
    }

    async fn close(&self) {
        if let EmailChannel::Server(mailer) = &self.mail {
            mailer.close().await;
        }
    }
}
