//! Which store files this process has open, and whether another copy of SQLite in it has one open too.
//!
//! Invariant: a file that another copy of SQLite has open in this process is refused, since its locks and ours would
//! cancel each other; a second store of our own on the same file is allowed.

use super::failure::file_error;
use crate::error::Result;
use std::path::Path;

#[cfg(unix)]
pub(super) use unix::OpenFile;

/// Registers the file as open until the result is dropped; fails if another copy of SQLite has it open.
#[cfg(unix)]
pub(super) fn register(path: &Path) -> Result<OpenFile> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).map_err(|e| file_error("read the store", path, e))?;
    unix::register(path, (metadata.dev(), metadata.ino()))
}

/// Whether this process has the file open, by this copy of SQLite or by another one.
#[cfg(unix)]
pub(super) fn is_open_here(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| unix::is_open_here((metadata.dev(), metadata.ino())))
}

/// Cannot be detected on this system.
#[cfg(not(unix))]
pub(super) fn is_open_here(_path: &Path) -> bool {
    false
}

#[cfg(unix)]
mod unix {
    use crate::error::{Error, ErrorCode, Result};
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    /// Device and inode.
    type FileId = (u64, u64);

    static OPEN_FILES: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

    /// One open store of this process.
    #[derive(Debug)]
    pub(in super::super) struct OpenFile(FileId);

    impl Drop for OpenFile {
        fn drop(&mut self) {
            let mut ours = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = ours.iter().position(|file| *file == self.0) {
                ours.swap_remove(at);
            }
        }
    }

    pub(super) fn register(path: &Path, file: FileId) -> Result<OpenFile> {
        let mut ours = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        if !ours.contains(&file) && is_open_in_process(file) {
            let message = format!(
                "the store {} is already open in this process through another copy of SQLite (better-sqlite3, node:sqlite, …); \
                 close it first, or read the file from another process",
                path.display()
            );
            return Err(Error::new(ErrorCode::StoreError, message));
        }
        ours.push(file);
        Ok(OpenFile(file))
    }

    pub(super) fn is_open_here(file: FileId) -> bool {
        let ours = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        ours.contains(&file) || is_open_in_process(file)
    }

    /// Linux lists the descriptors of a process; other systems do not.
    fn is_open_in_process(file: FileId) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else {
            return false;
        };
        descriptors
            .flatten()
            .filter_map(|descriptor| std::fs::metadata(descriptor.path()).ok())
            .any(|metadata| (metadata.dev(), metadata.ino()) == file)
    }
}

/// One open store of this process.
#[cfg(not(unix))]
#[derive(Debug)]
pub(super) struct OpenFile;

/// Cannot be detected on this system.
#[cfg(not(unix))]
pub(super) fn register(path: &Path) -> Result<OpenFile> {
    std::fs::metadata(path).map_err(|e| file_error("read the store", path, e))?;
    Ok(OpenFile)
}
