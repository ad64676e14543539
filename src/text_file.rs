//! Reads small texts, such as definitions and certificates, from files that a definition names.
//!
//! Invariant: reading ends, whatever is at the path, and takes no more memory than it was allowed.

use std::fs::{File, metadata};
use std::io::{Error, Read, Result};
use std::path::Path;

/// The text in a regular file of at most `max_bytes`. Blocks for as long as the disk takes.
///
/// # Errors
/// When there is no such file, when it is a pipe, a device or a folder, too large or no UTF-8.
pub fn read_text_file(path: &Path, max_bytes: u64) -> Result<String> {
    // Before it is opened: opening a pipe waits for somebody who writes to it.
    if !metadata(path)?.is_file() {
        return Err(Error::other("it is no regular file"));
    }
    let mut text = String::new();
    let read = File::open(path)?.take(max_bytes + 1).read_to_string(&mut text)?;
    if read as u64 > max_bytes {
        return Err(Error::other(format!("it is larger than {max_bytes} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read_text_file(&path, 4).unwrap(), "text");
        let why = read_text_file(&path, 3).unwrap_err().to_string();
        assert_eq!(why, "it is larger than 3 bytes");
        assert!(read_text_file(&folder.path().join("absent"), 4).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for path in [&*pipe, &link, Path::new("/dev/zero"), folder.path()] {
            let why = read_text_file(path, 100).unwrap_err().to_string();
            assert_eq!(why, "it is no regular file", "{}", path.display());
        }
    }
}
