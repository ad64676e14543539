//! Ends attempts. [`completion`] decides whether the run ends or continues.
//!
//! Invariant: only the holder of its token ends an attempt; a lost claim changes nothing.

use super::error_text::error_text;
use super::job_rows;
use super::keys;
use super::outbox::{self, Event};
use super::queue;
use super::run_rows::{Ended, KeyId, Rank, Waiting};
use super::series::{self, JobRef, Series};
use super::steps;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{RunOutcome, Status};
use crate::store::rules::completion::{
    self, AttemptEnd, AttemptOutcome, ClaimedAttempt, EndedRun, NextAttempt, RunFate, StepsAfterRun,
};
use crate::store::rules::counters::RunCounter;
use crate::store::rules::phase::Phase;
use crate::store::rules::series::RunEnd;
use crate::store::{CompleteParams, Completed, Completion, InstanceId, JobSeq, RouteId, Token};
use rusqlite::{OptionalExtension, Row};

const UPDATE_OCCURRENCE_DUE: &str = include_str!("sql/update_occurrence_due.sql");
const DELETE_RUNNING: &str = include_str!("sql/running_take.sql");

/// A claimed run that was removed from `running`.
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

/// Start and end of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptTimes {
    pub(super) started: Millis,
    pub(super) ended: Millis,
}

impl EndedClaim {
    /// Ends a claim and frees its slot of the concurrency key; `None`: the caller does not hold it.
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

    /// Ends the attempt by the rule. Returns what happens to the run, and the state of the job.
    pub(super) fn end(
        &self,
        tx: &mut Tx<'_>,
        outcome: AttemptOutcome<'_>,
        times: AttemptTimes,
        now: Millis,
    ) -> Result<(RunFate, Status)> {
        let claimed = ClaimedAttempt {
            attempt: self.attempt,
            crashes: self.crashes,
            due: self.due,
            recurring: self.recurring,
        };
        // A run that has crashed too often is over now, whenever its process was last seen.
        let over_at = match outcome {
            AttemptOutcome::Crashed { .. } => now,
            AttemptOutcome::Reported(_) => times.ended,
        };
        let AttemptEnd { history, run } = completion::end_attempt(claimed, outcome);
        let error = history.as_ref().and_then(|row| row.error.as_deref());
        let error = error.map(error_text).transpose()?;
        if let Some(row) = &history {
            queue::insert_attempt(
                tx.connection,
                Ended {
                    job: self.job,
                    run: self.run,
                    attempt: self.attempt,
                    status: row.status,
                    started: Some(times.started),
                    ended: times.ended,
                    next_due: row.next_due,
                    error: error.as_deref(),
                    result: row.result,
                },
            )?;
        }
        let state = match run {
            RunFate::Over(ended_run) => self.finish(tx, ended_run, error.as_deref(), over_at, now),
            RunFate::GoesOn(next) => {
                if history.is_none() && next.due != self.due {
                    let mut update = tx.connection.prepare_cached(UPDATE_OCCURRENCE_DUE)?;
                    update.execute((self.job, self.run, next.due))?;
                }
                self.requeue(tx, next, now)
            }
            RunFate::Deleted => self.delete_job(tx),
            RunFate::TakenBack => self.take_back(tx),
        }?;
        if run.wakes_claimer() {
            tx.wake();
        }
        Ok((run, state))
    }

    /// Releases the run.
    pub(super) fn release(&self, tx: &mut Tx<'_>, now: Millis) -> Result<()> {
        let times = AttemptTimes {
            started: self.started,
            ended: now,
        };
        self.end(tx, AttemptOutcome::Reported(&RunOutcome::Released), times, now)?;
        Ok(())
    }

    fn finish(
        &self,
        tx: &mut Tx<'_>,
        ended_run: EndedRun,
        error: Option<&str>,
        ended: Millis,
        now: Millis,
    ) -> Result<Status> {
        tx.count_runs(self.route, ended_run.counter, 1);
        tx.count_runs(self.route, RunCounter::Retries, ended_run.retries);
        steps::run_ended(tx, self.job, self.run, ended_run.steps)?;
        let (state, scheduled_at) = if self.recurring {
            let run = RunEnd {
                run: self.run,
                status: ended_run.status,
                ended_at: ended,
            };
            series::run_ended(tx, self.job_ref(), run, Phase::Running, now)?
        } else {
            queue::insert_ended(tx.connection, ended_run.job, ended, self.job)?;
            tx.count_transition(self.route, Some(Status::Running), Some(ended_run.job));
            (ended_run.job, None)
        };
        let event = Event {
            error,
            scheduled_at,
            ..Event::new(ended_run.event, self.job, ended)
        };
        outbox::append(tx, event)?;
        Ok(state)
    }

    /// Deletes the run, whose occurrence its series deals with anew.
    fn take_back(&self, tx: &mut Tx<'_>) -> Result<Status> {
        steps::run_ended(tx, self.job, self.run, StepsAfterRun::Forgotten)?;
        series::run_taken_back(tx, self.job_ref(), self.run, Phase::Running)
    }

    /// Ends the run and deletes its job.
    fn delete_job(&self, tx: &mut Tx<'_>) -> Result<Status> {
        tx.count_transition(self.route, Some(Status::Running), None);
        job_rows::delete(tx.connection, self.job, self.recurring)?;
        Ok(Status::Completed)
    }

    /// Queues the next attempt: now, at its due time, or when its series is resumed.
    fn requeue(&self, tx: &mut Tx<'_>, next: NextAttempt, now: Millis) -> Result<Status> {
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
        let place = next.place(series.as_ref().is_some_and(|series| series.state.paused), now);
        let rank = Rank {
            route: self.route,
            priority: self.priority,
            due: next.due,
            // The key of a series may have changed since the claim.
            key: series.as_ref().map_or(self.key, |series| series.key),
        };
        queue::put(tx, place, rank, waiting)?;
        series::run_changed_phase(tx, self.job_ref(), Some(Phase::Running), place.phase())?;
        let Some(Series { mut state, .. }) = series else {
            return Ok(place.status());
        };
        state.run_changed_phase(Some(Phase::Running), place.phase());
        Ok(state.status())
    }
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
    let times = AttemptTimes {
        started: completion.started_at,
        ended: completion.ended_at,
    };
    let outcome = AttemptOutcome::Reported(&completion.outcome);
    let (_, state) = ended_claim.end(tx, outcome, times, params.now)?;
    Ok(Completed::Accepted(state))
}
