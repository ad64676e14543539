//! The series of a job, as it is read; [`super::series_changes`] writes it.
//!
//! [`crate::store::rules::series`] has the rules of its changes.

use super::failure::DbResult;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::rules::phase::LiveRuns;
use crate::store::rules::series::{RunEnd, SeriesState};
use crate::store::{Failing, Settled};
use tokio_postgres::Row;

/// A series in its stored or changed state.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) state: SeriesState,
    /// Its state as stored.
    pub(super) stored: SeriesState,
    /// JSON text of its [`Recurrence`](crate::model::Recurrence).
    pub(super) spec: Box<str>,
    /// Why it was cancelled.
    pub(super) reason: Option<Box<str>>,
    /// The last occurrence that became a run.
    pub(super) last_at: Option<Millis>,
    /// What is accounted for from its next occurrence on.
    pub(super) settled: Settled,
}

/// Number of columns that [`Series::read`] reads.
pub(super) const COLUMN_COUNT: usize = 18;

impl Series {
    /// Reads the columns from `at` on, and those that came later from `behind` on; `None`: there is no series.
    pub(super) fn read(row: &Row, at: usize, behind: usize) -> DbResult<Option<Self>> {
        let Some(spec) = row.try_get(at)? else { return Ok(None) };
        let end_code: i32 = row.try_get(at + 2)?;
        let state = SeriesState {
            version: row.try_get(at + 1)?,
            ended_as: SeriesState::ended_as(i64::from(end_code)),
            ended_at: row.try_get(at + 3)?,
            next_at: row.try_get(at + 5)?,
            after_live_runs: row.try_get(at + 6)?,
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
            last: RunEnd::stored(
                row.try_get(behind + 1)?,
                row.try_get::<_, Option<i32>>(behind + 2)?.map(i64::from),
                row.try_get(behind + 3)?,
            ),
            failing: Failing::stored(row.try_get(behind + 4)?, row.try_get(behind + 5)?),
        };
        Ok(Some(Self {
            state,
            stored: state,
            spec,
            reason: row.try_get(at + 4)?,
            last_at: row.try_get(at + 7)?,
            settled: Settled::from_text(row.try_get(behind)?),
        }))
    }

    /// The state of its job.
    pub(super) fn status(&self) -> Status {
        self.state.status()
    }
}
