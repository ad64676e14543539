//! This process's registration in the store: what its claims are made under.

use crate::error::Result;
use crate::store::{InstanceId, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The number the store knows this process by, while it has one.
pub struct InstanceRegistration {
    store: Arc<dyn Store>,
    lease_ms: i64,
    /// 0: none.
    id: AtomicI64,
}

impl InstanceRegistration {
    /// Not registered yet. A lease lasts so long.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, lease: Duration) -> Self {
        Self {
            store,
            lease_ms: i64::try_from(lease.as_millis()).unwrap_or(i64::MAX),
            id: AtomicI64::new(0),
        }
    }

    /// The registration, while there is one.
    #[must_use]
    pub fn id(&self) -> Option<InstanceId> {
        Some(self.id.load(Ordering::Acquire)).filter(|id| *id != 0)
    }

    /// Registers this process anew.
    ///
    /// # Errors
    /// What the store says.
    pub async fn register(&self) -> Result<()> {
        let id = self.store.register(self.lease_ms).await?;
        self.id.store(id, Ordering::Release);
        Ok(())
    }

    /// Renews the lease of this registration. `false`: it is gone, with all its runs.
    ///
    /// # Errors
    /// What the store says.
    pub async fn renew(&self, id: InstanceId) -> Result<bool> {
        self.store.renew(id, self.lease_ms).await
    }

    /// The registration is lost or given up; returns it.
    pub fn forget(&self) -> Option<InstanceId> {
        Some(self.id.swap(0, Ordering::AcqRel)).filter(|id| *id != 0)
    }
}
