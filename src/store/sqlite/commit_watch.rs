//! Notices what other processes commit: the waits of the writer's thread, and its looks at `PRAGMA data_version`.
//!
//! By signs where there are any, at the times of a [`LookSchedule`]; else every [`POLL_INTERVAL`]. Invariants: only latency depends on
//! it, since whoever waits for something looks for it once a second anyway; this process's own commits are never taken for those of
//! another, and cost no look.

use super::commit_signs::{Bell, Signs};
use super::look_schedule::{LookSchedule, MAX_REST};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Time between two looks without signs.
const POLL_INTERVAL: Duration = MAX_REST;

/// After a commit of its own the writer waits so long for messages alone, which is cheaper than for messages and signs: whoever
/// dispatches one job at a time comes again within that time.
const OWN_WAIT: Duration = Duration::from_millis(1);

/// What the writer knows of the commits of others.
#[derive(Debug, Default)]
pub(super) struct CommitWatch {
    source: Source,
    schedule: LookSchedule,
    /// This process has written since the last commit that was found.
    has_written: bool,
    /// It has since the writer waited last.
    just_written: bool,
    data_version: i64,
}

#[derive(Debug, Default)]
enum Source {
    /// Nobody wants to know.
    #[default]
    None,
    Signs(Signs),
    /// Since the last look.
    Poll(Option<Instant>),
}

impl CommitWatch {
    /// From now on, or as before. `log`: where signs can be had.
    pub(super) fn begin(&mut self, log: impl FnOnce() -> Option<PathBuf>, bell: &Bell) {
        match &self.source {
            Source::None => {
                self.schedule = LookSchedule::default();
                let signs = log().and_then(|log| Signs::of(&log, bell));
                self.source = signs.map_or(Source::Poll(None), Source::Signs);
                // What was committed before.
                self.schedule.look_soon(Instant::now());
            }
            Source::Signs(signs) if signs.are_over() => self.source = Source::Poll(None),
            Source::Signs(_) | Source::Poll(_) => {}
        }
    }

    /// Nobody wants to know any more.
    pub(super) fn end(&mut self) {
        self.source = Source::None;
    }

    /// Waits for a message until it is time to look.
    pub(super) fn receive<T>(&mut self, inbox: &Receiver<T>, bell: &Bell) -> Result<T, RecvTimeoutError> {
        let signs = match &mut self.source {
            Source::None => return inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Source::Poll(_) => return inbox.recv_timeout(POLL_INTERVAL),
            Source::Signs(signs) => signs,
        };
        if std::mem::take(&mut self.just_written) {
            let received = inbox.recv_timeout(OWN_WAIT);
            if !matches!(received, Err(RecvTimeoutError::Timeout)) {
                return received;
            }
        }
        let now = Instant::now();
        let received = signs.receive(inbox, bell, (self.schedule.listens(now), self.schedule.time_left(now)));
        if received.is_err() && signs.take() {
            self.schedule.sign(Instant::now());
        }
        received
    }

    /// A transaction of this process saw that somebody else had committed since the one before.
    pub(super) fn others_have_committed(&mut self) {
        self.schedule.look_soon(Instant::now());
    }

    /// This process has committed what it wrote. `in_turn`: nobody else has written since it began, so that the signs are its own.
    pub(super) fn has_committed(&mut self, in_turn: bool) {
        self.has_written = true;
        self.just_written = true;
        if let Source::Signs(signs) = &mut self.source
            && in_turn
        {
            signs.take();
        }
    }

    /// Looks, if it is time to. Whether there is a new commit of another process.
    pub(super) fn look(&mut self, connection: &Connection) -> bool {
        let now = Instant::now();
        match &mut self.source {
            Source::None => return false,
            Source::Poll(last) if last.is_some_and(|last| now.duration_since(last) < POLL_INTERVAL) => return false,
            Source::Poll(last) => *last = Some(now),
            Source::Signs(_) if !self.schedule.is_due(now) => return false,
            Source::Signs(_) => {}
        }
        let version = data_version(connection);
        let found = version.is_ok_and(|version| version != std::mem::replace(&mut self.data_version, version));
        self.schedule.looked(Instant::now(), found, self.has_written);
        if found {
            self.has_written = false;
        }
        found
    }
}

/// Another one after each commit of another connection, and none of this one.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::sync::mpsc::channel;

    /// Connections to one database: that of the watch, and that of somebody else.
    fn connections(folder: &tempfile::TempDir) -> (Connection, Connection) {
        let open = || Connection::open(folder.path().join("x.db")).unwrap();
        let (here, there) = (open(), open());
        here.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
            .unwrap();
        (here, there)
    }

    /// Waits and looks until a commit is found. How often it looked in vain.
    fn find(watch: &mut CommitWatch, connection: &Connection) -> usize {
        let (_sender, inbox) = channel::<()>();
        let bell = Bell::default();
        let until = Instant::now() + Duration::from_secs(10);
        let mut looks = 0;
        while !watch.look(connection) {
            assert!(Instant::now() < until);
            let _ = watch.receive(&inbox, &bell);
            looks += 1;
        }
        looks
    }

    #[test]
    fn without_signs_commits_are_found_by_a_poll() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = connections(&folder);
        let mut watch = CommitWatch::default();
        watch.begin(|| None, &Bell::default());
        assert!(matches!(watch.source, Source::Poll(_)));
        for _ in 0..3 {
            there.execute_batch("INSERT INTO t VALUES (1)").unwrap();
            find(&mut watch, &here);
            assert!(!watch.look(&here), "found once");
        }
    }

    #[test]
    fn a_file_that_cannot_be_watched_is_polled() {
        let mut watch = CommitWatch::default();
        watch.begin(|| Some("/nowhere/x.db-wal".into()), &Bell::default());
        assert!(matches!(watch.source, Source::Poll(_)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_message_ends_the_wait_and_so_does_a_sign_of_others_but_none_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut file = std::fs::File::create(&log).unwrap();
        let (sender, inbox) = channel();
        let bell = std::sync::Arc::new(Bell::default());
        let mut watch = CommitWatch::default();
        watch.begin(|| Some(log), &bell);
        watch.schedule = LookSchedule::default();

        file.write_all(b"by itself").unwrap();
        watch.has_committed(true);
        assert_eq!(watch.schedule.time_left(Instant::now()), None, "nothing to look for");
        let heard = std::sync::Arc::clone(&bell);
        let other = std::thread::spawn(move || {
            for n in 0..1_000 {
                sender.send(n).unwrap();
                heard.ring();
            }
            sender
        });
        for n in 0..1_000 {
            // A ring may outlive its message.
            let received = std::iter::repeat_with(|| watch.receive(&inbox, &bell)).find(Result::is_ok);
            assert_eq!(received, Some(Ok(n)));
        }
        let sender = other.join().unwrap();
        assert_eq!(watch.schedule.time_left(Instant::now()), None);

        let other = std::thread::spawn(move || file.write_all(b"by another").unwrap());
        while watch.schedule.time_left(Instant::now()).is_none() {
            assert_eq!(watch.receive(&inbox, &bell), Err(RecvTimeoutError::Timeout));
        }
        other.join().unwrap();
        drop(sender);
        bell.ring();
        assert_eq!(watch.receive(&inbox, &bell), Err(RecvTimeoutError::Disconnected));
    }
}
