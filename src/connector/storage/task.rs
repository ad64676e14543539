//! What a job of a storage is to do: read from its event and its input, and checked. Pure.

use super::event::Event;
use super::input::Input;
use super::operand::{Access, FileName, Listing, Source};
use crate::connector::Failure;
use crate::resources::{FilePath, StorageOperation};
use std::time::Duration;

/// The checked task of one job.
#[derive(Debug)]
pub(super) enum Task {
    /// Writes a file.
    Upload(Upload),
    /// Reads a file.
    Download(FileName),
    /// Removes a file.
    Remove(FileName),
    /// Describes a file.
    Stats(FileName),
    /// Counts the files of a folder and of those in it.
    Count(Listing),
    /// Lists the files of a folder.
    List(Listing),
    /// Makes a URL by which others reach a file for a while.
    #[cfg_attr(
        not(feature = "cloud-storage"),
        allow(dead_code, reason = "local folders have no URLs, whatever is asked for")
    )]
    SignedUrl(FileName, Access, Duration),
}

/// A file to write.
#[derive(Debug)]
pub(super) struct Upload {
    /// Which one.
    pub file: FileName,
    /// Its media type, if the job names it.
    pub mime_type: Option<String>,
    /// Where its content is.
    pub source: Source,
}

impl Task {
    /// Reads the task of a job of the event `tag`.
    pub(super) fn read(events: &[Event], tag: &str, input: &str) -> Result<Self, Failure> {
        let event = events.iter().find(|event| *event.tag == *tag);
        let input = Input::read(input)?;
        let root = FilePath::default();
        let folder = event.map_or(&root, |event| &event.folder);
        // An event that is not listed is the operation of its name, or an upload.
        let operation = event.map_or_else(
            || StorageOperation::named(tag).unwrap_or(StorageOperation::Upload),
            |event| event.operation,
        );
        input.refuse_members_of_others(operation)?;
        match operation {
            StorageOperation::Upload => {
                let most = event.and_then(|event| event.max_bytes);
                Ok(Self::Upload(Upload {
                    file: input.file(folder)?,
                    mime_type: input.mime_type()?,
                    source: input.content(most)?,
                }))
            }
            StorageOperation::Download => Ok(Self::Download(input.file(folder)?)),
            StorageOperation::Remove => Ok(Self::Remove(input.file(folder)?)),
            StorageOperation::Stats if input.names_file() => Ok(Self::Stats(input.file(folder)?)),
            StorageOperation::Stats => Ok(Self::Count(input.listing(folder)?)),
            StorageOperation::ListFiles => Ok(Self::List(input.listing(folder)?)),
            StorageOperation::GetSignedUrl => {
                let (access, expires_in) = input.access()?;
                Ok(Self::SignedUrl(input.file(folder)?, access, expires_in))
            }
        }
    }
}
