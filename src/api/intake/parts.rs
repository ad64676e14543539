//! Long lists, which JavaScript hands over in parts: the first are read while it still writes the others.
//!
//! Invariant: a list is inserted as a whole, with the time at which all of it had come.

use super::super::batch::ParsedEntries;
use super::super::dispatch::Defaults;
use crate::clock::Millis;
use crate::error::{Error, ErrorCode, Result};
use crate::model::Namespace;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use tokio::sync::oneshot;

/// Some entries of a list, without gaps.
#[derive(Debug)]
pub struct ListPart {
    /// The list, by a number that JavaScript gives each.
    pub list: u64,
    /// Place in the list of the first entry.
    pub offset: usize,
    /// What its jobs are dispatched in.
    pub namespace: Namespace,
    /// JSON of a list.
    pub text: String,
}

/// Lists that are read by threads of their own at a time: beyond that, a list is read when its end has come.
const MAX_THREADS: usize = 2;

/// Lists of which parts have come.
#[derive(Default)]
pub(super) struct PartialLists {
    lists: Mutex<HashMap<u64, PartialList>>,
    threads: Arc<()>,
}

impl PartialLists {
    fn lists(&self) -> MutexGuard<'_, HashMap<u64, PartialList>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next part of a list. `reading`: what it can be read with at once, if that is known.
    pub(super) fn add(&self, part: ListPart, reading: impl FnOnce() -> Option<(Defaults, Millis)>) {
        let mut lists = self.lists();
        let list = lists.entry(part.list).or_insert_with(|| {
            let is_free = Arc::strong_count(&self.threads) <= MAX_THREADS;
            let reading = is_free.then(reading).flatten();
            PartialList::new(
                reading
                    .and_then(|(defaults, now)| ReadingThread::start(defaults, now, Some(Arc::clone(&self.threads)))),
            )
        });
        list.add(part);
    }

    /// Drops what has come of a list; what is being read of it is read for nobody.
    pub(super) fn forget(&self, list: u64) {
        self.lists().remove(&list);
    }

    /// Bytes of the parts that have come of those lists that end in `text`, the lines of a batch, and of all others.
    pub(super) fn bytes(&self, text: &str) -> (usize, usize) {
        let lists = self.lists();
        if lists.is_empty() {
            return (0, 0);
        }
        let own = ended_in(text).filter_map(|number| lists.get(&number));
        let own: usize = own.map(|list| list.bytes).sum();
        (own, lists.values().map(|list| list.bytes).sum::<usize>() - own)
    }

    /// Takes the lists that end in `text`, the lines of a batch.
    pub(super) fn take_ended_in(&self, text: &str) -> Vec<(u64, PartialList)> {
        let mut lists = self.lists();
        if lists.is_empty() {
            return Vec::new();
        }
        let ended = ended_in(text).filter_map(|number| Some((number, lists.remove(&number)?)));
        ended.collect()
    }
}

fn ended_in(text: &str) -> impl Iterator<Item = u64> {
    text.split('\n').filter_map(super::reading::number_of_list)
}

/// What the parts of lists hold that have come before their last, and its length.
#[derive(Default)]
pub(super) struct ReadLists(HashMap<u64, (Result<ParsedEntries>, usize)>);

impl ReadLists {
    /// Waits until these lists are read, as of the time `now`.
    pub(super) async fn read(lists: Vec<(u64, PartialList)>, defaults: &Defaults, now: Millis) -> Self {
        let mut read = HashMap::with_capacity(lists.len());
        for (number, list) in lists {
            let bytes = list.bytes;
            read.insert(number, (list.finish(defaults, now).await, bytes));
        }
        Self(read)
    }

    /// The entries of a list but for its end, and the length of their JSON.
    ///
    /// # Errors
    /// `STORE_ERROR` after a defect.
    pub(super) fn take(&mut self, number: u64) -> Result<(ParsedEntries, usize)> {
        let (entries, bytes) = self.0.remove(&number).ok_or_else(unreadable)?;
        Ok((entries?, bytes))
    }
}

/// The parts of a list that have come before its last.
pub(super) struct PartialList {
    /// Length of their JSON.
    bytes: usize,
    parts: Parts,
}

enum Parts {
    /// A thread reads them as they come.
    Read(ReadingThread),
    /// They are kept until there is a time to read them by.
    Kept(Vec<ListPart>),
}

struct ReadingThread {
    parts: mpsc::Sender<Message>,
    entries: oneshot::Receiver<ParsedEntries>,
}

enum Message {
    Part(ListPart),
    /// All have come, at this time.
    End(Millis),
}

/// A part, as far as it was read before the end came.
enum EarlyPart {
    Read(ParsedEntries),
    /// Its jobs have schedules, which count from the time of the dispatch.
    Scheduled(ListPart),
}

impl ReadingThread {
    /// `counted`: what is held as long as the thread is there. `None`: there is no thread to be had.
    fn start(defaults: Defaults, now: Millis, counted: Option<Arc<()>>) -> Option<Self> {
        let (parts, received) = mpsc::channel();
        let (sender, entries) = oneshot::channel();
        let work = move || {
            let _counted = counted;
            let mut early = Vec::new();
            for message in received {
                match message {
                    Message::Part(part) if part.text.contains("\"schedule\"") => early.push(EarlyPart::Scheduled(part)),
                    Message::Part(part) => early.push(EarlyPart::Read(read(&part, &defaults, now))),
                    Message::End(end) => return drop(sender.send(entries_of(early, &defaults, (now, end)))),
                }
            }
        };
        std::thread::Builder::new()
            .name("ductape-read".to_owned())
            .spawn(work)
            .is_ok()
            .then_some(Self { parts, entries })
    }

    /// A thread that has died is found when the list ends.
    fn take(&self, message: Message) {
        drop(self.parts.send(message));
    }

    /// The entries of all parts, as of the time `now`; `None`: the thread has ended by a panic.
    async fn finish(self, now: Millis) -> Option<ParsedEntries> {
        self.take(Message::End(now));
        self.entries.await.ok()
    }
}

fn read(part: &ListPart, defaults: &Defaults, now: Millis) -> ParsedEntries {
    ParsedEntries::of_list(part.namespace, &part.text, part.offset, defaults, now)
}

/// The entries of all parts as of `now`: those that were read when the list `began`, and those that are read now.
fn entries_of(early: Vec<EarlyPart>, defaults: &Defaults, (began, now): (Millis, Millis)) -> ParsedEntries {
    let parts = early.into_iter().map(|part| match part {
        EarlyPart::Read(mut entries) => {
            entries.retime(began, now);
            entries
        }
        EarlyPart::Scheduled(part) => read(&part, defaults, now),
    });
    parts.fold(ParsedEntries::default(), ParsedEntries::append)
}

impl PartialList {
    fn new(thread: Option<ReadingThread>) -> Self {
        Self {
            bytes: 0,
            parts: thread.map_or_else(|| Parts::Kept(Vec::new()), Parts::Read),
        }
    }

    fn add(&mut self, part: ListPart) {
        self.bytes += part.text.len();
        match &mut self.parts {
            Parts::Read(thread) => thread.take(Message::Part(part)),
            Parts::Kept(parts) => parts.push(part),
        }
    }

    /// What the parts hold, as of the time `now`.
    ///
    /// # Errors
    /// `STORE_ERROR` after a defect.
    async fn finish(self, defaults: &Defaults, now: Millis) -> Result<ParsedEntries> {
        let thread = match self.parts {
            Parts::Read(thread) => thread,
            Parts::Kept(parts) => match ReadingThread::start(defaults.clone(), now, None) {
                Some(thread) => {
                    parts.into_iter().for_each(|part| thread.take(Message::Part(part)));
                    thread
                }
                None => {
                    let read = parts.iter().map(|part| read(part, defaults, now));
                    return Ok(read.fold(ParsedEntries::default(), ParsedEntries::append));
                }
            },
        };
        thread.finish(now).await.ok_or_else(unreadable)
    }
}

/// A thread that read dispatches panicked.
pub(super) fn unreadable() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the dispatch could not be read; report this as a bug",
    )
}

#[cfg(test)]
mod tests {
    use super::super::reading::{DispatchBatch, ReadBatches, Unit};
    use super::*;
    use std::time::Instant;

    const JOB: &str = r#"{"product":"p","env":"e","tag":"f","input":{}}"#;

    fn part(list: u64, offset: usize) -> ListPart {
        ListPart {
            list,
            offset,
            namespace: Namespace::Features,
            text: format!("[{JOB},{JOB}]"),
        }
    }

    fn end(text: &str) -> DispatchBatch {
        DispatchBatch {
            first_ticket: 1,
            count: 1,
            text: text.to_owned(),
            made: Instant::now(),
        }
    }

    fn read(lists: ReadLists, text: &str, now: Millis) -> ReadBatches {
        ReadBatches::read(&[end(text)], lists, &Defaults::default(), now)
    }

    #[tokio::test]
    async fn a_list_is_the_same_read_early_and_late() {
        for read_at in [None, Some(100)] {
            let lists = PartialLists::default();
            for offset in [0, 2] {
                lists.add(part(7, offset), || Some((Defaults::default(), read_at?)));
            }
            let text = format!("features parts 7 [{JOB}]");
            let ended = lists.take_ended_in(&text);
            let ended = ReadLists::read(ended, &Defaults::default(), 200).await;
            let ready = read(ended, &text, 200).ready.into_iter().next();
            let Some(Unit::List(1, dispatches)) = ready else {
                panic!("no list")
            };
            let times = dispatches
                .iter()
                .map(|dispatch| (dispatch.job.created, dispatch.job.due));
            assert_eq!(times.collect::<Vec<_>>(), [(200, Some(200)); 5], "{read_at:?}");
        }
    }

    #[tokio::test]
    async fn schedules_count_from_the_end_of_the_list() {
        for (schedule, due) in [
            (r#"{"start_at":250}"#, 250),
            (r#"{"delay":1000}"#, 1_200),
            (r#"{"every":500}"#, 200),
        ] {
            let lists = PartialLists::default();
            let scheduled = ListPart {
                text: format!(r#"[{JOB},{{"product":"p","env":"e","tag":"f","input":{{}},"schedule":{schedule}}}]"#),
                ..part(7, 0)
            };
            lists.add(scheduled, || Some((Defaults::default(), 100)));
            lists.add(part(7, 2), || None);
            let ended = ReadLists::read(lists.take_ended_in("features parts 7 []"), &Defaults::default(), 200).await;
            let ready = read(ended, "features parts 7 []", 200).ready.into_iter().next();
            let Some(Unit::List(1, dispatches)) = ready else {
                panic!("no list")
            };
            let times: Vec<_> = dispatches.iter().map(|dispatch| dispatch.job.due).collect();
            assert_eq!(times, [Some(200), Some(due), Some(200), Some(200)], "{schedule}");
        }
    }

    #[test]
    fn few_lists_have_threads_at_a_time() {
        let lists = PartialLists::default();
        for list in 0..9 {
            lists.add(part(list, 0), || Some((Defaults::default(), 100)));
        }
        let is_read = |list: &&PartialList| matches!(list.parts, Parts::Read(_));
        assert_eq!(lists.lists().values().filter(is_read).count(), MAX_THREADS);
        for list in 0..9 {
            lists.forget(list);
        }
        while Arc::strong_count(&lists.threads) > 1 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_end_without_its_beginning_is_refused() {
        for text in [format!("features parts 7 [{JOB}]"), "features parts x []".to_owned()] {
            let read = read(ReadLists::default(), &text, 0);
            assert!(read.ready.is_empty() && read.refused.len() == 1, "{text}");
        }
    }

    #[test]
    fn parts_count_as_waiting_until_their_list_ends_or_is_forgotten() {
        let lists = PartialLists::default();
        let bytes = part(1, 0).text.len();
        for list in [1, 2, 2] {
            lists.add(part(list, 0), || None);
        }
        assert_eq!(lists.bytes("features one {}"), (0, 3 * bytes));
        assert_eq!(lists.bytes("features one {}\nfeatures parts 2 []"), (2 * bytes, bytes));
        lists.forget(1);
        assert_eq!(lists.bytes("features one {}"), (0, 2 * bytes));
        assert_eq!(lists.take_ended_in("features parts 2 []").len(), 1);
        assert_eq!(lists.bytes("features one {}"), (0, 0));
    }
}
