//! Spans of attempts that are done in Rust: the seam to whoever makes them. Handlers in JavaScript have theirs made there.
//!
//! Knows nothing of OpenTelemetry. Invariant: an attempt whose spans have begun has them ended once, however it ends.

use crate::engine::handler::{Attempt, HandlerFailure, Reply};
use crate::store::Token;
use async_trait::async_trait;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// What the span of a call of a server is told of it, beside its target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallSpan {
    /// Names and values, by the semantic conventions.
    pub attributes: Vec<(&'static str, Box<str>)>,
}

/// What spans that have begun hand on.
#[derive(Debug, Default)]
pub struct Carried {
    /// The trace with the attempt's own span as the parent, as [`crate::model::TraceContext`] has it.
    pub trace: Option<Box<str>>,
    /// Headers for the server that is called, with the span of the call as the parent.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

/// Of an attempt: the trace it is part of, and what its spans hand on.
#[derive(Debug, Default)]
pub struct AttemptTrace {
    /// For a part of a feature the trace with the feature's span as the parent.
    pub parent: Option<Box<str>>,
    carried: OnceLock<Carried>,
    /// Status of the last HTTP response; 0: there was none.
    http_status: AtomicU16,
}

impl AttemptTrace {
    /// Of a part of what these spans are of.
    #[must_use]
    pub fn of_part(outer: &Self) -> Self {
        let own = outer.carried.get().and_then(|carried| carried.trace.clone());
        Self {
            parent: own.or_else(|| outer.parent.clone()),
            ..Self::default()
        }
    }

    /// Headers for the server that is called; none unless there are spans.
    #[must_use]
    pub fn headers(&self) -> &[(Box<str>, Box<str>)] {
        self.carried.get().map_or(&[], |carried| &carried.headers)
    }

    /// A server has answered with this status.
    pub fn note_http_status(&self, status: u16) {
        self.http_status.store(status, Ordering::Relaxed);
    }

    /// Status of the last HTTP response, if there was one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        Some(self.http_status.load(Ordering::Relaxed)).filter(|status| *status > 0)
    }

    /// Its spans have begun.
    pub fn set_carried(&self, carried: Carried) {
        let _ = self.carried.set(carried);
    }
}

/// How an attempt ended, for its spans.
#[derive(Clone, Copy, Debug)]
pub enum SpanEnd<'a> {
    /// It is done.
    Done,
    /// It is called again later, which is no failure.
    Snoozed,
    /// It failed, or was given up: code and message.
    Failed(&'a str, &'a str),
}

impl<'a> SpanEnd<'a> {
    /// The end of an attempt that was answered so.
    #[must_use]
    pub fn of(answer: &'a Result<Reply, HandlerFailure>) -> Self {
        match answer {
            Ok(Reply::Done(_)) => Self::Done,
            Ok(Reply::Snooze(_)) => Self::Snoozed,
            Err(failure) => Self::Failed(&failure.code, &failure.message),
        }
    }
}

/// Makes spans.
#[async_trait]
pub trait Tracer: Send + Sync {
    /// Begins the span of an attempt and, with `call`, within it the one of the call of a server. Must come to an end soon, whatever
    /// becomes of whoever makes the spans.
    async fn begin(&self, attempt: &Attempt, call: Option<CallSpan>) -> Carried;

    /// Ends what has begun for the attempt with this key; does nothing when that was ended. Must return at once. `http_status` is
    /// that of the last response, if there was one.
    fn end(&self, key: Token, end: SpanEnd<'_>, http_status: Option<u16>);
}
