//! Files in a local folder.
//!
//! A file is written to a staging folder, synced, and then renamed to its final path. Invariants: no reader ever sees a
//! partial file, not even after a crash; the number of operations that wait for the disk is bounded, also when it hangs.

use super::error::FileSystemError;
use super::input::{Input, Listing};
use super::media::media_type;
use super::sandbox::{Folder, Kind, Status};
use super::{Event, FilePath};
use crate::clock::{Clock, SystemClock};
use crate::connector::limits::{MAX_DOWNLOAD_BYTES, MAX_UPLOAD_BYTES};
use crate::connector::{Call, Connector, Failure, Limits};
use crate::resources::StorageOperation;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use std::collections::BinaryHeap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Folder in the root for files that are being written.
const STAGING_FOLDER: &str = ".ductape";
/// Suffix of names in it.
const UNFINISHED_SUFFIX: &str = ".part";
/// Age after its last write at which an unfinished file counts as abandoned, ms.
const ABANDONED_AFTER_MS: i64 = 3_600_000;

/// A local folder.
pub(super) struct StorageConnector {
    storage_root: Arc<StorageRoot>,
    events: Arc<[Event]>,
    slots: Arc<Semaphore>,
}

struct StorageRoot {
    root: PathBuf,
    create: bool,
}

/// A file in a job's result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileInfo {
    file_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    buffer: Option<String>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    etag: String,
    last_modified: i64,
}

#[derive(Serialize)]
struct RemoveResult {
    removed: bool,
}

#[derive(Serialize)]
struct Stats {
    exists: bool,
    #[serde(flatten)]
    file: Option<FileInfo>,
}

#[derive(Serialize)]
struct ListResult {
    files: Vec<FileInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The checked task of one job.
enum Task {
    Upload(FilePath, String, Option<String>, Vec<u8>),
    Download(FilePath, String),
    Remove(FilePath, String),
    Stats(FilePath, String),
    List(FilePath, Listing),
}

impl StorageConnector {
    /// Removes files that crashes left unfinished; creates nothing.
    pub(super) async fn open(root: PathBuf, create: bool, events: Arc<[Event]>) -> Arc<Self> {
        let storage_root = Arc::new(StorageRoot { root, create });
        let cleaning = Arc::clone(&storage_root);
        let _ = tokio::task::spawn_blocking(move || cleaning.remove_abandoned(SystemClock.now())).await;
        Arc::new(Self {
            storage_root,
            events,
            slots: Arc::new(Semaphore::new(Limits::default().connections)),
        })
    }

    /// Reads and checks the task of a job.
    fn task(&self, call: &Call<'_>) -> Result<Task, Failure> {
        let event = self.events.iter().find(|event| *event.tag == *call.event());
        let input = Input::read(call.input())?;
        let folder = match event {
            Some(event) => input.folder(&event.folder)?,
            None => input.folder(&FilePath::default())?,
        };
        match event.map_or(StorageOperation::Upload, |event| event.operation) {
            StorageOperation::Upload => {
                let most = event.and_then(|event| event.max_bytes).unwrap_or(MAX_UPLOAD_BYTES);
                let name = input.file_name()?;
                Ok(Task::Upload(folder, name, input.mime_type()?, input.bytes(most)?))
            }
            StorageOperation::Download => Ok(Task::Download(folder, input.file_name()?)),
            StorageOperation::Remove => Ok(Task::Remove(folder, input.file_name()?)),
            StorageOperation::Stats => Ok(Task::Stats(folder, input.file_name()?)),
            StorageOperation::ListFiles => Ok(Task::List(folder, input.listing()?)),
        }
    }

    /// Runs blocking work on a blocking thread. It continues when its caller is dropped, and keeps its slot until it ends.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StorageRoot) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let slots = Arc::clone(&self.slots);
        let slot = slots
            .acquire_owned()
            .await
            .map_err(|_| Failure::unavailable("the storage is closed"))?;
        let storage_root = Arc::clone(&self.storage_root);
        let done = tokio::task::spawn_blocking(move || {
            let answer = work(&storage_root);
            drop(slot);
            answer
        });
        done.await
            .unwrap_or_else(|_| Err(Failure::unavailable("the storage is closed")))
    }
}

#[async_trait]
impl Connector for StorageConnector {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let task = self.task(call)?;
        let answer = self.blocking(move |storage_root| storage_root.perform(task)).await?;
        Ok(Some(answer.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        self.blocking(StorageRoot::check).await
    }
}

impl StorageRoot {
    fn perform(&self, task: Task) -> Result<String, Failure> {
        let answer = match task {
            Task::Upload(folder, name, mime_type, bytes) => {
                serde_json::to_string(&self.upload(&folder, name, mime_type, &bytes)?)
            }
            Task::Download(folder, name) => serde_json::to_string(&self.download(&folder, name)?),
            Task::Remove(folder, name) => serde_json::to_string(&RemoveResult {
                removed: self.remove(&folder, &name)?,
            }),
            Task::Stats(folder, name) => serde_json::to_string(&self.stats(&folder, name)?),
            Task::List(folder, listing) => serde_json::to_string(&self.list(&folder, &listing)?),
        };
        answer.map_err(|_| Failure::unavailable("the result cannot be written as JSON"))
    }

    /// Opens the root; only tasks that write create it.
    fn root(&self, create: bool) -> Result<Folder, FileSystemError> {
        Folder::root(&self.root, create && self.create)
    }

    fn enter(&self, path: &FilePath, create: bool) -> Result<Folder, FileSystemError> {
        let mut folder = self.root(create)?;
        for name in path.names() {
            folder = folder.enter(name, create)?;
        }
        Ok(folder)
    }

    fn upload(
        &self,
        path: &FilePath,
        name: String,
        mime_type: Option<String>,
        bytes: &[u8],
    ) -> Result<FileInfo, Failure> {
        let root = self.root(true).map_err(|error| self.missing_root(error))?;
        let folder = self.enter(path, true)?;
        match folder.status(&name).map(|status| status.kind) {
            Ok(Kind::Folder) => return Err(FileSystemError::Kind("a folder has the file's name").into()),
            Ok(Kind::Link) => return Err(FileSystemError::Link.into()),
            Ok(Kind::File | Kind::Other) | Err(_) => {}
        }
        let staging = root.enter(STAGING_FOLDER, true)?;
        let unfinished = UnfinishedFile::new(&staging)?;
        let mut file = staging.create(&unfinished.name)?;
        file.write_all(bytes).map_err(FileSystemError::from)?;
        // Otherwise a power failure could keep the name and lose the content.
        file.sync_all().map_err(FileSystemError::from)?;
        drop(file);
        staging.rename(&unfinished.name, &folder, &name)?;
        unfinished.keep();
        folder.sync()?;
        let status = folder.status(&name)?;
        Ok(file_info(path, name, mime_type, &status))
    }

    fn download(&self, path: &FilePath, name: String) -> Result<FileInfo, Failure> {
        let folder = self.enter(path, false)?;
        let (file, status) = folder.read(&name)?;
        if status.kind != Kind::File {
            return Err(FileSystemError::Kind("what has the file's name is no file").into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(status.size.min(MAX_DOWNLOAD_BYTES)).unwrap_or_default());
        file.take(MAX_DOWNLOAD_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(FileSystemError::from)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_DOWNLOAD_BYTES {
            return Err(Failure::invalid(format!(
                "the file has {} bytes, and a result holds at most {MAX_DOWNLOAD_BYTES}; read it where it is",
                status.size
            )));
        }
        let mime_type = media_type(&name).map(str::to_owned);
        let mut file_info = file_info(path, name, mime_type, &status);
        file_info.size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        file_info.buffer = Some(STANDARD.encode(bytes));
        Ok(file_info)
    }

    /// Returns whether the file existed. A missing file is no failure, since an earlier attempt may have removed it.
    fn remove(&self, path: &FilePath, name: &str) -> Result<bool, Failure> {
        let removed = self.enter(path, false).and_then(|folder| {
            match folder.status(name)?.kind {
                Kind::File => {}
                Kind::Folder => return Err(FileSystemError::Kind("a folder has the file's name")),
                Kind::Link => return Err(FileSystemError::Link),
                Kind::Other => return Err(FileSystemError::Kind("what has the file's name is no file")),
            }
            folder.remove(name)?;
            folder.sync()
        });
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn stats(&self, path: &FilePath, name: String) -> Result<Stats, Failure> {
        match self.enter(path, false).and_then(|folder| folder.status(&name)) {
            Ok(status) if status.kind == Kind::File => {
                let mime_type = media_type(&name).map(str::to_owned);
                Ok(Stats {
                    exists: true,
                    file: Some(file_info(path, name, mime_type, &status)),
                })
            }
            Ok(Status { kind: Kind::Link, .. }) => Err(FileSystemError::Link.into()),
            Ok(_) => Ok(Stats {
                exists: false,
                file: None,
            }),
            Err(error) if error.is_not_found() => Ok(Stats {
                exists: false,
                file: None,
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, path: &FilePath, listing: &Listing) -> Result<ListResult, Failure> {
        let mut listed = ListResult {
            files: Vec::new(),
            next: None,
        };
        let folder = match self.enter(path, false) {
            Ok(folder) => folder,
            // A folder is created with its first file.
            Err(error) if error.is_not_found() => return Ok(listed),
            Err(error) => return Err(error.into()),
        };
        // A max-heap keeps the first `limit` names in order, with bounded memory.
        let mut first: BinaryHeap<Box<str>> = BinaryHeap::with_capacity(listing.limit + 2);
        folder.names(|name| {
            let wanted = name.starts_with(&*listing.prefix)
                && listing.after.as_deref().is_none_or(|after| name > after)
                && (first.len() <= listing.limit || first.peek().is_some_and(|last| name < &**last))
                && crate::resources::name_problem(name).is_none();
            if wanted {
                first.push(name.into());
                if first.len() > listing.limit + 1 {
                    first.pop();
                }
            }
        })?;
        let mut names = first.into_sorted_vec();
        if names.len() > listing.limit {
            names.truncate(listing.limit);
            listed.next = names.last().map(|name| name.to_string());
        }
        for name in names {
            match folder.status(&name) {
                Ok(status) if status.kind == Kind::File => {
                    let mime_type = media_type(&name).map(str::to_owned);
                    listed.files.push(file_info(path, name.into(), mime_type, &status));
                }
                Ok(_) => {}
                // Removed meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(listed)
    }

    fn check(&self) -> Result<(), Failure> {
        match self.root(false) {
            Ok(root) => Ok(root.writable()?),
            // The first upload creates it.
            Err(error) if error.is_not_found() && self.create => Ok(()),
            Err(error) => Err(self.missing_root(error)),
        }
    }

    fn missing_root(&self, error: FileSystemError) -> Failure {
        if error.is_not_found() {
            return Failure::not_found("the storage's root is not there, and `create` is false");
        }
        error.into()
    }

    /// Removes files that crashes left unfinished, best effort.
    fn remove_abandoned(&self, now: i64) {
        let Ok(staging) = self.root(false).and_then(|root| root.enter(STAGING_FOLDER, false)) else {
            return;
        };
        let mut left = Vec::new();
        let _ = staging.names(|name| {
            if name.ends_with(UNFINISHED_SUFFIX) {
                left.push(Box::<str>::from(name));
            }
        });
        for name in left {
            let old = staging
                .status(&name)
                .is_ok_and(|status| status.modified_ms() < now.saturating_sub(ABANDONED_AFTER_MS));
            if old {
                let _ = staging.remove(&name);
            }
        }
    }
}

/// A file in the staging folder, removed on drop unless it was renamed to its final path.
struct UnfinishedFile<'a> {
    staging: &'a Folder,
    name: String,
    is_moved: bool,
}

impl<'a> UnfinishedFile<'a> {
    fn new(staging: &'a Folder) -> Result<Self, Failure> {
        let mut random = [0; 16];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Failure::unavailable("the system gives no random numbers"))?;
        Ok(Self {
            staging,
            name: format!("{:032x}{UNFINISHED_SUFFIX}", u128::from_le_bytes(random)),
            is_moved: false,
        })
    }

    fn keep(mut self) {
        self.is_moved = true;
    }
}

impl Drop for UnfinishedFile<'_> {
    fn drop(&mut self) {
        if !self.is_moved {
            let _ = self.staging.remove(&self.name);
        }
    }
}

fn file_info(path: &FilePath, file_name: String, mime_type: Option<String>, status: &Status) -> FileInfo {
    FileInfo {
        file_name,
        path: path.text(),
        buffer: None,
        size: status.size,
        mime_type,
        etag: status.etag(),
        last_modified: status.modified_ms(),
    }
}
