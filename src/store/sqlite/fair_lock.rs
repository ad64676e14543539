//! Fair queueing for the writers of several processes, by two file locks, *next* and *write*.
//!
//! SQLite's busy timeout polls, so the lock goes to a random writer; the operating system's lock queues serve writers in
//! turn. The holder of *next* waits for *write* while the others queue for *next*.
//!
//! Invariants: only a courtesy, SQLite's own locks keep the data safe; so a holder that does not get on (a stopped
//! process, a frozen container) is passed by after a limit, and where the file system has no such locks nobody waits.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for a turn. A turn takes milliseconds, or as long as the disk takes for a sync.
const TURN_TIMEOUT: Duration = Duration::from_secs(1);

/// The two lock files of one store, used by one writer thread.
#[derive(Debug)]
pub(super) struct FairLock {
    files: Arc<LockFiles>,
    /// Waits in the operating system's queue, which knows no limit, in place of the writer. Made at the first contention.
    waiter: OnceCell<Waiter>,
}

#[derive(Debug)]
struct LockFiles {
    next: File,
    write: File,
}

impl LockFiles {
    /// Waits for the turn without limit. Whether it came: without locks of files it does not.
    fn lock(&self) -> bool {
        let queued = self.next.lock().is_ok();
        let entered = self.write.lock().is_ok();
        if queued {
            let _ = self.next.unlock();
        }
        entered
    }

    /// Takes the turn if nobody has it and nobody waits for it.
    fn try_lock(&self) -> Result<(), TryLockError> {
        self.next.try_lock()?;
        let entered = self.write.try_lock();
        let _ = self.next.unlock();
        entered
    }
}

impl FairLock {
    /// Opens (and creates) the two lock files in `folder`.
    pub(super) fn open(folder: &Path) -> std::io::Result<Self> {
        let files = LockFiles {
            next: lock_file(&folder.join("next"))?,
            write: lock_file(&folder.join("write"))?,
        };
        Ok(Self {
            files: Arc::new(files),
            waiter: OnceCell::new(),
        })
    }

    /// Waits for this writer's turn, which ends with the guard. The guard is empty when the turn did not come in time:
    /// the writer then goes on by SQLite's own lock, which is not fair.
    pub(super) fn acquire(&self) -> FairLockGuard<'_> {
        let entered = match self.waiter.get() {
            // One descriptor has one place in the queue.
            Some(waiter) if waiter.is_queued() => waiter.wait(Duration::ZERO),
            _ => match self.files.try_lock() {
                Ok(()) => true,
                Err(TryLockError::Error(_)) => false,
                Err(TryLockError::WouldBlock) => {
                    let waiter = self.waiter.get_or_init(|| Waiter::start(Arc::clone(&self.files)));
                    waiter.wait(TURN_TIMEOUT)
                }
            },
        };
        FairLockGuard {
            write: entered.then_some(&self.files.write),
        }
    }

    /// The file whose lock is the turn.
    pub(super) fn file(&self) -> &File {
        &self.files.write
    }
}

/// The right to write, until dropped.
pub(super) struct FairLockGuard<'a> {
    write: Option<&'a File>,
}

impl FairLockGuard<'_> {
    /// Whether the turn came in time.
    pub(super) fn is_held(&self) -> bool {
        self.write.is_some()
    }
}

impl Drop for FairLockGuard<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.write {
            let _ = file.unlock();
        }
    }
}

/// A thread that waits for the turn, so that the writer need not wait longer than it wants to.
#[derive(Debug)]
struct Waiter(Arc<Turn>);

#[derive(Debug, Default)]
struct Turn {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct TurnState {
    /// The thread stands in the queue, or is asked to.
    queued: bool,
    /// Somebody waits for the thread; else it gives a turn that comes back at once.
    wanted: bool,
    /// What became of it.
    entered: Option<bool>,
    closed: bool,
}

impl Turn {
    fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn start(files: Arc<LockFiles>) -> Self {
        let turn = Arc::new(Turn::default());
        let shared = Arc::clone(&turn);
        let thread = std::thread::Builder::new().name("ductape-turn".to_owned());
        // Without a thread nobody answers, and every wait ends by its limit.
        let _ = thread.spawn(move || wait_for_turns(&files, &shared));
        Self(turn)
    }

    fn is_queued(&self) -> bool {
        self.0.lock().queued
    }

    /// Whether the turn came in time; then it is the caller's.
    fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut state = self.0.lock();
        state.wanted = true;
        if !std::mem::replace(&mut state.queued, true) {
            state.entered = None;
            self.0.changed.notify_all();
        }
        loop {
            if let Some(entered) = state.entered.take() {
                state.wanted = false;
                return entered;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.wanted = false;
                return false;
            }
            let woken = self.0.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

fn wait_for_turns(files: &LockFiles, turn: &Turn) {
    let mut state = turn.lock();
    while !state.closed {
        if !state.queued || state.entered.is_some() {
            state = turn.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        let entered = files.lock();
        state = turn.lock();
        state.queued = false;
        if state.wanted {
            state.entered = Some(entered);
            turn.changed.notify_all();
        } else if entered {
            let _ = files.write.unlock();
        }
    }
    // Nobody takes it any more.
    if state.entered == Some(true) {
        let _ = files.write.unlock();
    }
}

/// A file to lock, readable by its owner only.
pub(super) fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[test]
    fn two_busy_writers_get_equal_shares() {
        let folder = tempfile::tempdir().unwrap();
        let turns = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let (over, inside) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for mine in &turns {
                let fair_lock = FairLock::open(folder.path()).unwrap();
                let (over, inside) = (&over, &inside);
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        let turn = fair_lock.acquire();
                        assert!(turn.write.is_some());
                        assert!(!inside.swap(true, Ordering::SeqCst), "two at a time");
                        std::thread::sleep(Duration::from_millis(1));
                        inside.store(false, Ordering::SeqCst);
                        if mine.fetch_add(1, Ordering::SeqCst) == 100 {
                            over.store(true, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        let [one, other] = turns.map(|turns| turns.load(Ordering::SeqCst));
        assert!(one.abs_diff(other) < 20, "{one} turns against {other}");
    }

    #[test]
    fn holder_that_does_not_get_on_is_passed_by() {
        let folder = tempfile::tempdir().unwrap();
        let stopped = FairLock::open(folder.path()).unwrap();
        let healthy = FairLock::open(folder.path()).unwrap();
        let turn = stopped.acquire();
        let began = Instant::now();
        assert!(healthy.acquire().write.is_none());
        assert!(began.elapsed() >= TURN_TIMEOUT);
        // The place in the queue is kept, and is not waited for again.
        let again = Instant::now();
        assert!((0..100).all(|_| healthy.acquire().write.is_none()));
        assert!(again.elapsed() < TURN_TIMEOUT);
        drop(turn);
        // A turn that comes late is given back: others are not kept waiting by a writer that has nothing to do.
        let third = FairLock::open(folder.path()).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while third.acquire().write.is_none() {
            assert!(Instant::now() < until);
        }
        while healthy.acquire().write.is_none() {
            assert!(Instant::now() < until);
        }
    }
}
