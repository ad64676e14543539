//! Rows of the narrow tables and of history, as the verbs exchange them, and their batching into one statement per table.
//!
//! Knows no verb and counts nothing.

use super::param::{Param, params};
use crate::clock::Millis;
use crate::model::{RunStatus, Status};
use crate::store::rules::completion::StepsAfterRun;
use crate::store::{InstanceId, JobSeq, RouteId, Token};

/// Number of a concurrency key inside one store.
pub(super) type KeyId = i64;

const INSERT_READY: &str = include_str!("sql/insert_ready.sql");
const INSERT_SCHEDULED: &str = include_str!("sql/insert_scheduled.sql");
const INSERT_SCHEDULED_BY_DAY: &str = include_str!("sql/insert_scheduled_by_day.sql");
const INSERT_PAUSED: &str = include_str!("sql/insert_paused.sql");
const INSERT_ENDED: &str = include_str!("sql/insert_ended.sql");
const INSERT_OCCURRENCES: &str = include_str!("sql/insert_occurrences.sql");
const INSERT_ATTEMPTS: &str = include_str!("sql/insert_attempts.sql");
const DELETE_ENDED_OCCURRENCES: &str = include_str!("sql/delete_ended_occurrences.sql");
const DELETE_STEPS_OF_ENDED_RUNS: &str = include_str!("sql/delete_steps_of_ended_runs.sql");

/// A claimed run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) owner: InstanceId,
    pub(super) token: Token,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) started: Millis,
    pub(super) due: Millis,
    /// Concurrency key it was claimed with.
    pub(super) key: Option<KeyId>,
}

/// A waiting attempt, without its location and due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) recurring: bool,
}

impl Waiting {
    /// The first attempt of a run.
    pub(super) fn first(job: JobSeq, run: i64, recurring: bool) -> Self {
        Self {
            job,
            run,
            attempt: 1,
            crashes: 0,
            recurring,
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

/// A run of a series that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewOccurrence {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) scheduled_at: Millis,
    pub(super) due: Millis,
    pub(super) missed: i64,
}

/// One row of history: how an attempt ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
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
    pub(super) error: Option<String>,
    /// JSON text.
    pub(super) result: Option<Box<str>>,
}

/// Rows to insert, and what goes for them.
#[derive(Default)]
pub(super) struct PendingInserts {
    pub(super) ready: Vec<(Rank, Waiting)>,
    pub(super) scheduled: Vec<(Millis, Waiting)>,
    pub(super) scheduled_by_day: Vec<(i64, JobSeq)>,
    pub(super) paused: Vec<(Millis, Waiting)>,
    pub(super) ended: Vec<(Status, Millis, JobSeq)>,
    pub(super) occurrences: Vec<NewOccurrence>,
    pub(super) attempts: Vec<Ended>,
    pub(super) steps_after_run: StepsOfEndedRuns,
    /// Runs of series that are over.
    pub(super) ended_occurrences: Vec<(JobSeq, i64)>,
}

/// Ended runs with steps to delete.
#[derive(Debug, Default)]
pub(super) struct StepsOfEndedRuns {
    jobs: Vec<JobSeq>,
    runs: Vec<i64>,
    /// Whether its own steps are kept, and only those of earlier runs deleted.
    keeps_own: Vec<bool>,
}

impl StepsOfEndedRuns {
    /// Adds a run, with what happens to its steps.
    pub(super) fn add(&mut self, job: JobSeq, run: i64, steps: StepsAfterRun) {
        let keeps_own = match steps {
            StepsAfterRun::Kept => return,
            StepsAfterRun::KeptInsteadOfEarlier => true,
            StepsAfterRun::Forgotten => false,
        };
        self.jobs.push(job);
        self.runs.push(run);
        self.keeps_own.push(keeps_own);
    }
}

/// A column of rows as a parameter.
fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Box<dyn Param>
where
    Vec<T>: Param + 'static,
{
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

/// An attempt number as a database integer.
pub(super) fn int4(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl PendingInserts {
    /// One statement for each table with rows to insert.
    pub(super) fn statements(&self) -> Vec<(&'static str, Vec<Box<dyn Param>>)> {
        let mut statements = Vec::new();
        let mut add = |rows: usize, sql: &'static str, params: &dyn Fn() -> Vec<Box<dyn Param>>| {
            if rows > 0 {
                statements.push((sql, params()));
            }
        };
        let steps = &self.steps_after_run;
        add(steps.jobs.len(), DELETE_STEPS_OF_ENDED_RUNS, &|| {
            params![steps.jobs.clone(), steps.runs.clone(), steps.keeps_own.clone()]
        });
        let over = &self.ended_occurrences;
        add(over.len(), DELETE_ENDED_OCCURRENCES, &|| {
            vec![column(over, |row| row.0), column(over, |row| row.1)]
        });
        let ready = &self.ready;
        add(ready.len(), INSERT_READY, &|| {
            vec![
                column(ready, |(rank, _)| rank.route),
                column(ready, |(rank, _)| rank.priority),
                column(ready, |(rank, _)| rank.due),
                column(ready, |(_, run)| run.job),
                column(ready, |(_, run)| run.run),
                column(ready, |(_, run)| int4(run.attempt)),
                column(ready, |(_, run)| int4(run.crashes)),
                column(ready, |(_, run)| run.recurring),
                column(ready, |(rank, _)| rank.key),
            ]
        });
        let scheduled = &self.scheduled;
        add(scheduled.len(), INSERT_SCHEDULED, &|| {
            let mut columns = waiting_columns(scheduled);
            columns.push(column(scheduled, |(_, run)| run.recurring));
            columns
        });
        add(self.paused.len(), INSERT_PAUSED, &|| waiting_columns(&self.paused));
        let scheduled_by_day = &self.scheduled_by_day;
        add(scheduled_by_day.len(), INSERT_SCHEDULED_BY_DAY, &|| {
            vec![
                column(scheduled_by_day, |row| row.0),
                column(scheduled_by_day, |row| row.1),
            ]
        });
        let ended = &self.ended;
        add(ended.len(), INSERT_ENDED, &|| {
            vec![
                column(ended, |row| row.0 as i32),
                column(ended, |row| row.1),
                column(ended, |row| row.2),
            ]
        });
        let occurrences = &self.occurrences;
        add(occurrences.len(), INSERT_OCCURRENCES, &|| {
            occurrence_columns(occurrences)
        });
        add(self.attempts.len(), INSERT_ATTEMPTS, &|| {
            attempt_columns(&self.attempts)
        });
        statements
    }
}

fn waiting_columns(rows: &[(Millis, Waiting)]) -> Vec<Box<dyn Param>> {
    vec![
        column(rows, |(due, _)| *due),
        column(rows, |(_, run)| run.job),
        column(rows, |(_, run)| run.run),
        column(rows, |(_, run)| int4(run.attempt)),
        column(rows, |(_, run)| int4(run.crashes)),
    ]
}

fn occurrence_columns(rows: &[NewOccurrence]) -> Vec<Box<dyn Param>> {
    vec![
        column(rows, |row| row.job),
        column(rows, |row| row.run),
        column(rows, |row| row.scheduled_at),
        column(rows, |row| row.due),
        column(rows, |row| row.missed),
    ]
}

fn attempt_columns(rows: &[Ended]) -> Vec<Box<dyn Param>> {
    vec![
        column(rows, |row| row.job),
        column(rows, |row| row.run),
        column(rows, |row| int4(row.attempt)),
        column(rows, |row| row.status as i32),
        column(rows, |row| row.started),
        column(rows, |row| row.ended),
        column(rows, |row| row.next_due),
        column(rows, |row| row.error.clone()),
        column(rows, |row| row.result.clone()),
    ]
}
