//! The result of a job that succeeded: what became of each recipient. Pure.

use super::history::DeliveryOutcome;
use super::outcome::{ChannelOutcome, PartOutcome};
use super::providers::{Batch, Delivery};
use serde::Serialize;

/// A job's result.
#[derive(Serialize)]
pub(super) struct NotificationResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Vec<RecipientResult>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<Vec<RecipientResult>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_notification: Option<Vec<RecipientResult>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackResult>,
}

/// The outcome for one recipient in a job's result.
#[derive(Default, Serialize)]
pub(super) struct RecipientResult {
    pub recipient: String,
    pub ok: bool,
    /// Of an e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The provider's, of a text message or a push notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's code of what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Nothing will ever be delivered to this device again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dead: bool,
}

/// The outcome of a callback in a job's result.
#[derive(Serialize)]
pub(super) struct CallbackResult {
    pub ok: bool,
}

impl RecipientResult {
    /// An e-mail that an SMTP server took.
    pub(super) fn sent(recipient: &super::smtp::Recipient) -> Self {
        Self {
            recipient: recipient.written.clone(),
            ok: true,
            message_id: Some(recipient.message_id.clone()),
            ..Self::default()
        }
    }
}

/// What became of a message that was sent by a provider's API.
///
/// A device that is gone does not fail a push notification that reached others: the result reports it.
pub(super) fn channel_outcome<C>(
    batch: &Batch<C>,
    deliveries: Vec<Delivery>,
) -> (ChannelOutcome, Vec<RecipientResult>) {
    let is_email = batch.channel == "email";
    let reached_some = deliveries.iter().any(|one| one.outcome == DeliveryOutcome::Sent);
    let (mut parts, mut results) = (Vec::new(), Vec::new());
    for (recipient, delivery) in batch.recipients.iter().zip(deliveries) {
        let (message_id, id) = match delivery.note.id {
            id if is_email => (id, None),
            id => (None, id),
        };
        results.push(RecipientResult {
            recipient: recipient.written.clone(),
            ok: delivery.outcome == DeliveryOutcome::Sent,
            message_id,
            id,
            code: delivery.note.code,
            error: match &delivery.outcome {
                DeliveryOutcome::Refused(why) => Some(why.clone()),
                _ => None,
            },
            dead: delivery.note.dead,
        });
        parts.push(PartOutcome {
            place: format!("{}[{}]", batch.list, recipient.place),
            outcome: if delivery.note.dead && reached_some {
                DeliveryOutcome::Sent
            } else {
                delivery.outcome
            },
        });
    }
    let name = batch.channel;
    (ChannelOutcome { name, parts }, results)
}
