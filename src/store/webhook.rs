//! Webhooks and the events that wait to be delivered to them.
//!
//! Invariant, for every store: while a webhook wants a kind of event, each change of that kind appends exactly one row to
//! the outbox, in the transaction of the change; while none does, no row is written. Which change is which event: see
//! [`WebhookStore::outbox`]. Jobs of an internal namespace raise no events.

use super::{RouteId, Unreadable};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{EventKind, EventMask, JobId, NewJob, RunError, Status, WebhookSecret};
use async_trait::async_trait;

/// Number of an event in the outbox; grows with the order of the changes.
pub type EventSeq = i64;

/// A webhook to set.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its public id, if its URL is new.
    pub id: Box<str>,
    /// Where deliveries go; one URL is one webhook.
    pub url: Box<str>,
    /// Which events.
    pub events: EventMask,
    /// What signs them.
    pub secret: WebhookSecret,
}

/// A webhook, with how its deliveries went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its public id.
    pub id: Box<str>,
    /// Where deliveries go.
    pub url: Box<str>,
    /// Which events.
    pub events: EventMask,
    /// What signs them.
    pub secret: WebhookSecret,
    /// When it was first set.
    pub created_at: Millis,
    /// When it was last set; later each time.
    pub updated_at: Millis,
    /// When a delivery last arrived.
    pub delivered_at: Option<Millis>,
    /// When an attempt to deliver last failed.
    pub failed_at: Option<Millis>,
    /// Why it did.
    pub last_error: Option<Box<str>>,
    /// Deliveries given up since it was first set.
    pub failed_count: i64,
    /// Since when it wants nothing any more: its receiver said that it is gone.
    pub disabled_at: Option<Millis>,
    /// Why `secret` is not the secret: it is encrypted and this process cannot read it.
    pub unreadable: Option<Unreadable>,
}

/// What a `set` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookSet {
    /// It is set, and as follows.
    Done(Webhook),
    /// Its URL is new, and there are as many webhooks as there may be.
    Full,
}

/// What came of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryReport {
    /// It arrived.
    Delivered,
    /// It did not.
    Failed {
        /// Why.
        error: Box<str>,
        /// No other attempt follows.
        given_up: bool,
        /// The receiver is gone for good: the webhook is disabled, unless it was set again after it was set at this time
        /// ([`Webhook::updated_at`]).
        gone: Option<Millis>,
    },
}

/// An event that waits to be relayed.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its number.
    pub seq: EventSeq,
    /// What happened.
    pub kind: EventKind,
    /// When, wall time.
    pub at: Millis,
    /// The job's public id.
    pub id: JobId,
    /// Where the job goes.
    pub route: RouteId,
    /// The job's state after the change.
    pub status: Status,
    /// When the run of the event is (was) due, else as [`super::JobRecord::scheduled_at`].
    pub scheduled_at: Millis,
    /// Runs of the job that had ended.
    pub execution_count: i64,
    /// Why the run failed; without its stack.
    pub error: Option<RunError>,
}

/// An event with what is to be delivered of it: one job for each webhook that wants it.
#[derive(Clone, Debug)]
pub struct RelayedEvent {
    /// The event.
    pub event: EventSeq,
    /// The jobs. Each has an id of its own that no other job has.
    pub deliveries: Vec<NewJob>,
}

/// What a store does for webhooks.
#[async_trait]
pub trait WebhookStore {
    /// Makes a webhook, or changes the one with this URL: events and secret are replaced, and it is enabled if it was
    /// disabled. `most`: how many there may be. Synced under full durability. Changes from the commit on count: those of
    /// every process, whatever it had read before.
    async fn set_webhook(&self, webhook: NewWebhook, most: usize, now: Millis) -> Result<WebhookSet>;

    /// All webhooks, oldest first.
    async fn webhooks(&self) -> Result<Vec<Webhook>>;

    /// Takes away the webhook with this id or URL; `false`: there is none. Synced under full durability.
    async fn delete_webhook(&self, id_or_url: &str) -> Result<bool>;

    /// Notes how an attempt to deliver to a webhook went; one that was taken away is passed over.
    async fn note_delivery(&self, id: &str, report: DeliveryReport, now: Millis) -> Result<()>;

    /// The oldest events that wait to be relayed, at most `limit`, in order.
    ///
    /// | event | change |
    /// |---|---|
    /// | `Scheduled` | an insert that made or replaced a job, unless it was made without a run to come; a reschedule; a retry on request |
    /// | `Started` | each claimed run |
    /// | `Completed`, `Failed` | the last attempt of a run, also one that failed as `CRASHED` by [`recover`](super::Store::recover) |
    /// | `Cancelled` | a change after which the job is cancelled |
    /// | `Paused`, `Resumed` | the change of that name |
    ///
    /// `at` is the `now` of the verb, for the end of a run its `ended_at`; state and count are as the verb left them.
    async fn outbox(&self, limit: usize) -> Result<Vec<StoredEvent>>;

    /// Takes events out of the outbox and inserts what is to be delivered of them, in one transaction. An event that is
    /// no longer there (another process relayed it) is passed over with its deliveries. Returns how many counted.
    async fn relay(&self, relayed: Vec<RelayedEvent>, now: Millis) -> Result<usize>;
}
