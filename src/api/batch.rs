//! The list of a `dispatchMany`: all of it is stored, or nothing, with every problem named.

use super::dispatch::{Defaults, Dispatch, DispatchReader};
use super::fields::describe;
use crate::clock::Millis;
use crate::error::{Error, Problem, Result};
use crate::model::Namespace;
use serde_json::value::RawValue;

/// Most jobs of one `dispatchMany`: it holds the write lock for all processes of the store.
pub const MAX_BATCH_JOBS: usize = 10_000;
/// Problems of a list that are named before the rest is left out.
const MAX_REPORTED_PROBLEMS: usize = 101;
/// Dispatches of one list that a second thread is worth.
const PARALLEL_THRESHOLD: usize = 256;

/// Reads the list of a `dispatchMany`; problems carry the index of their entry. A long list is read by two threads, since
/// its caller waits and the store has nothing to do meanwhile.
///
/// # Errors
/// As [`DispatchReader::read`]; also when `text` is no list or has more than [`MAX_BATCH_JOBS`] entries.
pub fn read_dispatch_many(namespace: Namespace, text: &str, defaults: &Defaults, now: Millis) -> Result<Vec<Dispatch>> {
    let entries: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| no_list(text))?;
    refuse_too_many(entries.len())?;
    let read = |offset: usize, entries: &[&RawValue]| ParsedEntries::read(namespace, entries, offset, defaults, now);
    let whole = if entries.len() < PARALLEL_THRESHOLD {
        read(0, &entries)
    } else {
        let (first, second) = entries.split_at(entries.len() / 2);
        std::thread::scope(|scope| {
            let other = std::thread::Builder::new().spawn_scoped(scope, || read(first.len(), second));
            let part = read(0, first);
            // Without a thread to be had, or with one that ended badly, it is read here.
            let other = other.ok().and_then(|other| other.join().ok());
            part.append(other.unwrap_or_else(|| read(first.len(), second)))
        })
    };
    whole.finish()
}

fn no_list(text: &str) -> Error {
    let message = format!("dispatchMany takes a list of dispatches, got {}", describe(text));
    Error::from(Problem::new("", message))
}

fn refuse_too_many(jobs: usize) -> Result<()> {
    if jobs <= MAX_BATCH_JOBS {
        return Ok(());
    }
    let message = format!("dispatchMany takes at most {MAX_BATCH_JOBS} jobs at a time, got {jobs}; split the list");
    Err(Error::from(Problem::new("", message)))
}

/// Some entries of a list, as far as they were read.
#[derive(Default)]
pub(super) struct ParsedEntries {
    dispatches: Vec<Dispatch>,
    problems: Vec<Problem>,
    /// How many entries it is of.
    len: usize,
}

impl ParsedEntries {
    /// Reads entries, the first of which has the index `offset`.
    fn read(namespace: Namespace, entries: &[&RawValue], offset: usize, defaults: &Defaults, now: Millis) -> Self {
        let mut part = Self {
            dispatches: Vec::with_capacity(entries.len()),
            problems: Vec::new(),
            len: entries.len(),
        };
        let mut reader = DispatchReader::new(defaults, now);
        for (index, entry) in entries.iter().enumerate() {
            match reader.read(namespace, entry.get()) {
                Ok(dispatch) => part.dispatches.push(dispatch),
                Err(error) => {
                    let problems = error.details.into_iter();
                    part.problems
                        .extend(problems.map(|problem| indexed(offset + index, problem)));
                }
            }
            if part.problems.len() > MAX_REPORTED_PROBLEMS {
                break;
            }
        }
        part
    }

    /// Reads a part of a list, which is the JSON of a list itself; its first entry has the index `offset`.
    pub(super) fn of_list(namespace: Namespace, text: &str, offset: usize, defaults: &Defaults, now: Millis) -> Self {
        match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(entries) => Self::read(namespace, &entries, offset, defaults, now),
            Err(_) => Self {
                problems: no_list(text).details,
                ..Self::default()
            },
        }
    }

    /// How many entries it is of, right ones and wrong ones.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// This and what follows it.
    pub(super) fn append(mut self, next: Self) -> Self {
        if self.len == 0 {
            return next;
        }
        self.dispatches.extend(next.dispatches);
        self.problems.extend(next.problems);
        self.len += next.len;
        self
    }

    /// They were read at the time `from`, and are dispatched at `to`: what was to run at once still is.
    pub(super) fn retime(&mut self, from: Millis, to: Millis) {
        for job in self.dispatches.iter_mut().map(|dispatch| &mut dispatch.job) {
            job.created = to;
            if job.due == Some(from) && job.recurrence.is_none() {
                job.due = Some(to);
            }
        }
    }

    /// The dispatches of a whole list.
    ///
    /// # Errors
    /// All problems, when there are any.
    pub(super) fn finish(self) -> Result<Vec<Dispatch>> {
        refuse_too_many(self.len)?;
        if self.problems.is_empty() {
            return Ok(self.dispatches);
        }
        let is_cut = self.problems.len() > MAX_REPORTED_PROBLEMS;
        let mut problems = self.problems;
        problems.truncate(MAX_REPORTED_PROBLEMS);
        let mut error = Error::invalid(problems);
        if is_cut {
            let rest = Problem::new("", "… more problems are left out");
            error.message = format!("{}; {rest}", error.message);
            error.details.push(rest);
        }
        Err(error)
    }
}

fn indexed(index: usize, problem: Problem) -> Problem {
    let path = if problem.path.is_empty() {
        format!("[{index}]")
    } else {
        format!("[{index}].{}", problem.path)
    };
    Problem { path, ..problem }
}
