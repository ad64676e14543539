//! Warns when something keeps the write-ahead log from becoming short again.
//!
//! A transaction that only reads keeps all that was written since it began in the log, however long it takes. The store
//! goes on meanwhile, and the disk fills up. Knows no SQL.

use super::config::Warn;
use super::lock_holder;
use std::path::{Path, PathBuf};

/// Bytes of a frame: a page and its header.
const FRAME_BYTES: i64 = 4_096 + 24;
/// Length of the log that is worth a warning, bytes; then each doubling is.
const FIRST_WARNING_BYTES: i64 = 64 << 20;
/// Frames that a complete checkpoint has left, from which on a reader is to blame and not a writer that was faster.
const KEPT_FRAMES: i64 = 4_096;

/// Looks at the log after each checkpoint that was to empty it.
pub(super) struct LogGrowth {
    path: PathBuf,
    warn: Warn,
    /// The length of the next warning, bytes.
    next_warning: i64,
}

impl LogGrowth {
    /// Of the database at `path`.
    pub(super) fn new(path: &Path, warn: Warn) -> Self {
        Self {
            path: path.to_owned(),
            warn,
            next_warning: FIRST_WARNING_BYTES,
        }
    }

    /// The log has `frames`, of which a checkpoint had to leave `kept`.
    pub(super) fn look(&mut self, frames: i64, kept: i64) {
        let bytes = frames.saturating_mul(FRAME_BYTES);
        if kept <= KEPT_FRAMES {
            self.next_warning = FIRST_WARNING_BYTES;
            return;
        }
        if bytes < self.next_warning {
            return;
        }
        while self.next_warning <= bytes {
            self.next_warning = self.next_warning.saturating_mul(2);
        }
        let reader = lock_holder::reader(&self.path);
        let reader = reader.map_or_else(
            || "a process that cannot be told".to_owned(),
            |reader| format!("most likely {reader}"),
        );
        (self.warn)(&format!(
            "the log of the store {} has grown to {} MiB, since a reader ({reader}) keeps a transaction open on it; let it end \
             that: the log grows as long as it lasts, and is used from its start again afterwards",
            self.path.display(),
            bytes >> 20
        ));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn each_doubling_is_one_warning_until_the_log_is_emptied() {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&warnings);
        let warn: Warn = Arc::new(move |text| log.lock().unwrap().push(text.to_owned()));
        let mut growth = LogGrowth::new(Path::new("/srv/jobs.db"), warn);
        let mut look = |mebibytes: i64, kept: i64| {
            growth.look((mebibytes << 20) / FRAME_BYTES + 1, kept);
            std::mem::take(&mut *warnings.lock().unwrap()).len()
        };
        assert_eq!(look(63, 10_000), 0);
        assert_eq!(look(300, 10), 0, "a busy writer alone");
        for (mebibytes, expected) in [(64, 1), (127, 0), (128, 1), (200, 0), (600, 1), (1_023, 0), (1_024, 1)] {
            assert_eq!(look(mebibytes, 10_000), expected, "{mebibytes}");
        }
        assert_eq!(look(1_025, 0), 0);
        assert_eq!(look(65, 10_000), 1, "the next time");
    }
}
