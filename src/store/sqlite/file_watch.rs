//! Whether the store's path still leads to the files that are open.
//!
//! A file that was deleted or replaced stays open under no name: what is written to it is lost with the process. Looked at
//! once a second, by whoever reads or writes. Invariant: while another file is there, nothing is acknowledged.

use super::file_path::companion;
use crate::error::{Error, ErrorCode, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest time between two looks while the store is used.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Device and inode.
type FileId = (u64, u64);

/// The files of one open store.
pub(super) struct FileWatch(Mutex<[WatchedFile; 2]>);

struct WatchedFile {
    what: &'static str,
    path: PathBuf,
    /// The one that is open, once it was seen.
    id: Option<FileId>,
    checked: Option<Instant>,
}

impl FileWatch {
    /// Of the database at `path`, which is open; `called` leads to it, perhaps by symbolic links that may change.
    pub(super) fn new(called: &Path, path: &Path) -> Self {
        let log = companion(path, "-wal");
        Self(Mutex::new([
            WatchedFile::new("the store", called.to_owned()),
            WatchedFile::new("the log of the store", log),
        ]))
    }

    /// Fails while the path leads elsewhere.
    ///
    /// # Errors
    /// `STORE_ERROR`, which says what is to be done.
    pub(super) fn check(&self) -> Result<()> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter_mut().try_for_each(WatchedFile::check)
    }
}

impl WatchedFile {
    fn new(what: &'static str, path: PathBuf) -> Self {
        let id = file_id(&path);
        Self {
            what,
            path,
            id,
            checked: None,
        }
    }

    fn check(&mut self) -> Result<()> {
        if self.checked.is_some_and(|checked| checked.elapsed() < CHECK_INTERVAL) {
            return Ok(());
        }
        self.checked = None;
        let found = file_id(&self.path);
        if self.id.is_none() {
            self.id = found;
        }
        if found != self.id {
            let happened = if found.is_some() { "replaced" } else { "deleted" };
            let message = format!(
                "{} ({}) was {happened} while it was open, so nothing is read or written any more; put the file back, or restart \
                 this process to work with what is there now",
                self.what,
                self.path.display()
            );
            return Err(Error::new(ErrorCode::StoreError, message));
        }
        self.checked = Some(Instant::now());
        Ok(())
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Open files cannot be deleted or replaced here.
#[cfg(not(unix))]
fn file_id(_path: &Path) -> Option<FileId> {
    None
}
