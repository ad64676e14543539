//! The one path of a store's file, whatever name it is called by.
//!
//! The log, its index and the locks lie beside the file under names made of its own. A process that came to the file by
//! another name would have others of each, and the two would damage it. Invariant: processes that open one file agree on
//! these, or are refused.

use super::failure::file_error;
use crate::error::{Error, ErrorCode, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Longest path that SQLite opens, bytes: its own limit of 512, less what it appends for the log.
const MAX_PATH_BYTES: usize = 504;
/// Most symbolic links that are followed from one name to the next, as many as Linux follows.
const MAX_LINKS: usize = 40;
/// What is appended to the path of the store for the files beside it.
const COMPANIONS: [&str; 4] = ["", "-wal", "-shm", "-locks"];

/// The path to open for the store that is called `path`: absolute, and without symbolic links, also where the file does
/// not exist yet. Touches nothing.
///
/// # Errors
/// `STORE_ERROR` when the path cannot be followed, is too long for SQLite, or is one of several names of one file.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|e| file_error("find", path, e))?;
    let resolved = real_path(&absolute, MAX_LINKS)?;
    check_length(&resolved)?;
    check_links(&resolved)?;
    check_mounts(&resolved)?;
    Ok(resolved)
}

/// The path of a file that nobody opens as a store, without symbolic links. Touches nothing.
///
/// # Errors
/// `STORE_ERROR` when the path cannot be followed.
pub(super) fn resolve_copy(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|e| file_error("find", path, e))?;
    real_path(&absolute, MAX_LINKS)
}

/// Whether the path leaves room for what is appended to the name of a file that SQLite opens beside it.
pub(super) fn has_room_for(path: &Path, suffix: &str) -> bool {
    companion(path, suffix).as_os_str().len() <= MAX_PATH_BYTES
}

/// The path with what is appended to it for a file beside the store, such as `-wal`.
pub(super) fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(unix)]
fn real_path(path: &Path, links: usize) -> Result<PathBuf> {
    use std::io::ErrorKind;
    match std::fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found.map_err(|e| file_error("find the store", path, e)),
    }
    // Not there yet: a link that leads nowhere, or a name in a folder that may be reached by links itself.
    let Some(parent) = path.parent() else {
        return Ok(path.to_owned());
    };
    if let Ok(target) = std::fs::read_link(path) {
        let links = links.checked_sub(1).ok_or_else(|| too_many_links(path))?;
        return real_path(&parent.join(target), links);
    }
    let mut folder = real_path(parent, links)?;
    match path.file_name() {
        Some(name) => folder.push(name),
        // `..` behind a folder that does not exist.
        None => _ = folder.pop(),
    }
    Ok(folder)
}

#[cfg(unix)]
fn too_many_links(path: &Path) -> Error {
    let message = format!(
        "the store {} is behind more than {MAX_LINKS} symbolic links; name the file itself",
        path.display()
    );
    Error::new(ErrorCode::StoreError, message)
}

/// Links are rare on this system, and its resolved paths have a form that not every program takes.
#[cfg(not(unix))]
fn real_path(path: &Path, _links: usize) -> Result<PathBuf> {
    Ok(path.to_owned())
}

#[cfg(unix)]
fn check_length(path: &Path) -> Result<()> {
    let length = path.as_os_str().len();
    if length <= MAX_PATH_BYTES {
        return Ok(());
    }
    let message = format!(
        "the path of the store is {length} bytes long, and SQLite takes at most {MAX_PATH_BYTES}; choose a shorter one than {}",
        path.display()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// SQLite says so itself.
#[cfg(not(unix))]
fn check_length(_path: &Path) -> Result<()> {
    Ok(())
}

/// Refuses a file that has another name, which some process may have opened it by.
#[cfg(unix)]
fn check_links(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    if !metadata.is_file() || metadata.nlink() < 2 {
        return Ok(());
    }
    let message = format!(
        "the store {} has {} names (hard links), and processes that open it by different ones damage it; keep one and delete \
         the others, which `find / -xdev -samefile` lists, or make a symbolic link",
        path.display(),
        metadata.nlink()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// Cannot be told on this system.
#[cfg(not(unix))]
fn check_links(_path: &Path) -> Result<()> {
    Ok(())
}

/// Refuses a file that was mounted by itself: its log and its locks are not the ones that it has elsewhere.
#[cfg(target_os = "linux")]
fn check_mounts(path: &Path) -> Result<()> {
    // Without the list, as without `/proc`, nobody can tell.
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut files = COMPANIONS.iter().map(|suffix| companion(path, suffix));
    let Some(mounted) = files.find(|file| is_mount_point(&mounts, file)) else {
        return Ok(());
    };
    let message = format!(
        "{} is mounted by itself, without the files that belong to the store beside it, so that processes on both sides of the \
         mount would damage it; mount its folder instead",
        mounted.display()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// Cannot be told on this system.
#[cfg(not(target_os = "linux"))]
fn check_mounts(_path: &Path) -> Result<()> {
    let _ = COMPANIONS;
    Ok(())
}

/// Whether something is mounted at `path`, by the text of `/proc/self/mountinfo`.
#[cfg(target_os = "linux")]
fn is_mount_point(mounts: &[u8], path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let wanted = path.as_os_str().as_bytes();
    mounts.split(|byte| *byte == b'\n').any(|line| {
        // `36 35 98:0 /data/jobs.db /srv/jobs.db rw,relatime - ext4 /dev/sda rw`: the fifth is where it is mounted.
        let point = line.split(|byte| *byte == b' ').nth(4);
        point.is_some_and(|point| unescaped(point) == wanted)
    })
}

/// Blanks, tabs, line breaks and backslashes are written as three octal digits.
#[cfg(target_os = "linux")]
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[3..] } else { behind };
    }
    bytes
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mount_points_are_found_with_their_escapes() {
        let mounts = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            31 22 8:1 /jobs.db /srv/my\\040jobs.db rw - ext4 /dev/sda1 rw\n\
            32 22 8:1 /x /srv/back\\134slash rw - ext4 /dev/sda1 rw\n";
        for (path, expected) in [
            ("/", true),
            ("/srv/my jobs.db", true),
            ("/srv/back\\slash", true),
            ("/srv", false),
            ("/srv/my", false),
            ("/jobs.db", false),
        ] {
            assert_eq!(is_mount_point(mounts, Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn names_of_one_file_lead_to_one_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/deep")).unwrap();
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, root.join(from)).unwrap();
        link("real", "folder");
        link("folder/jobs.db", "dangling.db");
        link("dangling.db", "twice.db");
        link("loop.db", "loop.db");
        for name in [
            "real/jobs.db",
            "folder/jobs.db",
            "dangling.db",
            "twice.db",
            "folder/deep/../jobs.db",
            "folder/absent/../jobs.db",
        ] {
            assert_eq!(resolve(&root.join(name)).unwrap(), root.join("real/jobs.db"), "{name}");
        }
        assert_eq!(
            resolve(&root.join("folder/absent/more/jobs.db")).unwrap(),
            root.join("real/absent/more/jobs.db")
        );
        assert!(resolve(&root.join("loop.db")).is_err());
        std::fs::write(root.join("real/jobs.db"), "").unwrap();
        assert_eq!(resolve(&root.join("twice.db")).unwrap(), root.join("real/jobs.db"));
    }
}
