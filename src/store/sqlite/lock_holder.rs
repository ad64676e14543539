//! Which process holds a lock of the store, for messages.
//!
//! Linux lists all locks in `/proc/locks`, with the processes that took them; elsewhere, and for locks of another PID
//! namespace, nobody can tell. Costs a read of that list: for failures only.

use std::fs::File;
use std::path::Path;

/// Who is in the way, in words: `process 4711 (node), which is stopped`.
#[cfg(target_os = "linux")]
pub(super) fn describe(turn: Option<&File>, database: &Path) -> Option<String> {
    linux::describe(turn, database)
}

/// Nobody can tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn describe(_turn: Option<&File>, _database: &Path) -> Option<String> {
    None
}

/// A process of another program that has an old state of the database open, in words.
#[cfg(target_os = "linux")]
pub(super) fn reader(database: &Path) -> Option<String> {
    linux::reader(database)
}

/// Nobody can tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn reader(_database: &Path) -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::store::sqlite::file_path::companion;
    use std::fs::{File, Metadata};
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    pub(super) fn describe(turn: Option<&File>, database: &Path) -> Option<String> {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        // A program of its own locks SQLite's files, a process of this package also the file of its turn.
        let files = [
            std::fs::metadata(companion(database, "-shm")).ok(),
            std::fs::metadata(database).ok(),
            turn.and_then(|file| file.metadata().ok()),
        ];
        let mut holders = files.iter().flatten().filter_map(|file| exclusive_holder(&locks, file));
        holders.next().map(process)
    }

    /// Bytes of SQLite's shared memory that are locked for as long as a transaction reads.
    const READ_MARKS: std::ops::RangeInclusive<u64> = 123..=127;

    pub(super) fn reader(database: &Path) -> Option<String> {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let shared_memory = std::fs::metadata(companion(database, "-shm")).ok()?;
        let mut readers = locks_of(&locks, &shared_memory)
            .filter(|lock| lock.mode == "READ" && lock.start.is_some_and(|start| READ_MARKS.contains(&start)));
        readers.next().map(|lock| process(lock.pid))
    }

    /// The other process that holds an exclusive lock of this file.
    pub(super) fn exclusive_holder(locks: &str, file: &Metadata) -> Option<u32> {
        let mut exclusive = locks_of(locks, file).filter(|lock| lock.mode == "WRITE");
        exclusive.next().map(|lock| lock.pid)
    }

    struct Lock<'a> {
        mode: &'a str,
        pid: u32,
        start: Option<u64>,
    }

    /// The locks of this file that other processes hold, as far as it is known who they are.
    fn locks_of<'a>(locks: &'a str, file: &Metadata) -> impl Iterator<Item = Lock<'a>> {
        let dev = file.dev();
        let id = format!(
            "{:02x}:{:02x}:{}",
            rustix::fs::major(dev),
            rustix::fs::minor(dev),
            file.ino()
        );
        locks.lines().filter_map(move |line| {
            // `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`; those that wait have an arrow behind the number.
            let mut words = line.split_ascii_whitespace().skip(1);
            let (_, _, mode) = (words.next()?, words.next()?, words.next()?);
            // Locks of an open file have no process, those of another PID namespace the number 0.
            let pid: u32 = words.next()?.parse().ok()?;
            let is_another = pid != 0 && pid != std::process::id() && words.next()? == id;
            let start = words.next().and_then(|start| start.parse().ok());
            is_another.then_some(Lock { mode, pid, start })
        })
    }

    fn process(pid: u32) -> String {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // `4711 (node) T …`; the name may hold anything.
        let state = status
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next())
            .unwrap_or(' ');
        let state = if matches!(state, 'T' | 't') {
            ", which is stopped"
        } else {
            ""
        };
        format!("process {pid} ({}){state}", name.trim())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn process_that_holds_a_lock_is_named_with_its_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("write");
        let file = super::super::fair_lock::lock_file(&path).unwrap();
        assert_eq!(describe(Some(&file), &folder.path().join("x.db")), None);
        let mut child = Command::new("flock")
            .arg(&path)
            .args(["sh", "-c", "echo locked; kill -STOP $PPID; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let expected = format!("process {} (flock), which is stopped", child.id());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while describe(Some(&file), &folder.path().join("x.db")).as_deref() != Some(&expected) {
            assert!(std::time::Instant::now() < until);
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
