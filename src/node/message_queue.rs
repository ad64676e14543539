//! The message queue: everything that Rust tells JavaScript, as JSON texts in batches ([`protocol`] has the format).
//!
//! Invariants: messages arrive in the order they were pushed; JavaScript is woken once for all that wait; their number
//! is bounded by the promises and attempts in flight and, for log lines and events, by a count.

use super::protocol::{self, error_json, json};
use super::waker::JsWaker;
use crate::api::event_json;
use crate::api::intake::{Answer, PromiseResolver, Resolution};
use crate::engine::{JobEvent, Level, Listener, Logger};
use crate::error::{Error, ErrorCode, Result};
use crate::model::JobId;
use crate::store::Token;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Upper bound of a chunk: parsing one must not stall the event loop.
const MAX_CHUNK_BYTES: usize = 256 * 1024;
/// Upper bound of one answer: Node.js has no strings above about 512 MiB.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Upper bound of the messages in a chunk, for the same reason.
const MAX_CHUNK_MESSAGES: usize = 500;
/// Upper bound of the log lines that wait; further ones are dropped.
const MAX_LOG_LINES: usize = 1_000;
/// Upper bound of the events that wait; further ones are dropped.
const MAX_EVENTS: usize = 10_000;
/// Upper bound of the bytes of the events that wait: an event may carry a result.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// Length of a generated id as JSON, with a comma.
const GENERATED_ID_BYTES: usize = 43;

/// One batch for JavaScript.
#[derive(Default)]
pub struct Chunk {
    /// JSON list of messages, without its closing bracket.
    text: String,
    messages: usize,
    /// Promises that it settles.
    pub resolved: usize,
    log_lines: usize,
    events: usize,
    event_bytes: usize,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Chunk>,
    log_lines: usize,
    events: usize,
    event_bytes: usize,
    /// Events are being dropped; logged once, until some were taken.
    overflowing: bool,
    woken: bool,
    closed: bool,
}

/// The messages that wait for JavaScript.
pub struct MessageQueue {
    waker: JsWaker,
    state: Mutex<State>,
}

impl MessageQueue {
    /// An empty queue.
    pub fn new(waker: JsWaker) -> Arc<Self> {
        Arc::new(Self {
            waker,
            state: Mutex::default(),
        })
    }

    /// Wakes JavaScript, and holds its event loop open.
    pub fn waker(&self) -> &JsWaker {
        &self.waker
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds messages, then wakes JavaScript if it has not been woken yet.
    fn push(&self, fill: impl FnOnce(&mut State)) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        fill(&mut state);
        let wake = !state.woken && !state.chunks.is_empty();
        state.woken |= wake;
        drop(state);
        if wake {
            self.waker.wake();
        }
    }

    /// The next batch, `None` when nothing waits.
    pub fn take(&self) -> Option<Chunk> {
        let mut state = self.state();
        let chunk = state.chunks.pop_front();
        match &chunk {
            Some(chunk) => {
                state.log_lines -= chunk.log_lines;
                state.events -= chunk.events;
                state.event_bytes -= chunk.event_bytes;
                state.overflowing &= state.events > 0;
            }
            None => state.woken = false,
        }
        chunk
    }

    /// Drops what waits and accepts nothing more: the instance has ended, or JavaScript has.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.chunks.clear();
        drop(state);
        self.waker.close();
    }

    /// Settles a promise with the answer to a method; an empty answer stands for `undefined`.
    pub fn settle(&self, ticket: u64, answer: &Result<String>) {
        self.push(|state| state.settle(ticket, answer));
    }

    /// Calls a handler. `job` is JSON; with `trace`, the trace that the attempt is part of, and whether it only has a link to it.
    pub fn run_handler(&self, handler: u32, key: Token, job: &str, trace: Option<(&str, bool)>) {
        let trace = trace.map(|(trace, linked)| (json(&trace), linked));
        let trace = trace.as_ref().map(|(trace, linked)| (trace.as_str(), *linked));
        let size = job.len() + trace.map_or(0, |(trace, _)| trace.len());
        self.push(|state| {
            state.message(size, |text| protocol::write_run_handler(text, handler, key, job, trace));
        });
    }

    /// Begins the spans of an attempt; `attempt` is JSON.
    pub fn begin_span(&self, key: Token, attempt: &str) {
        self.push(|state| {
            state.message(attempt.len(), |text| protocol::write_begin_span(text, key, attempt));
        });
    }

    /// Ends them, so many ms after their beginning, with the status of an HTTP response if there was one; with a failure its
    /// code and message.
    pub fn end_span(&self, key: Token, end: (f64, Option<u16>), failure: Option<(&str, String)>) {
        let failure = failure.map(|(code, message)| (json(&code), json(&message)));
        let failure = failure
            .as_ref()
            .map(|(code, message)| (code.as_str(), message.as_str()));
        let size = failure.map_or(0, |(code, message)| code.len() + message.len());
        self.push(|state| {
            state.message(size, |text| protocol::write_end_span(text, key, end, failure));
        });
    }

    /// Aborts the signal of an attempt.
    pub fn abort(&self, key: Token, code: &str, message: &str) {
        let message = json(&message);
        self.push(|state| {
            state.message(message.len(), |text| protocol::write_abort(text, key, code, &message));
        });
    }

    /// Asks for a secret.
    pub fn ask_secret(&self, number: u32, key: &str) {
        let key = json(&key);
        self.push(|state| {
            state.message(key.len(), |text| protocol::write_ask_secret(text, number, &key));
        });
    }

    /// Asks for the encryption keys.
    pub fn ask_keys(&self, number: u32) {
        self.push(|state| {
            state.message(0, |text| protocol::write_ask_keys(text, number));
        });
    }

    /// Has JavaScript call `work()` one macrotask from now.
    pub fn start_working(&self) {
        self.push(|state| {
            state.message(0, protocol::write_start_working);
        });
    }
}

fn too_large(bytes: usize) -> Error {
    let message = format!(
        "the answer has {bytes} bytes, more than can be handed over at once; ask for less, as by a smaller `limit`"
    );
    Error::new(ErrorCode::ValidationError, message)
}

impl State {
    /// Appends one message of about `size` bytes to the last chunk, or to a new one; returns what `write` did.
    fn message<T>(
        &mut self,
        size: usize,
        write: impl FnOnce(&mut String) -> std::result::Result<T, std::fmt::Error>,
    ) -> Option<T> {
        let full = |chunk: &Chunk| chunk.messages >= MAX_CHUNK_MESSAGES || chunk.text.len() + size > MAX_CHUNK_BYTES;
        if self.chunks.back().is_none_or(full) {
            self.chunks.push_back(Chunk::default());
        }
        let chunk = self.chunks.back_mut()?;
        chunk.text.push(if chunk.messages == 0 { '[' } else { ',' });
        chunk.messages += 1;
        // Writing to a String cannot fail.
        write(&mut chunk.text).ok()
    }

    /// The answers to dispatches. Neighbours that were queued in the same ms, by far the most frequent, share a message.
    fn resolve(&mut self, mut answers: &[Answer]) {
        while let Some((ticket, answer)) = answers.first() {
            let mut resolved = 1;
            match answer {
                Ok(Resolution::Queued(_, since)) => resolved = self.queued(*since, answers),
                Ok(Resolution::AllQueued(ids, since)) => self.list_queued(*ticket, *since, ids),
                Ok(Resolution::Json(json)) => self.resolved(*ticket, json),
                Err(error) => self.rejected(*ticket, error),
            }
            answers = answers.get(resolved..).unwrap_or_default();
            self.count_resolved(resolved);
        }
    }

    /// The answers at the beginning of the list that were queued at `since`; returns their number.
    fn queued(&mut self, since: i64, answers: &[Answer]) -> usize {
        let alike = answers
            .iter()
            .take(MAX_CHUNK_MESSAGES)
            .map_while(|(ticket, answer)| match answer {
                Ok(Resolution::Queued(id, at)) if *at == since => Some((*ticket, id)),
                _ => None,
            });
        let count = self
            .message(0, |text| protocol::write_queued(text, since, alike))
            .unwrap_or(1);
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.messages += count;
        }
        count
    }

    fn list_queued(&mut self, ticket: u64, since: i64, ids: &[JobId]) {
        self.message(ids.len() * GENERATED_ID_BYTES, |text| {
            protocol::write_list_queued(text, ticket, since, ids)
        });
    }

    fn resolved(&mut self, ticket: u64, value: &str) {
        self.message(value.len(), |text| protocol::write_resolve(text, ticket, value));
    }

    fn rejected(&mut self, ticket: u64, error: &Error) {
        let error = error_json(error);
        self.message(error.len(), |text| protocol::write_reject(text, ticket, &error));
    }

    fn settle(&mut self, ticket: u64, answer: &Result<String>) {
        match answer {
            Ok(value) if value.len() > MAX_ANSWER_BYTES => self.rejected(ticket, &too_large(value.len())),
            Ok(value) => self.resolved(ticket, value),
            Err(error) => self.rejected(ticket, error),
        }
        self.count_resolved(1);
    }

    fn count_resolved(&mut self, promises: usize) {
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.resolved += promises;
        }
    }

    fn log(&mut self, level: Level, message: &str, fields: Option<&str>) {
        // What is for whoever debugs leaves room for the rest.
        let most = if level == Level::Debug {
            MAX_LOG_LINES / 2
        } else {
            MAX_LOG_LINES
        };
        if self.log_lines >= most {
            return;
        }
        let message = json(&message);
        let size = message.len() + fields.map_or(0, str::len);
        self.message(size, |text| protocol::write_log(text, level, &message, fields));
        self.log_lines += 1;
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.log_lines += 1;
        }
    }

    fn event(&mut self, event: &JobEvent) {
        if self.events >= MAX_EVENTS || self.event_bytes >= MAX_EVENT_BYTES {
            if !std::mem::replace(&mut self.overflowing, true) {
                self.log(
                    Level::Warn,
                    &format!(
                        "listeners of job events are too slow: {} events wait, further ones are dropped",
                        self.events
                    ),
                    None,
                );
            }
            return;
        }
        let payload = event_json(event);
        self.message(payload.len(), |text| protocol::write_event(text, &payload));
        self.events += 1;
        self.event_bytes += payload.len();
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.events += 1;
            chunk.event_bytes += payload.len();
        }
    }
}

impl Chunk {
    /// The batch as a JSON list.
    pub fn into_text(self) -> String {
        let mut text = self.text;
        text.push(']');
        text
    }
}

impl PromiseResolver for MessageQueue {
    fn resolve(&self, answers: Vec<Answer>) {
        self.push(|state| state.resolve(&answers));
    }
}

impl Logger for MessageQueue {
    fn log(&self, level: Level, message: &str) {
        self.push(|state| state.log(level, message, None));
    }

    fn log_with(&self, level: Level, message: &str, fields: &str) {
        self.push(|state| state.log(level, message, Some(fields)));
    }
}

impl Listener for MessageQueue {
    fn on_events(&self, events: Vec<JobEvent>) {
        self.push(|state| {
            for event in &events {
                state.event(event);
            }
        });
    }
}
