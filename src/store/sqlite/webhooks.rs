//! Webhooks and their subscriptions to events.

use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{EventMask, WebhookSecret};
use crate::store::{DeliveryReport, NewWebhook, Webhook, WebhookSet};
use rusqlite::{Connection, Row};

const COLUMNS: &str =
    "id, url, events, secret, created, updated, delivered, failed, last_error, failed_count, disabled";
const UPSERT_WEBHOOK: &str = include_str!("sql/upsert_webhook.sql");
const SELECT_WEBHOOK_EXISTS: &str = include_str!("sql/select_webhook_exists.sql");
const COUNT_WEBHOOKS: &str = include_str!("sql/count_webhooks.sql");
const DELETE_WEBHOOK: &str = include_str!("sql/delete_webhook.sql");
const UPDATE_DELIVERED: &str = include_str!("sql/update_delivered.sql");
const UPDATE_DELIVERY_FAILED: &str = include_str!("sql/update_delivery_failed.sql");

/// Creates a webhook, or updates the one with this URL.
pub(super) fn set(tx: &mut Tx<'_>, webhook: &NewWebhook, most: usize, now: Millis) -> Result<WebhookSet> {
    let connection = tx.connection;
    let known = connection
        .prepare_cached(SELECT_WEBHOOK_EXISTS)?
        .exists([&*webhook.url])?;
    let count: i64 = connection
        .prepare_cached(COUNT_WEBHOOKS)?
        .query_row([], |row| row.get(0))?;
    if !known && usize::try_from(count).unwrap_or(usize::MAX) >= most {
        return Ok(WebhookSet::Full);
    }
    let (id, url, secret) = (&*webhook.id, &*webhook.url, webhook.secret.expose());
    connection
        .prepare_cached(UPSERT_WEBHOOK)?
        .execute((id, url, webhook.events.0, secret, now))?;
    tx.invalidate_subscriptions();
    let query = format!("SELECT {COLUMNS} FROM webhooks WHERE url = ?1");
    Ok(WebhookSet::Done(
        connection.prepare_cached(&query)?.query_row([url], read)?,
    ))
}

/// All webhooks, oldest first.
pub(super) fn all(connection: &Connection) -> Result<Vec<Webhook>> {
    let query = format!("SELECT {COLUMNS} FROM webhooks ORDER BY number");
    let mut select = connection.prepare_cached(&query)?;
    let rows = select.query_map([], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    Ok(Webhook {
        id: row.get(0)?,
        url: row.get(1)?,
        events: EventMask(row.get(2)?),
        secret: WebhookSecret::stored(row.get(3)?),
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
        delivered_at: row.get(6)?,
        failed_at: row.get(7)?,
        last_error: row.get(8)?,
        failed_count: row.get(9)?,
        disabled_at: row.get(10)?,
        unreadable: None,
    })
}

/// Deletes a webhook.
pub(super) fn delete(tx: &mut Tx<'_>, id_or_url: &str) -> Result<bool> {
    let deleted = tx.connection.prepare_cached(DELETE_WEBHOOK)?.execute([id_or_url])?;
    tx.invalidate_subscriptions();
    Ok(deleted > 0)
}

/// Records the outcome of a delivery attempt.
pub(super) fn record_delivery(tx: &mut Tx<'_>, id: &str, report: &DeliveryReport, now: Millis) -> Result<()> {
    match report {
        DeliveryReport::Delivered => tx.connection.prepare_cached(UPDATE_DELIVERED)?.execute((id, now))?,
        DeliveryReport::Failed { error, given_up, gone } => {
            tx.invalidate_subscriptions();
            let row = (id, now, &**error, i64::from(*given_up), gone);
            tx.connection.prepare_cached(UPDATE_DELIVERY_FAILED)?.execute(row)?
        }
    };
    Ok(())
}
