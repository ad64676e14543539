//! Files in a local folder.
//!
//! A file is written to a staging folder, synced, and then renamed to its final path. Invariants: no reader ever sees a
//! partial file, not even after a crash; the number of operations that wait for the disk is bounded, also when it hangs.

use super::content::{Content, Sources};
use super::error::FileSystemError;
use super::event::Event;
use super::local_count::count;
use super::operand::{FileName, Listing};
use super::result::{Counted, FileInfo, Listed, Removed, Stats, to_json};
use super::sandbox::{Folder, Kind, Status};
use super::staged_file::{StagedFile, UNFINISHED_SUFFIX};
use super::task::{Task, Upload};
use crate::clock::{Clock, SystemClock};
use crate::connector::limits::MAX_DOWNLOAD_BYTES;
use crate::connector::{Call, Connector, Failure, Limits};
use crate::resources::FilePath;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BinaryHeap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Folder in the root for files that are being written.
const STAGING_FOLDER: &str = ".ductape";
/// Bytes of a file or a URL that are copied at a time.
const COPIED_BYTES: u64 = 1 << 20;
/// Age after its last write at which an unfinished file counts as abandoned, ms.
const ABANDONED_AFTER_MS: i64 = 3_600_000;

/// A local folder.
pub(super) struct StorageConnector {
    storage_root: Arc<StorageRoot>,
    events: Arc<[Event]>,
    sources: Arc<Sources>,
    slots: Arc<Semaphore>,
}

struct StorageRoot {
    root: PathBuf,
    create: bool,
}

impl StorageConnector {
    /// Removes files that crashes left unfinished; creates nothing.
    pub(super) async fn open(
        root: PathBuf,
        create: bool,
        (events, sources): (Arc<[Event]>, Arc<Sources>),
    ) -> Arc<Self> {
        let storage_root = Arc::new(StorageRoot { root, create });
        let cleaning = Arc::clone(&storage_root);
        let _ = tokio::task::spawn_blocking(move || cleaning.remove_abandoned(SystemClock.now())).await;
        Arc::new(Self {
            storage_root,
            events,
            sources,
            slots: Arc::new(Semaphore::new(Limits::default().connections)),
        })
    }

    async fn upload(&self, upload: Upload) -> Result<FileInfo, Failure> {
        let Upload {
            file,
            mime_type,
            source,
        } = upload;
        let mut info = match self.sources.content(source).await? {
            // At once, so that nothing comes between.
            Content::Bytes(bytes) => {
                let written = self.blocking(move |root| {
                    let mut staged = root.stage(file)?;
                    staged.write(&bytes)?;
                    staged.publish()
                });
                written.await?
            }
            mut content => {
                let mime_type = content.mime_type();
                let mut staged = self.blocking(move |root| root.stage(file)).await?;
                loop {
                    let part = content.next_part(COPIED_BYTES).await?;
                    if part.is_empty() {
                        break;
                    }
                    staged = self
                        .blocking(move |_| {
                            staged.write(&part)?;
                            Ok(staged)
                        })
                        .await?;
                }
                let mut info = self.blocking(move |_| staged.publish()).await?;
                info.mime_type = info.mime_type.or(mime_type);
                info
            }
        };
        if mime_type.is_some() {
            info.mime_type = mime_type;
        }
        Ok(info)
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
        let task = match Task::read(&self.events, call.event(), call.input())? {
            Task::Upload(upload) => return Ok(Some(to_json(&self.upload(upload).await?)?.into())),
            task => task,
        };
        let answer = self.blocking(move |storage_root| storage_root.perform(task)).await?;
        Ok(Some(answer.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        self.blocking(StorageRoot::check).await
    }
}

impl StorageRoot {
    fn perform(&self, task: Task) -> Result<String, Failure> {
        match task {
            Task::Upload(_) => Err(Failure::unavailable("an upload is done in parts")),
            Task::Download(file) => to_json(&self.download(&file)?),
            Task::Remove(file) => to_json(&self.remove(&file)?),
            Task::Stats(file) => to_json(&self.stats(&file)?),
            Task::Count(listing) => to_json(&self.count(&listing)?),
            Task::List(listing) => to_json(&self.list(&listing)?),
            Task::SignedUrl(..) => Err(Failure::invalid(
                "a local folder has no URLs; `getSignedUrl` is for the types aws, gcp and azure",
            )),
        }
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

    /// What is not there since its folder is not, or the root, which only tasks that write create.
    fn nothing_in_root(&self) -> Result<(), Failure> {
        match self.root(false) {
            Err(error) if error.is_not_found() && !self.create => Err(self.missing_root(error)),
            _ => Ok(()),
        }
    }

    /// Opens a file in the staging folder, which is to become `file`.
    fn stage(&self, file: FileName) -> Result<StagedFile, Failure> {
        let root = self.root(true).map_err(|error| self.missing_root(error))?;
        let folder = self.enter(&file.folder, true)?;
        let replaced = folder.status(&file.name).ok();
        match replaced.map(|status| status.kind) {
            Some(Kind::Folder) => return Err(FileSystemError::Kind("a folder has the file's name").into()),
            Some(Kind::Link) => return Err(FileSystemError::Link.into()),
            Some(Kind::File | Kind::Other) | None => {}
        }
        let staging = root.enter(STAGING_FOLDER, true)?;
        // Before there is anything to read in it, it gets the mode of the one that it replaces.
        StagedFile::create(staging, folder, file, replaced.and_then(|status| status.mode))
    }

    fn download(&self, file: &FileName) -> Result<FileInfo, Failure> {
        let folder = self.enter(&file.folder, false)?;
        let (opened, status) = folder.read(&file.name)?;
        if status.kind != Kind::File {
            return Err(FileSystemError::Kind("what has the file's name is no file").into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(status.size.min(MAX_DOWNLOAD_BYTES)).unwrap_or_default());
        opened
            .take(MAX_DOWNLOAD_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(FileSystemError::from)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_DOWNLOAD_BYTES {
            return Err(Failure::invalid(format!(
                "the file has {} bytes, and a result holds at most {MAX_DOWNLOAD_BYTES}; read it where it is",
                status.size
            )));
        }
        let mut info = file_info(file, &status);
        info.size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        info.buffer = Some(STANDARD.encode(bytes));
        Ok(info)
    }

    /// A missing file is no failure, since an earlier attempt may have removed it.
    fn remove(&self, file: &FileName) -> Result<Removed, Failure> {
        let removed = self.enter(&file.folder, false).and_then(|folder| {
            match folder.status(&file.name)?.kind {
                Kind::File => {}
                Kind::Folder => return Err(FileSystemError::Kind("a folder has the file's name")),
                Kind::Link => return Err(FileSystemError::Link),
                Kind::Other => return Err(FileSystemError::Kind("what has the file's name is no file")),
            }
            folder.remove(&file.name)?;
            folder.sync()
        });
        match removed {
            Ok(()) => Ok(Removed { removed: true }),
            Err(error) if error.is_not_found() => self.nothing_in_root().map(|()| Removed { removed: false }),
            Err(error) => Err(error.into()),
        }
    }

    fn stats(&self, file: &FileName) -> Result<Stats, Failure> {
        match self
            .enter(&file.folder, false)
            .and_then(|folder| folder.status(&file.name))
        {
            Ok(status) if status.kind == Kind::File => Ok(Stats::of(Some(file_info(file, &status)))),
            Ok(Status { kind: Kind::Link, .. }) => Err(FileSystemError::Link.into()),
            Ok(_) => Ok(Stats::of(None)),
            Err(error) if error.is_not_found() => self.nothing_in_root().map(|()| Stats::of(None)),
            Err(error) => Err(error.into()),
        }
    }

    fn count(&self, listing: &Listing) -> Result<Counted, Failure> {
        match self.enter(&listing.folder, false) {
            Ok(folder) => Ok(count(&folder, listing)?),
            Err(error) if error.is_not_found() => self.nothing_in_root().map(|()| Counted::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, listing: &Listing) -> Result<Listed, Failure> {
        let mut listed = Listed::default();
        let folder = match self.enter(&listing.folder, false) {
            Ok(folder) => folder,
            // A folder is created with its first file.
            Err(error) if error.is_not_found() => return self.nothing_in_root().map(|()| listed),
            Err(error) => return Err(error.into()),
        };
        // A max-heap keeps the first `limit` names in order, with bounded memory.
        let mut first: BinaryHeap<Box<str>> = BinaryHeap::with_capacity(listing.limit + 2);
        folder.entries(|name, kind| {
            let wanted = kind != Some(Kind::Folder)
                && name.starts_with(&*listing.prefix)
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
            listed.continue_at(names.last().map(|name| name.to_string()));
        }
        for name in names {
            match folder.status(&name) {
                Ok(status) if status.kind == Kind::File => {
                    let folder = listing.folder.clone();
                    listed.push(file_info(&FileName { folder, name }, &status));
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
        let _ = staging.entries(|name, _| {
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

pub(super) fn file_info(file: &FileName, status: &Status) -> FileInfo {
    FileInfo::new(file, status.size, status.etag(), status.modified_ms())
}
