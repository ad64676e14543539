//! Ends attempts: of a run that is over, and of one that goes on.
//!
//! Runs of one-offs are settled by one function of the schema, however many; those of series here, under the lock of
//! their series. Invariant: an attempt is ended only by the holder of its token; a run that was taken away is left alone.

use super::delete;
use super::failure::{Attempt, damaged};
use super::keys::KeyId;
use super::outbox::Event;
use super::queue::{self, Ended, Rank, Waiting};
use super::series::{self, EndedRun, Series};
use super::session::Session;
use super::state::{self, Place, Run, Running, Subject};
use super::steps;
use super::tx::{After, Tally, Tx};
use crate::clock::Millis;
use crate::model::{EventKind, RunError, RunOutcome, RunStatus, Status};
use crate::store::phase::Phase;
use crate::store::{CompleteParams, Completed, Completion, InstanceId};

const COMPLETE: &str =
    "SELECT place, status, key FROM ductape.complete_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const WAS_COUNTED: &str = include_str!("sql/runs_counted.sql");

/// Ends the attempts, and says whether there may be something new to claim. `resent`: it may have been done already, and
/// only the answer was lost.
pub(super) async fn apply(
    session: &Session,
    params: &CompleteParams,
    resent: bool,
) -> Attempt<(Vec<Completed>, After)> {
    let mut completions: Vec<(usize, &Completion)> = params.completions.iter().enumerate().collect();
    // Rows are locked in one order everywhere.
    completions.sort_unstable_by_key(|(_, completion)| (completion.job, completion.run));
    let mut answers = vec![Completed::LeaseLost; completions.len()];
    let mut of_series = Vec::new();
    let mut after = After::default();
    for (at, state, key) in of_one_offs(session, params, &completions).await? {
        after.freed.extend(key);
        let Some((place, completion)) = completions.get(at) else {
            continue;
        };
        match Status::from_code(i64::from(state)) {
            Some(status) => put(&mut answers, *place, Completed::Counted(status)),
            None => of_series.push((*place, *completion)),
        }
    }
    of_series.sort_unstable_by_key(|(_, completion)| (completion.job, completion.run));
    let ends = |outcome: &RunOutcome| {
        matches!(
            outcome,
            RunOutcome::Completed { .. } | RunOutcome::Failed { .. } | RunOutcome::Forgotten
        )
    };
    after.wake = !params.completions.iter().all(|completion| ends(&completion.outcome));
    if !of_series.is_empty() {
        let (settled, settling) = settle_series(session, params, &of_series).await?;
        after.wake |= settling.wake;
        after.freed.extend(settling.freed);
        for (place, completed) in settled {
            put(&mut answers, place, completed);
        }
    }
    if resent {
        remember(session, params, &mut answers).await?;
    }
    Ok((answers, after))
}

fn put(answers: &mut [Completed], place: usize, completed: Completed) {
    if let Some(answer) = answers.get_mut(place) {
        *answer = completed;
    }
}

async fn of_one_offs(
    session: &Session,
    params: &CompleteParams,
    completions: &[(usize, &Completion)],
) -> Attempt<Vec<(usize, i32, Option<KeyId>)>> {
    let all = || completions.iter().map(|(_, completion)| *completion);
    let (mut outcomes, mut dues, mut errors, mut results, mut told) = (vec![], vec![], vec![], vec![], vec![]);
    for completion in all() {
        let (outcome, due, error, result) = columns(&completion.outcome)?;
        outcomes.push(outcome);
        dues.push(due);
        errors.push(error);
        results.push(result);
        told.push(told_error(&completion.outcome)?);
    }
    let rows = session
        .query(
            COMPLETE,
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
                &told,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let place: i64 = row.try_get(0)?;
            Ok((
                usize::try_from(place - 1).unwrap_or(usize::MAX),
                row.try_get(1)?,
                row.try_get(2)?,
            ))
        })
        .collect()
}

type Columns = (i32, Option<Millis>, Option<String>, Option<Box<str>>);

fn columns(outcome: &RunOutcome) -> Attempt<Columns> {
    Ok(match outcome {
        RunOutcome::Completed { result } => (RunStatus::Completed as i32, None, None, result.clone()),
        RunOutcome::Failed { error } => (RunStatus::Failed as i32, None, Some(error_text(error)?), None),
        RunOutcome::Retry { error, due } => (RunStatus::Retried as i32, Some(*due), Some(error_text(error)?), None),
        RunOutcome::Snoozed { due } => (RunStatus::Snoozed as i32, Some(*due), None, None),
        RunOutcome::Forgotten => (-2, None, None, None),
        RunOutcome::Released => (0, None, None, None),
    })
}

/// An answer was lost: an attempt that ended at these very times counted then.
async fn remember(session: &Session, params: &CompleteParams, answers: &mut [Completed]) -> Attempt<()> {
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
                .query_opt(WAS_COUNTED, &[&key.0, &key.1, &key.2, &started, &ended])
                .await?
                .is_some()
        {
            *answer = Completed::Counted(status);
        }
    }
    Ok(())
}

async fn settle_series(
    session: &Session,
    params: &CompleteParams,
    completions: &[(usize, &Completion)],
) -> Attempt<(Vec<(usize, Completed)>, After)> {
    let mut tx = Tx::begin(session).await?;
    let mut jobs: Vec<i64> = completions.iter().map(|(_, completion)| completion.job).collect();
    jobs.dedup();
    let mut subjects = state::lock_series(session, &jobs).await?;
    let mut answers = Vec::new();
    let mut over = steps::Over::default();
    for (place, completion) in completions {
        let subject = subjects.iter_mut().find(|subject| subject.job.seq == completion.job);
        let holder = |run: &Run| is_holder(run, completion, params.instance);
        let taken = subject.and_then(|subject| Taken::from(subject, holder));
        let completed = match taken {
            Some(taken) => {
                match &completion.outcome {
                    RunOutcome::Completed { .. } => over.add(completion.job, completion.run, RunStatus::Completed),
                    RunOutcome::Failed { .. } => over.add(completion.job, completion.run, RunStatus::Failed),
                    _ => {}
                }
                Completed::Counted(settle(&mut tx, taken, completion, params.now)?)
            }
            None => Completed::LeaseLost,
        };
        answers.push((*place, completed));
    }
    over.apply(&mut tx);
    for subject in subjects {
        if let Some(series) = subject.series {
            series.save(&mut tx, subject.job.seq);
        }
    }
    let after = tx.commit().await?;
    Ok((answers, after))
}

fn is_holder(run: &Run, completion: &Completion, instance: InstanceId) -> bool {
    let holds = |running: &Running| running.owner == instance && running.token == completion.token;
    run.run == completion.run && matches!(&run.place, Place::Running(running) if holds(running))
}

fn settle(tx: &mut Tx<'_>, taken: Taken<'_>, completion: &Completion, now: Millis) -> Attempt<Status> {
    let (started, ended) = (completion.started_at, completion.ended_at);
    let (_, due, error, result) = columns(&completion.outcome)?;
    let mut taken = taken;
    let status = match &completion.outcome {
        RunOutcome::Completed { .. } => RunStatus::Completed,
        RunOutcome::Failed { .. } => RunStatus::Failed,
        RunOutcome::Retry { .. } => RunStatus::Retried,
        RunOutcome::Snoozed { .. } => RunStatus::Snoozed,
        RunOutcome::Forgotten => return Ok(taken.forget(tx)),
        RunOutcome::Released => return Ok(taken.release(tx, now)),
    };
    let row = Ended {
        next_due: due,
        error,
        result,
        ..taken.history(status, started, ended)
    };
    match due {
        None => Ok(taken.finish(tx, row, now)),
        Some(due) => {
            let attempt = taken.running.attempt + u32::from(status == RunStatus::Retried);
            tx.puts.attempts.push(row);
            let next = Next {
                attempt,
                crashes: taken.running.crashes,
                due,
                at_once: false,
            };
            Ok(taken.requeue(tx, next, now))
        }
    }
}

/// The attempt that follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) due: Millis,
    /// Claimable whatever the clock says.
    pub(super) at_once: bool,
}

/// A claimed run that is taken out of `running`, with its job, which is locked if it is a series.
pub(super) struct Taken<'a> {
    pub(super) subject: &'a mut Subject,
    run: Run,
    pub(super) running: Running,
}

impl<'a> Taken<'a> {
    /// Takes the run that `wanted` names from its holder, if it has one.
    pub(super) fn from(subject: &'a mut Subject, wanted: impl Fn(&Run) -> bool) -> Option<Self> {
        let at = subject.runs.iter().position(wanted)?;
        let run = subject.runs.get(at).copied()?;
        let Place::Running(running) = run.place else {
            return None;
        };
        subject.runs.remove(at);
        Some(Self { subject, run, running })
    }

    /// The row of history for this attempt.
    pub(super) fn history(&self, status: RunStatus, started: Millis, ended: Millis) -> Ended {
        Ended {
            job: self.subject.job.seq,
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
        queue::take_running(tx, self.subject.job.seq, self.run.run, &self.running);
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
        tx.tell(Event {
            scheduled_at: Some(self.run.scheduled_at).filter(|_| self.subject.job.recurring),
            error: row.error.clone(),
            ..Event::new(kind, self.subject.job.seq, ended)
        });
        tx.puts.attempts.push(row);
        self.count(tx, how);
        let (job, route) = (self.subject.job.seq, self.subject.job.route);
        if let Some(series) = &mut self.subject.series {
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
        tx.puts.ended.push((status, ended, job));
        tx.shift(route, Some(Status::Running), Some(status));
        status
    }

    /// Ends the run and deletes its job, which is a one-off.
    fn forget(&mut self, tx: &mut Tx<'_>) -> Status {
        self.take(tx);
        tx.shift(self.subject.job.route, Some(Status::Running), None);
        delete::forget(tx, self.subject.job.seq);
        Status::Completed
    }

    /// The same attempt again, where it was before it was claimed.
    pub(super) fn release(&mut self, tx: &mut Tx<'_>, now: Millis) -> Status {
        let next = Next {
            attempt: self.running.attempt,
            crashes: self.running.crashes,
            due: self.running.due,
            at_once: true,
        };
        self.requeue(tx, next, now)
    }

    /// Queues the run again: now, or when it is due, or when its series is resumed.
    pub(super) fn requeue(&mut self, tx: &mut Tx<'_>, next: Next, now: Millis) -> Status {
        self.take(tx);
        let job = &self.subject.job;
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
        let phase = if self.subject.series.as_ref().is_some_and(paused) {
            tx.puts.paused.push((next.due, waiting));
            Phase::Waiting
        } else if next.at_once {
            tx.puts.ready.push((rank, waiting));
            Phase::Queued
        } else {
            queue::put_waiting(tx, rank, waiting, now)
        };
        tx.wake();
        match &mut self.subject.series {
            Some(series) => {
                let before = series.status();
                series.run_moved(Some(Phase::Running), phase);
                series::count(tx, (route, before), (route, series.status()));
                series.status()
            }
            None => {
                tx.shift(route, Some(Status::Running), Some(phase.status()));
                phase.status()
            }
        }
    }

    fn count(&self, tx: &mut Tx<'_>, status: RunStatus) {
        let route = self.subject.job.route;
        let retries = i64::from(self.running.attempt) - 1 - i64::from(self.running.crashes);
        let how = match status {
            RunStatus::Completed if retries == 0 => Tally::FirstTry,
            RunStatus::Completed => Tally::AfterRetry,
            _ => Tally::FailedRuns,
        };
        tx.tally(route, how, 1);
        tx.tally(route, Tally::Retries, retries);
    }
}

/// JSON text of the error that ended a run, as webhooks are told of it: without its stack.
fn told_error(outcome: &RunOutcome) -> Attempt<Option<String>> {
    match outcome {
        RunOutcome::Failed { error } => {
            let told = RunError {
                stack: None,
                ..error.clone()
            };
            error_text(&told).map(Some)
        }
        _ => Ok(None),
    }
}

/// JSON text of an error.
pub(super) fn error_text(error: &RunError) -> Attempt<String> {
    Ok(serde_json::to_string(error).map_err(|_| damaged("an error that cannot be written"))?)
}
