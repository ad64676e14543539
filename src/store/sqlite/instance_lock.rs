//! One locked file per registered process: if the lock can be taken, the process is dead.
//!
//! The operating system releases the lock within a millisecond of a `kill -9`, and it works across containers, where
//! process ids mean nothing. Invariant: the file is locked before its registration is committed, and removed only after
//! the registration is deleted, so that a registered process whose file can be locked is dead.

use super::fair_lock::lock_file;
use crate::store::InstanceId;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// What the name of a file begins with, before the number of its registration.
const PREFIX: &str = "instance-";

/// The lock of one live registration of this process; released when dropped.
#[derive(Debug)]
pub(super) struct InstanceLock {
    _file: File,
}

/// The lock of a registration that is not committed yet; when that comes to nothing, its file goes with it.
#[derive(Debug)]
pub(super) struct PendingInstanceLock {
    lock: Option<InstanceLock>,
    path: PathBuf,
}

fn path_of(folder: &Path, instance: InstanceId) -> PathBuf {
    folder.join(format!("{PREFIX}{instance}"))
}

impl PendingInstanceLock {
    /// Creates and locks the file of `instance`. `None`: that cannot be done, and only the lease will tell.
    pub(super) fn take(folder: &Path, instance: InstanceId) -> Option<Self> {
        let path = path_of(folder, instance);
        let file = lock_file(&path).ok()?;
        if file.try_lock().is_err() {
            // A file without a lock would say that its process is dead.
            let _ = std::fs::remove_file(&path);
            return None;
        }
        let lock = Some(InstanceLock { _file: file });
        Some(Self { lock, path })
    }

    /// The registration is committed.
    pub(super) fn keep(mut self) -> Option<InstanceLock> {
        self.lock.take()
    }
}

impl Drop for PendingInstanceLock {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What the lock file of an instance of another process says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockState {
    /// The process has ended.
    Free,
    /// It has not.
    Held,
    /// Nothing: there is no such file, or it cannot be asked.
    Unknown,
}

/// Asks the lock file of `instance`. To be called under SQLite's write lock, since somebody else who asks at the same time
/// holds it, too.
pub(super) fn state(folder: &Path, instance: InstanceId) -> LockState {
    let Ok(file) = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path_of(folder, instance))
    else {
        return LockState::Unknown;
    };
    match file.try_lock() {
        Ok(()) => LockState::Free,
        Err(TryLockError::WouldBlock) => LockState::Held,
        Err(TryLockError::Error(_)) => LockState::Unknown,
    }
}

/// The registrations, or former ones, that have a file.
fn all(folder: &Path) -> Vec<InstanceId> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |name: std::ffi::OsString| name.to_str()?.strip_prefix(PREFIX)?.parse().ok();
    entries
        .filter_map(|entry| number(entry.file_name()))
        .map(InstanceId::new)
        .collect()
}

/// Whether there is a file of none of these registrations.
pub(super) fn has_others(folder: &Path, registered: &[InstanceId]) -> bool {
    all(folder).iter().any(|instance| !registered.contains(instance))
}

/// Whether a process lives that has a file here.
pub(super) fn any_alive(folder: &Path) -> bool {
    let is_alive = |instance: &InstanceId| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path_of(folder, *instance));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    };
    all(folder).iter().any(is_alive)
}

/// Removes the files of processes that are dead and not among these registrations: processes that were ended between the
/// end of their registration and that of its file. Whoever calls this holds the database's write lock, so that no
/// registration is under way whose file is there and whose row cannot be seen.
pub(super) fn sweep(folder: &Path, registered: &[InstanceId]) {
    for instance in all(folder) {
        if !registered.contains(&instance) && state(folder, instance) == LockState::Free {
            remove(folder, instance);
        }
    }
}

/// Removes the file of a deleted registration.
pub(super) fn remove(folder: &Path, instance: InstanceId) {
    let _ = std::fs::remove_file(path_of(folder, instance));
}
