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
    pub callback: Option<CallbackResult>,
}

/// The outcome for one recipient in a job's result.
#[derive(Serialize)]
pub(super) struct RecipientResult {
    pub recipient: String,
    pub ok: bool,
    /// Of an e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
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
        }
    }
}

/// What became of a message that was sent by a provider's API.
pub(super) fn channel_outcome<C>(
    batch: &Batch<C>,
    deliveries: Vec<Delivery>,
) -> (ChannelOutcome, Vec<RecipientResult>) {
    let (mut parts, mut results) = (Vec::new(), Vec::new());
    for (recipient, delivery) in batch.recipients.iter().zip(deliveries) {
        results.push(RecipientResult {
            recipient: recipient.written.clone(),
            ok: delivery.outcome == DeliveryOutcome::Sent,
            message_id: delivery.note.id,
        });
        parts.push(PartOutcome {
            place: format!("{}[{}]", batch.list, recipient.place),
            outcome: delivery.outcome,
        });
    }
    let name = batch.channel;
    (ChannelOutcome { name, parts }, results)
}
