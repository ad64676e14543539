//! What jobs of a storage are about: files, lists of them, contents and URLs. Plain data, read and checked elsewhere.

use crate::resources::FilePath;
use bytes::Bytes;
use reqwest::Url;

/// A file of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    /// The folder it is in.
    pub folder: FilePath,
    /// Its name there.
    pub name: Box<str>,
}

/// Which files of a folder to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// The folder.
    pub folder: FilePath,
    /// Prefix of names.
    pub prefix: Box<str>,
    /// Only what comes after this.
    pub after: Option<Box<str>>,
    /// Most names.
    pub limit: usize,
}

/// What a URL grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To read the file.
    Read,
    /// To write it.
    Write,
}

/// Where the content of an upload is, and how many bytes it may have.
#[derive(Debug)]
pub(super) enum Source {
    /// In the input.
    Bytes(Bytes),
    /// In a file of this machine.
    File(FileName, u64),
    /// At a URL.
    Url(Url, u64),
}
