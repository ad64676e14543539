//! Folders below a root, entered name by name, so that no link and no `..` leads out of it.
//!
//! Where the system can open a file relative to an open folder, nothing that happens to the path meanwhile makes a
//! difference; elsewhere each part is looked at before it is used.

#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(super) use portable::Folder;
#[cfg(unix)]
pub(super) use unix::Folder;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file with bytes in it.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// What the system knows of a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    /// What it stands for.
    pub kind: Kind,
    /// Bytes in it.
    pub size: u64,
    /// When it was last written, ns since the epoch.
    pub modified: i128,
}

impl Status {
    /// When it was last written, ms since the epoch.
    pub(super) fn modified_ms(&self) -> i64 {
        i64::try_from(self.modified / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Changes when the file does.
    pub(super) fn etag(&self) -> String {
        format!("{:x}-{:x}", self.modified, self.size)
    }
}
