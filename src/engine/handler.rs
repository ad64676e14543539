//! The seam between the engine and whatever does the work: a JavaScript function, or a connector.

use super::run::spans::AttemptTrace;
use crate::clock::Millis;
use crate::model::{JobOptions, RetryAfter, RetryDecision, RetryPolicy, Route};
use crate::store::{ClaimedRun, InstanceId, Token};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How loud a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever debugs.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is not as it should be, and goes on.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The logger's method of that name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Where messages about background work go. Must not block.
pub trait Logger: Send + Sync {
    /// Takes a message. It never holds a payload, a token or a secret.
    fn log(&self, level: Level, message: &str);

    /// The same with what the message says as fields: the JSON text of an object.
    fn log_with(&self, level: Level, message: &str, fields: &str) {
        let _ = fields;
        self.log(level, message);
    }

    /// Whether messages of the level go anywhere.
    fn wants(&self, level: Level) -> bool {
        let _ = level;
        true
    }
}

/// Why an attempt is stopped before its handler is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbortReason {
    /// It took longer than this, ms.
    Timeout(i64),
    /// Its job was cancelled, perhaps with a reason.
    Cancelled(Option<Box<str>>),
    /// Another process has the run, or may have it.
    LeaseLost,
    /// This instance shuts down.
    Closed,
}

impl AbortReason {
    /// The code a handler sees in its signal's reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "TIMEOUT",
            Self::Cancelled(_) => "CANCELLED",
            Self::LeaseLost => "LEASE_LOST",
            Self::Closed => "CLOSED",
        }
    }

    /// The same in words.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Timeout(limit) => format!("the attempt took longer than its timeout of {limit} ms"),
            Self::Cancelled(Some(reason)) => format!("the job was cancelled: {reason}"),
            Self::Cancelled(None) => "the job was cancelled".to_owned(),
            Self::LeaseLost => "this process did not renew its lease in time; another one may run the job".to_owned(),
            Self::Closed => "the instance is closing; the run is handed back".to_owned(),
        }
    }
}

/// A part of a feature that is declared as data.
#[derive(Clone, Debug)]
pub struct FeaturePart {
    /// Sequence and event, with slashes between them; of nested ones one behind the other.
    pub name: Box<str>,
    /// Names this call within the process: a part that is tried again must not be taken for the call before.
    pub key: Token,
}

/// One attempt, as its handler sees it.
#[derive(Debug)]
pub struct Attempt {
    /// The claimed run.
    pub run: ClaimedRun,
    /// The registration of this process that it was claimed by.
    pub instance: InstanceId,
    /// Which part of a feature it is done for.
    pub part: Option<FeaturePart>,
    /// Its route.
    pub route: Arc<Route>,
    /// Its options.
    pub options: JobOptions,
    /// JSON text of its session's data, if it has one that was checked.
    pub claims: Option<Box<str>>,
    /// When the handler was called, wall time.
    pub started_at: Millis,
    /// The trace it is part of, and what its spans hand on.
    pub trace: AttemptTrace,
}

impl Attempt {
    /// Whether no other attempt follows if this one fails in a way that is worth one.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.spent_retries() >= self.run.retries
    }

    /// Retries that attempts before this one have spent; a crash spends none.
    #[must_use]
    pub fn spent_retries(&self) -> u32 {
        self.run.attempt.saturating_sub(1).saturating_sub(self.run.crashes)
    }

    /// What follows when the attempt fails in this way. `random` is a number from 0 to 1.
    #[must_use]
    pub fn decide_retry(&self, failure: &HandlerFailure, random: f64) -> RetryDecision {
        self.decide_part_retry(failure, self.spent_retries(), self.run.retries, random)
    }

    /// The same for a part of the attempt that has retries of its own, of which so many are spent.
    #[must_use]
    pub fn decide_part_retry(&self, failure: &HandlerFailure, spent: u32, retries: u32, random: f64) -> RetryDecision {
        let default = RetryPolicy::default();
        let policy = self.options.retry.as_ref().unwrap_or(&default);
        policy.decide(&failure.code, spent, retries, failure.retry_after, random)
    }

    /// The trace it is part of, and whether a run of a series is: that only has a link to it, since a series may go on for ever.
    #[must_use]
    pub fn trace(&self) -> Option<(&str, bool)> {
        let stored = self.options.trace.as_ref();
        let stored = || Some((stored?.as_str(), self.run.recurring));
        self.trace
            .parent
            .as_deref()
            .map(|parent| (parent, false))
            .or_else(stored)
    }

    /// The same for every attempt of a run, or of a part of one, and for nothing else.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let run = &self.run;
        match &self.part {
            Some(part) => format!("{}/{}/{}", run.id, run.run, part.name),
            None => format!("{}/{}", run.id, run.run),
        }
    }

    /// Names the attempt within this process.
    #[must_use]
    pub fn key(&self) -> Token {
        self.part.as_ref().map_or(self.run.token, |part| part.key)
    }
}

/// What a handler answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done; JSON text of the result.
    Done(Option<Box<str>>),
    /// Call me again in so many ms; the attempt is not counted.
    Snooze(i64),
}

/// How a handler failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerFailure {
    /// The error's `code`, else its `name`.
    pub code: Box<str>,
    /// Its message.
    pub message: Box<str>,
    /// Its stack.
    pub stack: Option<Box<str>>,
    /// What it names as its causes, as of [`crate::model::RunError`].
    pub origin: Option<Box<str>>,
    /// The delay it asks for.
    pub retry_after: Option<RetryAfter>,
}

/// A call of a handler. The answer may come from any thread, once; dropping the sender hands the run back.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub attempt: Arc<Attempt>,
    /// Where to answer.
    pub reply: oneshot::Sender<Result<Reply, HandlerFailure>>,
}

/// Does the work of some routes.
pub trait Handler: Send + Sync {
    /// What must be served as well for it to do this route.
    fn required_routes(&self, _route: &Route) -> Vec<Route> {
        Vec::new()
    }

    /// For how long no attempt is to be made for this route and those that share its slots, since those before found no
    /// connection; zero: one at a time. `None`: any number. Asked for with each claim.
    fn hold(&self, _route: &Route) -> Option<Duration> {
        None
    }

    /// Starts an attempt; must return at once.
    fn call(&self, invocation: Invocation);

    /// Whether [`call`](Self::call) only passes the attempt on, so that any thread may do it.
    fn only_takes_calls(&self) -> bool {
        false
    }

    /// The attempt with this key is to stop: its answer no longer counts. Must return at once.
    fn abort(&self, key: Token, reason: &AbortReason);
}
