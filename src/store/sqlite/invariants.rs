//! Test support: checks that the tables are consistent, as they must be after every operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::SqliteStore;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::read::JobState;
use super::series;
use super::write_operation::WriteOptions;
use crate::error::Result;
use crate::model::Status;
use crate::store::{JobSeq, RouteId};
use rusqlite::Connection;
use std::collections::BTreeMap;

const SELECT_ORPHANS: &str = include_str!("sql/select_orphans.sql");

impl SqliteStore {
    /// Panics with all problems found. A closed store is not checked.
    pub(crate) async fn check_invariants(&self) {
        if self.shared.is_closed() {
            return;
        }
        let problems = self
            .write(WriteOptions::plain(1), |tx| problems(tx.connection))
            .await
            .unwrap();
        assert!(problems.is_empty(), "{problems:#?}");
    }
}

fn problems(connection: &Connection) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let jobs: Vec<JobKey> = connection
        .prepare("SELECT seq, route, priority, due, recurring, run, created, key FROM jobs")?
        .query_map([], JobKey::read)?
        .collect::<rusqlite::Result<_>>()?;
    let mut counted: BTreeMap<(RouteId, i64), i64> = BTreeMap::new();
    for job in &jobs {
        let status = if job.recurring {
            series_problems(connection, job, &mut problems)?
        } else {
            one_off_problems(connection, job, &mut problems)?
        };
        *counted.entry((job.route, status as i64)).or_default() += 1;
    }
    counter_problems(connection, &counted, &mut problems)?;
    let orphans = connection
        .prepare(SELECT_ORPHANS)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, i64)>>>()?;
    for (what, found) in orphans {
        if found > 0 {
            problems.push(format!("{found} {what}"));
        }
    }
    Ok(problems)
}

fn run_states(connection: &Connection, job: JobSeq, run: Option<i64>) -> Result<[i64; 6]> {
    let count = |table: &str| -> Result<i64> {
        let narrow = if run.is_some() && table != "far" {
            " AND run = ?2"
        } else {
            " AND ?2 IS ?2"
        };
        let query = format!("SELECT count(*) FROM {table} WHERE job = ?1{narrow}");
        Ok(connection
            .prepare_cached(&query)?
            .query_row((job, run), |row| row.get(0))?)
    };
    Ok([
        count("running")?,
        count("ready")?,
        count("scheduled")?,
        count("far")?,
        count("paused")?,
        count("held")?,
    ])
}

fn one_off_problems(connection: &Connection, job: &JobKey, problems: &mut Vec<String>) -> Result<Status> {
    let found = run_states(connection, job.seq, None)?;
    let run_state = match locate::run(connection, &RunKey::of_one_off(job)) {
        Ok(run_state) => run_state,
        Err(error) => {
            problems.push(format!("{job:?} is lost: {error}; it is in {found:?}"));
            return Ok(Status::Paused);
        }
    };
    let ended: i64 = connection.query_row("SELECT count(*) FROM ended WHERE job = ?1", [job.seq], |row| row.get(0))?;
    let expected = match &run_state {
        RunState::Running(_) => ([1, 0, 0, 0, 0, 0], 0),
        RunState::Ready(..) => ([0, 1, 0, 0, 0, 0], 0),
        RunState::Scheduled(..) => ([0, 0, 1, 0, 0, 0], 0),
        RunState::ScheduledByDay(_) => ([0, 0, 0, 1, 0, 0], 0),
        RunState::Paused(..) => ([0, 0, 0, 0, 1, 0], 0),
        RunState::Blocked(..) => ([0, 0, 0, 0, 0, 1], 0),
        RunState::Ended(_) => ([0; 6], 1),
    };
    if (found, ended) != expected {
        problems.push(format!(
            "{job:?} is in {run_state:?} by its history, but its rows are {found:?}, ended {ended}"
        ));
    }
    if let RunState::Ended(last) = &run_state {
        let key = (run_state.status() as i64, last.ended, job.seq);
        if !connection
            .prepare_cached("SELECT 1 FROM ended WHERE status = ?1 AND ended = ?2 AND job = ?3")?
            .exists(key)?
        {
            problems.push(format!("{job:?} has ended as {last:?}, but not in `ended`"));
        }
    }
    Ok(run_state.status())
}

fn series_problems(connection: &Connection, job: &JobKey, problems: &mut Vec<String>) -> Result<Status> {
    let series = series::state(connection, job.seq)?;
    let live = series::live_runs(connection, job.seq)?;
    let mut phases = [0_i64; 3];
    for run in &live {
        let run_state = locate::run(connection, &RunKey::of_series(job, *run))?;
        let found = run_states(connection, job.seq, Some(run.run))?;
        let at = match run_state {
            RunState::Ready(..) | RunState::Blocked(..) if !series.paused => 0,
            RunState::Running(_) => 1,
            RunState::Scheduled(..) if !series.paused => 2,
            RunState::Paused(..) if series.paused => 2,
            _ => {
                problems.push(format!("{job:?} run {run:?} is live, but {run_state:?}"));
                continue;
            }
        };
        phases[at] += 1;
        if found.iter().sum::<i64>() != 1 {
            problems.push(format!("{job:?} run {run:?} is in {found:?}"));
        }
    }
    let rows: i64 = run_states(connection, job.seq, None)?.iter().sum();
    let counts = [series.live.queued, series.live.running, series.live.waiting];
    let live = i64::try_from(live.len()).unwrap();
    let taken_back = series.runs - series.ended - live;
    if counts != phases || rows != live || !(0..=series.reruns).contains(&taken_back) {
        problems.push(format!(
            "{job:?} {series:?} has {live} live runs, by place {phases:?}, in {rows} rows"
        ));
    }
    let ended: i64 = connection.query_row(
        "SELECT count(*) FROM ended WHERE job = ?1 AND status = ?2 AND ended IS ?3",
        (job.seq, series.end_code(), series.ended_at),
        |row| row.get(0),
    )?;
    if (ended == 1) != series.status().is_ended() || (series.next_at.is_none() && live == 0) != (ended == 1) {
        problems.push(format!("{job:?} {series:?} has {ended} rows in `ended`"));
    }
    Ok(JobState::of(connection, job)?.status)
}

fn counter_problems(
    connection: &Connection,
    counted: &BTreeMap<(RouteId, i64), i64>,
    problems: &mut Vec<String>,
) -> Result<()> {
    let kept: BTreeMap<(RouteId, i64), i64> = connection
        .prepare("SELECT route, kind, n FROM counters WHERE kind < 10 AND n <> 0")?
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    if kept != *counted {
        problems.push(format!("the counters say {kept:?}, the tables {counted:?}"));
    }
    Ok(())
}
