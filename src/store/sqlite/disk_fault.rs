//! Why the disk or the operating system refuses what the store asks of it, and what can be done.
//!
//! Knows no SQLite: [`super::failure`] decides which of its codes have a cause of this kind.

use std::fmt::Display;
use std::io::{Error, ErrorKind};

/// A cause that lies in the machine and not in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskFault {
    Full,
    QuotaReached,
    /// The file system.
    ReadOnly,
    /// The rights of the file or its folder.
    Forbidden,
    /// Of this process.
    TooManyFiles,
    /// Of the machine.
    TooManyFilesInAll,
    CannotOpen,
    Read,
    Write,
    /// An input or output error of which nobody says what it was about.
    Failing,
}

impl DiskFault {
    /// The cause that an error of the operating system names; `None`: another kind of error.
    pub(super) fn of(error: &Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::StorageFull => Some(Self::Full),
            ErrorKind::QuotaExceeded => Some(Self::QuotaReached),
            ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            ErrorKind::PermissionDenied => Some(Self::Forbidden),
            _ => by_number(error),
        }
    }

    /// The whole of what is said, about `failure`.
    pub(super) fn message(self, failure: &dyn Display) -> String {
        let (what, remedy) = match self {
            Self::Full => ("disk is full", "free some space, the store then goes on by itself"),
            Self::QuotaReached => (
                "disk quota is used up",
                "raise it or free some space, the store then goes on by itself",
            ),
            Self::ReadOnly => (
                "file system is read-only, as after a disk has failed",
                "look into the system's log, and mount it for writing or choose another path",
            ),
            Self::Forbidden => ("file or folder is read-only", "give this process write access to both"),
            Self::TooManyFiles => (
                "files cannot be opened, since this process has as many open as it may",
                "raise its limit (`ulimit -n`), or find out what it leaves open",
            ),
            Self::TooManyFilesInAll => (
                "files cannot be opened, since this machine has as many open as it may",
                "raise its limit (`fs.file-max`), or find out which process leaves them open",
            ),
            Self::CannotOpen => (
                "file cannot be opened",
                "see whether it and its folder are there and this process may read and write both",
            ),
            Self::Read => (
                "disk fails to read",
                "check the disk and the system's log; what is stored may be unharmed, so keep the file",
            ),
            Self::Write => (
                "disk fails to write",
                "check the disk and the system's log, the store goes on by itself when it works again",
            ),
            Self::Failing => (
                "disk fails",
                "check the disk and the system's log, the store goes on by itself when it works again",
            ),
        };
        format!("the store's {what} ({failure}); {remedy}")
    }

    /// What is to be done about a file that is not the store's, as the end of a message.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Full => "; the disk is full, free some space",
            Self::QuotaReached => "; the disk quota is used up, raise it or free some space",
            Self::ReadOnly => "; the file system is read-only, mount it for writing or choose another path",
            Self::Forbidden => "; give this process write access to the folder, or choose another path",
            Self::TooManyFiles => {
                "; this process has as many files open as it may, raise its limit (`ulimit -n`) or find out what it leaves open"
            }
            Self::TooManyFilesInAll => {
                "; this machine has as many files open as it may, raise its limit (`fs.file-max`)"
            }
            Self::CannotOpen | Self::Read | Self::Write | Self::Failing => {
                "; the disk fails, check it and the system's log"
            }
        }
    }
}

#[cfg(unix)]
fn by_number(error: &Error) -> Option<DiskFault> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some(DiskFault::TooManyFiles),
        Errno::NFILE => Some(DiskFault::TooManyFilesInAll),
        Errno::IO | Errno::NXIO => Some(DiskFault::Failing),
        _ => None,
    }
}

#[cfg(not(unix))]
fn by_number(_error: &Error) -> Option<DiskFault> {
    None
}

/// What is to be done about an error of the file system, as the end of a message; empty when nobody knows.
pub(super) fn remedy(error: &Error) -> &'static str {
    match DiskFault::of(error) {
        Some(fault) => fault.remedy(),
        None => match error.kind() {
            ErrorKind::NotFound => "; see whether the path is right and its folder is there",
            ErrorKind::NotADirectory => "; a part of the path is a file, choose another path",
            ErrorKind::InvalidFilename => "; a part of the path is too long, choose a shorter one",
            _ => "",
        },
    }
}
