//! A notification in one environment, with its secrets in it.
//!
//! The whole input is read, checked and filled into the message before anything is sent; then all channels go at once.

use super::callback::{self, Caller, Ring};
use super::input::{Input, Into, Values, fill, members, texts};
use super::memory::{Fate, Memory};
use super::outcome::{Channel, Part, judge};
use super::ready::Ready;
use super::smtp::{Letter, Mailer, Texts};
use crate::connector::{Call, Connector, Failure};
use crate::engine::preparation::Preparation;
use crate::resources::{Channels, ForeignProvider, MailProvider, Message};
use async_trait::async_trait;
use futures_util::future::join;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Who takes e-mail.
enum Mail {
    /// Nobody.
    Absent,
    /// A handler.
    Foreign(ForeignProvider),
    /// A mail server.
    Server(Box<Mailer>),
}

/// A notification that can be sent.
pub(super) struct Notifier {
    mail: Mail,
    sms: Option<ForeignProvider>,
    push: Option<ForeignProvider>,
    caller: Option<Caller>,
    messages: HashMap<Box<str>, Ready>,
}

/// What one job sends.
#[derive(Default)]
struct Plan {
    letter: Option<Letter>,
    ring: Option<Ring>,
}

/// What a job's result tells of a recipient.
#[derive(Serialize)]
struct Sent<'a> {
    recipient: &'a str,
    ok: bool,
    message_id: &'a str,
}

/// A job's result.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Vec<Sent<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<Rung>,
}

/// What a job's result tells of a call.
#[derive(Serialize)]
struct Rung {
    ok: bool,
}

impl Notifier {
    /// Puts the secrets in. Connects to nothing yet.
    pub(super) async fn open(
        channels: &Channels,
        messages: &[Message],
        preparation: &Preparation,
    ) -> Result<Self, Failure> {
        let mail = match &channels.emails {
            None => Mail::Absent,
            Some(MailProvider::Foreign(provider)) => Mail::Foreign(*provider),
            Some(MailProvider::Smtp(smtp)) => Mail::Server(Box::new(Mailer::open(smtp, preparation).await?)),
        };
        let mut ready = HashMap::with_capacity(messages.len());
        for message in messages {
            ready.insert(message.tag.clone(), Ready::of(message, preparation).await?);
        }
        Ok(Self {
            mail,
            sms: channels.sms,
            push: channels.push_notifications,
            caller: match &channels.callbacks {
                Some(callback) => Some(Caller::open(callback, preparation).await?),
                None => None,
            },
            messages: ready,
        })
    }

    /// Checks an input, and fills the message with it.
    fn plan(&self, call: &Call<'_>) -> Result<Plan, Failure> {
        let message = self
            .messages
            .get(call.event())
            .ok_or_else(|| Failure::invalid("the notification defines no such message"))?;
        let input = Input::read(call.input())?;
        if input.sms.is_some() {
            return Err(self.foreign("sms", "text messages", message.sms, self.sms));
        }
        if input.push_notification.is_some() {
            return Err(self.foreign(
                "push_notification",
                "push notifications",
                message.push_notification,
                self.push,
            ));
        }
        let mut plan = Plan::default();
        if let Some(email) = input.email {
            let values = members(Some(email), "input.email")?;
            plan.letter = Some(self.letter(message, &values, &call.idempotency_key())?);
        }
        if let Some(callback) = input.callback {
            plan.ring = Some(self.ring(message, callback, &call.idempotency_key())?);
        }
        if plan.letter.is_none() && plan.ring.is_none() {
            return Err(Failure::invalid(
                "input: names nobody to tell; give it `email` or `callback`",
            ));
        }
        Ok(plan)
    }

    fn letter(&self, message: &Ready, values: &Values<'_>, key: &str) -> Result<Letter, Failure> {
        let Some(email) = &message.email else {
            return Err(Failure::invalid("input.email: the message has no `email`"));
        };
        let mailer = match &self.mail {
            Mail::Server(mailer) => mailer,
            Mail::Absent => return Err(Failure::invalid("input.email: the environment has no `emails`")),
            Mail::Foreign(provider) => return Err(not_built_in("e-mail", *provider)),
        };
        let subject = members(values.get("subject").copied(), "input.email.subject")?;
        let body = members(values.get("template").copied(), "input.email.template")?;
        let texts_of = Texts {
            subject: fill(&email.subject, &subject, "input.email.subject", Into::Line)?,
            html: fill(&email.html, &body, "input.email.template", Into::Html)?,
            plain: match &email.plain {
                Some(plain) => Some(fill(plain, &body, "input.email.template", Into::Text)?),
                None => None,
            },
        };
        mailer.letter(
            texts_of,
            texts(values.get("recipients"), "input.email.recipients")?,
            key,
        )
    }

    fn ring(&self, message: &Ready, input: &RawValue, key: &str) -> Result<Ring, Failure> {
        let Some(callback) = &message.callback else {
            return Err(Failure::invalid("input.callback: the message has no `callback`"));
        };
        let Some(caller) = &self.caller else {
            return Err(Failure::invalid("input.callback: the environment has no `callbacks`"));
        };
        caller.ring(callback, input, key)
    }

    /// Why a channel that handlers serve cannot be used here.
    fn foreign(&self, name: &str, what: &str, has_text: bool, provider: Option<ForeignProvider>) -> Failure {
        match provider {
            _ if !has_text => Failure::invalid(format!("input.{name}: the message has no `{name}`")),
            None => Failure::invalid(format!("input.{name}: the environment sends no {what}")),
            Some(provider) => not_built_in(what, provider),
        }
    }

    async fn send_mail(&self, letter: Option<&Letter>, memory: &Memory<'_>) -> Option<Channel> {
        let (Some(letter), Mail::Server(mailer)) = (letter, &self.mail) else {
            return None;
        };
        let fates = mailer.send(letter, memory).await;
        let part = |(recipient, fate): (&super::smtp::Recipient, Fate)| Part {
            place: format!("recipients[{}]", recipient.place),
            fate,
        };
        Some(Channel {
            name: "email",
            parts: letter.recipients().iter().zip(fates).map(part).collect(),
        })
    }

    async fn make_call(&self, ring: Option<&Ring>, memory: &Memory<'_>, call: &Call<'_>) -> Option<Channel> {
        let (Some(ring), Some(caller)) = (ring, &self.caller) else {
            return None;
        };
        let fate = match memory.fate(callback::STEP) {
            Some(fate) => fate,
            None => {
                let fate = caller.call(ring, call).await;
                match memory.record(callback::STEP, &fate).await {
                    Ok(()) => fate,
                    Err(failure) => Fate::Failed(failure),
                }
            }
        };
        let place = String::new();
        Some(Channel {
            name: "callback",
            parts: vec![Part { place, fate }],
        })
    }
}

/// The outcome of each recipient of a job that succeeded.
fn sent(letter: &Letter) -> Vec<Sent<'_>> {
    letter.recipients().iter().map(Sent::of).collect()
}

fn not_built_in(what: &str, provider: ForeignProvider) -> Failure {
    Failure::invalid(format!(
        "{what} by {} is not built in yet; register a handler with ductape.notifications.handle for it",
        provider.0
    ))
}

#[async_trait]
impl Connector for Notifier {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let plan = self.plan(call)?;
        let memory = Memory::of(call.steps, call.attempt.run.run).await?;
        let (email, callback) = join(
            self.send_mail(plan.letter.as_ref(), &memory),
            self.make_call(plan.ring.as_ref(), &memory, call),
        )
        .await;
        let channels: Vec<Channel> = email.into_iter().chain(callback).collect();
        judge(&channels, &call.attempt.options.retry.clone().unwrap_or_default())?;
        let result = Told {
            email: plan.letter.as_ref().map(sent),
            callback: plan.ring.as_ref().map(|_| Rung { ok: true }),
        };
        serde_json::to_string(&result)
            .map(|text| Some(text.into()))
            .map_err(|_| Failure::unavailable("the result cannot be written as JSON"))
    }

    async fn check(&self) -> Result<(), Failure> {
        if let Mail::Server(mailer) = &self.mail {
            mailer.check().await?;
        }
        match &self.caller {
            Some(caller) => caller.check().await,
            None => Ok(()),
        }
    }

    async fn close(&self) {
        if let Mail::Server(mailer) = &self.mail {
            mailer.close().await;
        }
    }
}

impl<'a> Sent<'a> {
    fn of(recipient: &'a super::smtp::Recipient) -> Self {
        Self {
            recipient: &recipient.written,
            ok: true,
            message_id: &recipient.message_id,
        }
    }
}
