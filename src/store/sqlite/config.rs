//! Configuration of a store.

use crate::clock::BootTime;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait of a call for a lock that another process or program holds, if nothing else was said.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Takes what the user should know and no call is told.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// Configuration for [`SqliteStore::open`].
#[derive(Clone)]
pub struct SqliteConfig {
    /// Where the store is kept.
    pub location: Location,
    /// What an acknowledged dispatch survives.
    pub durability: Durability,
    /// Longest wait of a call for a lock that another process or program holds.
    pub call_timeout: Duration,
    /// A store in memory works on the threads of its callers instead of one of its own: each call is answered without waking
    /// another thread, but keeps its own from other work. For callers that wait for each answer before they ask again.
    pub on_callers_threads: bool,
    /// Clock of the leases; tests put in one of their own.
    pub lease_clock: LeaseClock,
    /// Where warnings go while the store is open; called by its threads.
    pub warn: Warn,
}

impl SqliteConfig {
    /// Full durability and the system's clock.
    #[must_use]
    pub fn new(location: Location) -> Self {
        Self {
            location,
            durability: Durability::Full,
            call_timeout: DEFAULT_CALL_TIMEOUT,
            on_callers_threads: false,
            lease_clock: Arc::new(BootTime::now),
            warn: Arc::new(|_| {}),
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
