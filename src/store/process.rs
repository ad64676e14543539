//! Processes that are registered in a store, as whoever looks after jobs sees them.

use super::InstanceId;
use crate::clock::Millis;
use crate::error::Result;
use async_trait::async_trait;

/// Longest name of a host that is kept, characters.
const MAX_HOST_CHARS: usize = 200;

/// Whether a process lives, by the rule that decides about its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It holds its lock, or its lease.
    Alive,
    /// It has not renewed its lease in time: it hangs, is stopped, cannot reach the store, or has died where nothing proves that.
    Silent,
    /// It is known to have ended.
    Dead,
}

/// A process that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its registration.
    pub id: InstanceId,
    /// The machine, or container, as that calls itself.
    pub host: Option<Box<str>>,
    /// The number of the process there: for people, no sign of life.
    pub pid: Option<i64>,
    /// When it was registered.
    pub registered_at: Option<Millis>,
    /// When it last renewed its lease. `None`, as of the other times: not since its machine started, or it was registered by a version
    /// that did not say.
    pub seen_at: Option<Millis>,
    /// When its lease ends, or has ended.
    pub lease_ends_at: Option<Millis>,
    /// Whether it lives.
    pub liveness: Liveness,
    /// How many attempts it runs at once.
    pub slots: Option<i64>,
    /// Runs that it has claimed.
    pub claimed: i64,
    /// The version of the package.
    pub version: Option<Box<str>>,
    /// JSON text of a list of its handlers.
    pub handlers: Option<Box<str>>,
}

impl Process {
    /// How many of its claims it is executing, as far as the store can tell: claims are begun in their order, as many as it has slots.
    #[must_use]
    pub fn running(&self) -> i64 {
        self.slots.map_or(self.claimed, |slots| self.claimed.min(slots.max(0)))
    }
}

/// Tells of processes.
#[async_trait]
pub trait ProcessStore {
    /// All that are registered, the oldest first; times are told by the clock that shows `now`.
    async fn processes(&self, now: Millis) -> Result<Vec<Process>>;

    /// Notes what a process is: the version of the package, and JSON text of a list of its handlers.
    async fn describe(&self, instance: InstanceId, version: &str, handlers: &str) -> Result<()>;
}

/// The name of this machine; `None`: it has none that can be read.
pub(super) fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    let name: String = name.chars().filter(|c| *c != '\0').take(MAX_HOST_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

/// An instant of a clock that shows `clock` while another shows `now`, by that one.
pub(super) const fn by_clock(at: i64, clock: i64, now: Millis) -> Millis {
    now.saturating_sub(clock.saturating_sub(at))
}
