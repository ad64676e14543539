//! This process's registration in the store: what its claims are made under.

use crate::engine::claim::routing::Routing;
use crate::error::Result;
use crate::store::{InstanceId, Store};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The number the store knows this process by, while it has one.
pub struct InstanceRegistration {
    store: Arc<dyn Store>,
    lease_ms: i64,
    /// Attempts at once in the worker's slots.
    concurrency: usize,
    routing: Arc<Routing>,
    /// 0: none.
    id: AtomicI64,
    /// The registration, and how often handlers had come or gone, when the store was last told of them.
    described: std::sync::Mutex<Option<(i64, u64)>>,
    /// When it was last renewed, or made: from before the call, since the store may have written it at any time since.
    renewed_at: std::sync::Mutex<Option<Instant>>,
    /// Claims may have been made under it that nobody has compared with the store's account.
    unsettled_claims: AtomicBool,
    /// Whether it was given up for good, until somebody registers again. Held while that changes.
    given_up: Mutex<bool>,
}

impl InstanceRegistration {
    /// Not registered yet. A lease lasts so long; `concurrency` attempts run at once, besides the package's own.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, lease: Duration, concurrency: usize, routing: Arc<Routing>) -> Self {
        Self {
            store,
            concurrency,
            routing,
            lease_ms: i64::try_from(lease.as_millis()).unwrap_or(i64::MAX),
            id: AtomicI64::new(0),
            described: std::sync::Mutex::default(),
            renewed_at: std::sync::Mutex::default(),
            unsettled_claims: AtomicBool::new(true),
            given_up: Mutex::new(false),
        }
    }

    /// The registration, while there is one.
    #[must_use]
    pub fn id(&self) -> Option<InstanceId> {
        registered(self.id.load(Ordering::Acquire))
    }

    /// Registers this process, whatever was before.
    ///
    /// # Errors
    /// What the store says.
    pub async fn register(&self) -> Result<()> {
        let mut given_up = self.given_up.lock().await;
        self.take_new().await?;
        *given_up = false;
        Ok(())
    }

    /// Registers this process again after its registration was lost; does nothing when it was given up. Returns whether
    /// there is one now.
    ///
    /// # Errors
    /// What the store says.
    pub async fn register_again(&self) -> Result<bool> {
        let given_up = self.given_up.lock().await;
        if !*given_up && self.id().is_none() {
            self.take_new().await?;
        }
        Ok(self.id().is_some())
    }

    async fn take_new(&self) -> Result<()> {
        let slots = self.concurrency.saturating_add(self.routing.internal_concurrency());
        let before = Instant::now();
        let id = self.store.register(self.lease_ms, slots).await?;
        self.renewed(before);
        self.id.store(id.get(), Ordering::Release);
        Ok(())
    }

    /// From now on there is none until [`register`](Self::register) is called; returns the one that was.
    pub async fn give_up(&self) -> Option<InstanceId> {
        let mut given_up = self.given_up.lock().await;
        *given_up = true;
        self.forget()
    }

    /// Renews the lease of this registration. `false`: it is gone, with all its runs.
    ///
    /// # Errors
    /// What the store says.
    pub async fn renew(&self, id: InstanceId) -> Result<bool> {
        let before = Instant::now();
        let renewed = self.store.renew(id, self.lease_ms).await?;
        if renewed {
            self.renewed(before);
        }
        Ok(renewed)
    }

    fn renewed(&self, at: Instant) {
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Something is about to be claimed. Unless it is said that nothing was, there may be a claim, whatever becomes of the answer.
    #[must_use]
    pub fn claiming(&self) -> Claiming<'_> {
        Claiming(Some(&self.unsettled_claims))
    }

    /// Whether there may be a claim that nobody has compared; the caller compares them now.
    #[must_use]
    pub fn take_unsettled_claims(&self) -> bool {
        self.unsettled_claims.swap(false, Ordering::AcqRel)
    }

    /// How long ago the lease was renewed, while there is one.
    #[must_use]
    pub fn renewed_ago(&self) -> Option<Duration> {
        let renewed_at = *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner);
        renewed_at.filter(|_| self.id().is_some()).map(|at| at.elapsed())
    }

    /// Tells the store what this process is, when that is not what it has been told.
    ///
    /// # Errors
    /// What the store says.
    pub async fn describe(&self, id: InstanceId) -> Result<()> {
        let current = (id.get(), self.routing.changes());
        if *self.described() == Some(current) {
            return Ok(());
        }
        let handlers = self.routing.description();
        self.store.describe(id, env!("CARGO_PKG_VERSION"), &handlers).await?;
        *self.described() = Some(current);
        Ok(())
    }

    fn described(&self) -> MutexGuard<'_, Option<(i64, u64)>> {
        self.described.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registration is lost or given up; returns it.
    pub fn forget(&self) -> Option<InstanceId> {
        registered(self.id.swap(0, Ordering::AcqRel))
    }
}

/// A claim that is being made.
pub struct Claiming<'a>(Option<&'a AtomicBool>);

impl Claiming<'_> {
    /// The store has answered that there was nothing to claim.
    pub fn got_nothing(mut self) {
        self.0 = None;
    }
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        if let Some(unsettled) = self.0 {
            unsettled.store(true, Ordering::Release);
        }
    }
}

/// `0` stands for none: no store gives it.
fn registered(number: i64) -> Option<InstanceId> {
    (number != 0).then(|| InstanceId::new(number))
}
