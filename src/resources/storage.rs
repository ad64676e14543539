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
    /// From where uploads may take their content, besides the input.
    pub sources: FileSources,
}

/// From where uploads may take their content, besides the input.
#[derive(Clone, Debug, Default)]
pub struct FileSources {
    /// The folder whose files they may name; `None`: they may name none.
    pub folder: Option<Text>,
    /// Whether they may name URLs with private addresses, where the rules for requests allow those.
    pub private_addresses: bool,
}

/// The location of files.
#[derive(Clone, Debug)]
pub enum StorageLocation {
    /// A local folder.
    Local(LocalFolder),
    /// A bucket of S3, or of a service that speaks its protocol.
    Aws(AwsBucket),
    /// A bucket of Google Cloud Storage.
    Gcp(GcpBucket),
    /// A container of Azure Blob Storage.
    Azure(AzureContainer),
}

impl StorageLocation {
    /// The name of its type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Aws(_) => "aws",
            Self::Gcp(_) => "gcp",
            Self::Azure(_) => "azure",
        }
    }
}

/// A bucket of S3, or of a service that speaks its protocol.
#[derive(Clone, Debug, Default)]
pub struct AwsBucket {
    /// Its name.
    pub bucket: Text,
    /// Its region.
    pub region: Option<Text>,
    /// A key and its secret; `None`: they are looked for on this machine.
    pub key: Option<(Text, Text)>,
    /// The token of a temporary key.
    pub session_token: Option<Text>,
    /// The profile whose key is looked for.
    pub profile: Option<Text>,
    /// URL of the service; `None`: that of S3.
    pub endpoint: Option<Text>,
    /// Whether the bucket is in the path of URLs instead of their host.
    pub path_style: Option<bool>,
    /// CA certificates that are trusted besides the system's.
    pub ca: Option<Text>,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug, Default)]
pub struct GcpBucket {
    /// Its name.
    pub bucket: Text,
    /// JSON text of the key of a service account, or a JSON string that holds it.
    pub service_account: Option<Text>,
    /// Path of a file with such a key.
    pub key_file: Option<Text>,
    /// URL of the service; `None`: Google's.
    pub endpoint: Option<Text>,
    /// CA certificates that are trusted besides the system's.
    pub ca: Option<Text>,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug, Default)]
pub struct AzureContainer {
    /// Its name.
    pub container: Text,
    /// Account, key and address in one text.
    pub connection_string: Option<Text>,
    /// The account.
    pub account: Option<Text>,
    /// Its key.
    pub key: Option<Text>,
    /// A signature that grants access, in place of a key.
    pub sas_token: Option<Text>,
    /// URL of the account's blobs; `None`: Azure's.
    pub endpoint: Option<Text>,
    /// CA certificates that are trusted besides the system's.
    pub ca: Option<Text>,
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
    pub max_bytes: Option<u64>,
}
