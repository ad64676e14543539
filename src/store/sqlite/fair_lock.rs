//! Fair queueing for the writers of several processes, by two file locks, *next* and *write*.
//!
//! SQLite's busy timeout polls, so the lock goes to a random writer; the operating system's lock queues serve writers in
//! turn. The holder of *next* waits for *write* while the others queue for *next*.
//!
//! Invariant: serves fairness only. SQLite's own locks protect the data; on a file system without file locks, acquiring
//! always succeeds.

use std::fs::{File, OpenOptions};
use std::path::Path;

/// The two lock files of one store, used by one writer thread.
#[derive(Debug)]
pub(super) struct FairLock {
    next: File,
    write: File,
}

impl FairLock {
    /// Opens the two lock files in `folder`, creating them if missing.
    pub(super) fn open(folder: &Path) -> std::io::Result<Self> {
        Ok(Self {
            next: lock_file(&folder.join("next"))?,
            write: lock_file(&folder.join("write"))?,
        })
    }

    /// Waits for this writer's turn, which ends with the guard.
    pub(super) fn acquire(&self) -> FairLockGuard<'_> {
        let queued = self.next.lock().is_ok();
        let entered = self.write.lock().is_ok();
        if queued {
            let _ = self.next.unlock();
        }
        FairLockGuard {
            write: entered.then_some(&self.write),
        }
    }
}

/// The right to write, until dropped.
pub(super) struct FairLockGuard<'a> {
    write: Option<&'a File>,
}

impl Drop for FairLockGuard<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.write {
            let _ = file.unlock();
        }
    }
}

/// Opens or creates a lock file, readable by its owner only.
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
    use std::time::Duration;

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
                        let _turn = fair_lock.acquire();
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
}
