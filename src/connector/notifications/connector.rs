//! A notification in one environment, with its secrets resolved.
//!
//! The whole input is read, checked and filled into the message before anything is sent; then all channels send
//! concurrently.

use super::callback::{self, CallbackClient, CallbackRequest};
use super::history::{DeliveryHistory, DeliveryOutcome};
use super::input::{
    Escaping, Input, Values, email_members, fill, object_members, push_members, sms_members, string_list, text_of,
};
use super::outcome::{ChannelOutcome, PartOutcome, overall_result};
use super::providers::{ApiMailer, ApiPusher, ApiTexter, Batch, MailContent, PushContent};
use super::resolved::ResolvedMessage;
use super::result::{CallbackResult, NotificationResult, RecipientResult, channel_outcome};
use super::smtp::{Email, Mailer, Texts};
use crate::connector::{Call, Connector, Failure};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{Channels, EmailProvider, Message, OutboundRules};
use async_trait::async_trait;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Most recipients of one job: a run may have a thousand steps, and each recipient takes one, or two after a manual retry.
const MAX_RECIPIENTS: usize = 490;

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
    sms: Option<ApiTexter>,
    push: Option<ApiPusher>,
    caller: Option<CallbackClient>,
    messages: HashMap<Box<str>, ResolvedMessage>,
}

/// What one job sends.
#[derive(Default)]
struct OutgoingMessages {
    email: Option<OutgoingEmail>,
    sms: Option<Batch<String>>,
    push: Option<Batch<PushContent>>,
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
            sms: match &channels.sms {
                Some(api) => Some(ApiTexter::open(api, outbound.clone(), expressions).await?),
                None => None,
            },
            push: match &channels.push_notifications {
                Some(api) => Some(ApiPusher::open(api, outbound.clone(), expressions).await?),
                None => None,
            },
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
        let mut outgoing = OutgoingMessages::default();
        if let Some(email) = input.email {
            let values = email_members(email)?;
            outgoing.email = Some(self.email(message, &values, &call.idempotency_key())?);
        }
        if let Some(callback) = input.callback {
            outgoing.callback = Some(self.callback(message, callback, &call.idempotency_key())?);
        }
        if let Some(sms) = input.sms {
            outgoing.sms = Some(self.sms(message, &sms_members(sms)?, &call.idempotency_key())?);
        }
        if let Some(push) = input.push_notification {
            outgoing.push = Some(self.push(message, &push_members(push)?, &call.idempotency_key())?);
        }
        outgoing.check()?;
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

    fn sms(&self, message: &ResolvedMessage, values: &Values<'_>, key: &str) -> Result<Batch<String>, Failure> {
        const PATH: &str = "input.sms";
        let Some(template) = &message.sms else {
            return Err(Failure::invalid("input.sms: the message has no `sms`"));
        };
        if self.sms.is_none() {
            return Err(Failure::invalid("input.sms: the environment has no `sms`"));
        }
        let text = text_of(Some(template), values, "body", PATH)?.unwrap_or_default();
        let recipients = string_list(values.get("recipients"), "input.sms.recipients")?;
        ApiTexter::message(text, recipients, key)
    }

    fn push(&self, message: &ResolvedMessage, values: &Values<'_>, key: &str) -> Result<Batch<PushContent>, Failure> {
        const PATH: &str = "input.push_notification";
        let Some(push) = &message.push_notification else {
            return Err(Failure::invalid(format!(
                "{PATH}: the message has no `push_notification`"
            )));
        };
        if self.push.is_none() {
            return Err(Failure::invalid(format!(
                "{PATH}: the environment has no `push_notifications`"
            )));
        }
        let data = callback::request_part(
            push.data.as_deref(),
            values.get("data").copied(),
            "input.push_notification.data",
        )?;
        let content = PushContent {
            title: text_of(push.title.as_ref(), values, "title", PATH)?,
            body: text_of(push.body.as_ref(), values, "body", PATH)?,
            data: serde_json::from_str(&data)
                .map_err(|_| Failure::invalid("input.push_notification.data: must be an object"))?,
        };
        let tokens = string_list(values.get("device_tokens"), "input.push_notification.device_tokens")?;
        ApiPusher::message(content, tokens, key)
    }

    async fn send_sms(
        &self,
        batch: Option<&Batch<String>>,
        history: &DeliveryHistory<'_>,
    ) -> Option<(ChannelOutcome, Vec<RecipientResult>)> {
        let (batch, texter) = (batch?, self.sms.as_ref()?);
        Some(channel_outcome(batch, texter.send(batch, history).await))
    }

    async fn send_push(
        &self,
        batch: Option<&Batch<PushContent>>,
        history: &DeliveryHistory<'_>,
        call: &Call<'_>,
    ) -> Option<(ChannelOutcome, Vec<RecipientResult>)> {
        let (batch, pusher) = (batch?, self.push.as_ref()?);
        Some(channel_outcome(
            batch,
            pusher.send(batch, history, call.timeout()).await,
        ))
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

impl OutgoingMessages {
    /// Refuses a job that tells nobody, or more than its run can remember.
    fn check(&self) -> Result<(), Failure> {
        let email = match &self.email {
            Some(OutgoingEmail::Smtp(email)) => email.recipients().len(),
            Some(OutgoingEmail::Api(batch)) => batch.recipients.len(),
            None => 0,
        };
        let sms = self.sms.as_ref().map_or(0, |batch| batch.recipients.len());
        let push = self.push.as_ref().map_or(0, |batch| batch.recipients.len());
        match email + sms + push {
            0 if self.callback.is_none() => Err(Failure::invalid(
                "input: names nobody to tell; give it `email`, `sms`, `push_notification` or `callback`",
            )),
            all if all > MAX_RECIPIENTS => Err(Failure::invalid(format!(
                "input: must have at most {MAX_RECIPIENTS} recipients in all channels together, got {all}; dispatch \
                 several jobs"
            ))),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Connector for NotificationConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let outgoing = self.outgoing(call)?;
        let history = DeliveryHistory::load(call.steps, call.attempt.run.run).await?;
        let (email, sms, push, callback) = tokio::join!(
            self.send_email(outgoing.email.as_ref(), &history),
            self.send_sms(outgoing.sms.as_ref(), &history),
            self.send_push(outgoing.push.as_ref(), &history, call),
            self.make_call(outgoing.callback.as_ref(), &history, call),
        );
        let ((email, email_results), (sms, sms_results)) = (email.unzip(), sms.unzip());
        let (push, push_results) = push.unzip();
        let channels: Vec<ChannelOutcome> = [email, sms, push, callback].into_iter().flatten().collect();
        overall_result(&channels, &call.attempt.options.retry.clone().unwrap_or_default())?;
        let result = NotificationResult {
            email: email_results,
            sms: sms_results,
            push_notification: push_results,
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
        if let Some(texter) = &self.sms {
            texter.check().await?;
        }
        if let Some(pusher) = &self.push {
            pusher.check().await?;
        }
        Ok(())
    }

    async fn close(&self) {
        if let EmailChannel::Server(mailer) = &self.mail {
            mailer.close().await;
        }
    }
}
