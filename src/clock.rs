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

    /// Whether it is moved by hand: then nobody waits for it to pass.
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

/// A clock that stands still until it is told otherwise; it never goes backwards.
#[derive(Debug)]
pub struct ManualClock(Mutex<Millis>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Millis) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves on to `to`; an earlier time leaves the clock as it is.
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

/// Milliseconds of a clock that no one can set, and the boot they are counted in.
///
/// Two processes of one boot (containers included) read the same value, so that a lease written by one can be judged
/// by the other; across boots the values cannot be compared, and whoever wrote them is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTime {
    /// Identifies the boot of the machine.
    pub boot: String,
    /// Milliseconds since some fixed point of that boot.
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

/// Milliseconds of the machine's monotonic clock.
#[cfg(unix)]
#[must_use]
pub fn monotonic_millis() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Milliseconds of wall time, where no monotonic clock is shared between processes.
#[cfg(not(unix))]
#[must_use]
pub fn monotonic_millis() -> i64 {
    SystemClock.now()
}

/// Names the boot of the machine; where the system has no such name, all boots count as one.
#[must_use]
pub fn boot_id() -> &'static str {
    static BOOT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BOOT.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    })
}
