//! Implements [`WebhookStore`] as `store_impl` implements the store.

use super::pool::{WriteOptions, with_session};
use super::{PostgresStore, outbox, relay, webhooks};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{DeliveryReport, NewWebhook, RelayedEvent, StoredEvent, Webhook, WebhookSet, WebhookStore};
use async_trait::async_trait;

#[async_trait]
impl WebhookStore for PostgresStore {
    async fn set_webhook(&self, webhook: NewWebhook, most: usize, now: Millis) -> Result<WebhookSet> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            webhooks::set(session, &webhook, most, now)
        }))
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            webhooks::all(session)
        }))
    }

    async fn delete_webhook(&self, id_or_url: &str) -> Result<bool> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            webhooks::delete(session, id_or_url)
        }))
    }

    async fn note_delivery(&self, id: &str, report: DeliveryReport, now: Millis) -> Result<()> {
        let inner = self.inner_if_open()?;
        with_session!(
            inner.general,
            WriteOptions::ENGINE,
            |session| webhooks::record_delivery(session, id, &report, now)
        );
        Ok(())
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<StoredEvent>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::ENGINE, |session| {
            outbox::oldest(session, limit)
        }))
    }

    async fn relay(&self, relayed: Vec<RelayedEvent>, now: Millis) -> Result<usize> {
        let inner = self.inner_if_open()?;
        let (count, after) = with_session!(inner.general, WriteOptions::ENGINE, |session| {
            relay::apply(session, &inner.routes, &relayed, now)
        });
        inner.counters_written();
        inner.scan_positions.runs_added();
        inner.apply_effects(after).await;
        inner.wake();
        Ok(count)
    }
}
