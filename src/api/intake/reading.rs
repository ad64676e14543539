//! From the text of dispatches to jobs that may be inserted, and to those whose session is to be checked first.
//!
//! Knows neither store nor runtime. Invariant: the dispatches of a queue come out in the order they went in.

use super::super::batch::{ParsedEntries, read_dispatch_many};
use super::super::dispatch::{Defaults, Dispatch, DispatchReader};
use super::parts::{ReadLists, unreadable};
use crate::clock::Millis;
use crate::error::{Error, ErrorCode};
use crate::model::{Namespace, TraceContext};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Bytes of text that are read on a thread of their own: reading them would keep leases and claims waiting for
/// milliseconds. Less is read at once, since a thread costs about 50 µs.
const SEPARATE_THREAD_BYTES: usize = 64 << 10;

/// Dispatches that JavaScript made in one turn of its event loop.
#[derive(Debug)]
pub struct DispatchBatch {
    /// Ticket of the first dispatch's promise; the others follow by one each.
    pub first_ticket: u64,
    /// Number of dispatches.
    pub count: u32,
    /// A line for each: the namespace, a space, `many` or `one`, a space, and the JSON of the argument. With `many` that
    /// is a list, all or nothing. With `parts` it is the end of a list of which [parts](super::ListPart) have come, and the number of that list
    /// and a space stand before it. JSON as JavaScript writes it has no line breaks. A dispatch that is part of a trace has
    /// an `@`, that trace and a tab before it.
    pub text: String,
    /// When they were made.
    pub made: Instant,
}

impl DispatchBatch {
    /// Tickets of the promises, one for each dispatch.
    #[must_use]
    pub fn tickets(&self) -> std::ops::Range<u64> {
        self.first_ticket..self.first_ticket + u64::from(self.count)
    }

    /// Whether it is dispatches of one job each, without sessions to check.
    pub(super) fn is_plain(&self) -> bool {
        let untraced = |line: &'_ str| line.find('\t').filter(|_| line.starts_with('@')).map_or(0, |at| at + 1);
        let is_single = |line: &str| line[untraced(line)..].split(' ').nth(1) == Some("one");
        self.text.split('\n').all(is_single) && !self.text.contains("\"session\"")
    }

    fn requests(&self) -> impl Iterator<Item = (u64, Option<Request<'_>>)> {
        let mut lines = self.text.split('\n');
        self.tickets()
            .map(move |ticket| (ticket, lines.next().and_then(Request::read)))
    }
}

/// By ticket: of how many jobs the dispatch is, or why it is refused. What the fuzz target `wire` checks.
#[cfg(fuzzing)]
#[must_use]
pub fn outcomes(batch: DispatchBatch, defaults: &Defaults, now: Millis) -> Vec<(u64, Result<usize, Error>)> {
    let read = ReadBatches::read(&[batch], ReadLists::default(), defaults, now);
    let guarded = read.guarded.into_iter().map(|guarded| guarded.unit);
    let mut outcomes: Vec<_> = read
        .refused
        .into_iter()
        .map(|(ticket, error)| (ticket, Err(error)))
        .collect();
    for unit in read.ready.into_iter().chain(guarded) {
        match unit {
            Unit::Singles(dispatches) => outcomes.extend(dispatches.into_iter().map(|(ticket, _)| (ticket, Ok(1)))),
            Unit::List(ticket, dispatches) => outcomes.push((ticket, Ok(dispatches.len()))),
        }
    }
    outcomes.sort_by_key(|(ticket, _)| *ticket);
    outcomes
}

/// One line of a batch.
struct Request<'a> {
    namespace: Namespace,
    form: Form,
    trace: Option<TraceContext>,
    text: &'a str,
}

/// As `DispatchForm` in `src/node/protocol.rs`.
#[derive(Clone, Copy)]
enum Form {
    One,
    Many,
    /// The end of the list of this number.
    Parts(u64),
}

/// Of which list a line is the end, if it is that of one that came in parts.
pub(super) fn number_of_list(line: &str) -> Option<u64> {
    match Request::read(line)?.form {
        Form::Parts(number) => Some(number),
        Form::One | Form::Many => None,
    }
}

impl<'a> Request<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (trace, line) = match line.strip_prefix('@') {
            Some(traced) => {
                let (trace, line) = traced.split_once('\t')?;
                (TraceContext::parse(trace), line)
            }
            None => (None, line),
        };
        let (namespace, rest) = line.split_once(' ')?;
        let (form, text) = rest.split_once(' ')?;
        let (form, text) = match form {
            "one" => (Form::One, text),
            "many" => (Form::Many, text),
            "parts" => {
                let (number, text) = text.split_once(' ')?;
                (Form::Parts(number.parse().ok()?), text)
            }
            _ => return None,
        };
        Some(Self {
            namespace: Namespace::parse_public(namespace)?,
            form,
            trace,
            text,
        })
    }
}

/// Dispatches that are checked and inserted as one.
pub(super) enum Unit {
    /// Each succeeds or fails by itself, and has a ticket of its own.
    Singles(Vec<(u64, Dispatch)>),
    /// A `dispatchMany`: all or nothing, with one ticket.
    List(u64, Vec<Dispatch>),
}

impl Unit {
    pub(super) fn tickets(&self) -> Vec<u64> {
        match self {
            Self::Singles(dispatches) => dispatches.iter().map(|(ticket, _)| *ticket).collect(),
            Self::List(ticket, _) => vec![*ticket],
        }
    }
}

/// A session resource, by the product and the tag it has there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionResourceId {
    pub(super) product: Box<str>,
    pub(super) tag: Box<str>,
}

/// A unit whose sessions are to be checked.
pub(super) struct GuardedUnit {
    /// The queue it waits in: the resource of its first session.
    pub(super) resource: SessionResourceId,
    pub(super) unit: Unit,
    /// Bytes of its text, which count as queued until it is let in.
    pub(super) bytes: usize,
}

/// What batches hold.
#[derive(Default)]
pub(super) struct ReadBatches {
    /// To be inserted, in this order.
    pub(super) ready: Vec<Unit>,
    /// To be inserted once their sessions were found right; in this order for each queue.
    pub(super) guarded: Vec<GuardedUnit>,
    pub(super) refused: Vec<(u64, Error)>,
}

/// Reads batches at the time `now`; many bytes on a thread of their own, so that the caller's goes on with other tasks. `lists`: those
/// that came in parts and end here.
pub(super) async fn read_batches(
    batches: Arc<Vec<DispatchBatch>>,
    lists: ReadLists,
    defaults: Defaults,
    now: Millis,
) -> ReadBatches {
    if batches.iter().map(|batch| batch.text.len()).sum::<usize>() < SEPARATE_THREAD_BYTES {
        return ReadBatches::read(&batches, lists, &defaults, now);
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let owned = (Arc::clone(&batches), defaults.clone());
    let lists = Arc::new(Mutex::new(lists));
    let own_lists = Arc::clone(&lists);
    let take = |lists: &Mutex<ReadLists>| std::mem::take(&mut *lists.lock().unwrap_or_else(PoisonError::into_inner));
    let read = move || drop(sender.send(ReadBatches::read(&owned.0, take(&own_lists), &owned.1, now)));
    match std::thread::Builder::new().name("ductape-read".to_owned()).spawn(read) {
        Ok(_) => receiver.await.unwrap_or_else(|_| ReadBatches::unread(&batches)),
        // The system has no thread to spare.
        Err(_) => ReadBatches::read(&batches, take(&lists), &defaults, now),
    }
}

impl ReadBatches {
    pub(super) fn read(batches: &[DispatchBatch], mut lists: ReadLists, defaults: &Defaults, now: Millis) -> Self {
        let mut read = Self::default();
        let mut reader = DispatchReader::new(defaults, now);
        for (ticket, request) in batches.iter().flat_map(DispatchBatch::requests) {
            let Some(request) = request else {
                read.refused.push((ticket, unknown_form()));
                continue;
            };
            let Request { namespace, text, .. } = request;
            let list = match request.form {
                Form::One => {
                    match reader.read(namespace, text) {
                        Ok(mut dispatch) => {
                            dispatch.job.options.trace = request.trace;
                            read.push_single(ticket, dispatch, defaults, text.len());
                        }
                        Err(error) => read.refused.push((ticket, error)),
                    }
                    continue;
                }
                Form::Many => read_dispatch_many(namespace, text, defaults, now).map(|list| (list, text.len())),
                Form::Parts(number) => lists.take(number).and_then(|(first, bytes)| {
                    let last = ParsedEntries::of_list(namespace, text, first.len(), defaults, now);
                    Ok((first.append(last).finish()?, bytes + text.len()))
                }),
            };
            match list {
                Ok((mut dispatches, bytes)) => {
                    if request.trace.is_some() {
                        for dispatch in &mut dispatches {
                            dispatch.job.options.trace.clone_from(&request.trace);
                        }
                    }
                    read.push_list(ticket, dispatches, defaults, bytes);
                }
                Err(error) => read.refused.push((ticket, error)),
            }
        }
        read
    }

    /// The thread that read them panicked.
    pub(super) fn unread(batches: &[DispatchBatch]) -> Self {
        let error = unreadable();
        let tickets = batches.iter().flat_map(DispatchBatch::tickets);
        Self {
            refused: tickets.map(|ticket| (ticket, error.clone())).collect(),
            ..Self::default()
        }
    }

    fn push_single(&mut self, ticket: u64, dispatch: Dispatch, defaults: &Defaults, bytes: usize) {
        let Some(resource) = checked_by(&dispatch, defaults) else {
            match self.ready.last_mut() {
                Some(Unit::Singles(dispatches)) => dispatches.push((ticket, dispatch)),
                _ => self.ready.push(Unit::Singles(vec![(ticket, dispatch)])),
            }
            return;
        };
        let last = self.guarded.iter_mut().rfind(|guarded| guarded.resource == resource);
        match last {
            Some(GuardedUnit {
                unit: Unit::Singles(dispatches),
                bytes: sum,
                ..
            }) => {
                dispatches.push((ticket, dispatch));
                *sum += bytes;
            }
            _ => {
                let unit = Unit::Singles(vec![(ticket, dispatch)]);
                self.guarded.push(GuardedUnit { resource, unit, bytes });
            }
        }
    }

    fn push_list(&mut self, ticket: u64, dispatches: Vec<Dispatch>, defaults: &Defaults, bytes: usize) {
        let resource = dispatches.iter().find_map(|dispatch| checked_by(dispatch, defaults));
        let unit = Unit::List(ticket, dispatches);
        match resource {
            Some(resource) => self.guarded.push(GuardedUnit { resource, unit, bytes }),
            None => self.ready.push(unit),
        }
    }
}

/// The resource that says whether the dispatch's session is right; `None`: it has none, or one that nobody here can check.
fn checked_by(dispatch: &Dispatch, defaults: &Defaults) -> Option<SessionResourceId> {
    let session = dispatch.job.options.session.as_ref()?;
    let product = &dispatch.job.route.product;
    let is_checked = defaults.sessions.has_resource(product, &session.tag);
    is_checked.then(|| SessionResourceId {
        product: product.clone(),
        tag: session.tag.clone(),
    })
}

/// JavaScript and this binary are of different versions.
fn unknown_form() -> Error {
    Error::new(
        ErrorCode::ValidationError,
        "a dispatch arrived in a form this binary does not know; install the package again, so that all of it is of one version",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const JOB: &str = r#"{"product":"p","env":"e","tag":"f","input":{ "@": "\\t" }}"#;

    /// The traces of the jobs in a text of `count` lines, and how many dispatches were refused.
    fn traces(text: String, count: u32) -> (Vec<Option<String>>, usize) {
        let made = Instant::now();
        let batch = DispatchBatch {
            first_ticket: 1,
            count,
            text,
            made,
        };
        let read = ReadBatches::read(&[batch], ReadLists::default(), &Defaults::default(), 0);
        let jobs = read.ready.into_iter().flat_map(|unit| match unit {
            Unit::Singles(dispatches) => dispatches.into_iter().map(|(_, dispatch)| dispatch).collect(),
            Unit::List(_, dispatches) => dispatches,
        });
        let trace = |dispatch: Dispatch| {
            assert_eq!(&*dispatch.job.input, r#"{ "@": "\\t" }"#);
            dispatch.job.options.trace.map(|trace| trace.as_str().to_owned())
        };
        (jobs.map(trace).collect(), read.refused.len())
    }

    #[test]
    fn a_trace_stands_before_its_dispatch_and_is_that_of_each_job_of_a_list() {
        let text = format!(
            "features one {JOB}\n@{PARENT} a=1\tfeatures one {JOB}\n@{PARENT}\tfeatures many [{JOB},{JOB}]\nfeatures one {JOB}"
        );
        let parent = Some(PARENT.to_owned());
        let with_state = Some(format!("{PARENT} a=1"));
        assert_eq!(
            traces(text, 4),
            (vec![None, with_state, parent.clone(), parent, None], 0)
        );
    }

    #[test]
    fn a_wrong_trace_is_left_out_and_a_line_without_its_end_refused() {
        assert_eq!(traces(format!("@wrong\tfeatures one {JOB}"), 1), (vec![None], 0));
        assert_eq!(traces(format!("@{PARENT} features one {JOB}"), 1), (vec![], 1));
    }
}
