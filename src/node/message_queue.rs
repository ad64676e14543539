//! Everything that Rust tells JavaScript, as JSON texts in batches.
//!
//! Invariants: messages arrive in the order they were pushed; JavaScript is woken once for all that waits; what waits
//! is bounded by what is in flight (promises, attempts in slots) and, for log lines and events, by a count.

use super::waker::JsWaker;
use crate::api::event_json;
use crate::api::intake::{Answer, PromiseResolver, Resolution};
use crate::engine::{JobEvent, Level, Listener, Logger};
use crate::error::{Error, Result};
use crate::model::JobId;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A chunk is closed beyond this size: parsing one should not stall the event loop.
const MAX_CHUNK_BYTES: usize = 256 * 1024;
/// The same, in messages.
const MAX_CHUNK_MESSAGES: usize = 500;
/// Log lines that wait; more are dropped, since whoever reads them is that far behind.
const MAX_LOG_LINES: usize = 1_000;
/// Events that wait; more are dropped, for the same reason.
const MAX_EVENTS: usize = 10_000;
/// The same in bytes: an event may carry a result.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// What a generated id takes as JSON, with a comma.
const GENERATED_ID_BYTES: usize = 43;

/// Appends an id as JSON.
fn push_id(text: &mut String, id: &JobId) {
    match id {
        JobId::Generated(_) => {
            text.push('"');
            id.append_to(text);
            text.push('"');
        }
        JobId::Custom(own) => text.push_str(&json(own)),
    }
}

/// One batch for JavaScript.
#[derive(Default)]
pub struct Chunk {
    /// JSON list of messages, without its closing bracket.
    text: String,
    messages: usize,
    /// How many promises it settles.
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
    /// Events are being dropped; said once, until some were taken.
    overflowing: bool,
    woken: bool,
    closed: bool,
}

/// The way from Rust to JavaScript.
pub struct MessageQueue {
    waker: JsWaker,
    state: Mutex<State>,
}

/// An error as JavaScript builds its `DuctapeError` from it.
#[derive(Serialize)]
struct WireError<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [crate::error::Problem],
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

/// JSON of an error.
pub fn error_json(error: &Error) -> String {
    let cause = error.source.as_ref().map(ToString::to_string);
    json(&WireError {
        code: error.code_text(),
        message: &error.message,
        details: &error.details,
        cause,
    })
}

/// JSON of something that always has one.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

impl MessageQueue {
    /// An empty one.
    pub fn new(waker: JsWaker) -> Arc<Self> {
        Arc::new(Self {
            waker,
            state: Mutex::default(),
        })
    }

    /// Holds the event loop open or lets it go.
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

    /// Drops what waits and takes nothing more: nobody reads it.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.chunks.clear();
    }

    /// Settles a promise; an empty answer stands for `undefined`.
    pub fn answer(&self, ticket: u64, answer: &Result<String>) {
        self.push(|state| state.answer(ticket, answer));
    }

    /// Calls a handler. `job` is JSON.
    pub fn execute(&self, handler: u32, key: i64, job: &str) {
        self.push(|state| state.message(job.len(), |text| write!(text, "[\"x\",{handler},{key},{job}]")));
    }

    /// Tells a handler's signal to abort.
    pub fn abort(&self, key: i64, code: &str, message: &str) {
        let message = json(&message);
        self.push(|state| state.message(message.len(), |text| write!(text, "[\"a\",{key},\"{code}\",{message}]")));
    }

    /// Asks for a secret.
    pub fn ask(&self, number: u32, key: &str) {
        let key = json(&key);
        self.push(|state| state.message(key.len(), |text| write!(text, "[\"s\",{number},{key}]")));
    }

    /// Has the JavaScript side answer with the same, one macrotask from now.
    pub fn echo(&self, word: &str) {
        self.push(|state| state.message(word.len(), |text| write!(text, "[\"o\",\"{word}\"]")));
    }
}

impl State {
    /// Appends one message of about `size` bytes to the last chunk, or to a fresh one.
    fn message(&mut self, size: usize, write: impl FnOnce(&mut String) -> std::fmt::Result) {
        let full = |chunk: &Chunk| chunk.messages >= MAX_CHUNK_MESSAGES || chunk.text.len() + size > MAX_CHUNK_BYTES;
        if self.chunks.back().is_none_or(full) {
            self.chunks.push_back(Chunk::default());
        }
        let Some(chunk) = self.chunks.back_mut() else { return };
        chunk.text.push(if chunk.messages == 0 { '[' } else { ',' });
        chunk.messages += 1;
        // Writing to a String cannot fail.
        let _ = write(&mut chunk.text);
    }

    /// The answers to dispatches. A run of the commonest kind is one message, `["d",since,ticket,id,…]`.
    fn resolve(&mut self, mut answers: &[Answer]) {
        while let Some((ticket, answer)) = answers.first() {
            let mut resolved = 1;
            match answer {
                Ok(Resolution::Queued(_, since)) => resolved = self.queued(*since, answers),
                Ok(Resolution::AllQueued(ids, since)) => self.all_queued(*ticket, *since, ids),
                Ok(Resolution::Json(json)) => self.result(*ticket, json),
                Err(error) => self.error(*ticket, error),
            }
            answers = answers.get(resolved..).unwrap_or_default();
            if let Some(chunk) = self.chunks.back_mut() {
                chunk.resolved += resolved;
            }
        }
    }

    /// Those at the beginning that are queued since then; returns how many.
    fn queued(&mut self, since: i64, answers: &[Answer]) -> usize {
        let alike = answers
            .iter()
            .take(MAX_CHUNK_MESSAGES)
            .map_while(|(ticket, answer)| match answer {
                Ok(Resolution::Queued(id, at)) if *at == since => Some((ticket, id)),
                _ => None,
            });
        let mut count = 0;
        self.message(0, |text| {
            write!(text, "[\"d\",{since}")?;
            for (ticket, id) in alike {
                write!(text, ",{ticket},")?;
                push_id(text, id);
                count += 1;
            }
            text.write_char(']')
        });
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.messages += count;
        }
        count
    }

    fn all_queued(&mut self, ticket: u64, since: i64, ids: &[JobId]) {
        self.message(ids.len() * GENERATED_ID_BYTES, |text| {
            write!(text, "[\"m\",{since},{ticket},[")?;
            for (index, id) in ids.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                push_id(text, id);
            }
            text.write_str("]]")
        });
    }

    fn result(&mut self, ticket: u64, value: &str) {
        self.message(value.len(), |text| write!(text, "[\"r\",{ticket},{value}]"));
    }

    fn error(&mut self, ticket: u64, error: &Error) {
        let error = error_json(error);
        self.message(error.len(), |text| write!(text, "[\"e\",{ticket},{error}]"));
    }

    /// The answer to a method.
    fn answer(&mut self, ticket: u64, answer: &Result<String>) {
        match answer {
            Ok(value) if value.is_empty() => self.message(0, |text| write!(text, "[\"r\",{ticket}]")),
            Ok(value) => self.result(ticket, value),
            Err(error) => self.error(ticket, error),
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.resolved += 1;
        }
    }
}

impl State {
    fn log(&mut self, level: Level, message: &str) {
        if self.log_lines >= MAX_LOG_LINES {
            return;
        }
        let message = json(&message);
        self.message(message.len(), |text| {
            write!(text, "[\"l\",\"{}\",{message}]", level.as_str())
        });
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
                );
            }
            return;
        }
        let body = event_json(event);
        self.message(body.len(), |text| write!(text, "[\"v\",{body}]"));
        self.events += 1;
        self.event_bytes += body.len();
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.events += 1;
            chunk.event_bytes += body.len();
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
        self.push(|state| state.log(level, message));
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
