//! Writes how attempts ended, in batches, and keeps trying while the store cannot take them.
//!
//! Invariant: an attempt is settled (forgotten by this process) only when the store has it or has refused it. Holds
//! nothing back: whatever waits goes into the next batch.

use super::failure_log::{FailedAttempt, FailureLog};
use super::in_flight::InFlightAttempts;
use super::progress_writer::Notes;
use crate::engine::claim::routes::Routes;
use crate::engine::claim::routing::Routing;
use crate::engine::context::Context;
use crate::engine::events::announcer::Announcer;
use crate::engine::events::completion_events::CompletionEvents;
use crate::engine::events::job_watchers::JobWatchers;
use crate::engine::handler::Level;
use crate::engine::service::{Service, StopSignal};
use crate::error::{Error, ErrorCode};
use crate::model::{RunError, RunOutcome};
use crate::store::{CompleteParams, Completed, Completion, FailedRun, InstanceId};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// First and longest pause before a batch is written again.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Ended attempts that may wait; more make their executors wait, and no slot is claimed for meanwhile.
const MAX_QUEUED_COMPLETIONS: usize = 8_192;
/// Most attempts of one batch.
const MAX_BATCH_COMPLETIONS: usize = 1_000;
/// Most bytes of results and errors that are sent together, so that a call ends in time.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// How attempts of this process went so far.
#[derive(Debug, Default)]
pub struct AttemptCounters {
    /// Runs that completed.
    pub completed: AtomicU64,
    /// Runs that failed for good.
    pub failed: AtomicU64,
    /// Attempts that will be tried again.
    pub retried: AtomicU64,
    /// Attempts handed back.
    pub released: AtomicU64,
}

impl AttemptCounters {
    fn count(&self, outcome: &RunOutcome) {
        let counter = match outcome {
            RunOutcome::Completed { .. } => &self.completed,
            RunOutcome::Failed { .. } => &self.failed,
            RunOutcome::Retry { .. } => &self.retried,
            RunOutcome::Released | RunOutcome::Interrupted { .. } => &self.released,
            RunOutcome::Snoozed { .. } | RunOutcome::Discarded | RunOutcome::TakenBack => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

type EndedAttempt = (InstanceId, Completion);

/// Ended attempts that wait to be written.
pub struct Completions {
    sender: mpsc::Sender<EndedAttempt>,
    /// Held by the service while it runs: what waits outlives a service that dies.
    receiver: Mutex<mpsc::Receiver<EndedAttempt>>,
    /// How attempts went.
    pub counters: AttemptCounters,
    /// Which failed, for the log.
    failures: Arc<FailureLog>,
}

impl Default for Completions {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_COMPLETIONS);
        Self {
            sender,
            receiver: Mutex::new(receiver),
            counters: AttemptCounters::default(),
            failures: Arc::default(),
        }
    }
}

impl Completions {
    /// Hands an ended attempt over; waits while too many wait already.
    pub async fn submit(&self, instance: InstanceId, completion: Completion) {
        // The receiver lives as long as this does.
        let _ = self.sender.send((instance, completion)).await;
    }

    /// Says in the log which runs another process's death has failed for good: this process decided it, and nobody else tells.
    pub async fn log_failed_runs(&self, context: &Context, routes: &Routes, failed_runs: &[FailedRun]) {
        for failed in failed_runs {
            let route = routes.find(failed.route).await;
            let Some(route) = route.filter(|route| !route.namespace.is_internal()) else {
                continue;
            };
            let failed = FailedAttempt {
                job: &failed.job,
                route: (failed.route, &route),
                run: failed.run,
                attempt: failed.attempt,
                error: &failed.error,
                next_due: None,
            };
            self.failures.failed(context, &failed);
        }
    }

    /// Says in the log what was gathered of failures, since nothing follows.
    pub fn flush_failures(&self, context: &Context) {
        self.failures.flush(&context.logger);
    }

    /// The same without waiting; `false`: too many wait already.
    #[must_use]
    pub fn try_submit(&self, instance: InstanceId, completion: Completion) -> bool {
        self.sender.try_send((instance, completion)).is_ok()
    }
}

/// Writes them.
pub struct Completer {
    /// Store, clock and logger.
    pub context: Context,
    /// What waits.
    pub completions: Arc<Completions>,
    /// What handlers said, which goes before.
    pub notes: Arc<Notes>,
    /// Attempts that are forgotten once they are written.
    pub in_flight: Arc<InFlightAttempts>,
    /// Routes of the events.
    pub routing: Arc<Routing>,
    /// Who listens to events.
    pub announcer: Arc<Announcer>,
    /// Who waits for jobs.
    pub watchers: Arc<JobWatchers>,
}

/// What became of a batch.
enum Outcome {
    Written(Vec<Completed>),
    /// The store cannot hold one of them.
    Unstorable(Error),
    /// The store is closed, or this was told to stop while the store fails.
    GivenUp,
}

/// Batches that the store can take in one call.
fn parts_of(completions: Vec<Completion>) -> VecDeque<Vec<Completion>> {
    let mut parts = VecDeque::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for completion in completions {
        let size = payload_bytes(&completion.outcome);
        if !part.is_empty() && bytes + size > MAX_BATCH_BYTES {
            parts.push_back(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push(completion);
    }
    parts.push_back(part);
    parts
}

fn payload_bytes(outcome: &RunOutcome) -> usize {
    match outcome {
        RunOutcome::Completed { result } => result.as_deref().map_or(0, str::len),
        RunOutcome::Failed { error } | RunOutcome::Retry { error, .. } => {
            let texts = [&error.stack, &error.origin].into_iter().flatten();
            error.message.len() + texts.map(|text| text.len()).sum::<usize>()
        }
        RunOutcome::Released
        | RunOutcome::Interrupted { .. }
        | RunOutcome::Snoozed { .. }
        | RunOutcome::Discarded
        | RunOutcome::TakenBack => 0,
    }
}

#[async_trait]
impl Service for Completer {
    fn name(&self) -> &'static str {
        "completer"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let completions = Arc::clone(&self.completions);
        let mut receiver = completions.receiver.lock().await;
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = receiver.recv_many(&mut batch, MAX_BATCH_COMPLETIONS) => {
                    if received == 0 {
                        return;
                    }
                    self.context.failpoints.pass("completer");
                    self.flush_notes(&mut stop).await;
                    self.write(std::mem::take(&mut batch), &stop).await;
                }
                // All that was submitted before has been written by then.
                () = stop.stopped() => return completions.failures.flush(&self.context.logger),
            }
        }
    }
}

impl Completer {
    /// Who reads the log of a run that has ended finds all of it.
    async fn flush_notes(&self, stop: &mut StopSignal) {
        tokio::select! {
            biased;
            () = self.notes.flushed() => {}
            // Who writes them has stopped before.
            () = stop.stopped() => {}
        }
    }

    /// Writes a batch; one call of the store for each registration in it, which is one but in the moment a lease was lost.
    async fn write(&self, mut batch: Vec<EndedAttempt>, stop: &StopSignal) {
        while let Some(instance) = batch.first().map(|(instance, _)| *instance) {
            let (mine, others): (Vec<EndedAttempt>, Vec<EndedAttempt>) =
                batch.into_iter().partition(|(owner, _)| *owner == instance);
            let completions = mine.into_iter().map(|(_, completion)| completion).collect();
            self.write_for_instance(instance, completions, stop).await;
            batch = others;
        }
    }

    async fn write_for_instance(&self, instance: InstanceId, completions: Vec<Completion>, stop: &StopSignal) {
        let mut parts = parts_of(completions);
        while let Some(mut completions) = parts.pop_front() {
            let events = CompletionEvents::of(&self.announcer, &self.in_flight, &completions);
            match self.complete(instance, &completions, stop).await {
                Outcome::Written(results) => {
                    // Before anybody learns that the attempts are over: who waited for that has the events by then.
                    events.publish(&self.announcer, &self.routing, &completions, &results);
                    self.count(&completions, &results);
                    for (completion, result) in completions.iter().zip(results) {
                        self.written(completion, result);
                    }
                }
                // One of them cannot be stored: each half by itself, until it is alone.
                Outcome::Unstorable(_) if completions.len() > 1 => {
                    let second = completions.split_off(completions.len() / 2);
                    parts.push_front(second);
                    parts.push_front(completions);
                    continue;
                }
                Outcome::Unstorable(error) => {
                    if let Some(replaced) = completions.pop().and_then(|one| self.without_payload(one, &error)) {
                        parts.push_front(vec![replaced]);
                        continue;
                    }
                }
                Outcome::GivenUp => {}
            }
            self.in_flight
                .finish(completions.iter().map(|completion| completion.token));
        }
    }

    /// The end of an attempt without what the store cannot hold: its reason instead. `None`: it had nothing of that kind.
    fn without_payload(&self, completion: Completion, why: &Error) -> Option<Completion> {
        let reason = RunError::new(
            why.code_text(),
            &format!("how the attempt ended cannot be stored: {}", why.message),
            None,
        );
        let outcome = match completion.outcome {
            RunOutcome::Completed { .. } => RunOutcome::Failed { error: reason },
            // The second time it is not what the handler gave.
            RunOutcome::Failed { error } if error != reason => RunOutcome::Failed { error: reason },
            RunOutcome::Retry { error, due } if error != reason => RunOutcome::Retry { error: reason, due },
            _ => {
                let (run, job) = (completion.run, completion.job);
                let message = format!("how run {run} of job number {job} ended cannot be stored: {why}");
                self.context.log(Level::Error, &message);
                self.in_flight.finish([completion.token]);
                return None;
            }
        };
        Some(Completion { outcome, ..completion })
    }

    /// Asks the store until it answers.
    async fn complete(&self, instance: InstanceId, completions: &[Completion], stop: &StopSignal) -> Outcome {
        let mut pause = RETRY_PAUSES.0;
        loop {
            let params = CompleteParams {
                now: self.context.now(),
                instance,
                completions: completions.to_vec(),
            };
            match self.context.store.complete(params).await {
                Ok(results) => return Outcome::Written(results),
                Err(error) if error.code == ErrorCode::Closed => return Outcome::GivenUp,
                Err(error) if error.code == ErrorCode::ValidationError => return Outcome::Unstorable(error),
                Err(error) => {
                    let count = completions.len();
                    self.context.log(
                        Level::Error,
                        &format!("cannot write how {count} runs ended, will try again: {error}"),
                    );
                    if stop.is_stopping() {
                        return Outcome::GivenUp;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_PAUSES.1);
                }
            }
        }
    }

    /// Before the attempts are forgotten: whoever waits for that reads the numbers next.
    fn count(&self, completions: &[Completion], results: &[Completed]) {
        let written = completions.iter().zip(results);
        let accepted = written.filter(|(_, result)| matches!(result, Completed::Accepted(_)));
        let ended = self
            .in_flight
            .ended_attempts(accepted.map(|(completion, _)| completion));
        for attempt in &ended {
            self.completions.counters.count(attempt.outcome);
        }
        self.context.figures.count_attempts(ended);
    }

    fn written(&self, completion: &Completion, result: Completed) {
        match result {
            Completed::Accepted(_) => {
                self.log_failure(completion);
                self.watchers.notify_changed_job(completion.job);
            }
            Completed::LeaseLost => self.context.log(
                Level::Debug,
                &format!(
                    "run {} of job number {} ended after it was cancelled or taken over; its outcome does not count",
                    completion.run, completion.job
                ),
            ),
        }
    }

    /// Internal work says itself what has become of it.
    fn log_failure(&self, completion: &Completion) {
        let Some((error, next_due)) = FailedAttempt::error_of(&completion.outcome) else {
            return;
        };
        let attempt = self.in_flight.attempt_infos([completion.token]).pop().flatten();
        let route = attempt.as_ref().and_then(|attempt| self.routing.route(attempt.route));
        let Some((attempt, route)) = attempt.zip(route).filter(|(_, route)| !route.namespace.is_internal()) else {
            return;
        };
        let failed = FailedAttempt {
            job: &attempt.id,
            route: (attempt.route, &route),
            run: completion.run,
            attempt: attempt.attempt,
            error,
            next_due,
        };
        self.completions.failures.failed(&self.context, &failed);
    }
}
