//! Files in a folder of this machine.
//!
//! A file is written beside the others, in a folder of the package's own, and takes its place by being renamed once all of it
//! is on the disk. Invariants: nobody ever sees half a file, also after a crash; only so many operations wait for the
//! disk at once, also when it does not answer.

use super::beneath::{Folder, Kind, Status};
use super::input::{Input, LARGEST, Listing};
use super::media::media_type;
use super::trouble::Trouble;
use super::{Event, FilePath};
use crate::clock::{Clock, SystemClock};
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

/// Where files are until they are whole, in the root.
const STAGING: &str = ".ductape";
/// What names there end with.
const UNFINISHED: &str = ".part";
/// How long ago an unfinished file was last written when nobody can be writing it any more, ms.
const ABANDONED: i64 = 3_600_000;
/// Largest file that is read into a result, in bytes: a result holds 1 MiB of JSON, and base64 makes four characters of
/// three bytes.
const LARGEST_RESULT: u64 = 768 * 1024 - 1_024;

/// A folder of this machine.
pub(super) struct Local {
    place: Arc<Place>,
    events: Arc<[Event]>,
    slots: Arc<Semaphore>,
}

struct Place {
    root: PathBuf,
    create: bool,
}

/// A file, as results tell it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
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
struct Removed {
    removed: bool,
}

#[derive(Serialize)]
struct Stats {
    exists: bool,
    #[serde(flatten)]
    file: Option<Shown>,
}

#[derive(Serialize)]
struct Listed {
    files: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What one job does, checked.
enum Task {
    Upload(FilePath, String, Option<String>, Vec<u8>),
    Download(FilePath, String),
    Remove(FilePath, String),
    Stats(FilePath, String),
    List(FilePath, Listing),
}

impl Local {
    /// Clears away what crashes left; makes nothing.
    pub(super) async fn open(root: PathBuf, create: bool, events: Arc<[Event]>) -> Arc<Self> {
        let place = Arc::new(Place { root, create });
        let sweeping = Arc::clone(&place);
        let _ = tokio::task::spawn_blocking(move || sweeping.sweep(SystemClock.now())).await;
        Arc::new(Self {
            place,
            events,
            slots: Arc::new(Semaphore::new(Limits::default().connections)),
        })
    }

    /// What a job is to do.
    fn task(&self, call: &Call<'_>) -> Result<Task, Failure> {
        let event = self.events.iter().find(|event| *event.tag == *call.event());
        let input = Input::read(call.input())?;
        let folder = match event {
            Some(event) => input.folder(&event.folder)?,
            None => input.folder(&FilePath::default())?,
        };
        match event.map_or(StorageOperation::Upload, |event| event.operation) {
            StorageOperation::Upload => {
                let most = event.and_then(|event| event.max_bytes).unwrap_or(LARGEST);
                let name = input.file_name()?;
                Ok(Task::Upload(folder, name, input.mime_type()?, input.bytes(most)?))
            }
            StorageOperation::Download => Ok(Task::Download(folder, input.file_name()?)),
            StorageOperation::Remove => Ok(Task::Remove(folder, input.file_name()?)),
            StorageOperation::Stats => Ok(Task::Stats(folder, input.file_name()?)),
            StorageOperation::ListFiles => Ok(Task::List(folder, input.listing()?)),
        }
    }

    /// Does what blocks beside the runtime. What is under way goes on when nobody waits for it any more, and keeps its slot.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let slots = Arc::clone(&self.slots);
        let slot = slots
            .acquire_owned()
            .await
            .map_err(|_| Failure::unavailable("the storage is closed"))?;
        let place = Arc::clone(&self.place);
        let done = tokio::task::spawn_blocking(move || {
            let answer = work(&place);
            drop(slot);
            answer
        });
        done.await
            .unwrap_or_else(|_| Err(Failure::unavailable("the storage is closed")))
    }
}

#[async_trait]
impl Connector for Local {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let task = self.task(call)?;
        let answer = self.blocking(move |place| place.perform(task)).await?;
        Ok(Some(answer.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        self.blocking(Place::check).await
    }
}

impl Place {
    fn perform(&self, task: Task) -> Result<String, Failure> {
        let answer = match task {
            Task::Upload(folder, name, mime_type, bytes) => {
                serde_json::to_string(&self.upload(&folder, name, mime_type, &bytes)?)
            }
            Task::Download(folder, name) => serde_json::to_string(&self.download(&folder, name)?),
            Task::Remove(folder, name) => serde_json::to_string(&Removed {
                removed: self.remove(&folder, &name)?,
            }),
            Task::Stats(folder, name) => serde_json::to_string(&self.stats(&folder, name)?),
            Task::List(folder, listing) => serde_json::to_string(&self.list(&folder, &listing)?),
        };
        answer.map_err(|_| Failure::unavailable("the result cannot be written as JSON"))
    }

    /// The root; a job about a file that is there does not make it.
    fn root(&self, create: bool) -> Result<Folder, Trouble> {
        Folder::root(&self.root, create && self.create)
    }

    fn enter(&self, path: &FilePath, create: bool) -> Result<Folder, Trouble> {
        let mut folder = self.root(create)?;
        for name in path.names() {
            folder = folder.enter(name, create)?;
        }
        Ok(folder)
    }

    fn upload(&self, path: &FilePath, name: String, mime_type: Option<String>, bytes: &[u8]) -> Result<Shown, Failure> {
        let root = self.root(true).map_err(|trouble| self.missing_root(trouble))?;
        let folder = self.enter(path, true)?;
        match folder.status(&name).map(|status| status.kind) {
            Ok(Kind::Folder) => return Err(Trouble::Kind("a folder has the file's name").into()),
            Ok(Kind::Link) => return Err(Trouble::Link.into()),
            Ok(Kind::File | Kind::Other) | Err(_) => {}
        }
        let staging = root.enter(STAGING, true)?;
        let unfinished = Unfinished::new(&staging)?;
        let mut file = staging.create(&unfinished.name)?;
        file.write_all(bytes).map_err(Trouble::from)?;
        // A name that outlives the bytes behind it would be half a file after a power cut.
        file.sync_all().map_err(Trouble::from)?;
        drop(file);
        staging.rename(&unfinished.name, &folder, &name)?;
        unfinished.done();
        folder.sync()?;
        let status = folder.status(&name)?;
        Ok(shown(path, name, mime_type, &status))
    }

    fn download(&self, path: &FilePath, name: String) -> Result<Shown, Failure> {
        let folder = self.enter(path, false)?;
        let (file, status) = folder.read(&name)?;
        if status.kind != Kind::File {
            return Err(Trouble::Kind("what has the file's name is no file").into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(status.size.min(LARGEST_RESULT)).unwrap_or_default());
        file.take(LARGEST_RESULT + 1)
            .read_to_end(&mut bytes)
            .map_err(Trouble::from)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST_RESULT {
            return Err(Failure::invalid(format!(
                "the file has {} bytes, and a result holds at most {LARGEST_RESULT}; read it where it is",
                status.size
            )));
        }
        let mime_type = media_type(&name).map(str::to_owned);
        let mut shown = shown(path, name, mime_type, &status);
        shown.size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        shown.buffer = Some(STANDARD.encode(bytes));
        Ok(shown)
    }

    /// Whether there was one. That there is none is no failure: an earlier attempt may have removed it.
    fn remove(&self, path: &FilePath, name: &str) -> Result<bool, Failure> {
        let removed = self.enter(path, false).and_then(|folder| {
            match folder.status(name)?.kind {
                Kind::File => {}
                Kind::Folder => return Err(Trouble::Kind("a folder has the file's name")),
                Kind::Link => return Err(Trouble::Link),
                Kind::Other => return Err(Trouble::Kind("what has the file's name is no file")),
            }
            folder.remove(name)?;
            folder.sync()
        });
        match removed {
            Ok(()) => Ok(true),
            Err(trouble) if trouble.is_absence() => Ok(false),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn stats(&self, path: &FilePath, name: String) -> Result<Stats, Failure> {
        match self.enter(path, false).and_then(|folder| folder.status(&name)) {
            Ok(status) if status.kind == Kind::File => {
                let mime_type = media_type(&name).map(str::to_owned);
                Ok(Stats {
                    exists: true,
                    file: Some(shown(path, name, mime_type, &status)),
                })
            }
            Ok(Status { kind: Kind::Link, .. }) => Err(Trouble::Link.into()),
            Ok(_) => Ok(Stats {
                exists: false,
                file: None,
            }),
            Err(trouble) if trouble.is_absence() => Ok(Stats {
                exists: false,
                file: None,
            }),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn list(&self, path: &FilePath, listing: &Listing) -> Result<Listed, Failure> {
        let mut listed = Listed {
            files: Vec::new(),
            next: None,
        };
        let folder = match self.enter(path, false) {
            Ok(folder) => folder,
            // A folder comes with its first file.
            Err(trouble) if trouble.is_absence() => return Ok(listed),
            Err(trouble) => return Err(trouble.into()),
        };
        // The first names in order, however many there are: the last of those kept makes room for one before it.
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
                    listed.files.push(shown(path, name.into(), mime_type, &status));
                }
                Ok(_) => {}
                // Removed meanwhile.
                Err(trouble) if trouble.is_absence() => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(listed)
    }

    fn check(&self) -> Result<(), Failure> {
        match self.root(false) {
            Ok(root) => Ok(root.writable()?),
            // The first upload makes it.
            Err(trouble) if trouble.is_absence() && self.create => Ok(()),
            Err(trouble) => Err(self.missing_root(trouble)),
        }
    }

    fn missing_root(&self, trouble: Trouble) -> Failure {
        if trouble.is_absence() {
            return Failure::not_found("the storage's root is not there, and `create` is false");
        }
        trouble.into()
    }

    /// Removes what crashes left unfinished. What fails is left for the next time.
    fn sweep(&self, now: i64) {
        let Ok(staging) = self.root(false).and_then(|root| root.enter(STAGING, false)) else {
            return;
        };
        let mut left = Vec::new();
        let _ = staging.names(|name| {
            if name.ends_with(UNFINISHED) {
                left.push(Box::<str>::from(name));
            }
        });
        for name in left {
            let old = staging
                .status(&name)
                .is_ok_and(|status| status.modified_ms() < now.saturating_sub(ABANDONED));
            if old {
                let _ = staging.remove(&name);
            }
        }
    }
}

/// A name in the staging folder, whose file is removed unless it found its place.
struct Unfinished<'a> {
    staging: &'a Folder,
    name: String,
    placed: bool,
}

impl<'a> Unfinished<'a> {
    fn new(staging: &'a Folder) -> Result<Self, Failure> {
        let mut random = [0; 16];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Failure::unavailable("the system gives no random numbers"))?;
        Ok(Self {
            staging,
            name: format!("{:032x}{UNFINISHED}", u128::from_le_bytes(random)),
            placed: false,
        })
    }

    fn done(mut self) {
        self.placed = true;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.placed {
            let _ = self.staging.remove(&self.name);
        }
    }
}

fn shown(path: &FilePath, file_name: String, mime_type: Option<String>, status: &Status) -> Shown {
    Shown {
        file_name,
        path: path.text(),
        buffer: None,
        size: status.size,
        mime_type,
        etag: status.etag(),
        last_modified: status.modified_ms(),
    }
}
