//! Checks, for tests, that the tables agree with each other: what the verbs promise after every step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::SqliteStore;
use super::jobs::JobKey;
use super::locate::{self, RunKey, RunState};
use super::read::JobState;
use super::series;
use super::write_operation::WriteOptions;
use crate::error::Result;
use crate::model::Status;
use rusqlite::Connection;
use std::collections::BTreeMap;

impl SqliteStore {
    /// Panics with all contradictions found. A closed store has none.
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
    let mut counted: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for job in &jobs {
        let status = if job.recurring {
            series_problems(connection, job, &mut problems)?
        } else {
            one_off_problems(connection, job, &mut problems)?
        };
        *counted.entry((job.route, status as i64)).or_default() += 1;
    }
    counter_problems(connection, &counted, &mut problems)?;
    for (what, query) in SELECT_ORPHANS {
        let found: i64 = connection.query_row(query, [], |row| row.get(0))?;
        if found > 0 {
            problems.push(format!("{found} {what}"));
        }
    }
    Ok(problems)
}

const SELECT_ORPHANS: [(&str, &str); 18] = [
    (
        "jobs with a number that may be given again",
        "SELECT count(*) FROM jobs WHERE seq > (SELECT last_job FROM numbers)",
    ),
    (
        "ready rows without a job, or of another route, priority or key",
        "SELECT count(*) FROM ready WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE seq = job AND jobs.route = ready.route AND jobs.priority = ready.priority AND jobs.key IS ready.key)",
    ),
    (
        "held rows without a job, or of another route, priority or key",
        "SELECT count(*) FROM held WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE seq = job AND jobs.route = held.route AND jobs.priority = held.priority AND jobs.key = held.key)",
    ),
    (
        "jobs whose key is not the one in their options",
        "SELECT count(*) FROM jobs JOIN routes ON routes.id = route WHERE (SELECT name FROM keys WHERE id = key AND keys.product = routes.product AND keys.env = routes.env) IS NOT json_extract(options, '$.concurrency.key')",
    ),
    (
        "keys that count wrong, or that nothing names",
        "SELECT count(*) FROM keys WHERE jobs <> (SELECT count(*) FROM jobs WHERE key = keys.id) \
         OR running <> (SELECT count(*) FROM running WHERE key = keys.id) OR jobs + running = 0 OR owed NOT BETWEEN 0 AND max",
    ),
    (
        "keys with a free slot, runs that wait for it, and too few that may have it",
        "SELECT count(*) FROM (SELECT DISTINCT key, route FROM held) AS waiting JOIN keys ON keys.id = waiting.key \
         WHERE max > running + owed + (SELECT count(*) FROM ready WHERE ready.key = keys.id AND ready.route = waiting.route)",
    ),
    (
        "unique keys whose job is not there, or has another key or route, or that are no longer left behind",
        "SELECT count(*) FROM uniques WHERE (id IS NULL AND NOT EXISTS (SELECT 1 FROM jobs WHERE seq = job AND jobs.route = uniques.route \
         AND json_extract(options, '$.unique.key') = uniques.key)) OR (id IS NOT NULL AND EXISTS (SELECT 1 FROM jobs WHERE seq = job))",
    ),
    (
        "scheduled rows without a job",
        "SELECT count(*) FROM scheduled WHERE job NOT IN (SELECT seq FROM jobs)",
    ),
    (
        "far rows without a job",
        "SELECT count(*) FROM far WHERE job NOT IN (SELECT seq FROM jobs)",
    ),
    (
        "paused rows without a job",
        "SELECT count(*) FROM paused WHERE job NOT IN (SELECT seq FROM jobs)",
    ),
    (
        "tags that a job lacks, or has and that are not there",
        "WITH wanted AS (SELECT DISTINCT value AS tag, seq AS job FROM jobs, json_each(jobs.options, '$.tags')) \
         SELECT (SELECT count(*) FROM (SELECT * FROM wanted EXCEPT SELECT tag, job FROM tags)) \
              + (SELECT count(*) FROM (SELECT tag, job FROM tags EXCEPT SELECT * FROM wanted))",
    ),
    (
        "running rows without a job or an owner",
        "SELECT count(*) FROM running WHERE job NOT IN (SELECT seq FROM jobs) OR owner NOT IN (SELECT id FROM instances)",
    ),
    (
        "occurrences without a series that goes on",
        "SELECT count(*) FROM occurrences WHERE job NOT IN (SELECT job FROM series WHERE state = 0)",
    ),
    (
        "steps of a one-off that are not of its run, or whose run has completed",
        "SELECT count(*) FROM steps JOIN jobs ON seq = job WHERE NOT recurring \
         AND (steps.run <> jobs.run OR EXISTS (SELECT 1 FROM ended WHERE ended.job = seq AND status = 3))",
    ),
    (
        "steps without a job, or of a run of a series that neither goes on nor has failed",
        "SELECT count(*) FROM steps WHERE job NOT IN (SELECT seq FROM jobs WHERE NOT recurring) \
         AND NOT EXISTS (SELECT 1 FROM occurrences WHERE occurrences.job = steps.job AND occurrences.run = steps.run) \
         AND NOT EXISTS (SELECT 1 FROM jobs JOIN runs ON runs.job = seq WHERE seq = steps.job AND runs.run = steps.run AND runs.status = 4)",
    ),
    (
        "attempts without a job",
        "SELECT count(*) FROM runs WHERE job NOT IN (SELECT seq FROM jobs)",
    ),
    (
        "ended rows without a job",
        "SELECT count(*) FROM ended WHERE job NOT IN (SELECT seq FROM jobs)",
    ),
    (
        "series or gaps without a recurring job",
        "SELECT (SELECT count(*) FROM series WHERE job NOT IN (SELECT seq FROM jobs WHERE recurring)) + (SELECT count(*) FROM gaps WHERE job NOT IN (SELECT seq FROM jobs WHERE recurring))",
    ),
];

fn run_states(connection: &Connection, job: i64, run: Option<i64>) -> Result<[i64; 6]> {
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
    if counts != phases || rows != live || series.runs != series.ended + live {
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
    counted: &BTreeMap<(i64, i64), i64>,
    problems: &mut Vec<String>,
) -> Result<()> {
    let kept: BTreeMap<(i64, i64), i64> = connection
        .prepare("SELECT route, kind, n FROM counters WHERE kind < 10 AND n <> 0")?
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    if kept != *counted {
        problems.push(format!("the counters say {kept:?}, the tables {counted:?}"));
    }
    Ok(())
}
