//! A job as it is dispatched.

use super::{JobId, Recurrence, RetryPolicy, Route};
use crate::clock::Millis;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a second dispatch under the same `job_id` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Returns the job that is there.
    Return,
    /// Changes its schedule, input and options; history and counts stay.
    Replace,
    /// Is an error (`CONFLICT`).
    Error,
}

/// Options most jobs leave alone. A store keeps them as JSON, or nothing when all are at their default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobOptions {
    /// Backoff and error types; the default policy when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Longest time an attempt may take, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Tag and token of the session the job runs under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Tag of the cache that keeps its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Box<str>>,
    /// Its input holds no expressions, whatever it looks like.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
    /// Zone of dates in its expressions; UTC when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz: Option<Box<str>>,
    /// Labels to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Box<str>>,
    /// Makes it the only job of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// Bounds how many runs go at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
}

/// A key that only one job of a route has at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// The key.
    pub key: Box<str>,
    /// ms from the dispatch for which the job keeps the key, even when it has ended before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
}

/// A key that a limited number of runs may have at a time, in one product and environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// The key.
    pub key: Box<str>,
    /// How many.
    pub limit: i64,
}

/// A session reference as dispatched; the token is a credential and must not be logged.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Session resource.
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
    /// What to do when the id is taken.
    pub on_conflict: OnConflict,
    /// Where it goes; jobs that are read together share it.
    pub route: Arc<Route>,
    /// Lower runs first.
    pub priority: i32,
    /// When its first run is due. `None`: a recurring job that has no run to come.
    pub due: Option<Millis>,
    /// Time of the dispatch.
    pub created: Millis,
    /// Attempts after the first.
    pub retries: u32,
    /// The rest of its options.
    pub options: JobOptions,
    /// JSON text of `input`, byte for byte.
    pub input: Box<str>,
    /// Its schedule, when it recurs.
    pub recurrence: Option<Recurrence>,
}
