//! Opens the file of a store, or refuses it with a reason: folders, file modes, pragmas, other copies of SQLite.
//!
//! Knows no tables but those of the migrations. Invariants: the file is created readable by its owner only, is never
//! opened while another copy of SQLite in this process has it open, and gets nothing beside it when it is no store.

use super::config::Location;
use super::failure::{file_error, name_store};
use super::fair_lock::lock_file;
use super::file_header;
use super::file_path;
use super::instances;
use super::migrate;
use super::open_files::{self, OpenFile};
use crate::error::{Error, ErrorCode, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Prepared statements cached per connection; more than there are.
const STATEMENT_CACHE_CAPACITY: usize = 160;
/// How long another writer may hold the database before a transaction fails with `BUSY`.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for another process that is opening the same store.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Length to which the write-ahead log is truncated when it restarts, bytes.
const MAX_WAL_BYTES: i64 = 64 << 20;

/// A file that passed all checks, with what must live as long as its connections.
pub(super) struct OpenedFile {
    /// The database, without symbolic links.
    pub(super) path: PathBuf,
    /// What it is called in the options, from the root on.
    pub(super) called: PathBuf,
    /// Folder of the lock files.
    pub(super) locks: PathBuf,
    /// Entry in the process's list of open stores, removed on drop.
    _registration: OpenFile,
    /// Warnings for the user, such as a network file system.
    pub(super) warnings: Vec<String>,
}

impl OpenedFile {
    /// The log, where each write to it can be seen by every process that has it open.
    pub(super) fn watched_log(&self) -> Option<PathBuf> {
        let is_local = self.path.parent().is_none_or(|folder| network_name(folder).is_none());
        is_local.then(|| file_path::companion(&self.path, "-wal"))
    }
}

/// Opens the writing connection: the first connection of its file in this process, and the last to be closed.
pub(super) fn open_writer(location: &Location) -> Result<(Connection, Option<OpenedFile>)> {
    match location {
        Location::Memory => {
            let mut connection = Connection::open_in_memory()?;
            configure(&connection)?;
            migrate::run(&mut connection)?;
            Ok((connection, None))
        }
        Location::File(path) => open_file(path).map(|(connection, file)| (connection, Some(file))),
    }
}

/// Opens another connection to a file that is open for writing.
pub(super) fn open_additional(path: &Path) -> Result<Connection> {
    let connect_and_configure = || {
        let connection = connect(path)?;
        configure(&connection)?;
        Ok(connection)
    };
    connect_and_configure().map_err(|error| name_store(error, "open", path))
}

/// Opens a file as one end of a move: whatever its schema, and without migrating it. `None`: there is no store.
pub(super) fn open_for_transfer(path: &Path) -> Result<Option<(Connection, OpenedFile)>> {
    let called = std::path::absolute(path).map_err(|e| file_error("find", path, e))?;
    let path = file_path::resolve(&called)?;
    if std::fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0) {
        return Ok(None);
    }
    open_file_by(&path, |path| {
        let connection = connect(path)?;
        migrate::check_owner(&connection, path)?;
        configure(&connection)?;
        enter_wal_mode(&connection, path)?;
        Ok(connection)
    })
    .map(Some)
}

fn open_file(path: &Path) -> Result<(Connection, OpenedFile)> {
    open_file_by(path, open_database)
}

fn open_file_by(path: &Path, open: impl Fn(&Path) -> Result<Connection>) -> Result<(Connection, OpenedFile)> {
    // One at a time per process: until the file is in WAL mode, two connections of one process could deadlock on their
    // open-file-description locks.
    static OPENING: Mutex<()> = Mutex::new(());
    let _one = OPENING.lock().unwrap_or_else(PoisonError::into_inner);

    let called = std::path::absolute(path).map_err(|e| file_error("find", path, e))?;
    let path = file_path::resolve(&called)?;
    prepare_process(&path);
    check_target(&path)?;
    if path.exists() {
        check_writable(&path)?;
        file_header::refuse_foreign(&path)?;
    }
    create_folder(path.parent().unwrap_or(&path))?;
    let mut warnings = Vec::new();
    warnings.extend(network_warning(path.parent().unwrap_or(&path)));
    let locks = locks_folder(&path)?;
    let _opening = opening_lock(&locks, &path)?;
    create_file(&path)?;
    let registration = open_files::register(&path)?;
    let connection = open(&path).map_err(|error| name_store(error, "open", &path))?;
    connection.busy_timeout(Duration::ZERO)?;
    // Only tidiness: whatever keeps it from being done does not keep the store from being used.
    let _ = instances::sweep_locks(&connection, &locks);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok((
        connection,
        OpenedFile {
            path,
            called,
            locks,
            _registration: registration,
            warnings,
        },
    ))
}

/// What must be done in a process before it opens this file, which is called by its resolved name.
pub(super) fn prepare_process(path: &Path) {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    super::open_file_locks::install(path);
    #[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
    let _ = path;
}

fn open_database(path: &Path) -> Result<Connection> {
    let mut connection = connect(path)?;
    if connection.is_readonly("main")? {
        let message = format!(
            "the store {} is read-only; give this process write access to it",
            path.display()
        );
        return Err(Error::new(ErrorCode::StoreError, message));
    }
    migrate::check_owner(&connection, path)?;
    configure(&connection)?;
    enter_wal_mode(&connection, path)?;
    migrate::run(&mut connection)?;
    Ok(connection)
}

/// Held while a store is created, switched to WAL mode and migrated: when two processes do this concurrently, SQLite
/// refuses some of it at once instead of waiting. Processes that have the store open already are not affected.
pub(super) fn opening_lock(locks: &Path, path: &Path) -> Result<std::fs::File> {
    let file = lock_file(&locks.join("open")).map_err(|e| file_error("lock", path, e))?;
    let until = std::time::Instant::now() + OPENING_TIMEOUT;
    loop {
        match file.try_lock() {
            // Without file locks in the file system, SQLite's own must suffice.
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if std::time::Instant::now() < until => {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let message = format!(
                    "the store {} is being opened by another process that does not get on; find out which one is stopped",
                    path.display()
                );
                return Err(Error::new(ErrorCode::StoreError, message));
            }
        }
    }
}

pub(super) fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Settings of every connection.
fn configure(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
    // Or else each statement with a parameter that might change its plan, such as that of a LIMIT, is prepared anew for each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let settings = format!(
        "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 0; \
         PRAGMA journal_size_limit = {MAX_WAL_BYTES}; PRAGMA synchronous = NORMAL;"
    );
    Ok(connection.execute_batch(&settings)?)
}

fn enter_wal_mode(connection: &Connection, path: &Path) -> Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    let message = format!(
        "the store {} cannot use a write-ahead log (journal mode {mode}): its file system has no shared memory; put it on a local disk",
        path.display()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// Refuses a path that cannot be a database file.
pub(super) fn check_target(path: &Path) -> Result<()> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() {
        "a folder"
    } else {
        "not a regular file"
    };
    let message = format!(
        "the store {} is {what}; name a file, as in {}",
        path.display(),
        path.join("ductape.db").display()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

pub(super) fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
        .create(folder)
        .map_err(|e| file_error("create the folder", folder, e))
}

/// Creates the database file if it is missing. An existing one is not opened here: closing that descriptor would drop
/// the process's POSIX locks on systems that have no others.
fn create_file(path: &Path) -> Result<()> {
    match new_file(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(file_error("create the store", path, e)),
    }
}

/// A file that is not there yet, readable by its owner only.
pub(super) fn new_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(unix)]
fn check_writable(path: &Path) -> Result<()> {
    use rustix::fs::{Access, access};
    let folder = path.parent().unwrap_or(path);
    for (what, target) in [
        ("write to the store", path),
        ("write to the folder of the store", folder),
    ] {
        access(target, Access::READ_OK | Access::WRITE_OK).map_err(|e| file_error(what, target, e.into()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_writable(path: &Path) -> Result<()> {
    let read_only = std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly());
    if read_only {
        return Err(file_error(
            "write to the store",
            path,
            std::io::ErrorKind::PermissionDenied.into(),
        ));
    }
    Ok(())
}

pub(super) fn locks_folder(path: &Path) -> Result<PathBuf> {
    let folder = file_path::companion(path, "-locks");
    create_folder(&folder)?;
    Ok(folder)
}

/// File systems whose locks or shared memory cannot be relied upon, by their `statfs` magic.
#[cfg(target_os = "linux")]
const NETWORK_FILE_SYSTEMS: [(u32, &str); 9] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x5346_414F, "AFS"),
];

#[cfg(target_os = "linux")]
fn network_name(folder: &Path) -> Option<&'static str> {
    let magic = rustix::fs::statfs(folder).ok()?.f_type as u32;
    let (_, name) = NETWORK_FILE_SYSTEMS.iter().find(|(number, _)| *number == magic)?;
    Some(name)
}

#[cfg(not(target_os = "linux"))]
fn network_name(_folder: &Path) -> Option<&'static str> {
    None
}

fn network_warning(folder: &Path) -> Option<String> {
    let name = network_name(folder)?;
    Some(format!(
        "the store's folder {} is on a network or user-space file system ({name}), where locks may not hold; put it on a local disk",
        folder.display()
    ))
}
