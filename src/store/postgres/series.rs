//! The recurring part of a job: its next occurrence, its counts, and the state that follows from them.
//!
//! A series is locked, read, changed here in memory, and written once. Knows no schedule arithmetic. Invariant: the state
//! of a series is what its row says, and the job counters follow every change of that.

use super::failure::DbResult;
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::model::{RunStatus, Status};
use crate::store::phase::{LiveRuns, Phase};
use crate::store::{JobSeq, RouteId};
use tokio_postgres::Row;

const UPDATE_SERIES: &str = include_str!("sql/update_series.sql");
const DELETE_OCCURRENCE: &str = include_str!("sql/delete_occurrence.sql");

/// A series, as it stands or will stand.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) spec: Box<str>,
    pub(super) version: i64,
    pub(super) state: i32,
    pub(super) ended_at: Option<Millis>,
    pub(super) reason: Option<Box<str>>,
    pub(super) next_at: Option<Millis>,
    /// `next_at` is not due before the live runs have ended.
    pub(super) after_live_runs: bool,
    pub(super) last_at: Option<Millis>,
    pub(super) runs: i64,
    pub(super) ended: i64,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
    pub(super) live: LiveRuns,
    pub(super) paused: bool,
    /// Grid point of the last run that failed and was not run again.
    pub(super) failed_at: Option<Millis>,
    /// Runs on request, among `runs`.
    pub(super) reruns: i64,
}

/// How many columns [`Series::read`] takes.
pub(super) const COLUMN_COUNT: usize = 18;

impl Series {
    /// Reads the columns from `at` on; `None`: there is no series.
    pub(super) fn read(row: &Row, at: usize) -> DbResult<Option<Self>> {
        let Some(spec) = row.try_get(at)? else { return Ok(None) };
        Ok(Some(Self {
            spec,
            version: row.try_get(at + 1)?,
            state: row.try_get(at + 2)?,
            ended_at: row.try_get(at + 3)?,
            reason: row.try_get(at + 4)?,
            next_at: row.try_get(at + 5)?,
            after_live_runs: row.try_get(at + 6)?,
            last_at: row.try_get(at + 7)?,
            runs: row.try_get(at + 8)?,
            ended: row.try_get(at + 9)?,
            succeeded: row.try_get(at + 10)?,
            failed: row.try_get(at + 11)?,
            live: LiveRuns {
                queued: row.try_get(at + 12)?,
                running: row.try_get(at + 13)?,
                waiting: row.try_get(at + 14)?,
            },
            paused: row.try_get(at + 15)?,
            failed_at: row.try_get(at + 16)?,
            reruns: row.try_get(at + 17)?,
        }))
    }

    /// Writes it at the end of the transaction.
    pub(super) fn save(self, tx: &mut Tx<'_>, job: JobSeq) {
        let live = self.live;
        tx.write_later(
            UPDATE_SERIES,
            params![
                job,
                self.spec,
                self.version,
                self.state,
                self.ended_at,
                self.reason,
                self.next_at,
                self.after_live_runs,
                self.last_at,
                self.runs,
                self.ended,
                self.succeeded,
                self.failed,
                live.queued,
                live.running,
                live.waiting,
                self.paused,
                self.failed_at,
                self.reruns,
            ],
        );
    }

    /// Runs that count towards the limit.
    pub(super) fn counted_runs(&self) -> i64 {
        self.runs - self.reruns
    }

    /// The state of its job.
    pub(super) fn status(&self) -> Status {
        Status::from_code(i64::from(self.state))
            .filter(|status| status.is_ended())
            .unwrap_or_else(|| self.live.status(self.paused))
    }

    /// A run moved from one phase to another; `from` is `None` for a new run.
    pub(super) fn run_changed_phase(&mut self, from: Option<Phase>, to: Phase) {
        if let Some(from) = from {
            *self.live.at(from) -= 1;
        }
        *self.live.at(to) += 1;
    }

    /// A run is over, and the series after its last one.
    pub(super) fn run_ended(&mut self, tx: &mut Tx<'_>, run: EndedRun, from: Phase, how: RunStatus, now: Millis) {
        tx.write_later(DELETE_OCCURRENCE, params![run.job, run.run]);
        *self.live.at(from) -= 1;
        self.ended += 1;
        self.succeeded += i64::from(how == RunStatus::Completed);
        if how == RunStatus::Failed {
            self.failed += 1;
            self.failed_at = Some(run.scheduled_at);
        }
        if self.after_live_runs && self.live.total() == 0 {
            // The occurrence that waited for this run can be made now.
            tx.wake();
        }
        self.end_if_over(tx, run.job, now);
    }

    /// Completes it when nothing is to come and nothing goes on.
    pub(super) fn end_if_over(&mut self, tx: &mut Tx<'_>, job: JobSeq, now: Millis) {
        if self.next_at.is_none() && self.live.total() == 0 && self.state == 0 {
            self.end(tx, job, Status::Completed, None, now);
        }
    }

    /// No occurrence comes any more.
    pub(super) fn end(&mut self, tx: &mut Tx<'_>, job: JobSeq, to: Status, reason: Option<&str>, now: Millis) {
        self.state = to as i32;
        self.ended_at = Some(now);
        self.reason = reason.map(|text| super::param::storable(text).into());
        self.next_at = None;
        self.paused = false;
        self.version += 1;
        tx.inserts.ended.push((to, now, job));
    }

    /// Opens one that has ended, or begins it anew.
    pub(super) fn reopen(&mut self) {
        self.state = 0;
        self.ended_at = None;
        self.reason = None;
        self.version += 1;
    }
}

/// A run of a series that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedRun {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) scheduled_at: Millis,
}

/// Counts what changed between two states of a series.
pub(super) fn count(tx: &mut Tx<'_>, before: (RouteId, Status), after: (RouteId, Status)) {
    if before != after {
        tx.count_transition(before.0, Some(before.1), None);
        tx.count_transition(after.0, None, Some(after.1));
    }
}
