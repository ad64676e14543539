//! Turns events in the outbox into deliveries: for each webhook that wants one, an ordinary job of the package's own.
//!
//! Knows no HTTP and no secret. Invariants: an event leaves the outbox in the transaction that inserts its deliveries; a
//! transaction inserts a bounded number of them.

use super::handler::Level;
use super::public_event::webhook_payload;
use super::worker::Engine;
use crate::error::{ErrorCode, Result};
use crate::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, RetryPolicy, Route};
use crate::store::{RelayedEvent, StoredEvent, Webhook};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Events read at a time.
const MAX_BATCH_EVENTS: usize = 500;
/// Reads without a pause.
const MAX_ROUNDS: usize = 20;
/// Deliveries inserted in one transaction, about.
const MAX_BATCH_DELIVERIES: usize = 100;
/// Time in which events gather before they are looked for: the looks of a busy store are bounded by it.
const BATCHING_PAUSE: Duration = Duration::from_millis(20);
/// Longest time between two looks.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

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

/// Relays until told to stop.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut changes = engine.store.changes();
    let mut failing = false;
    while !*stop.borrow_and_update() {
        changes.mark_unchanged();
        match relay_pending(&engine).await {
            Ok(_) => failing = false,
            Err(error) if error.code == ErrorCode::Closed => return,
            // Said once: the store's other users are loud enough.
            Err(error) if !std::mem::replace(&mut failing, true) => engine.logger.log(
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
            _ = stop.changed() => {}
            () = changed => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}

/// Relays what waits, up to a bound; returns how many events this process has relayed so far. Two equal answers: between
/// them nobody here has made a delivery, and at the second none was left to be made.
pub(super) async fn relay_pending(engine: &Engine) -> Result<usize> {
    let mut total = engine.relayed_count.lock().await;
    for _ in 0..MAX_ROUNDS {
        let events = engine.store.outbox(MAX_BATCH_EVENTS).await?;
        if events.is_empty() {
            break;
        }
        *total += relay_events(engine, &events).await?;
    }
    Ok(*total)
}

async fn relay_events(engine: &Engine, events: &[StoredEvent]) -> Result<usize> {
    let now = engine.clock.now();
    let webhooks = engine.store.webhooks().await?;
    let (mut counted, mut batch, mut size) = (0, Vec::new(), 0);
    for event in events {
        let relayed = deliveries_of(engine, event, &webhooks).await?;
        size += relayed.deliveries.len();
        batch.push(relayed);
        if size >= MAX_BATCH_DELIVERIES {
            counted += engine.store.relay(std::mem::take(&mut batch), now).await?;
            size = 0;
        }
    }
    if !batch.is_empty() {
        counted += engine.store.relay(batch, now).await?;
    }
    Ok(counted)
}

async fn deliveries_of(engine: &Engine, event: &StoredEvent, webhooks: &[Webhook]) -> Result<RelayedEvent> {
    let route = engine.route_of(event.route).await;
    let payload: Box<str> = webhook_payload(event, route.as_deref()).into();
    let wanting = webhooks
        .iter()
        .filter(|webhook| webhook.disabled_at.is_none() && webhook.events.has(event.kind));
    Ok(RelayedEvent {
        event: event.seq,
        deliveries: wanting
            .map(|webhook| delivery(webhook, event, payload.clone()))
            .collect(),
    })
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
