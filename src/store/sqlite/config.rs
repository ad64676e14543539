//! Configuration of a store.

use crate::clock::BootTime;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a store is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this file; its folder is created when it is missing.
    File(PathBuf),
    /// In memory only.
    Memory,
}

/// What an acknowledged dispatch survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power failure.
    Full,
    /// A crash of the process, but not necessarily a power failure.
    Relaxed,
}

/// Clock of leases.
pub type LeaseClock = Arc<dyn Fn() -> BootTime + Send + Sync>;

/// Configuration for [`SqliteStore::open`].
#[derive(Clone)]
pub struct SqliteConfig {
    /// Where the store is kept.
    pub location: Location,
    /// What an acknowledged dispatch survives.
    pub durability: Durability,
    /// Clock of leases; tests supply their own.
    pub lease_clock: LeaseClock,
}

impl SqliteConfig {
    /// Full durability and the system's clock.
    #[must_use]
    pub fn new(location: Location) -> Self {
        Self {
            location,
            durability: Durability::Full,
            lease_clock: Arc::new(BootTime::now),
        }
    }
}

impl std::fmt::Debug for SqliteConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteConfig")
            .field("location", &self.location)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}
