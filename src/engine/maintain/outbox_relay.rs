//! Turns events in the outbox into deliveries: for each webhook that wants one, an ordinary job of the package's own.
//!
//! Knows no HTTP and no secret. Invariants: an event leaves the outbox in the transaction that inserts its deliveries; a
//! transaction inserts a bounded number of them.

use crate::engine::claim::routes::Routes;
use crate::engine::context::Context;
use crate::engine::events::public_event::webhook_payload;
use crate::engine::handler::Level;
use crate::engine::service::{Service, StopSignal};
use crate::error::{ErrorCode, Result};
use crate::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, RetryPolicy, Route};
use crate::store::{RelayedEvent, StoredEvent, Webhook};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// Events read at a time.
const MAX_BATCH_EVENTS: usize = 500;
/// Reads without a pause.
const MAX_ROUNDS: usize = 20;
/// Deliveries inserted in one transaction, about.
const MAX_BATCH_DELIVERIES: usize = 100;
/// Time in which events gather before they are looked for: the looks of a busy store are bounded by it.
const BATCHING_PAUSE: Duration = Duration::from_millis(20);
/// Longest time between two looks. Whoever looks for dead processes sees more often whether events wait.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Attempts after the first: with the delays below, the last one follows about a day after the event.
pub const DELIVERY_RETRIES: u32 = 10;

/// How a delivery is retried: after 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, 6 h and so on, each up to a fifth longer.
#[must_use]
pub fn delivery_retry_policy() -> RetryPolicy {
    RetryPolicy {
        initial_delay: 5_000.0,
        max_delay: 21_600_000.0,
        backoff_multiplier: 4.0,
        jitter: 0.2,
        ..RetryPolicy::default()
    }
}

/// The route of deliveries to a webhook.
#[must_use]
pub fn webhook_route(webhook: &str) -> Route {
    Route {
        namespace: Namespace::Webhooks,
        product: "".into(),
        env: "".into(),
        target: vec![webhook.into()],
    }
}

/// Makes deliveries of what waits in the outbox.
pub struct OutboxRelay {
    context: Context,
    routes: Routes,
    /// Events relayed so far; held while some are.
    relayed: Mutex<usize>,
    /// Somebody has seen events.
    seen: Notify,
}

/// [`OutboxRelay`] as a background task.
pub struct OutboxRelayService(pub Arc<OutboxRelay>);

#[async_trait]
impl Service for OutboxRelayService {
    fn name(&self) -> &'static str {
        "outbox relay"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let context = &self.0.context;
        let mut changes = context.store.changes();
        let mut failing = false;
        while !stop.is_stopping() {
            changes.mark_unchanged();
            context.failpoints.pass("outbox relay");
            match self.0.relay_pending().await {
                Ok(_) => failing = false,
                // Said once: the store's other users are loud enough.
                Err(error) if error.code != ErrorCode::Closed && !std::mem::replace(&mut failing, true) => context.log(
                    Level::Warn,
                    &format!("cannot relay events to webhooks, will try again: {error}"),
                ),
                Err(_) => {}
            }
            let changed = async {
                let _ = changes.changed().await;
                tokio::time::sleep(BATCHING_PAUSE).await;
            };
            tokio::select! {
                () = stop.stopped() => {}
                () = changed => {}
                () = self.0.seen.notified() => {}
                () = tokio::time::sleep(MAX_PAUSE) => {}
            }
        }
    }
}

impl OutboxRelay {
    /// Has relayed nothing yet.
    #[must_use]
    pub fn new(context: Context, routes: Routes) -> Self {
        Self {
            context,
            routes,
            relayed: Mutex::default(),
            seen: Notify::new(),
        }
    }

    /// Somebody has seen events that wait.
    pub fn events_wait(&self) {
        self.seen.notify_one();
    }

    /// How many events this process has relayed so far.
    pub async fn relayed(&self) -> usize {
        *self.relayed.lock().await
    }

    /// Relays what waits, up to a bound; returns how many events this process has relayed so far. Two equal answers: between
    /// them nobody here has made a delivery, and at the second none was left to be made.
    ///
    /// # Errors
    /// What the store says.
    pub async fn relay_pending(&self) -> Result<usize> {
        let mut total = self.relayed.lock().await;
        for _ in 0..MAX_ROUNDS {
            let events = self.context.store.outbox(MAX_BATCH_EVENTS).await?;
            if events.is_empty() {
                break;
            }
            *total += self.relay_events(&events).await?;
        }
        Ok(*total)
    }

    async fn relay_events(&self, events: &[StoredEvent]) -> Result<usize> {
        let (store, now) = (&self.context.store, self.context.now());
        let webhooks = store.webhooks().await?;
        let (mut counted, mut batch, mut size) = (0, Vec::new(), 0);
        for event in events {
            let relayed = self.deliveries_of(event, &webhooks).await;
            size += relayed.deliveries.len();
            batch.push(relayed);
            if size >= MAX_BATCH_DELIVERIES {
                counted += store.relay(std::mem::take(&mut batch), now).await?;
                size = 0;
            }
        }
        if !batch.is_empty() {
            counted += store.relay(batch, now).await?;
        }
        Ok(counted)
    }

    async fn deliveries_of(&self, event: &StoredEvent, webhooks: &[Webhook]) -> RelayedEvent {
        let route = self.routes.find(event.route).await;
        let payload: Box<str> = webhook_payload(event, route.as_deref()).into();
        let wanting = webhooks
            .iter()
            .filter(|webhook| webhook.disabled_at.is_none() && webhook.events.has(event.kind));
        RelayedEvent {
            event: event.seq,
            deliveries: wanting
                .map(|webhook| delivery(webhook, event, payload.clone()))
                .collect(),
        }
    }
}

fn delivery(webhook: &Webhook, event: &StoredEvent, payload: Box<str>) -> NewJob {
    NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Return,
        route: webhook_route(&webhook.id).into(),
        priority: 0,
        due: Some(event.at),
        created: event.at,
        retries: DELIVERY_RETRIES,
        options: JobOptions {
            retry: Some(delivery_retry_policy()),
            ..JobOptions::default()
        },
        input: payload,
        input_digest: None,
        recurrence: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_about_a_day() {
        let policy = delivery_retry_policy();
        let hours = |random| {
            (1..=DELIVERY_RETRIES)
                .map(|retry| policy.delay(retry, random))
                .sum::<i64>() as f64
                / 3_600_000.0
        };
        assert!((20.0..30.0).contains(&hours(0.0)) && hours(1.0) < 36.0);
        assert_eq!(policy.delay(1, 0.0), 5_000);
    }
}
