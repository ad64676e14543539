//! A place for files.

use super::Text;

/// A place for files.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its name within the product.
    pub tag: Box<str>,
    /// Where its files are, by environment.
    pub envs: Vec<StorageEnv>,
    /// What its jobs do, where that is not an upload.
    pub events: Vec<StorageEvent>,
}

/// Where the files of one environment are.
#[derive(Clone, Debug)]
pub struct StorageEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Where.
    pub place: StorageLocation,
}

/// Where files are.
#[derive(Clone, Debug)]
pub enum StorageLocation {
    /// A folder of this machine.
    Local(LocalFolder),
    /// A provider that is known by name and not built in: its jobs are done by handlers.
    External(&'static str),
}

/// A folder of this machine.
#[derive(Clone, Debug)]
pub struct LocalFolder {
    /// Its path.
    pub root: Text,
    /// Whether it is made when it is missing.
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
    /// Tells size and time of a file.
    Stats,
}

impl StorageOperation {
    /// Every operation, by its name.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("upload", Self::Upload),
        ("download", Self::Download),
        ("remove", Self::Remove),
        ("listFiles", Self::ListFiles),
        ("stats", Self::Stats),
    ];
}

/// What the jobs of one event do.
#[derive(Clone, Debug)]
pub struct StorageEvent {
    /// Its name; the `event` of its jobs.
    pub tag: Box<str>,
    /// What they do.
    pub operation: StorageOperation,
    /// The folder that they keep to.
    pub path: Option<Box<str>>,
    /// Most bytes of a file that is written.
    pub max_bytes: Option<usize>,
}
