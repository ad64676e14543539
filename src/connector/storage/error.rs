//! Errors of file systems, with the code that decides about retries.
//!
//! Invariant: no message contains a path or file name.

use crate::connector::Failure;
use std::io;

/// An error below the root of a storage.
#[derive(Debug)]
pub(super) enum FileSystemError {
    /// A component of the path is a symbolic link.
    Link,
    /// A folder was expected and found a file, or the other way round.
    Kind(&'static str),
    /// An error of the operating system.
    System(io::Error),
}

impl From<io::Error> for FileSystemError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl FileSystemError {
    /// Whether the file or folder does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl From<FileSystemError> for Failure {
    fn from(error: FileSystemError) -> Self {
        let error = match error {
            FileSystemError::Link => {
                return Self::forbidden("the path leads through a symbolic link, and none is followed below the root");
            }
            FileSystemError::Kind(what) => return Self::invalid(what),
            FileSystemError::System(error) => error,
        };
        match error.kind() {
            io::ErrorKind::NotFound => Self::not_found("there is no such file"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::forbidden(format!(
                "the system refuses it: {error}; this process needs the right to the storage's folder"
            )),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::unavailable(format!("there is no space for the file: {error}"))
            }
            io::ErrorKind::FileTooLarge => {
                Self::invalid(format!("the file is larger than the file system takes: {error}"))
            }
            io::ErrorKind::IsADirectory => Self::invalid("a folder has the file's name"),
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                Self::invalid("a file is where a folder of the path should be")
            }
            io::ErrorKind::InvalidFilename => Self::invalid("the file system does not take the name"),
            io::ErrorKind::CrossesDevices => {
                Self::invalid("another file system is mounted at the folder; give it a storage of its own")
            }
            io::ErrorKind::TimedOut | io::ErrorKind::StaleNetworkFileHandle => {
                Self::connection(format!("the file system does not answer: {error}"))
            }
            _ => Self::unavailable(format!("the file system failed: {error}")),
        }
    }
}
