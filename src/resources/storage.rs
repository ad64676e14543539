//! Storage for files.

use super::Text;

/// Storage for files.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its name within the product.
    pub tag: Box<str>,
    /// Where its files are, by environment.
    pub envs: Vec<StorageEnv>,
    /// Its events; jobs of any other event upload.
    pub events: Vec<StorageEvent>,
}

/// Where the files of one environment are.
#[derive(Clone, Debug)]
pub struct StorageEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Their location.
    pub place: StorageLocation,
}

/// The location of files.
#[derive(Clone, Debug)]
pub enum StorageLocation {
    /// A local folder.
    Local(LocalFolder),
    /// A provider that is known by name only and has no connector: its jobs are left to handlers.
    External(&'static str),
}

/// A local folder.
#[derive(Clone, Debug)]
pub struct LocalFolder {
    /// Its path.
    pub root: Text,
    /// Whether it is created when missing.
    pub create: bool,
}

/// What a storage job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageOperation {
    /// Writes a file.
    Upload,
    /// Reads a file.
    Download,
    /// Removes a file.
    Remove,
    /// Lists the files of a folder.
    ListFiles,
    /// Returns size and modification time of a file, or how many files there are.
    Stats,
    /// Makes a URL by which others reach a file for a while.
    GetSignedUrl,
}

impl StorageOperation {
    /// Every operation, by its name.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("upload", Self::Upload),
        ("download", Self::Download),
        ("remove", Self::Remove),
        ("listFiles", Self::ListFiles),
        ("stats", Self::Stats),
        ("getSignedUrl", Self::GetSignedUrl),
    ];

    /// The operation of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.into_iter();
        all.find(|(known, _)| *known == name).map(|(_, operation)| operation)
    }
}

/// What the jobs of one event do.
#[derive(Clone, Debug)]
pub struct StorageEvent {
    /// Its name; the `event` of its jobs.
    pub tag: Box<str>,
    /// What its jobs do.
    pub operation: StorageOperation,
    /// The folder that its jobs are confined to.
    pub path: Option<Box<str>>,
    /// Largest file that may be written, in bytes.
    pub max_bytes: Option<usize>,
}
