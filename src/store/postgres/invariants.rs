//! Test support: checks that the tables are consistent, as they must be after every operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::PostgresStore;
use super::failure::DbResult;
use super::pool::{WriteOptions, with_session};
use super::session::Session;
use super::state::{self, RunState, StoredJob};
use crate::error::Result;
use crate::store::{JobSeq, RouteId};
use std::collections::BTreeMap;

const SELECT_JOBS: &str = "SELECT seq FROM ductape.jobs ORDER BY seq";
const SELECT_RUN_STATES: &str = include_str!("sql/select_run_states.sql");
const SELECT_ORPHANS: &str = include_str!("sql/select_orphans.sql");
const SELECT_COUNTERS: &str =
    "SELECT route, kind, sum(n)::bigint FROM ductape.counters WHERE kind < 10 GROUP BY route, kind HAVING sum(n) <> 0";

impl PostgresStore {
    /// Panics with all problems found. A closed store is not checked.
    pub(crate) async fn check_invariants(&self) {
        if self.inner_if_open().is_err() {
            return;
        }
        let problems = self.problems().await.unwrap();
        assert!(problems.is_empty(), "{problems:#?}");
    }

    async fn problems(&self) -> Result<Vec<String>> {
        Ok(with_session!(
            self.inner.general,
            WriteOptions::LONG_RUNNING,
            |session| problems(session)
        ))
    }
}

async fn problems(session: &Session) -> DbResult<Vec<String>> {
    session.snapshot().await?;
    let mut problems = Vec::new();
    let jobs: Vec<JobSeq> = session
        .query(SELECT_JOBS, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let mut rows: BTreeMap<JobSeq, Vec<(String, Option<i64>)>> = BTreeMap::new();
    for row in session.query(SELECT_RUN_STATES, &[]).await? {
        rows.entry(row.get(0)).or_default().push((row.get(2), row.get(1)));
    }
    let mut counted: BTreeMap<(RouteId, i32), i64> = BTreeMap::new();
    for stored_job in state::of(session, &jobs).await? {
        let there = rows.remove(&stored_job.job.seq).unwrap_or_default();
        let expected = expected(&stored_job, &mut problems);
        let mut found = there.clone();
        found.sort();
        if found != expected {
            problems.push(format!("{stored_job:?} is in {found:?}, expected in {expected:?}"));
        }
        *counted
            .entry((stored_job.job.route, stored_job.status() as i32))
            .or_default() += 1;
    }
    if !rows.is_empty() {
        problems.push(format!("rows without a job: {rows:?}"));
    }
    let kept: BTreeMap<(RouteId, i32), i64> = session
        .query(SELECT_COUNTERS, &[])
        .await?
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect();
    if kept != counted {
        problems.push(format!("the counters say {kept:?}, the tables {counted:?}"));
    }
    for row in session.query(SELECT_ORPHANS, &[]).await? {
        let (what, found): (String, i64) = (row.get(0), row.get(1));
        if found > 0 {
            problems.push(format!("{found} {what}"));
        }
    }
    session.end_snapshot().await?;
    Ok(problems)
}

/// The tables that should have rows of a job, with the run's number where the table has one.
fn expected(stored_job: &StoredJob, problems: &mut Vec<String>) -> Vec<(String, Option<i64>)> {
    let mut tables = Vec::new();
    let mut live = crate::store::rules::phase::LiveRuns::default();
    for run in &stored_job.runs {
        let paused = stored_job.series.as_ref().is_some_and(|series| series.state.paused);
        let (table, number) = match run.run_state {
            RunState::Running(_) => ("running", Some(run.run)),
            RunState::Ready(..) => ("ready", Some(run.run)),
            RunState::Blocked(..) => ("held", Some(run.run)),
            RunState::Scheduled(..) => ("scheduled", Some(run.run)),
            RunState::ScheduledByDay(_) => ("far", None),
            RunState::Paused(..) => ("paused", Some(run.run)),
            RunState::Ended(_) => ("ended", None),
        };
        if let Some(series) = &stored_job.series {
            let fits = match run.run_state {
                RunState::Running(_) => true,
                RunState::Ready(..) | RunState::Blocked(..) | RunState::Scheduled(..) => !paused,
                RunState::Paused(..) => paused,
                RunState::ScheduledByDay(_) | RunState::Ended(_) => false,
            };
            if !fits {
                problems.push(format!("run {run:?} of {series:?} is live"));
            }
            match run.run_state {
                RunState::Running(_) => live.running += 1,
                RunState::Ready(..) | RunState::Blocked(..) => live.queued += 1,
                _ => live.waiting += 1,
            }
        }
        tables.push((table.to_owned(), number));
    }
    if let Some(series) = &stored_job.series {
        let taken_back = series.state.runs - series.state.ended - live.total();
        if series.state.live != live || !(0..=series.state.reruns).contains(&taken_back) {
            problems.push(format!("{:?} {series:?} has live runs {live:?}", stored_job.job));
        }
        let over = series.status().is_ended();
        if over != series.state.ended_at.is_some() || (series.state.next_at.is_none() && live.total() == 0) != over {
            problems.push(format!("{:?} {series:?} is over and is not", stored_job.job));
        }
        if over {
            tables.push(("ended".to_owned(), None));
        }
    }
    tables.sort();
    tables
}
