//! Ends attempts: of a run that is over, and of one that goes on.
//!
//! Runs of one-offs are settled by one function of the schema, however many; those of series here, under the lock of
//! their series. Invariant: an attempt is ended only by the holder of its token; a run that was taken away is left alone.

use super::delete;
use super::failure::{DbResult, damaged};
use super::keys::KeyId;
use super::outbox::Event;
use super::queue::{self, Ended, Rank, Waiting};
use super::series::{self, EndedRun, Series};
use super::session::Session;
use super::state::{self, Run, RunState, Running, StoredJob};
use super::steps;
use super::tx::{Effects, RunCounter, Tx};
use crate::clock::Millis;
use crate::model::{EventKind, RunError, RunOutcome, RunStatus, Status};
use crate::store::phase::Phase;
use crate::store::{CompleteParams, Completed, Completion, InstanceId};

const CALL_COMPLETE: &str = include_str!("sql/call_complete.sql");
const SELECT_ACCEPTED_COMPLETION: &str = include_str!("sql/select_accepted_completion.sql");

/// Ends the attempts, and says whether there may be something new to claim. `resent`: it may have been done already, and
/// only the answer was lost.
pub(super) async fn apply(
    session: &Session,
    params: &CompleteParams,
    resent: bool,
) -> DbResult<(Vec<Completed>, Effects)> {
    let mut completions: Vec<(usize, &Completion)> = params.completions.iter().enumerate().collect();
    // Rows are locked in one order everywhere.
    completions.sort_unstable_by_key(|(_, completion)| (completion.job, completion.run));
    let mut answers = vec![Completed::LeaseLost; completions.len()];
    let mut of_series = Vec::new();
    let mut after = Effects::default();
    for (at, state, key) in complete_one_offs(session, params, &completions).await? {
        after.freed_keys.extend(key);
        let Some((index, completion)) = completions.get(at) else {
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
        RunOutcome::Released => (0, None, None, None),
    })
}

/// An answer was lost: an attempt that ended at these very times counted then.
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
    let mut jobs: Vec<i64> = completions.iter().map(|(_, completion)| completion.job).collect();
    jobs.dedup();
    let mut stored_jobs = state::lock_series(session, &jobs).await?;
    let mut answers = Vec::new();
    let mut ended_runs = steps::EndedRuns::default();
    for (index, completion) in completions {
        let stored_job = stored_jobs
            .iter_mut()
            .find(|stored_job| stored_job.job.seq == completion.job);
        let holder = |run: &Run| is_claimed_by(run, completion, params.instance);
        let ended_claim = stored_job.and_then(|stored_job| EndedClaim::from(stored_job, holder));
        let completed = match ended_claim {
            Some(ended_claim) => {
                match &completion.outcome {
                    RunOutcome::Completed { .. } => {
                        ended_runs.add(completion.job, completion.run, RunStatus::Completed)
                    }
                    RunOutcome::Failed { .. } => ended_runs.add(completion.job, completion.run, RunStatus::Failed),
                    _ => {}
                }
                Completed::Accepted(apply_outcome(&mut tx, ended_claim, completion, params.now)?)
            }
            None => Completed::LeaseLost,
        };
        answers.push((*index, completed));
    }
    ended_runs.apply(&mut tx);
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

fn apply_outcome(
    tx: &mut Tx<'_>,
    ended_claim: EndedClaim<'_>,
    completion: &Completion,
    now: Millis,
) -> DbResult<Status> {
    let (started, ended) = (completion.started_at, completion.ended_at);
    let (_, due, error, result) = columns(&completion.outcome)?;
    let mut ended_claim = ended_claim;
    let status = match &completion.outcome {
        RunOutcome::Completed { .. } => RunStatus::Completed,
        RunOutcome::Failed { .. } => RunStatus::Failed,
        RunOutcome::Retry { .. } => RunStatus::Retried,
        RunOutcome::Snoozed { .. } => RunStatus::Snoozed,
        RunOutcome::Discarded => return Ok(ended_claim.delete_job(tx)),
        RunOutcome::Released => return Ok(ended_claim.release(tx, now)),
    };
    let row = Ended {
        next_due: due,
        error,
        result,
        ..ended_claim.history(status, started, ended)
    };
    match due {
        None => Ok(ended_claim.finish(tx, row, now)),
        Some(due) => {
            let attempt = ended_claim.running.attempt + u32::from(status == RunStatus::Retried);
            tx.inserts.attempts.push(row);
            let next = NextAttempt {
                attempt,
                crashes: ended_claim.running.crashes,
                due,
                at_once: false,
            };
            Ok(ended_claim.requeue(tx, next, now))
        }
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

/// A claimed run that is taken out of `running`, with its job, which is locked if it is a series.
pub(super) struct EndedClaim<'a> {
    pub(super) stored_job: &'a mut StoredJob,
    run: Run,
    pub(super) running: Running,
}

impl<'a> EndedClaim<'a> {
    /// Takes the run that `wanted` names from its holder, if it has one.
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

    /// The row of history for this attempt.
    pub(super) fn history(&self, status: RunStatus, started: Millis, ended: Millis) -> Ended {
        Ended {
            job: self.stored_job.job.seq,
            run: self.run.run,
            attempt: self.running.attempt,
            status,
            started: Some(started),
            ended,
            next_due: None,
            error: None,
            result: None,
        }
    }

    fn take(&self, tx: &mut Tx<'_>) {
        queue::delete_running(tx, self.stored_job.job.seq, self.run.run, &self.running);
    }

    /// Ends the run, and a one-off with it. Returns the state of the job.
    pub(super) fn finish(&mut self, tx: &mut Tx<'_>, row: Ended, now: Millis) -> Status {
        self.take(tx);
        let (how, ended) = (row.status, row.ended);
        let kind = if how == RunStatus::Completed {
            EventKind::Completed
        } else {
            EventKind::Failed
        };
        tx.add_event(Event {
            scheduled_at: Some(self.run.scheduled_at).filter(|_| self.stored_job.job.recurring),
            error: row.error.clone(),
            ..Event::new(kind, self.stored_job.job.seq, ended)
        });
        tx.inserts.attempts.push(row);
        self.count(tx, how);
        let (job, route) = (self.stored_job.job.seq, self.stored_job.job.route);
        if let Some(series) = &mut self.stored_job.series {
            let before = series.status();
            let run = EndedRun {
                job,
                run: self.run.run,
                scheduled_at: self.run.scheduled_at,
            };
            series.run_ended(tx, run, Phase::Running, how, now);
            series::count(tx, (route, before), (route, series.status()));
            return series.status();
        }
        let status = if how == RunStatus::Completed {
            Status::Completed
        } else {
            Status::Failed
        };
        tx.inserts.ended.push((status, ended, job));
        tx.count_transition(route, Some(Status::Running), Some(status));
        status
    }

    /// Ends the run and deletes its job, which is a one-off.
    fn delete_job(&mut self, tx: &mut Tx<'_>) -> Status {
        self.take(tx);
        tx.count_transition(self.stored_job.job.route, Some(Status::Running), None);
        delete::delete_job(tx, self.stored_job.job.seq);
        Status::Completed
    }

    /// The same attempt again, where it was before it was claimed.
    pub(super) fn release(&mut self, tx: &mut Tx<'_>, now: Millis) -> Status {
        let next = NextAttempt {
            attempt: self.running.attempt,
            crashes: self.running.crashes,
            due: self.running.due,
            at_once: true,
        };
        self.requeue(tx, next, now)
    }

    /// Queues the run again: now, or when it is due, or when its series is resumed.
    pub(super) fn requeue(&mut self, tx: &mut Tx<'_>, next: NextAttempt, now: Millis) -> Status {
        self.take(tx);
        let job = &self.stored_job.job;
        let waiting = Waiting {
            job: job.seq,
            run: self.run.run,
            attempt: next.attempt,
            crashes: next.crashes,
            recurring: job.recurring,
        };
        let rank = Rank {
            route: job.route,
            priority: job.priority,
            due: next.due,
            key: job.key,
        };
        let route = job.route;
        let paused = |series: &Series| series.paused;
        let phase = if self.stored_job.series.as_ref().is_some_and(paused) {
            tx.inserts.paused.push((next.due, waiting));
            Phase::Waiting
        } else if next.at_once {
            tx.inserts.ready.push((rank, waiting));
            Phase::Queued
        } else {
            queue::enqueue(tx, rank, waiting, now)
        };
        tx.wake();
        match &mut self.stored_job.series {
            Some(series) => {
                let before = series.status();
                series.run_changed_phase(Some(Phase::Running), phase);
                series::count(tx, (route, before), (route, series.status()));
                series.status()
            }
            None => {
                tx.count_transition(route, Some(Status::Running), Some(phase.status()));
                phase.status()
            }
        }
    }

    fn count(&self, tx: &mut Tx<'_>, status: RunStatus) {
        let route = self.stored_job.job.route;
        let retries = i64::from(self.running.attempt) - 1 - i64::from(self.running.crashes);
        let how = match status {
            RunStatus::Completed if retries == 0 => RunCounter::FirstTry,
            RunStatus::Completed => RunCounter::AfterRetry,
            _ => RunCounter::FailedRuns,
        };
        tx.count_runs(route, how, 1);
        tx.count_runs(route, RunCounter::Retries, retries);
    }
}

/// JSON text of the error that ended a run, as webhooks are told of it: without its stack.
fn error_for_event(outcome: &RunOutcome) -> DbResult<Option<String>> {
    match outcome {
        RunOutcome::Failed { error } => {
            let event_errors = RunError {
                stack: None,
                ..error.clone()
            };
            error_text(&event_errors).map(Some)
        }
        _ => Ok(None),
    }
}

/// JSON text of an error.
pub(super) fn error_text(error: &RunError) -> DbResult<String> {
    Ok(serde_json::to_string(error).map_err(|_| damaged("an error that cannot be written"))?)
}
