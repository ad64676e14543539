//! The plain model of a job and its runs.

use super::steps::Steps;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::{ClaimedRun, InstanceId, Token};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Run {
    Waiting(Millis),
    Ready,
    /// Until the job is resumed.
    Paused(Millis),
    /// With the concurrency key it was claimed with.
    Running(InstanceId, Token, Option<&'static str>),
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) recurring: bool,
    /// Runs that have not ended, with their crashes. A one-off's only run is number 0 here, whatever the store calls it.
    pub(super) runs: BTreeMap<i64, (Run, u32)>,
    pub(super) created_runs: i64,
    pub(super) ended: Option<Status>,
    pub(super) next_at: Option<Millis>,
    /// Interval of a recurring job, ms.
    pub(super) interval: i64,
    pub(super) executions: i64,
    pub(super) paused: bool,
    /// Whether the last run of the series failed and was not retried.
    pub(super) failed: bool,
    /// Distinguishes it from earlier jobs with its name.
    pub(super) incarnation: usize,
    /// Concurrency key.
    pub(super) key: Option<&'static str>,
    /// Finished steps of its runs, as far as the store keeps them.
    pub(super) steps: Steps,
}

impl Job {
    pub(super) fn status(&self) -> Status {
        let has = |wanted: fn(&Run) -> bool| self.runs.values().any(|(run, _)| wanted(run));
        match self.ended {
            Some(status) => status,
            None if self.paused => Status::Paused,
            None if has(|run| matches!(run, Run::Running(..))) => Status::Running,
            None if has(|run| matches!(run, Run::Ready)) => Status::Queued,
            None => Status::Scheduled,
        }
    }

    /// Ends a run, and the job if it was the last one.
    pub(super) fn run_ended(&mut self, run: i64, status: Status, now: Millis) {
        self.runs.remove(&run);
        self.steps.run_ended(run, self.recurring, status, now);
        self.executions += 1;
        self.failed |= status == Status::Failed;
        if !self.recurring {
            (self.ended, self.paused) = (Some(status), false);
        } else if self.next_at.is_none() && self.runs.is_empty() {
            (self.ended, self.paused) = (Some(Status::Completed), false);
        }
    }

    /// Whether this claim is still valid.
    pub(super) fn is_claimed(&self, by: InstanceId, claim: &ClaimedRun) -> bool {
        self.runs.get(&number(claim)).is_some_and(
            |(state, _)| matches!(state, Run::Running(holder, token, _) if (*holder, *token) == (by, claim.token)),
        )
    }

    /// Puts back a run that a process had claimed.
    /// The series deals with the occurrence again.
    pub(super) fn run_taken_back(&mut self, number: i64, scheduled_at: Millis) {
        self.runs.remove(&number);
        self.steps.run_ended(number, true, Status::Completed, scheduled_at);
        if self.ended.is_none() {
            self.next_at = Some(self.next_at.map_or(scheduled_at, |next_at| next_at.min(scheduled_at)));
        }
    }

    pub(super) fn return_run(&mut self, run: i64, to: Run) {
        if let Some((state, _)) = self.runs.get_mut(&run) {
            *state = if self.paused { to.paused() } else { to };
        }
    }

    /// A new dispatch of the same id replaces the job.
    pub(super) fn replace(&mut self, due: Option<Millis>, interval: i64, now: Millis) {
        if self.recurring && self.ended.is_none() && self.interval == interval {
            return;
        }
        self.ended = None;
        if self.recurring {
            (self.next_at, self.interval) = (due, interval);
            if due.is_none() && self.runs.is_empty() {
                (self.ended, self.paused) = (Some(Status::Completed), false);
            }
            return;
        }
        self.paused = false;
        self.steps = Steps::default();
        self.runs.clear();
        self.runs.insert(0, (first(due, now), 0));
    }
}

/// The number of a claimed run in the model.
pub(super) fn number(run: &ClaimedRun) -> i64 {
    if run.recurring { run.run } else { 0 }
}

pub(super) fn new_job(interval: Option<i64>, due: Option<Millis>, now: Millis, incarnation: usize) -> Job {
    let recurring = interval.is_some();
    let mut job = Job {
        recurring,
        interval: interval.unwrap_or_default(),
        runs: BTreeMap::new(),
        created_runs: 0,
        ended: None,
        next_at: None,
        executions: 0,
        paused: false,
        failed: false,
        incarnation,
        key: None,
        steps: Steps::default(),
    };
    if recurring {
        (job.next_at, job.ended) = (due, due.is_none().then_some(Status::Completed));
    } else {
        job.runs.insert(0, (first(due, now), 0));
    }
    job
}

/// Initial state of a run that is due then; at once without a time.
pub(super) fn first(due: Option<Millis>, now: Millis) -> Run {
    due.filter(|due| *due > now).map_or(Run::Ready, Run::Waiting)
}
