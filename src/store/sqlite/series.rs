//! The series of a job: its next occurrence, its counts, and the state derived from them.
//!
//! Reads and writes it; [`crate::store::rules::series`] has the rules. Invariant: the job counters follow every change of
//! its state, and `ended` has a row for an ended series.

use super::failure::damaged;
use super::jobs::JobKey;
use super::queue;
use super::run_rows::KeyId;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::rules::phase::{LiveRuns, Phase};
use crate::store::rules::series::{RunEnd, SeriesState};
use crate::store::{Failing, JobSeq, RouteId, Settled};
use rusqlite::{Connection, OptionalExtension, Row, params};

const SELECT_SERIES: &str = include_str!("sql/select_series.sql");
const SELECT_SERIES_TO_ADVANCE: &str = include_str!("sql/select_series_to_advance.sql");
const UPDATE_SERIES_ADVANCED: &str = include_str!("sql/update_series_advanced.sql");
const SELECT_SERIES_STATE: &str = include_str!("sql/select_series_state.sql");
const UPDATE_LIVE_RUNS: &str = include_str!("sql/update_live_runs.sql");
const UPDATE_SERIES_RUN_ENDED: &str = include_str!("sql/update_series_run_ended.sql");
const UPDATE_SERIES: &str = include_str!("sql/update_series.sql");
const SELECT_LIVE_RUNS: &str = include_str!("sql/select_live_runs.sql");
const SELECT_CURRENT_RUN: &str = include_str!("sql/select_current_run.sql");
const DELETE_OCCURRENCE: &str = include_str!("sql/delete_occurrence.sql");

/// A series.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) state: SeriesState,
    /// JSON text of its [`Recurrence`](crate::model::Recurrence).
    pub(super) spec: Box<str>,
    /// Why it was cancelled.
    pub(super) reason: Option<Box<str>>,
    /// The last occurrence that became a run.
    pub(super) last_at: Option<Millis>,
    /// Concurrency key of its job.
    pub(super) key: Option<KeyId>,
    /// What is accounted for from its next occurrence on.
    pub(super) settled: Settled,
}

/// Columns of [`read_state`].
const STATE_COLUMNS: usize = 20;

fn read_state(row: &Row<'_>) -> rusqlite::Result<SeriesState> {
    Ok(SeriesState {
        version: row.get(0)?,
        ended_as: SeriesState::ended_as(row.get(1)?),
        ended_at: row.get(2)?,
        next_at: row.get(3)?,
        after_live_runs: row.get(4)?,
        runs: row.get(5)?,
        reruns: row.get(6)?,
        ended: row.get(7)?,
        succeeded: row.get(8)?,
        failed: row.get(9)?,
        live: LiveRuns {
            queued: row.get(10)?,
            running: row.get(11)?,
            waiting: row.get(12)?,
        },
        paused: row.get(13)?,
        failed_at: row.get(14)?,
        last: read_last(row)?,
        failing: Failing::stored(row.get(18)?, row.get(19)?),
    })
}

fn read_last(row: &Row<'_>) -> rusqlite::Result<Option<RunEnd>> {
    let (run, status, ended_at): (Option<i64>, Option<i64>, Option<Millis>) =
        (row.get(15)?, row.get(16)?, row.get(17)?);
    Ok(RunEnd::stored(run, status, ended_at))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Series> {
    Ok(Series {
        state: read_state(row)?,
        spec: row.get(STATE_COLUMNS)?,
        reason: row.get(STATE_COLUMNS + 1)?,
        last_at: row.get(STATE_COLUMNS + 2)?,
        key: row.get(STATE_COLUMNS + 3)?,
        settled: Settled::from_text(row.get::<_, Option<Box<str>>>(STATE_COLUMNS + 4)?.as_deref()),
    })
}

/// The series of a job that must have one.
pub(super) fn expect(connection: &Connection, job: JobSeq) -> Result<Series> {
    let found = connection
        .prepare_cached(SELECT_SERIES)?
        .query_row([job], read)
        .optional()?;
    found.ok_or_else(|| damaged("a recurring job without its series"))
}

/// A job that recurs, with the state of its series; `None`: it is gone.
pub(super) fn find_with_job(connection: &Connection, job: JobSeq) -> Result<Option<(SeriesState, JobKey)>> {
    Ok(connection
        .prepare_cached(SELECT_SERIES_TO_ADVANCE)?
        .query_row([job], |row| {
            Ok((read_state(row)?, JobKey::read_from(row, STATE_COLUMNS)?))
        })
        .optional()?)
}

/// The state of a job's series for the rules; it must have one.
pub(super) fn state(connection: &Connection, job: JobSeq) -> Result<SeriesState> {
    let found = connection
        .prepare_cached(SELECT_SERIES_STATE)?
        .query_row([job], read_state)
        .optional()?;
    found.ok_or_else(|| damaged("a recurring job without its series"))
}

/// A run of a series that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveRun {
    pub(super) run: i64,
    /// Due time of its first attempt.
    pub(super) due: Millis,
}

/// The runs of a series that have not ended, oldest first.
pub(super) fn live_runs(connection: &Connection, job: JobSeq) -> Result<Vec<LiveRun>> {
    let mut select = connection.prepare_cached(SELECT_LIVE_RUNS)?;
    let runs = select.query_map([job], |row| {
        Ok(LiveRun {
            run: row.get(0)?,
            due: row.get(1)?,
        })
    })?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

/// The current run of a series: one that is running, else the oldest that has not ended.
pub(super) fn current_run(connection: &Connection, job: JobSeq) -> Result<Option<LiveRun>> {
    let read = |row: &Row<'_>| {
        Ok(LiveRun {
            run: row.get(0)?,
            due: row.get(1)?,
        })
    };
    Ok(connection
        .prepare_cached(SELECT_CURRENT_RUN)?
        .query_row([job], read)
        .optional()?)
}

/// The job of a run that changes its phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobRef {
    pub(super) job: JobSeq,
    pub(super) route: RouteId,
    pub(super) recurring: bool,
}

impl JobRef {
    /// For the runs of a job.
    pub(super) fn of(job: &JobKey) -> Self {
        Self {
            job: job.seq,
            route: job.route,
            recurring: job.recurring,
        }
    }
}

/// Counts a run that changed its phase; `from` is `None` for a new run of a series.
pub(super) fn run_changed_phase(tx: &mut Tx<'_>, job_ref: JobRef, from: Option<Phase>, to: Phase) -> Result<()> {
    if from == Some(to) {
        return Ok(());
    }
    if !job_ref.recurring {
        tx.count_transition(job_ref.route, from.map(Phase::status), Some(to.status()));
        return Ok(());
    }
    let delta = LiveRuns::default().moved(from, Some(to));
    let (live, paused) = shift_live_runs(tx.connection, job_ref.job, delta)?;
    let before = live.moved(Some(to), from).status(paused);
    tx.count_transition(job_ref.route, Some(before), Some(live.status(paused)));
    Ok(())
}

/// Adds to the numbers of live runs; returns the new numbers, and whether the series is paused.
fn shift_live_runs(connection: &Connection, job: JobSeq, delta: LiveRuns) -> Result<(LiveRuns, bool)> {
    let read = |row: &Row<'_>| {
        let live = LiveRuns {
            queued: row.get(0)?,
            running: row.get(1)?,
            waiting: row.get(2)?,
        };
        Ok((live, row.get(3)?))
    };
    let row = (job, delta.queued, delta.running, delta.waiting);
    Ok(connection.prepare_cached(UPDATE_LIVE_RUNS)?.query_row(row, read)?)
}

/// Counts an ended run, and ends the series after its last run. Returns the state of the job and the run's occurrence.
pub(super) fn run_ended(
    tx: &mut Tx<'_>,
    job_ref: JobRef,
    run: RunEnd,
    from: Phase,
    now: Millis,
) -> Result<(Status, Option<Millis>)> {
    let scheduled_at: Option<Millis> = tx
        .connection
        .prepare_cached(DELETE_OCCURRENCE)?
        .query_row((job_ref.job, run.run), |row| row.get(0))
        .optional()?;
    let before = state(tx.connection, job_ref.job)?;
    let mut after = before;
    let effects = after.run_ended(from, run, scheduled_at, now);
    if effects.wakes_claimer {
        tx.wake();
    }
    if effects.ended {
        save(tx, job_ref.job, &before, &after, SeriesDetails::default())?;
    } else {
        let live = after.live;
        tx.connection.prepare_cached(UPDATE_SERIES_RUN_ENDED)?.execute(params![
            job_ref.job,
            after.ended,
            after.succeeded,
            after.failed,
            live.queued,
            live.running,
            live.waiting,
            after.failed_at,
            after.last.map(|last| last.run),
            after.last.map(|last| last.status as i64),
            after.last.map(|last| last.ended_at),
            after.failing.map_or(0, |failing| failing.runs),
            after.failing.map(|failing| failing.since),
        ])?;
    }
    tx.count_transition(job_ref.route, Some(before.status()), Some(after.status()));
    Ok((after.status(), scheduled_at))
}

/// Deletes a run that nobody has begun; its occurrence is to be dealt with again. Returns the state of the job.
pub(super) fn run_taken_back(tx: &mut Tx<'_>, job_ref: JobRef, run: i64, from: Phase) -> Result<Status> {
    let scheduled_at: Millis = tx
        .connection
        .prepare_cached(DELETE_OCCURRENCE)?
        .query_row((job_ref.job, run), |row| row.get(0))?;
    let Series {
        state: before,
        mut settled,
        ..
    } = expect(tx.connection, job_ref.job)?;
    let mut after = before;
    after.run_taken_back(&mut settled, from, scheduled_at);
    let details = SeriesDetails {
        settled: Some(&settled),
        ..SeriesDetails::default()
    };
    save(tx, job_ref.job, &before, &after, details)?;
    tx.count_transition(job_ref.route, Some(before.status()), Some(after.status()));
    Ok(after.status())
}

/// Writes a series after an advance. Does not update counters.
pub(super) fn save_advanced(
    tx: &Tx<'_>,
    job: JobSeq,
    before: &SeriesState,
    after: &SeriesState,
    details: SeriesDetails<'_>,
) -> Result<()> {
    if after.ended_as != before.ended_as {
        return save(tx, job, before, after, details);
    }
    tx.connection.prepare_cached(UPDATE_SERIES_ADVANCED)?.execute(params![
        job,
        after.version,
        after.next_at,
        after.after_live_runs,
        after.runs,
        after.live.queued,
        details.last_at,
        details.settled.and_then(Settled::to_text),
    ])?;
    Ok(())
}

/// Other columns of a series that may change with its state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeriesDetails<'a> {
    /// The last occurrence that became a run; `None`: unchanged.
    pub(super) last_at: Option<Millis>,
    /// JSON text of its schedule; `None`: unchanged.
    pub(super) spec: Option<&'a str>,
    /// Why it was cancelled.
    pub(super) reason: Option<&'a str>,
    /// What is accounted for from its next occurrence on; `None`: unchanged.
    pub(super) settled: Option<&'a Settled>,
}

/// Writes a series whose previous state was `before`; does not update counters.
pub(super) fn save(
    tx: &Tx<'_>,
    job: JobSeq,
    before: &SeriesState,
    after: &SeriesState,
    details: SeriesDetails<'_>,
) -> Result<()> {
    let SeriesState { live, .. } = *after;
    tx.connection.prepare_cached(UPDATE_SERIES)?.execute(params![
        job,
        after.version,
        after.end_code(),
        after.ended_at,
        after.next_at,
        after.after_live_runs,
        after.runs,
        after.reruns,
        after.ended,
        after.succeeded,
        after.failed,
        live.queued,
        live.running,
        live.waiting,
        after.paused,
        after.failed_at,
        details.spec,
        details.reason,
        details.last_at,
        details.settled.is_some(),
        details.settled.and_then(Settled::to_text),
        after.last.map(|last| last.run),
        after.last.map(|last| last.status as i64),
        after.last.map(|last| last.ended_at),
        after.failing.map_or(0, |failing| failing.runs),
        after.failing.map(|failing| failing.since),
    ])?;
    let ended = |series: &SeriesState| series.ended_as.zip(series.ended_at);
    if ended(before) == ended(after) {
        return Ok(());
    }
    if let Some((status, at)) = ended(before) {
        queue::delete_ended(tx.connection, status, at, job)?;
    }
    if let Some((status, at)) = ended(after) {
        queue::insert_ended(tx.connection, status, at, job)?;
    }
    Ok(())
}
