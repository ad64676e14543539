//! The audit log: it holds no payload, so that nothing of it is encrypted.

use super::SealedStore;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{AuditEntry, AuditStore};
use async_trait::async_trait;

#[async_trait]
impl AuditStore for SealedStore {
    async fn add_audit(&self, entry: AuditEntry) -> Result<()> {
        self.inner.add_audit(entry).await
    }

    async fn audit(&self, before: Option<(Millis, Box<str>)>, limit: usize) -> Result<Vec<AuditEntry>> {
        self.inner.audit(before, limit).await
    }
}
