//! A file that is being written, in a folder where nobody looks, until it is whole and gets its place.

use super::error::FileSystemError;
use super::local::file_info;
use super::operand::FileName;
use super::result::FileInfo;
use super::sandbox::Folder;
use crate::clock::next_moment;
use crate::connector::Failure;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::File;
use std::io::Write;

/// Suffix of the names of such files.
pub(super) const UNFINISHED_SUFFIX: &str = ".part";

/// Removed on drop, unless it was given its place.
pub(super) struct StagedFile {
    staging: Folder,
    name: String,
    /// `None` once it has its place.
    written: Option<File>,
    folder: Folder,
    file: FileName,
}

impl StagedFile {
    /// Creates a file in `staging` that is to become `file` in `folder`, with this mode or the usual one.
    pub(super) fn create(staging: Folder, folder: Folder, file: FileName, mode: Option<u32>) -> Result<Self, Failure> {
        let mut random = [0; 16];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Failure::unavailable("the system gives no random numbers"))?;
        let name = format!("{:032x}{UNFINISHED_SUFFIX}", u128::from_le_bytes(random));
        let created = staging.create(&name)?;
        let staged = Self {
            staging,
            name,
            written: Some(created),
            folder,
            file,
        };
        if let (Some(mode), Some(created)) = (mode, &staged.written)
            && Folder::status_of(created)?.mode != Some(mode)
        {
            Folder::set_mode(created, mode)?;
        }
        Ok(staged)
    }

    /// Adds bytes to its end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self
            .written
            .as_mut()
            .ok_or_else(|| Failure::unavailable("the file has its place"))?;
        Ok(written.write_all(bytes).map_err(FileSystemError::from)?)
    }

    /// Gives the file its place, with what is known of it.
    pub(super) fn publish(mut self) -> Result<FileInfo, Failure> {
        let Some(written) = self.written.as_ref() else {
            return Err(Failure::unavailable("the file has its place"));
        };
        // A file system may tell only those times apart that are some ms from each other.
        let _ = written.set_modified(next_moment());
        // Otherwise a power failure could keep the name and lose the content.
        written.sync_all().map_err(FileSystemError::from)?;
        // Once it has its name, somebody else may have replaced or removed it.
        let status = Folder::status_of(written)?;
        self.staging.rename(&self.name, &self.folder, &self.file.name)?;
        self.written = None;
        self.folder.sync()?;
        Ok(file_info(&self.file, &status))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.written.take().is_some() {
            let _ = self.staging.remove(&self.name);
        }
    }
}
