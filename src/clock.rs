//! Time, as everything above the operating system sees it.
//!
//! Two clocks that must not be confused: wall time decides when a job is due, monotonic time decides whether a
//! process is alive. Nothing outside this module asks the system for either. Jobs go by the wall clock of the store where it
//! has one ([`StoreClock`]).

mod store_clock;
mod watch;

pub use store_clock::{StoreClock, TimeSample};
pub use watch::{ClockReading, ClockWatch, Jump, Segment};

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// Microseconds, since the same instant or since an arbitrary one.
pub type Micros = i64;

/// A source of wall time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall time in milliseconds since the epoch.
    fn now(&self) -> Millis;

    /// Whether the clock is moved by hand: then waiting for it in real time is pointless.
    fn is_manual(&self) -> bool {
        false
    }

    /// This clock, if it goes by that of the store.
    fn store_clock(&self) -> Option<&StoreClock> {
        None
    }

    /// Wall time beside a clock that cannot be set; `None`: there is none, or the two could not be read at once.
    fn reading(&self) -> Option<ClockReading> {
        None
    }
}

/// The clocks of a machine.
pub trait MachineClocks: Send + Sync + std::fmt::Debug {
    /// Wall time since the epoch, µs. May be set to anything at any time.
    fn wall(&self) -> Micros;

    /// Time since an arbitrary point in time, fixed for the boot, µs. Goes on while the machine is suspended, where the system
    /// has such a clock, and cannot be set.
    fn boot(&self) -> Micros;
}

/// The operating system's clocks.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        self.wall() / 1_000
    }
}

impl MachineClocks for SystemClock {
    fn wall(&self) -> Micros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
    }

    #[cfg(unix)]
    fn boot(&self) -> Micros {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let id = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(id);
        now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
    }

    #[cfg(not(unix))]
    fn boot(&self) -> Micros {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let since = START.get_or_init(std::time::Instant::now).elapsed();
        Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
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
    known_boot().unwrap_or("unknown")
}

/// Identifies what [`SystemClock`] shows as boot time: processes that are told the same read the same clock. `None`: the system
/// does not tell.
#[must_use]
pub fn boot_clock_id() -> Option<String> {
    let boot = known_boot()?;
    let namespace = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
    Some(format!("{boot}/{}", namespace.display()))
}

fn known_boot() -> Option<&'static str> {
    static BOOT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let read = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    BOOT.get_or_init(|| read().map(|text| text.trim().to_owned()))
        .as_deref()
}

/// The time, later than what this process was told by it before: for files that are told apart by it.
#[must_use]
pub fn next_moment() -> SystemTime {
    /// Smallest step that file systems keep, of those that keep more than ms.
    const STEP_NS: u64 = 100;
    static LAST_NS: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since_epoch.as_nanos()).unwrap_or_default() / STEP_NS * STEP_NS;
    let later = |last: u64| Some(now.max(last + STEP_NS));
    let last = LAST_NS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    let moment = last.map_or(now, |last| now.max(last + STEP_NS));
    UNIX_EPOCH + Duration::from_nanos(moment)
}
