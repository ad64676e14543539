//! Folders as open descriptors: each name is looked up relative to an open folder, and no symbolic link is followed.

use super::{Kind, Status};
use crate::connector::storage::error::FileSystemError;
use rustix::fs::{self, Access, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Modes of new files and folders, before the process's umask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);

/// An open folder.
pub(in crate::connector::storage) struct Folder(OwnedFd);

impl Folder {
    /// Opens the root. It may be a symbolic link, since it comes from the definition and not from a job.
    pub(in crate::connector::storage) fn root(path: &Path, create: bool) -> Result<Self, FileSystemError> {
        if create {
            std::fs::create_dir_all(path)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?))
    }

    /// Opens the subfolder of this name.
    pub(in crate::connector::storage) fn enter(&self, name: &str, create: bool) -> Result<Self, FileSystemError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || fs::openat(&self.0, name, flags, Mode::empty());
        let mut opened = open();
        if create && opened.as_ref().err() == Some(&Errno::NOENT) {
            match fs::mkdirat(&self.0, name, FOLDER_MODE) {
                Ok(()) => self.sync()?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.reason(name, error)),
            }
            opened = open();
        }
        opened.map(Self).map_err(|error| self.reason(name, error))
    }

    /// Opens a regular file for reading.
    pub(in crate::connector::storage) fn read(&self, name: &str) -> Result<(File, Status), FileSystemError> {
        // Without `NONBLOCK`, opening a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = fs::openat(&self.0, name, flags, Mode::empty()).map_err(|error| self.reason(name, error))?;
        let status = status(&fs::fstat(&opened).map_err(io::Error::from)?);
        Ok((File::from(opened), status))
    }

    /// Creates a file that must not exist yet.
    pub(in crate::connector::storage) fn create(&self, name: &str) -> Result<File, FileSystemError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = fs::openat(&self.0, name, flags, FILE_MODE).map_err(io::Error::from)?;
        Ok(File::from(opened))
    }

    /// Metadata of an open file.
    pub(in crate::connector::storage) fn status_of(file: &File) -> Result<Status, FileSystemError> {
        Ok(status(&fs::fstat(file).map_err(io::Error::from)?))
    }

    /// Gives an open file the mode of another, so that no more may read it.
    pub(in crate::connector::storage) fn set_mode(file: &File, mode: u32) -> Result<(), FileSystemError> {
        Ok(fs::fchmod(file, Mode::from_raw_mode(mode as _)).map_err(io::Error::from)?)
    }

    /// Metadata of an entry.
    pub(in crate::connector::storage) fn status(&self, name: &str) -> Result<Status, FileSystemError> {
        let found = fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)?;
        Ok(status(&found))
    }

    /// Moves a file of this folder, replacing the target atomically.
    pub(in crate::connector::storage) fn rename(
        &self,
        name: &str,
        to: &Self,
        new: &str,
    ) -> Result<(), FileSystemError> {
        Ok(fs::renameat(&self.0, name, &to.0, new).map_err(io::Error::from)?)
    }

    /// Removes a file.
    pub(in crate::connector::storage) fn remove(&self, name: &str) -> Result<(), FileSystemError> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty()).map_err(io::Error::from)?)
    }

    /// Syncs the entries of this folder to the disk.
    pub(in crate::connector::storage) fn sync(&self) -> Result<(), FileSystemError> {
        match fs::fsync(&self.0) {
            // Not every file system can sync folders.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Checks that files can be created in it.
    pub(in crate::connector::storage) fn writable(&self) -> Result<(), FileSystemError> {
        let rights = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        Ok(fs::accessat(&self.0, ".", rights, AtFlags::empty()).map_err(io::Error::from)?)
    }

    /// Calls `each` with the name of every file and folder, and which of them it is, in no particular order; `None`: the system
    /// does not say.
    pub(in crate::connector::storage) fn entries(
        &self,
        mut each: impl FnMut(&str, Option<Kind>),
    ) -> Result<(), FileSystemError> {
        let entries = Dir::read_from(&self.0).map_err(io::Error::from)?;
        for entry in entries {
            let entry = entry.map_err(io::Error::from)?;
            let kind = match entry.file_type() {
                FileType::RegularFile => Some(Kind::File),
                FileType::Directory => Some(Kind::Folder),
                FileType::Unknown => None,
                _ => continue,
            };
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                each(name, kind);
            }
        }
        Ok(())
    }

    /// Maps an error for an entry: systems report a symbolic link in different ways.
    fn reason(&self, name: &str, error: Errno) -> FileSystemError {
        let is_link = matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
            && matches!(self.status(name), Ok(Status { kind: Kind::Link, .. }));
        if is_link {
            return FileSystemError::Link;
        }
        io::Error::from(error).into()
    }
}

fn status(found: &fs::Stat) -> Status {
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    Status {
        kind,
        size: u64::try_from(found.st_size).unwrap_or_default(),
        modified: i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec),
        #[allow(
            clippy::useless_conversion,
            clippy::unnecessary_cast,
            reason = "the types differ among systems"
        )]
        inode: found.st_ino as u64,
        #[allow(
            clippy::useless_conversion,
            clippy::unnecessary_cast,
            reason = "the types differ among systems"
        )]
        mode: Some(found.st_mode as u32 & 0o777),
    }
}
