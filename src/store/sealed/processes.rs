//! Processes hold no payload: what is told of them is passed on.

use super::SealedStore;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{InstanceId, Process, ProcessStore};
use async_trait::async_trait;

#[async_trait]
impl ProcessStore for SealedStore {
    async fn processes(&self, now: Millis) -> Result<Vec<Process>> {
        self.inner.processes(now).await
    }

    async fn describe(&self, instance: InstanceId, version: &str, handlers: &str) -> Result<()> {
        self.inner.describe(instance, version, handlers).await
    }
}
