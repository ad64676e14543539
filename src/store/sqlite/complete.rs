//! Ends attempts: of a run that is over, and of one that goes on.
//!
//! Invariant: an attempt is ended only by the holder of its token; a run that was taken away is left alone.

use super::delete;
use super::failure::damaged;
use super::keys::{self, KeyId};
use super::outbox::{self, Event};
use super::queue::{self, Ended, Rank, Waiting};
use super::series::{self, JobRef};
use super::steps;
use super::tx::{RunCounter, Tx};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{EventKind, RunError, RunOutcome, RunStatus, Status};
use crate::store::phase::Phase;
use crate::store::{CompleteParams, Completed, Completion, InstanceId, JobSeq, RouteId, Token};
use rusqlite::{OptionalExtension, Row};

const DELETE_RUNNING: &str = include_str!("sql/running_take.sql");

/// A claimed run that has been taken out of `running`.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedClaim {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) route: RouteId,
    pub(super) priority: i32,
    pub(super) due: Millis,
    pub(super) started: Millis,
    pub(super) recurring: bool,
    /// Concurrency key it was claimed with.
    key: Option<KeyId>,
}

/// How the last attempt of a run ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct FinalResult<'a> {
    pub(super) status: RunStatus,
    pub(super) started: Millis,
    pub(super) ended: Millis,
    pub(super) error: Option<&'a str>,
    pub(super) result: Option<&'a str>,
}

impl EndedClaim {
    /// Takes a run from its holder, and with it its slot of its key; `None`: it is not the holder.
    pub(super) fn end_claim(
        tx: &mut Tx<'_>,
        (job, run): (JobSeq, i64),
        owner: InstanceId,
        token: Token,
    ) -> Result<Option<Self>> {
        let read = |row: &Row<'_>| {
            Ok(Self {
                job,
                run,
                attempt: row.get(0)?,
                crashes: row.get(1)?,
                route: row.get(2)?,
                priority: row.get(3)?,
                due: row.get(4)?,
                started: row.get(5)?,
                recurring: row.get(6)?,
                key: row.get(7)?,
            })
        };
        let ended_claim = tx
            .connection
            .prepare_cached(DELETE_RUNNING)?
            .query_row((job, run, owner, token), read)
            .optional()?;
        if let Some(key) = ended_claim.and_then(|ended_claim| ended_claim.key) {
            keys::return_slot(tx, key)?;
        }
        Ok(ended_claim)
    }

    fn job_ref(&self) -> JobRef {
        JobRef {
            job: self.job,
            route: self.route,
            recurring: self.recurring,
        }
    }

    /// Ends the run, and a one-off with it. Returns the state of the job.
    pub(super) fn finish(&self, tx: &mut Tx<'_>, how: FinalResult<'_>, now: Millis) -> Result<Status> {
        let FinalResult {
            status,
            started,
            ended,
            error,
            result,
        } = how;
        let row = self.history(status, Some(started), ended);
        queue::insert_attempt(tx.connection, Ended { error, result, ..row })?;
        self.count(tx, status);
        steps::run_ended(tx, self.job, self.run, self.recurring, status)?;
        let (kind, state) = if status == RunStatus::Completed {
            (EventKind::Completed, Status::Completed)
        } else {
            (EventKind::Failed, Status::Failed)
        };
        let mut event = Event {
            error,
            ..Event::new(kind, self.job, ended)
        };
        let state = if self.recurring {
            if tx.wants(kind)? {
                event.scheduled_at = series::scheduled_at(tx.connection, self.job, self.run)?;
            }
            series::run_ended(tx, self.job_ref(), self.run, Phase::Running, status, now)?
        } else {
            queue::insert_ended(tx.connection, state, ended, self.job)?;
            tx.count_transition(self.route, Some(Status::Running), Some(state));
            state
        };
        outbox::append(tx, event)?;
        Ok(state)
    }

    /// Ends the run and deletes its job.
    fn delete_job(&self, tx: &mut Tx<'_>) -> Result<Status> {
        tx.count_transition(self.route, Some(Status::Running), None);
        delete::delete_job(tx.connection, self.job, self.recurring)?;
        Ok(Status::Completed)
    }

    /// Queues the run again: now, or when it is due, or when its series is resumed.
    pub(super) fn requeue(&self, tx: &mut Tx<'_>, next: NextAttempt, now: Millis) -> Result<Status> {
        let waiting = Waiting {
            job: self.job,
            run: self.run,
            attempt: next.attempt,
            crashes: next.crashes,
        };
        let series = match self.recurring {
            true => Some(series::expect(tx.connection, self.job)?),
            false => None,
        };
        // A series may have got another key since the claim.
        let key = series.as_ref().map_or(self.key, |series| series.key);
        if series.is_some_and(|series| series.paused) {
            queue::insert_paused(tx.connection, next.due, waiting)?;
            series::run_changed_phase(tx, self.job_ref(), Some(Phase::Running), Phase::Waiting)?;
            return Ok(Status::Paused);
        }
        let phase = if next.at_once || next.due <= now {
            let rank = Rank {
                route: self.route,
                priority: self.priority,
                due: next.due,
                key,
            };
            queue::insert_ready(tx, rank, waiting)?;
            Phase::Queued
        } else {
            queue::insert_scheduled(tx.connection, next.due, waiting)?;
            Phase::Waiting
        };
        series::run_changed_phase(tx, self.job_ref(), Some(Phase::Running), phase)?;
        tx.wake();
        if self.recurring {
            return Ok(series::expect(tx.connection, self.job)?.status());
        }
        Ok(phase.status())
    }

    /// The same attempt, where it was before it was claimed.
    pub(super) fn released(&self) -> NextAttempt {
        NextAttempt {
            attempt: self.attempt,
            crashes: self.crashes,
            due: self.due,
            at_once: true,
        }
    }

    /// The row of history for this attempt.
    pub(super) fn history(&self, status: RunStatus, started: Option<Millis>, ended: Millis) -> Ended<'static> {
        Ended {
            job: self.job,
            run: self.run,
            attempt: self.attempt,
            status,
            started,
            ended,
            next_due: None,
            error: None,
            result: None,
        }
    }

    fn count(&self, tx: &mut Tx<'_>, status: RunStatus) {
        let retries = i64::from(self.attempt) - 1 - i64::from(self.crashes);
        let how = match status {
            RunStatus::Completed if retries == 0 => RunCounter::FirstTry,
            RunStatus::Completed => RunCounter::AfterRetry,
            _ => RunCounter::FailedRuns,
        };
        tx.count_runs(self.route, how, 1);
        tx.count_runs(self.route, RunCounter::Retries, retries);
    }
}

/// The attempt that follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextAttempt {
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) due: Millis,
    /// Claimable whatever the clock says.
    pub(super) at_once: bool,
}

/// Ends the attempts.
pub(super) fn apply(tx: &mut Tx<'_>, params: &CompleteParams) -> Result<Vec<Completed>> {
    params
        .completions
        .iter()
        .map(|completion| complete_one(tx, params, completion))
        .collect()
}

fn complete_one(tx: &mut Tx<'_>, params: &CompleteParams, completion: &Completion) -> Result<Completed> {
    let key = (completion.job, completion.run);
    let Some(ended_claim) = EndedClaim::end_claim(tx, key, params.instance, completion.token)? else {
        return Ok(Completed::LeaseLost);
    };
    let state = apply_outcome(tx, &ended_claim, completion, params.now)?;
    Ok(Completed::Accepted(state))
}

fn apply_outcome(tx: &mut Tx<'_>, ended_claim: &EndedClaim, completion: &Completion, now: Millis) -> Result<Status> {
    let (started, ended) = (completion.started_at, completion.ended_at);
    let end = |status, error, result| FinalResult {
        status,
        started,
        ended,
        error,
        result,
    };
    match &completion.outcome {
        RunOutcome::Completed { result } => {
            ended_claim.finish(tx, end(RunStatus::Completed, None, result.as_deref()), now)
        }
        RunOutcome::Failed { error } => {
            let error = error_text(error)?;
            ended_claim.finish(tx, end(RunStatus::Failed, Some(&error), None), now)
        }
        RunOutcome::Retry { error, due } => {
            let error = error_text(error)?;
            let row = ended_claim.history(RunStatus::Retried, Some(started), ended);
            queue::insert_attempt(
                tx.connection,
                Ended {
                    next_due: Some(*due),
                    error: Some(&error),
                    ..row
                },
            )?;
            let next = NextAttempt {
                attempt: ended_claim.attempt + 1,
                crashes: ended_claim.crashes,
                due: *due,
                at_once: false,
            };
            ended_claim.requeue(tx, next, now)
        }
        RunOutcome::Snoozed { due } => {
            let row = ended_claim.history(RunStatus::Snoozed, Some(started), ended);
            queue::insert_attempt(
                tx.connection,
                Ended {
                    next_due: Some(*due),
                    ..row
                },
            )?;
            let next = NextAttempt {
                attempt: ended_claim.attempt,
                crashes: ended_claim.crashes,
                due: *due,
                at_once: false,
            };
            ended_claim.requeue(tx, next, now)
        }
        RunOutcome::Discarded => ended_claim.delete_job(tx),
        RunOutcome::Released => ended_claim.requeue(tx, ended_claim.released(), now),
    }
}

/// JSON text of an error.
pub(super) fn error_text(error: &RunError) -> Result<String> {
    serde_json::to_string(error).map_err(|_| damaged("an error that cannot be written"))
}
