//! Folders below a root, entered one component at a time, so that no symbolic link and no `..` leads out of it.
//!
//! On Unix, files are opened relative to an open folder, so that concurrent changes of the path make no difference;
//! elsewhere each component is checked before use.

#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(super) use portable::Folder;
#[cfg(unix)]
pub(super) use unix::Folder;

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// Metadata of a directory entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    /// Its kind.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// Time of the last write, ns since the epoch.
    pub modified: i128,
    /// Number of the file in its file system; 0 where there are none.
    pub inode: u64,
    /// Who may read and write it, where the system has such modes.
    pub mode: Option<u32>,
}

impl Status {
    /// Time of the last write, ms since the epoch.
    pub(super) fn modified_ms(&self) -> i64 {
        i64::try_from(self.modified / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Changes when the file does. Its number tells files apart that were written at the same time, as far as the file system
    /// can tell times.
    pub(super) fn etag(&self) -> String {
        format!("{:x}-{:x}-{:x}", self.modified, self.size, self.inode)
    }
}
