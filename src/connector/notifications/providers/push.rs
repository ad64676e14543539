//! Push notifications by a provider's API.

use super::expo::Expo;
use super::firebase::Firebase;
use super::mail::secret;
use super::recipients::{self, ReadAddress};
use super::request::base_url;
use super::sender::ApiSender;
use super::{Batch, Delivery, Provider};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::connector::notifications::history::{DeliveryHistory, DeliveryOutcome};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{OutboundRules, PushApi, PushService};
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest token of a device, in characters.
const MAX_TOKEN_CHARS: usize = 4_096;
/// Largest title, body and data together, in bytes: what Apple's and Google's services take.
const MAX_CONTENT_BYTES: usize = 4_096;
/// Receipts asked for at once.
const MAX_RECEIPTS: usize = 1_000;
/// Pauses before receipts are asked for; most are there soon.
const RECEIPT_PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// What a push notification says.
pub(in crate::connector::notifications) struct PushContent {
    pub title: Option<String>,
    pub body: Option<String>,
    pub data: Map<String, Value>,
}

/// Sends push notifications by one provider.
pub(in crate::connector::notifications) struct ApiPusher {
    sender: ApiSender<PushContent>,
}

impl ApiPusher {
    /// Resolves the secrets. Does not connect yet.
    pub(in crate::connector::notifications) async fn open(
        api: &PushApi,
        outbound: OutboundRules,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let endpoint = match &api.endpoint {
            Some(text) => Some(expressions.reveal(text.as_written()).await?),
            None => None,
        };
        let base = |public: &str| base_url(endpoint.as_deref().unwrap_or(public), "push_notifications.endpoint");
        let (url, provider): (_, Box<dyn Provider<PushContent>>) = match &api.service {
            PushService::Expo { access_token } => {
                let base = base("https://exp.host/--/api/v2")?;
                let access_token = match access_token {
                    Some(token) => Some(secret(token, expressions).await?),
                    None => None,
                };
                (base.clone(), Box::new(Expo { base, access_token }))
            }
            PushService::Firebase { credentials } => {
                let base = base("https://fcm.googleapis.com")?;
                let text = credentials.as_written();
                // An object whose texts may hold expressions, or a text that is one.
                let json = if text.starts_with('{') {
                    expressions.reveal_json(text, SystemClock.now()).await?
                } else {
                    expressions.reveal(text).await?
                };
                (base.clone(), Box::new(Firebase::new(base, &json, expressions)?))
            }
        };
        Ok(Self {
            sender: ApiSender::open(provider, url.host_str().unwrap_or_default(), outbound).await?,
        })
    }

    /// A push notification to these devices. `key` is the same for all attempts of the run.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with the index of what is no token, and for content that is too large.
    pub(in crate::connector::notifications) fn message(
        content: PushContent,
        written: Vec<String>,
        key: &str,
    ) -> Result<Batch<PushContent>, Failure> {
        let data = serde_json::to_string(&content.data).map_or(0, |text| text.len());
        let texts = [&content.title, &content.body].into_iter().flatten();
        let size = texts.map(String::len).sum::<usize>() + data;
        if size > MAX_CONTENT_BYTES {
            return Err(Failure::invalid(format!(
                "input.push_notification: title, body and data become larger than {MAX_CONTENT_BYTES} bytes"
            )));
        }
        let (channel, list) = ("push_notification", "device_tokens");
        Ok(Batch {
            channel,
            list,
            recipients: recipients::read((channel, list), written, key, token)?,
            content,
        })
    }

    /// Sends to each device without a recorded outcome, and asks for receipts for at most a quarter of `time`. Returns all
    /// outcomes in the order of devices.
    pub(in crate::connector::notifications) async fn send(
        &self,
        batch: &Batch<PushContent>,
        history: &DeliveryHistory<'_>,
        time: Duration,
    ) -> Vec<Delivery> {
        let mut deliveries = self.sender.send(batch, history).await;
        // Without receipts what was taken counts as sent.
        let _ = tokio::time::timeout(time / 4, self.take_receipts(&mut deliveries)).await;
        deliveries
    }

    /// Asks whether the credentials are right.
    pub(in crate::connector::notifications) async fn check(&self) -> Result<(), Failure> {
        self.sender.check().await
    }

    /// Turns what was taken and not delivered into refusals.
    async fn take_receipts(&self, deliveries: &mut [Delivery]) {
        let provider = &self.sender.provider;
        if provider.receipts(&[]).is_none() {
            return;
        }
        let mut open: Vec<usize> = (0..deliveries.len())
            .filter(|index| {
                let delivery = deliveries.get(*index);
                delivery.is_some_and(|one| one.outcome == DeliveryOutcome::Sent && one.note.id.is_some())
            })
            .collect();
        for pause in RECEIPT_PAUSES {
            if open.is_empty() {
                return;
            }
            tokio::time::sleep(pause).await;
            let mut left = Vec::new();
            for chunk in open.chunks(MAX_RECEIPTS) {
                let ids: Vec<String> = chunk
                    .iter()
                    .filter_map(|index| deliveries.get(*index)?.note.id.clone())
                    .collect();
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let request = || provider.receipts(&ids).ok_or_else(|| Failure::invalid("no receipts"));
                let Ok(answer) = self.sender.exchange(request).await else {
                    left.extend(chunk);
                    continue;
                };
                for (index, id) in chunk.iter().zip(&ids) {
                    match (provider.read_receipt(&answer, id), deliveries.get_mut(*index)) {
                        (Some(Err(refusal)), Some(delivery)) => {
                            delivery.note.dead = refusal.dead;
                            delivery.note.code = Some(refusal.code.clone()).filter(|code| !code.is_empty());
                            let why = format!("{}: {}", provider.name(), refusal.message());
                            delivery.outcome = DeliveryOutcome::Refused(why);
                        }
                        (Some(Ok(())), _) => {}
                        _ => left.push(*index),
                    }
                }
            }
            open = left;
        }
    }
}

/// Reads the token of a device.
fn token(written: &str) -> Result<ReadAddress, &'static str> {
    let token = written.trim();
    if token.is_empty() || token.len() > MAX_TOKEN_CHARS || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be the token of a device, without spaces");
    }
    Ok(ReadAddress {
        address: token.to_owned(),
        name: None,
    })
}
