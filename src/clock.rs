//! Time, as everything above the operating system sees it.
//!
//! Two clocks that must not be confused: wall time decides when a job is due, monotonic time decides whether a
//! process is alive. Nothing outside this module asks the system for either.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// A source of wall time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall time in milliseconds since the epoch.
    fn now(&self) -> Millis;

    /// Whether the clock is moved by hand: then waiting for it in real time is pointless.
    fn is_manual(&self) -> bool {
        false
    }
}

/// The operating system's wall clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }
}

/// A clock that only moves when [`ManualClock::set`] is called, and never backwards.
#[derive(Debug)]
pub struct ManualClock(Mutex<Millis>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Millis) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock forward to `to`; does nothing if that is in its past.
    pub fn set(&self, to: Millis) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = (*now).max(to);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_manual(&self) -> bool {
        true
    }
}

/// The monotonic time, and the boot of the machine it belongs to.
///
/// All processes of one boot read the same clock, except in containers with a time namespace of their own: whoever compares
/// what another process wrote must allow for that. A process of an earlier boot no longer exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTime {
    /// Identifies the boot of the machine.
    pub boot: String,
    /// Milliseconds since an arbitrary point in time, fixed for the boot.
    pub millis: i64,
}

impl BootTime {
    /// Reads the clock.
    #[must_use]
    pub fn now() -> Self {
        Self {
            boot: boot_id().to_owned(),
            millis: monotonic_millis(),
        }
    }
}

/// The machine's monotonic clock, in milliseconds.
#[cfg(unix)]
#[must_use]
pub fn monotonic_millis() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// The wall clock, in milliseconds: on this system there is no monotonic clock that processes share.
#[cfg(not(unix))]
#[must_use]
pub fn monotonic_millis() -> i64 {
    SystemClock.now()
}

/// Identifies the boot of the machine; always the same where the system does not tell.
#[must_use]
pub fn boot_id() -> &'static str {
    static BOOT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BOOT.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    })
}
