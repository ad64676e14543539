//! Ends attempts, whether their run ends or continues.
//!
//! Attempts of one-offs are ended by one call of a function of the schema, which is tested against `rules::table`; those of
//! series are ended here by [`completion`], under the lock of their series. Invariant: only the holder of its token ends an
//! attempt; a lost claim changes nothing.

use super::error_text::{error_text, event_error_text};
use super::failure::DbResult;
use super::job_rows;
use super::outbox::Event;
use super::param::params;
use super::queue;
use super::run_rows::{Ended, KeyId, Running, Waiting};
use super::series::Series;
use super::series_changes;
use super::session::Session;
use super::state::{self, Run, RunState, StoredJob};
use super::tx::{Effects, Tx};
use crate::clock::Millis;
use crate::model::{RunOutcome, RunStatus, Status};
use crate::store::rules::completion::{
    self, AttemptEnd, AttemptOutcome, ClaimedAttempt, NextAttempt, RunFate, StepsAfterRun,
};
use crate::store::rules::counters::RunCounter;
use crate::store::rules::phase::Phase;
use crate::store::rules::series::RunEnd;
use crate::store::{CompleteParams, Completed, Completion, InstanceId, JobSeq};

const CALL_COMPLETE: &str = include_str!("sql/call_complete.sql");
const UPDATE_OCCURRENCE_DUE: &str = include_str!("sql/update_occurrence_due.sql");
const SELECT_ACCEPTED_COMPLETION: &str = include_str!("sql/select_accepted_completion.sql");

/// Ends the attempts; the effects say whether there may be something new to claim. `resent`: the call may have succeeded
/// before, with only its answer lost.
pub(super) async fn apply(
    session: &Session,
    params: &CompleteParams,
    resent: bool,
) -> DbResult<(Vec<Completed>, Effects)> {
    let transactions = &session.connector().transactions;
    let began = transactions.begin();
    let mut completions: Vec<(usize, &Completion)> = params.completions.iter().enumerate().collect();
    // All code locks rows in the same order.
    completions.sort_unstable_by_key(|(_, completion)| (completion.job, completion.run));
    let mut answers = vec![Completed::LeaseLost; completions.len()];
    // What is not known to be of a series may be of one.
    let (mut of_series, others): (Vec<_>, Vec<_>) = completions
        .into_iter()
        .partition(|(_, completion)| completion.recurring);
    let mut after = Effects::default();
    for (at, state, key) in complete_one_offs(session, params, &others).await? {
        after.freed_keys.extend(key);
        let Some((index, completion)) = others.get(at) else {
            continue;
        };
        match Status::from_code(i64::from(state)) {
            Some(status) => put(&mut answers, *index, Completed::Accepted(status)),
            None => of_series.push((*index, *completion)),
        }
    }
    of_series.sort_unstable_by_key(|(_, completion)| (completion.job, completion.run));
    let ends = |outcome: &RunOutcome| {
        matches!(
            outcome,
            RunOutcome::Completed { .. } | RunOutcome::Failed { .. } | RunOutcome::Discarded
        )
    };
    after.wake = !params.completions.iter().all(|completion| ends(&completion.outcome));
    if !of_series.is_empty() {
        let (completed_runs, series_effects) = complete_series_runs(session, params, &of_series).await?;
        after.wake |= series_effects.wake;
        after.freed_keys.extend(series_effects.freed_keys);
        for (index, completed) in completed_runs {
            put(&mut answers, index, completed);
        }
    }
    if resent {
        accept_resent_completions(session, params, &mut answers).await?;
    }
    transactions.committed(began, answers.len());
    Ok((answers, after))
}

fn put(answers: &mut [Completed], index: usize, completed: Completed) {
    if let Some(answer) = answers.get_mut(index) {
        *answer = completed;
    }
}

async fn complete_one_offs(
    session: &Session,
    params: &CompleteParams,
    completions: &[(usize, &Completion)],
) -> DbResult<Vec<(usize, i32, Option<KeyId>)>> {
    if completions.is_empty() {
        return Ok(Vec::new());
    }
    let all = || completions.iter().map(|(_, completion)| *completion);
    let (mut outcomes, mut dues, mut errors, mut results, mut event_errors) = (vec![], vec![], vec![], vec![], vec![]);
    for completion in all() {
        let (outcome, due, error, result) = columns(&completion.outcome)?;
        outcomes.push(outcome);
        dues.push(due);
        errors.push(error);
        results.push(result);
        event_errors.push(error_for_event(&completion.outcome)?);
    }
    let rows = session
        .query(
            CALL_COMPLETE,
            &[
                &params.now,
                &params.instance,
                &all().map(|completion| completion.job).collect::<Vec<_>>(),
                &all().map(|completion| completion.run).collect::<Vec<_>>(),
                &all().map(|completion| completion.token).collect::<Vec<_>>(),
                &all().map(|completion| completion.started_at).collect::<Vec<_>>(),
                &all().map(|completion| completion.ended_at).collect::<Vec<_>>(),
                &outcomes,
                &dues,
                &errors,
                &results,
                &event_errors,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let index: i64 = row.try_get(0)?;
            Ok((
                usize::try_from(index - 1).unwrap_or(usize::MAX),
                row.try_get(1)?,
                row.try_get(2)?,
            ))
        })
        .collect()
}

type Columns = (i32, Option<Millis>, Option<String>, Option<Box<str>>);

fn columns(outcome: &RunOutcome) -> DbResult<Columns> {
    Ok(match outcome {
        RunOutcome::Completed { result } => (RunStatus::Completed as i32, None, None, result.clone()),
        RunOutcome::Failed { error } => (RunStatus::Failed as i32, None, Some(error_text(error)?), None),
        RunOutcome::Retry { error, due } => (RunStatus::Retried as i32, Some(*due), Some(error_text(error)?), None),
        RunOutcome::Snoozed { due } => (RunStatus::Snoozed as i32, Some(*due), None, None),
        RunOutcome::Discarded => (-2, None, None, None),
        // Only runs of series are taken back, and those are completed by the rules.
        RunOutcome::Released | RunOutcome::Interrupted { .. } | RunOutcome::TakenBack => (0, None, None, None),
    })
}

/// After a lost answer, accepts attempts that are stored with exactly these start and end times.
async fn accept_resent_completions(
    session: &Session,
    params: &CompleteParams,
    answers: &mut [Completed],
) -> DbResult<()> {
    for (completion, answer) in params.completions.iter().zip(answers) {
        let status = match &completion.outcome {
            RunOutcome::Completed { .. } => Status::Completed,
            RunOutcome::Failed { .. } => Status::Failed,
            _ => continue,
        };
        let (started, ended) = (completion.started_at, completion.ended_at);
        let key = (completion.job, completion.run, status as i32);
        if *answer == Completed::LeaseLost
            && session
                .query_opt(SELECT_ACCEPTED_COMPLETION, &[&key.0, &key.1, &key.2, &started, &ended])
                .await?
                .is_some()
        {
            *answer = Completed::Accepted(status);
        }
    }
    Ok(())
}

async fn complete_series_runs(
    session: &Session,
    params: &CompleteParams,
    completions: &[(usize, &Completion)],
) -> DbResult<(Vec<(usize, Completed)>, Effects)> {
    let mut tx = Tx::begin(session).await?;
    let mut jobs: Vec<JobSeq> = completions.iter().map(|(_, completion)| completion.job).collect();
    jobs.dedup();
    let mut stored_jobs = state::lock_series(session, &jobs).await?;
    let mut answers = Vec::new();
    for (index, completion) in completions {
        let stored_job = state::find_among(&mut stored_jobs, completion.job);
        let holder = |run: &Run| is_claimed_by(run, completion, params.instance);
        let ended_claim = stored_job.and_then(|stored_job| EndedClaim::from(stored_job, holder));
        let completed = match ended_claim {
            Some(mut ended_claim) => {
                let times = AttemptTimes {
                    started: completion.started_at,
                    ended: completion.ended_at,
                };
                let outcome = AttemptOutcome::Reported(&completion.outcome);
                let (_, state) = ended_claim.end(&mut tx, outcome, times, params.now)?;
                Completed::Accepted(state)
            }
            None => Completed::LeaseLost,
        };
        answers.push((*index, completed));
    }
    for stored_job in stored_jobs {
        if let Some(series) = stored_job.series {
            series.save(&mut tx, stored_job.job.seq);
        }
    }
    let after = tx.commit().await?;
    Ok((answers, after))
}

fn is_claimed_by(run: &Run, completion: &Completion, instance: InstanceId) -> bool {
    let holds = |running: &Running| running.owner == instance && running.token == completion.token;
    run.run == completion.run && matches!(&run.run_state, RunState::Running(running) if holds(running))
}

/// A claimed run that is removed from `running`, with its job, which is locked if it is a series.
pub(super) struct EndedClaim<'a> {
    pub(super) stored_job: &'a mut StoredJob,
    pub(super) run: Run,
    pub(super) running: Running,
}

impl<'a> EndedClaim<'a> {
    /// Ends the claim on the run that matches `wanted`, if there is one.
    pub(super) fn from(stored_job: &'a mut StoredJob, wanted: impl Fn(&Run) -> bool) -> Option<Self> {
        let at = stored_job.runs.iter().position(wanted)?;
        let run = stored_job.runs.get(at).copied()?;
        let RunState::Running(running) = run.run_state else {
            return None;
        };
        stored_job.runs.remove(at);
        Some(Self {
            stored_job,
            run,
            running,
        })
    }

    /// Whether its job recurs.
    pub(super) fn is_recurring(&self) -> bool {
        self.stored_job.job.recurring
    }

    /// Ends the attempt by the rule. Returns what happens to the run, and the state of the job.
    pub(super) fn end(
        &mut self,
        tx: &mut Tx<'_>,
        outcome: AttemptOutcome<'_>,
        times: AttemptTimes,
        now: Millis,
    ) -> DbResult<(RunFate, Status)> {
        let (job, running) = (self.stored_job.job.seq, self.running);
        let claimed = ClaimedAttempt {
            attempt: running.attempt,
            crashes: running.crashes,
            due: running.due,
            recurring: self.stored_job.job.recurring,
        };
        // A run that has crashed too often is over now, whenever its process was last seen.
        let over_at = match outcome {
            AttemptOutcome::Crashed { .. } => now,
            AttemptOutcome::Reported(_) => times.ended,
        };
        let AttemptEnd { history, run } = completion::end_attempt(claimed, outcome);
        let error = history.as_ref().and_then(|row| row.error.as_deref());
        let error = error.map(error_text).transpose()?;
        queue::delete_running(tx, job, self.run.run, &running);
        let has_history = history.is_some();
        if let Some(row) = history {
            tx.inserts.attempts.push(Ended {
                job,
                run: self.run.run,
                attempt: running.attempt,
                status: row.status,
                started: Some(times.started),
                ended: times.ended,
                next_due: row.next_due,
                error: error.clone(),
                result: row.result.map(Into::into),
            });
        }
        let state = match run {
            RunFate::Over(ended_run) => self.finish(tx, ended_run, error, over_at, now),
            RunFate::GoesOn(next) => {
                if !has_history && next.due != running.due {
                    tx.write_later(UPDATE_OCCURRENCE_DUE, params![job, self.run.run, next.due]);
                }
                self.requeue(tx, next, now)
            }
            RunFate::Deleted => self.delete_job(tx),
            RunFate::TakenBack => self.take_back(tx),
        };
        if run.wakes_claimer() {
            tx.wake();
        }
        Ok((run, state))
    }

    /// Releases the run.
    pub(super) fn release(&mut self, tx: &mut Tx<'_>, now: Millis) -> DbResult<()> {
        let times = AttemptTimes {
            started: self.running.started,
            ended: now,
        };
        self.end(tx, AttemptOutcome::Reported(&RunOutcome::Released), times, now)?;
        Ok(())
    }

    fn finish(
        &mut self,
        tx: &mut Tx<'_>,
        ended_run: completion::EndedRun,
        error: Option<String>,
        ended: Millis,
        now: Millis,
    ) -> Status {
        let (job, route) = (self.stored_job.job.seq, self.stored_job.job.route);
        tx.add_event(Event {
            scheduled_at: Some(self.run.scheduled_at).filter(|_| self.stored_job.job.recurring),
            error,
            ..Event::new(ended_run.event, job, ended)
        });
        tx.count_runs(route, ended_run.counter, 1);
        tx.count_runs(route, RunCounter::Retries, ended_run.retries);
        tx.inserts.steps_after_run.add(job, self.run.run, ended_run.steps);
        if let Some(series) = &mut self.stored_job.series {
            let before = series.status();
            let run = RunEnd {
                run: self.run.run,
                status: ended_run.status,
                ended_at: ended,
            };
            series.run_ended(tx, (job, run, self.run.scheduled_at), Phase::Running, now);
            series_changes::count(tx, (route, before), (route, series.status()));
            return series.status();
        }
        tx.inserts.ended.push((ended_run.job, ended, job));
        tx.count_transition(route, Some(Status::Running), Some(ended_run.job));
        ended_run.job
    }

    /// Deletes the run, whose occurrence its series deals with anew.
    fn take_back(&mut self, tx: &mut Tx<'_>) -> Status {
        let (job, route) = (self.stored_job.job.seq, self.stored_job.job.route);
        let Some(series) = &mut self.stored_job.series else {
            return Status::Running;
        };
        let before = series.status();
        tx.inserts
            .steps_after_run
            .add(job, self.run.run, StepsAfterRun::Forgotten);
        series.run_taken_back(tx, (job, self.run.run), self.run.scheduled_at);
        series_changes::count(tx, (route, before), (route, series.status()));
        series.status()
    }

    /// Ends the run and deletes its job, which is a one-off.
    fn delete_job(&mut self, tx: &mut Tx<'_>) -> Status {
        tx.count_transition(self.stored_job.job.route, Some(Status::Running), None);
        job_rows::delete(tx, self.stored_job.job.seq);
        Status::Completed
    }

    /// Queues the next attempt: now, at its due time, or when its series is resumed.
    fn requeue(&mut self, tx: &mut Tx<'_>, next: NextAttempt, now: Millis) -> Status {
        let job = &self.stored_job.job;
        let waiting = Waiting {
            job: job.seq,
            run: self.run.run,
            attempt: next.attempt,
            crashes: next.crashes,
            recurring: job.recurring,
        };
        let (route, rank) = (job.route, self.stored_job.rank(next.due));
        let paused = |series: &Series| series.state.paused;
        let place = next.place(self.stored_job.series.as_ref().is_some_and(paused), now);
        queue::put(tx, place, rank, waiting);
        match &mut self.stored_job.series {
            Some(series) => {
                let before = series.status();
                series.state.run_changed_phase(Some(Phase::Running), place.phase());
                series_changes::count(tx, (route, before), (route, series.status()));
                series.status()
            }
            None => {
                tx.count_transition(route, Some(Status::Running), Some(place.status()));
                place.status()
            }
        }
    }
}

/// Start and end of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptTimes {
    pub(super) started: Millis,
    pub(super) ended: Millis,
}

/// JSON text of the error that ended a run, as webhooks receive it.
fn error_for_event(outcome: &RunOutcome) -> DbResult<Option<String>> {
    match outcome {
        RunOutcome::Failed { error } => event_error_text(error).map(Some),
        _ => Ok(None),
    }
}
