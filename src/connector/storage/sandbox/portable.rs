//! Folders as paths, for systems without `openat`: each component is checked before use.

use super::{Kind, Status};
use crate::connector::storage::error::FileSystemError;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// An open folder.
pub(in crate::connector::storage) struct Folder(PathBuf);

impl Folder {
    /// Opens the root. It may be a symbolic link, since it comes from the definition and not from a job.
    pub(in crate::connector::storage) fn root(path: &Path, create: bool) -> Result<Self, FileSystemError> {
        if create {
            fs::create_dir_all(path)?;
        }
        if !fs::metadata(path)?.is_dir() {
            return Err(FileSystemError::Kind("the storage's root is no folder"));
        }
        Ok(Self(fs::canonicalize(path)?))
    }

    /// Opens the subfolder of this name.
    pub(in crate::connector::storage) fn enter(&self, name: &str, create: bool) -> Result<Self, FileSystemError> {
        let path = self.0.join(name);
        if create
            && let Err(error) = fs::create_dir(&path)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error.into());
        }
        match self.status(name)?.kind {
            Kind::Folder => Ok(Self(path)),
            Kind::Link => Err(FileSystemError::Link),
            Kind::File | Kind::Other => Err(FileSystemError::Kind("a file has the name of a folder of the path")),
        }
    }

    /// Opens a file for reading.
    pub(in crate::connector::storage) fn read(&self, name: &str) -> Result<(File, Status), FileSystemError> {
        let found = self.status(name)?;
        match found.kind {
            Kind::Link => Err(FileSystemError::Link),
            Kind::File => Ok((File::open(self.0.join(name))?, found)),
            Kind::Folder | Kind::Other => Err(FileSystemError::Kind("what has the file's name is no file")),
        }
    }

    /// Creates a file that must not exist yet.
    pub(in crate::connector::storage) fn create(&self, name: &str) -> Result<File, FileSystemError> {
        Ok(OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.0.join(name))?)
    }

    /// Metadata of an open file.
    pub(in crate::connector::storage) fn status_of(file: &File) -> Result<Status, FileSystemError> {
        Ok(status(&file.metadata()?))
    }

    /// Does nothing: a file has the rights of its folder.
    pub(in crate::connector::storage) fn set_mode(_file: &File, _mode: u32) -> Result<(), FileSystemError> {
        Ok(())
    }

    /// Metadata of an entry.
    pub(in crate::connector::storage) fn status(&self, name: &str) -> Result<Status, FileSystemError> {
        Ok(status(&fs::symlink_metadata(self.0.join(name))?))
    }

    /// Moves a file of this folder, replacing the target.
    pub(in crate::connector::storage) fn rename(
        &self,
        name: &str,
        to: &Self,
        new: &str,
    ) -> Result<(), FileSystemError> {
        Ok(fs::rename(self.0.join(name), to.0.join(new))?)
    }

    /// Removes a file.
    pub(in crate::connector::storage) fn remove(&self, name: &str) -> Result<(), FileSystemError> {
        Ok(fs::remove_file(self.0.join(name))?)
    }

    /// Does nothing: these systems write directory entries by themselves.
    pub(in crate::connector::storage) fn sync(&self) -> Result<(), FileSystemError> {
        Ok(())
    }

    /// Checks that files can be created in it.
    pub(in crate::connector::storage) fn writable(&self) -> Result<(), FileSystemError> {
        if fs::metadata(&self.0)?.permissions().readonly() {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied).into());
        }
        Ok(())
    }

    /// Calls `each` with the name of every file and folder, and which of them it is, in no particular order; `None`: the system
    /// does not say.
    pub(in crate::connector::storage) fn entries(
        &self,
        mut each: impl FnMut(&str, Option<Kind>),
    ) -> Result<(), FileSystemError> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let found = entry.file_type()?;
            let kind = if found.is_file() { Kind::File } else { Kind::Folder };
            if (found.is_file() || found.is_dir())
                && let Some(name) = entry.file_name().to_str()
            {
                each(name, Some(kind));
            }
        }
        Ok(())
    }
}

fn status(found: &Metadata) -> Status {
    let kind = if found.is_symlink() {
        Kind::Link
    } else if found.is_dir() {
        Kind::Folder
    } else if found.is_file() {
        Kind::File
    } else {
        Kind::Other
    };
    let modified = found
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Status {
        kind,
        size: found.len(),
        modified: modified.map_or(0, |time| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)),
        inode: 0,
        mode: None,
    }
}
