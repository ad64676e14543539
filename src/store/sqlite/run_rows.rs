//! Rows of the narrow tables and of history, as the verbs exchange them.
//!
//! Plain data.

use crate::clock::Millis;
use crate::model::RunStatus;
use crate::store::{JobSeq, RouteId};

/// Number of a concurrency key inside one store.
pub(super) type KeyId = i64;

/// A waiting attempt, without its location and due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
}

impl Waiting {
    /// The first attempt of a run.
    pub(super) fn first(job: JobSeq, run: i64) -> Self {
        Self {
            job,
            run,
            attempt: 1,
            crashes: 0,
        }
    }
}

/// Sort order of a ready run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) route: RouteId,
    pub(super) priority: i32,
    pub(super) due: Millis,
    /// Concurrency key of its job.
    pub(super) key: Option<KeyId>,
}

/// One row of history: how an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended<'a> {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) attempt: u32,
    pub(super) status: RunStatus,
    /// `None`: it never started.
    pub(super) started: Option<Millis>,
    pub(super) ended: Millis,
    /// When the next attempt is due, if there is one.
    pub(super) next_due: Option<Millis>,
    /// JSON text.
    pub(super) error: Option<&'a str>,
    /// JSON text.
    pub(super) result: Option<&'a str>,
}

/// A number of rows as a parameter; SQLite counts in signed 64 bits.
pub(super) fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
