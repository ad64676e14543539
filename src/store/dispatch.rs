//! What is dispatched, and what became of it.

use super::{SeriesAdvance, SeriesMove, SeriesSnapshot, Settled};
use crate::clock::Millis;
use crate::error::ErrorCode;
use crate::model::{JobId, NewJob, Recurrence, Status};
use std::time::Instant;

/// Jobs to insert together.
#[derive(Clone, Debug)]
pub struct InsertParams {
    /// The jobs, in dispatch order.
    pub jobs: Vec<NewJob>,
    /// Write none of them when one is in conflict.
    pub all_or_nothing: bool,
    /// Time of the insertion.
    pub now: Millis,
    /// When the first of the callers asked: how long they wait for a store that does not answer is counted from then.
    pub since: Instant,
    /// What becomes of a series that is replaced.
    pub replaced: ReplaceSeries,
}

/// What becomes of a stored series that gets a new schedule, whose first occurrence is this, at this time.
pub type ReplaceSeries = fn(&SeriesSnapshot, &Recurrence, Option<Millis>, Millis) -> SeriesMove;

/// The new schedule begins with its first occurrence, whatever the old one had to come: for callers that know no schedules.
#[must_use]
pub fn begin_anew(series: &SeriesSnapshot, new: &Recurrence, first: Option<Millis>, _now: Millis) -> SeriesMove {
    SeriesMove {
        recurrence: Some(new.clone()),
        ..SeriesMove::of(SeriesAdvance {
            next_at: first,
            settled: Settled::default(),
            ..SeriesAdvance::unchanged(series)
        })
    }
}

/// Where a job stands, as a dispatch reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSummary {
    /// Its state.
    pub status: Status,
    /// When its current (or, ended, its last) run is (was) due.
    pub scheduled_at: Millis,
    /// Whether it recurs.
    pub recurring: bool,
    /// Its next occurrence, if there is one.
    pub next_run_at: Option<Millis>,
}

/// What became of one job of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is new.
    Created,
    /// It is new, and a series with this id has the same target, schedule and input; neither has an id of the caller's.
    CreatedDuplicateSeries(JobId),
    /// A job with this id was there and stays as it was.
    Existing(JobSummary),
    /// The id is free, and the job with this id keeps the unique key; it stays as it is and nothing was written.
    Duplicate(JobId, JobSummary),
    /// A job with this id was there and has the new schedule, input and options.
    Replaced(JobSummary),
    /// A job with this id is there and may not be touched; says why. Nothing was written for it.
    Conflict(String),
    /// The store cannot hold it; says why, with the code of the error. The others of the insert were written.
    Refused(ErrorCode, String),
}

/// A dispatch for a transaction of the caller's own: SQL with one parameter, a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The SQL. Its one row says what a dispatch answers.
    pub text: String,
    /// The value of its parameter.
    pub value: String,
}
