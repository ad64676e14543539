//! Webhooks, their subscriptions to events, and the outcomes of deliveries.
//!
//! Invariant: each transaction that may have an event reads the subscriptions, so that a webhook applies from its commit
//! on, in every process.

use super::failure::{DbResult, damaged};
use super::session::Session;
use crate::clock::Millis;
use crate::model::{EventMask, WebhookSecret};
use crate::store::{DeliveryReport, NewWebhook, Webhook, WebhookSet};
use tokio_postgres::Row;

const LOCK_WEBHOOKS: &str = include_str!("sql/lock_webhooks.sql");
const UPSERT_WEBHOOK: &str = include_str!("sql/upsert_webhook.sql");
const SELECT_WEBHOOKS: &str = include_str!("sql/select_webhooks.sql");
const DELETE_WEBHOOK: &str = include_str!("sql/delete_webhook.sql");
const UPDATE_DELIVERED: &str = include_str!("sql/update_delivered.sql");
const UPDATE_DELIVERY_FAILED: &str = include_str!("sql/update_delivery_failed.sql");

/// Creates a webhook, or updates the one with this URL.
pub(super) async fn set(session: &Session, webhook: &NewWebhook, most: usize, now: Millis) -> DbResult<WebhookSet> {
    session.query(LOCK_WEBHOOKS, &[]).await?;
    let (id, url, secret) = (
        webhook.id.clone(),
        webhook.url.clone(),
        webhook.secret.expose().to_owned(),
    );
    let (events, most) = (i64::from(webhook.events.0), super::param::rows(most));
    let row = session
        .query_opt(UPSERT_WEBHOOK, &[&id, &url, &events, &secret, &now, &most])
        .await?;
    match row {
        Some(row) => Ok(WebhookSet::Done(read(&row)?)),
        None => Ok(WebhookSet::Full),
    }
}

/// All webhooks, oldest first.
pub(super) async fn all(session: &Session) -> DbResult<Vec<Webhook>> {
    session.query(SELECT_WEBHOOKS, &[]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> DbResult<Webhook> {
    let events: i64 = row.try_get(2)?;
    Ok(Webhook {
        id: row.try_get(0)?,
        url: row.try_get(1)?,
        events: EventMask(u32::try_from(events).map_err(|_| damaged("a webhook with unknown events"))?),
        secret: WebhookSecret::stored(row.try_get(3)?),
        created_at: row.try_get(4)?,
        updated_at: row.try_get(5)?,
        delivered_at: row.try_get(6)?,
        failed_at: row.try_get(7)?,
        last_error: row.try_get(8)?,
        failed_count: row.try_get(9)?,
        disabled_at: row.try_get(10)?,
        unreadable: None,
    })
}

/// Deletes a webhook.
pub(super) async fn delete(session: &Session, id_or_url: &str) -> DbResult<bool> {
    Ok(session.execute(DELETE_WEBHOOK, &[&id_or_url.to_owned()]).await? > 0)
}

/// Records the outcome of a delivery attempt.
pub(super) async fn record_delivery(session: &Session, id: &str, report: &DeliveryReport, now: Millis) -> DbResult<()> {
    let id = id.to_owned();
    match report {
        DeliveryReport::Delivered => session.execute(UPDATE_DELIVERED, &[&id, &now]).await?,
        DeliveryReport::Failed { error, given_up, gone } => {
            let error = super::param::storable(error).into_owned();
            let given_up = i64::from(*given_up);
            session
                .execute(UPDATE_DELIVERY_FAILED, &[&id, &now, &error, &given_up, gone])
                .await?
        }
    };
    Ok(())
}
