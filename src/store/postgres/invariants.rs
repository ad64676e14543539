//! Checks, for tests, that the tables agree with each other: what the verbs promise after every step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::PostgresStore;
use super::failure::Attempt;
use super::pool::{Manner, attempt};
use super::session::Session;
use super::state::{self, Place, Subject};
use crate::error::Result;
use std::collections::BTreeMap;

const ALL: &str = "SELECT seq FROM ductape.jobs ORDER BY seq";
const PLACES: &str = include_str!("sql/places.sql");
const ORPHANS: &str = include_str!("sql/orphans.sql");
const COUNTERS: &str =
    "SELECT route, kind, sum(n)::bigint FROM ductape.counters WHERE kind < 10 GROUP BY route, kind HAVING sum(n) <> 0";

impl PostgresStore {
    /// Panics with all contradictions found. A closed store has none.
    pub(crate) async fn check_invariants(&self) {
        if self.opened().is_err() {
            return;
        }
        let problems = self.problems().await.unwrap();
        assert!(problems.is_empty(), "{problems:#?}");
    }

    async fn problems(&self) -> Result<Vec<String>> {
        Ok(attempt!(self.inner.general, Manner::LONG, |session| problems(session)))
    }
}

async fn problems(session: &Session) -> Attempt<Vec<String>> {
    session.snapshot().await?;
    let mut problems = Vec::new();
    let jobs: Vec<i64> = session.query(ALL, &[]).await?.iter().map(|row| row.get(0)).collect();
    let mut rows: BTreeMap<i64, Vec<(String, Option<i64>)>> = BTreeMap::new();
    for row in session.query(PLACES, &[]).await? {
        rows.entry(row.get(0)).or_default().push((row.get(2), row.get(1)));
    }
    let mut counted: BTreeMap<(i64, i32), i64> = BTreeMap::new();
    for subject in state::of(session, &jobs).await? {
        let there = rows.remove(&subject.job.seq).unwrap_or_default();
        let expected = expected(&subject, &mut problems);
        let mut found = there.clone();
        found.sort();
        if found != expected {
            problems.push(format!("{subject:?} is in {found:?}, expected in {expected:?}"));
        }
        *counted.entry((subject.job.route, subject.status() as i32)).or_default() += 1;
    }
    if !rows.is_empty() {
        problems.push(format!("rows without a job: {rows:?}"));
    }
    let kept: BTreeMap<(i64, i32), i64> = session
        .query(COUNTERS, &[])
        .await?
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect();
    if kept != counted {
        problems.push(format!("the counters say {kept:?}, the tables {counted:?}"));
    }
    for row in session.query(ORPHANS, &[]).await? {
        let (what, found): (String, i64) = (row.get(0), row.get(1));
        if found > 0 {
            problems.push(format!("{found} {what}"));
        }
    }
    session.end_snapshot().await?;
    Ok(problems)
}

/// The tables a job's rows should be in, with the run's number where the table has one.
fn expected(subject: &Subject, problems: &mut Vec<String>) -> Vec<(String, Option<i64>)> {
    let mut tables = Vec::new();
    let mut live = crate::store::phase::LiveRuns::default();
    for run in &subject.runs {
        let paused = subject.series.as_ref().is_some_and(|series| series.paused);
        let (table, number) = match run.place {
            Place::Running(_) => ("running", Some(run.run)),
            Place::Ready(..) => ("ready", Some(run.run)),
            Place::Held(..) => ("held", Some(run.run)),
            Place::Scheduled(..) => ("scheduled", Some(run.run)),
            Place::Far(_) => ("far", None),
            Place::Paused(..) => ("paused", Some(run.run)),
            Place::Ended(_) => ("ended", None),
        };
        if let Some(series) = &subject.series {
            let fits = match run.place {
                Place::Running(_) => true,
                Place::Ready(..) | Place::Held(..) | Place::Scheduled(..) => !paused,
                Place::Paused(..) => paused,
                Place::Far(_) | Place::Ended(_) => false,
            };
            if !fits {
                problems.push(format!("run {run:?} of {series:?} is live"));
            }
            match run.place {
                Place::Running(_) => live.running += 1,
                Place::Ready(..) | Place::Held(..) => live.queued += 1,
                _ => live.waiting += 1,
            }
        }
        tables.push((table.to_owned(), number));
    }
    if let Some(series) = &subject.series {
        if series.live != live || series.runs != series.ended + live.total() {
            problems.push(format!("{:?} {series:?} has live runs {live:?}", subject.job));
        }
        let over = series.status().is_ended();
        if over != series.ended_at.is_some() || (series.next_at.is_none() && live.total() == 0) != over {
            problems.push(format!("{:?} {series:?} is over and is not", subject.job));
        }
        if over {
            tables.push(("ended".to_owned(), None));
        }
    }
    tables.sort();
    tables
}
