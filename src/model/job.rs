//! A job as it is dispatched.

use super::{JobId, Recurrence, RetryPolicy, Route, TraceContext};
use crate::clock::Millis;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a second dispatch under the same `job_id` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Returns the existing job.
    Return,
    /// Changes the schedule, input and options of the existing job; its history and counts stay.
    Replace,
    /// Fails with `CONFLICT`.
    Error,
}

/// Options that most jobs leave at their defaults. Stored as JSON, or as nothing when all have their default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobOptions {
    /// Backoff and retryable errors; the default policy when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Time limit of an attempt, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Tag and token of the session the job runs under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Tag of the cache for its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Box<str>>,
    /// The input is not searched for expressions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
    /// IANA time zone of dates in its expressions; UTC when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz: Option<Box<str>>,
    /// Labels to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Box<str>>,
    /// Makes it the only job with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// Limits the concurrent runs with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// The trace it was dispatched in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// A key that only one job of a route can have at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// The key.
    pub key: Box<str>,
    /// For how long after its dispatch the job keeps the key even if it has ended, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
}

/// A key that a limited number of runs in one product and environment can have at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// The key.
    pub key: Box<str>,
    /// Maximum number of concurrent runs.
    pub limit: i64,
}

/// A session reference as dispatched; the token is a credential and must not be logged.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Tag of the session resource.
    pub tag: Box<str>,
    /// Signed token.
    pub token: Box<str>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, …)", self.tag)
    }
}

/// A validated job on its way into a store.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What to do if there is a job with the id.
    pub on_conflict: OnConflict,
    /// The target; jobs that are dispatched together share the allocation.
    pub route: Arc<Route>,
    /// Lower values run first.
    pub priority: i32,
    /// When the first run is due; `None` for a recurring job without further runs.
    pub due: Option<Millis>,
    /// Time of the dispatch, ms since the epoch.
    pub created: Millis,
    /// Maximum number of attempts after the first.
    pub retries: u32,
    /// Other options.
    pub options: JobOptions,
    /// JSON text of `input`, byte for byte.
    pub input: Box<str>,
    /// What stands for the input where series are compared; `None`: the input itself. Given when `input` is encrypted.
    pub input_digest: Option<Box<str>>,
    /// The schedule of a recurring job.
    pub recurrence: Option<Recurrence>,
}

impl NewJob {
    /// A hash of schedule and input, equal for two dispatches of the same series; `None` for a one-off and for a job whose
    /// id its caller chose.
    #[must_use]
    pub fn fingerprint(&self) -> Option<i64> {
        let recurrence = self.recurrence.as_ref()?;
        let input = self.input_digest.as_deref().unwrap_or(&self.input);
        matches!(self.id, JobId::Generated(_)).then(|| recurrence.fingerprint(input))
    }
}
