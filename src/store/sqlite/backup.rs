//! Copies the store into another file while it is used, and puts such a copy in its place again.
//!
//! Knows no jobs. Invariants: a file under the name that was asked for is complete and on the disk, or is not there; the
//! file of a store is replaced only while no process has it open, and never together with a log that belongs to another file.

use super::failure::{copy_error, file_error, name_store, sqlite_code};
use super::file_path::{self, companion};
use super::{file_header, instance_lock, migrate, open, open_files};
use crate::error::{Error, ErrorCode, Result};
use rusqlite::{Connection, ErrorCode as SqliteCode};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What registrations of a copy have in place of the boot they were made in: their processes are not those of now.
const MARK_ALL_DEAD: &str = "UPDATE instances SET boot = 'restored'";

/// Ends the name of a file that is being written.
const PARTIAL: &str = ".partial";

/// Copies what is committed by now into a new file. Blocks for as long as that takes; `connection` is not used otherwise
/// meanwhile.
///
/// # Errors
/// `STORE_ERROR` when the file is there already or cannot be written.
pub(super) fn copy_to(connection: &Connection, store: &Path, to: &Path) -> Result<()> {
    let to = file_path::resolve(to)?;
    refuse_existing(&to)?;
    let partial = PartialFile::create(&to)?;
    migrate::check_unchanged(connection, store)?;
    let copied = connection.execute("VACUUM INTO ?1", [partial.text()?]);
    copied.map_err(|error| copy_error(error, store, &to))?;
    partial.become_new(&to)
}

/// Puts the store in `from`, made by [`copy_to`], in the place of `to`. Blocks.
///
/// # Errors
/// `STORE_ERROR` when a process has `to` open, or when one of the two cannot be read or written; `STORE_CORRUPT` when
/// `from` is damaged or no store.
pub(crate) fn restore(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (file_path::resolve_copy(from)?, file_path::resolve(to)?);
    check_source(&from, &to)?;
    open::check_target(&to)?;
    // A damaged store may look like anything, and is to be replaced; its locks tell that it was one.
    if to.exists() && !companion(&to, "-locks").is_dir() {
        file_header::refuse_foreign(&to)?;
    }
    open::prepare_process(&to);
    open::create_folder(to.parent().unwrap_or(&to))?;
    let locks = open::locks_folder(&to)?;
    // From here on nobody else opens it.
    let _opening = open::opening_lock(&locks, &to)?;
    refuse_used(&to, &locks)?;
    let partial = PartialFile::create(&to)?;
    partial.fill(&from)?;
    check_copy(&partial.path, &from)?;
    let _alone = settle(&to)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        remove_if_there(&companion(&to, suffix))?;
    }
    partial.replace(&to)
}

fn refuse_existing(path: &Path) -> Result<()> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let message = format!("{} is there already; name a file that is not", path.display());
    Err(Error::new(ErrorCode::StoreError, message))
}

fn check_source(from: &Path, to: &Path) -> Result<()> {
    let metadata = std::fs::metadata(from).map_err(|e| file_error("read the backup", from, e))?;
    let refusal = if from == to {
        "is the store itself; name its backup".to_owned()
    } else if !metadata.is_file() {
        "is no file; name the backup of a store".to_owned()
    } else if std::fs::metadata(companion(from, "-wal")).is_ok_and(|log| log.len() > 0) {
        "has a log beside it, so that it is in use or is not whole; make a copy with `backup`, or close its last process".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorCode::StoreError,
        format!("{} {refusal}", from.display()),
    ))
}

/// Fails when any process has the store open: each connection holds a lock of the file, and each worker one of its own.
fn refuse_used(to: &Path, locks: &Path) -> Result<()> {
    let used = open_files::is_open_here(to) || is_locked(to) || instance_lock::any_alive(locks);
    if !used {
        return Ok(());
    }
    let message = format!(
        "the store {} is open, in this process or in another one; close all instances that use it first",
        to.display()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// Whether anybody has a lock of the database. Not asked of a file that this process has open.
#[cfg(unix)]
fn is_locked(path: &Path) -> bool {
    use rustix::fs::{FlockOperation, fcntl_lock};
    let Ok(file) = File::options().read(true).write(true).open(path) else {
        return false;
    };
    let tried = fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive);
    matches!(tried, Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS))
}

/// The system does not replace a file that is open.
#[cfg(not(unix))]
fn is_locked(_path: &Path) -> bool {
    false
}

/// Checks that a copy is a store that this version can open, undamaged, and marks its processes as dead.
fn check_copy(copy: &Path, from: &Path) -> Result<()> {
    let check = || {
        let connection = open::connect(copy)?;
        migrate::check_owner(&connection, from)?;
        migrate::check_known(&connection)?;
        // Neither a log nor shared memory is left beside the copy.
        let _: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            let message = format!("the backup is damaged ({found}); take another one");
            return Err(Error::new(ErrorCode::StoreCorrupt, message));
        }
        connection.execute(MARK_ALL_DEAD, [])?;
        Ok(())
    };
    check().map_err(|error| {
        let why = match sqlite_code(&error) {
            Some(SqliteCode::DatabaseCorrupt) => "it is damaged; take another backup",
            Some(SqliteCode::NotADatabase) => "it is no ductape store; name the backup of one",
            _ => &error.message,
        };
        let message = format!("cannot restore from {}: {why}", from.display());
        Error { message, ..error }
    })
}

/// Brings what the old log has into the old file, so that it is whole without its log if the machine stops now; a damaged
/// one stays as it is. While the result lives, nobody else can use the file.
fn settle(to: &Path) -> Result<Option<Connection>> {
    if !to.exists() {
        return Ok(None);
    }
    let settled = || {
        let connection = open::connect(to)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        let _: String = connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |row| row.get(0))?;
        let _: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        Ok(connection)
    };
    match settled() {
        Err(error) if super::failure::is_locked(&error) => Err(name_store(error, "replace", to)),
        settled => Ok(settled.ok()),
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// A file that is being written, removed unless it becomes what it is for.
struct PartialFile {
    path: PathBuf,
}

impl PartialFile {
    fn create(target: &Path) -> Result<Self> {
        let path = companion(target, PARTIAL);
        if !file_path::has_room_for(target, PARTIAL) {
            let message = format!(
                "the path {} is too long for the `{PARTIAL}` file that is written first; choose a shorter one",
                target.display()
            );
            return Err(Error::new(ErrorCode::StoreError, message));
        }
        match open::new_file(&path) {
            Ok(_) => {
                // What an interrupted call has left beside it would be played into this copy.
                for suffix in ["-journal", "-wal", "-shm"] {
                    remove_if_there(&companion(&path, suffix))?;
                }
                Ok(Self { path })
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let message = format!(
                    "{} is there already: another call writes it now, or one was interrupted; in that case delete it",
                    path.display()
                );
                Err(Error::new(ErrorCode::StoreError, message))
            }
            Err(error) => Err(file_error("create", &path, error)),
        }
    }

    fn text(&self) -> Result<&str> {
        self.path.to_str().ok_or_else(|| {
            let message = format!("{} is no Unicode; choose another path", self.path.display());
            Error::new(ErrorCode::StoreError, message)
        })
    }

    /// Copies what is in `from`, and not its rights.
    fn fill(&self, from: &Path) -> Result<()> {
        let mut source = File::open(from).map_err(|e| file_error("read the backup", from, e))?;
        let target = File::options().write(true).open(&self.path);
        let copied = target.and_then(|mut target| std::io::copy(&mut source, &mut target));
        copied.map(|_| ()).map_err(|e| file_error("write", &self.path, e))
    }

    /// Takes the name, which nobody may have.
    fn become_new(self, target: &Path) -> Result<()> {
        self.sync()?;
        // A link fails where a file is, which a renaming replaces; not every file system has links.
        match std::fs::hard_link(&self.path, target) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return refuse_existing(target),
            Err(_) => {
                refuse_existing(target)?;
                std::fs::rename(&self.path, target).map_err(|e| file_error("create", target, e))?;
            }
        }
        remove_if_there(&self.path)?;
        sync_folder(target)
    }

    /// Takes the name from whoever has it.
    fn replace(self, target: &Path) -> Result<()> {
        self.sync()?;
        std::fs::rename(&self.path, target).map_err(|e| file_error("replace", target, e))?;
        sync_folder(target)
    }

    fn sync(&self) -> Result<()> {
        let file = File::options().write(true).open(&self.path);
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(|e| file_error("sync", &self.path, e))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let _ = std::fs::remove_file(companion(&self.path, suffix));
        }
    }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|e| file_error("sync the folder", folder, e))
}

/// Folders cannot be synced here.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> Result<()> {
    Ok(())
}
