//! What is done after a sync of the write-ahead log has failed.
//!
//! The system reports a failed sync once, and then takes the pages that it could not write for clean: a later sync passes
//! although they are not on the disk, also those that earlier transactions wrote without a sync of their own. So nothing
//! of the log is believed: it is read back, checked, written again as it is, and synced. Invariant: until that has
//! succeeded, no transaction of this process commits.
//!
//! The format of the log: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use super::disk_fault::DiskFault;
use super::file_path::companion;
use crate::error::{Error, ErrorCode, Result};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The lowest bit says which byte order the checksums have.
const MAGIC: u32 = 0x377f_0682;

/// Writes the log of the database at `path` again, and syncs it. `frames`: how many have been committed at
/// least. Whoever calls this holds the database's write lock.
///
/// # Errors
/// `STORE_ERROR` when it cannot be written or synced still; `STORE_CORRUPT` when something of it is lost.
pub(super) fn rewrite(path: &Path, frames: i64) -> Result<()> {
    let name = companion(path, "-wal");
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(&name)
        .map_err(|error| io_error(&error))
        .and_then(|mut file| rewrite_file(&mut file, usize::try_from(frames).unwrap_or(0)))
        .map_err(|error| Error {
            message: format!("cannot write {} again: {}", name.display(), error.message),
            ..error
        })
}

fn rewrite_file(file: &mut File, frames: usize) -> Result<()> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).map_err(|error| io_error(&error))?;
    let Some(mut chain) = Chain::new(&header) else {
        return Err(lost("its header"));
    };
    write_at(file, 0, &header)?;
    let mut frame = vec![0; FRAME_HEADER_BYTES + chain.page_bytes];
    for number in 0.. {
        let at = (HEADER_BYTES + number * frame.len()) as u64;
        file.seek(SeekFrom::Start(at)).map_err(|error| io_error(&error))?;
        match file.read_exact(&mut frame) {
            Ok(()) if chain.continues_with(&frame) => write_at(file, at, &frame)?,
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(io_error(&error)),
            // The end, or what is left of an earlier log or of a transaction that failed.
            _ if number >= frames => break,
            _ => return Err(lost(&format!("frame {} of at least {frames}", number + 1))),
        }
    }
    file.sync_all().map_err(|error| io_error(&error))
}

fn write_at(file: &mut File, at: u64, bytes: &[u8]) -> Result<()> {
    file.seek(SeekFrom::Start(at)).map_err(|error| io_error(&error))?;
    file.write_all(bytes).map_err(|error| io_error(&error))
}

fn io_error(error: &std::io::Error) -> Error {
    let fault = DiskFault::of(error).unwrap_or(DiskFault::Write);
    let message = format!("{}; nothing is written before that", fault.message(error));
    Error::new(ErrorCode::StoreError, message)
}

fn lost(what: &str) -> Error {
    let message = format!(
        "the disk has failed to write the store's log, and {what} is lost; stop all processes and restore the store from a backup"
    );
    Error::new(ErrorCode::StoreCorrupt, message)
}

/// The checksums, each of which is over all that stands before it.
struct Chain {
    big_endian: bool,
    page_bytes: usize,
    salts: [u8; 8],
    sums: (u32, u32),
}

impl Chain {
    /// `None`: the header is not that of a log.
    fn new(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = number(header, 0)?;
        let page_bytes = usize::try_from(number(header, 8)?).ok()?;
        if magic & !1 != MAGIC || !page_bytes.is_power_of_two() || page_bytes > 65_536 {
            return None;
        }
        let mut chain = Self {
            big_endian: magic & 1 == 1,
            page_bytes,
            salts: header[16..24].try_into().ok()?,
            sums: (0, 0),
        };
        chain.add(&header[..24]);
        (chain.sums == (number(header, 24)?, number(header, 28)?)).then_some(chain)
    }

    fn continues_with(&mut self, frame: &[u8]) -> bool {
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER_BYTES..]);
        let sums = number(frame, 16).zip(number(frame, 20));
        frame[8..16] == self.salts && sums == Some(self.sums)
    }

    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let word = |half: &[u8]| {
                let word: [u8; 4] = half.try_into().unwrap_or_default();
                if self.big_endian {
                    u32::from_be_bytes(word)
                } else {
                    u32::from_le_bytes(word)
                }
            };
            let (first, second) = (word(&pair[..4]), word(&pair[4..]));
            self.sums.0 = self.sums.0.wrapping_add(first).wrapping_add(self.sums.1);
            self.sums.1 = self.sums.1.wrapping_add(second).wrapping_add(self.sums.0);
        }
    }
}

/// The 32-bit number at an offset.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(word))
}
