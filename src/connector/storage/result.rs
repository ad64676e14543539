//! Results of storage jobs, the same for all providers.

use super::media::{Category, category, media_type};
use super::operand::FileName;
use crate::connector::Failure;
use serde::Serialize;
#[cfg(feature = "cloud-storage")]
use std::collections::BTreeMap;

/// A file in a job's result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileInfo {
    /// Its name in its folder.
    pub file_name: String,
    /// The folder.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Where it is, for those who have access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its content in base64, of a file that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Changes when the file does.
    pub etag: String,
    /// Time of the last write, ms since the epoch.
    pub last_modified: i64,
}

impl FileInfo {
    /// A file whose media type is the likely one by its name.
    pub(super) fn new(file: &FileName, size: u64, etag: String, last_modified: i64) -> Self {
        Self {
            file_name: file.name.to_string(),
            path: file.folder.text(),
            url: None,
            buffer: None,
            size,
            mime_type: media_type(&file.name).map(str::to_owned),
            etag,
            last_modified,
        }
    }
}

/// What became of a removal.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    /// Whether the file existed.
    pub removed: bool,
}

/// What is known of one file.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    /// Whether it exists.
    pub exists: bool,
    /// The file.
    #[serde(flatten)]
    pub file: Option<FileInfo>,
}

impl Stats {
    /// The file exists, or not.
    pub(super) fn of(file: Option<FileInfo>) -> Self {
        Self {
            exists: file.is_some(),
            file,
        }
    }
}

/// A URL by which others reach a file for a while.
#[cfg(feature = "cloud-storage")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedUrl {
    /// The URL.
    pub url: String,
    /// The method that it is good for.
    pub method: String,
    /// Headers that must be sent with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<&'static str, &'static str>,
    /// Until when it is good, ms since the epoch.
    pub expires_at: i64,
}

/// Files of a folder.
#[derive(Debug, Default, Serialize)]
pub(super) struct Listed {
    files: Vec<ListedFile>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, Serialize)]
struct ListedFile {
    /// Its path in the storage.
    name: String,
    #[serde(flatten)]
    file: FileInfo,
}

impl Listed {
    /// Adds a file.
    pub(super) fn push(&mut self, file: FileInfo) {
        let name = match file.path.as_str() {
            "" => file.file_name.clone(),
            path => format!("{path}/{}", file.file_name),
        };
        self.files.push(ListedFile { name, file });
    }

    /// How many there are.
    #[cfg(feature = "cloud-storage")]
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Says what follows.
    pub(super) fn continue_at(&mut self, next: Option<String>) {
        self.page = Page::new(next);
    }
}

/// Whether more follows, and how to ask for it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    has_more: bool,
}

impl Page {
    fn new(next: Option<String>) -> Self {
        Self {
            has_more: next.is_some(),
            next_token: next.clone(),
            next,
        }
    }
}

/// How many files there are, and how large they are together.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counted {
    total_files: u64,
    total_size: u64,
    by_type: ByType,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, Default, Serialize)]
struct ByType {
    image: Total,
    video: Total,
    audio: Total,
    document: Total,
    archive: Total,
    other: Total,
}

#[derive(Debug, Default, Serialize)]
struct Total {
    count: u64,
    size: u64,
}

impl Counted {
    /// Counts a file.
    pub(super) fn add(&mut self, name: &str, size: u64) {
        self.total_files += 1;
        self.total_size = self.total_size.saturating_add(size);
        let total = match category(name) {
            Category::Image => &mut self.by_type.image,
            Category::Video => &mut self.by_type.video,
            Category::Audio => &mut self.by_type.audio,
            Category::Document => &mut self.by_type.document,
            Category::Archive => &mut self.by_type.archive,
            Category::Other => &mut self.by_type.other,
        };
        total.count += 1;
        total.size = total.size.saturating_add(size);
    }

    /// Says what follows.
    pub(super) fn continue_at(&mut self, next: Option<String>) {
        self.page = Page::new(next);
    }
}

/// The JSON text of a result.
pub(super) fn to_json(result: &impl Serialize) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Answer<'a, T> {
        success: bool,
        #[serde(flatten)]
        result: &'a T,
    }
    serde_json::to_string(&Answer { success: true, result })
        .map_err(|_| Failure::unavailable("the result cannot be written as JSON"))
}
