//! Writes how attempts ended, in batches, and keeps trying while the store cannot take them.
//!
//! Invariant: an attempt is settled (forgotten by this process) only when the store has it or has refused it. Holds
//! nothing back: whatever waits goes into the next batch.

use super::announcing::CompletionEvents;
use super::handler::Level;
use super::worker::Engine;
use crate::model::RunOutcome;
use crate::store::{CompleteParams, Completed, Completion, InstanceId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Ended attempts that may wait; more make their executors wait, and no slot is claimed for meanwhile.
const MAX_QUEUED_COMPLETIONS: usize = 8_192;
/// Most attempts of one batch.
const MAX_BATCH_COMPLETIONS: usize = 1_000;

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
            RunOutcome::Released => &self.released,
            RunOutcome::Snoozed { .. } | RunOutcome::Discarded => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

type EndedAttempt = (InstanceId, Completion);

/// The way of ended attempts into the store.
pub struct Completer {
    sender: mpsc::Sender<EndedAttempt>,
    receiver: Mutex<Option<mpsc::Receiver<EndedAttempt>>>,
    /// How attempts went.
    pub counters: AttemptCounters,
}

impl Default for Completer {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_COMPLETIONS);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            counters: AttemptCounters::default(),
        }
    }
}

impl Completer {
    /// Hands an ended attempt over.
    pub async fn submit(&self, instance: InstanceId, completion: Completion) {
        // The receiver lives as long as the engine; if it is gone, the lease hands the run to somebody else.
        let _ = self.sender.send((instance, completion)).await;
    }

    /// Starts the writing task, once.
    pub fn start(&self, engine: &Arc<Engine>) {
        let taken = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = taken else { return };
        let engine = Arc::downgrade(engine);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while receiver.recv_many(&mut batch, MAX_BATCH_COMPLETIONS).await > 0 {
                let Some(engine) = engine.upgrade() else { return };
                write(&engine, std::mem::take(&mut batch)).await;
            }
        });
    }
}

/// Writes a batch; one call of the store for each registration in it, which is one but in the moment a lease was lost.
async fn write(engine: &Engine, mut batch: Vec<EndedAttempt>) {
    while let Some(instance) = batch.first().map(|(instance, _)| *instance) {
        let (mine, others): (Vec<EndedAttempt>, Vec<EndedAttempt>) =
            batch.into_iter().partition(|(owner, _)| *owner == instance);
        write_for_instance(
            engine,
            instance,
            mine.into_iter().map(|(_, completion)| completion).collect(),
        )
        .await;
        batch = others;
    }
}

async fn write_for_instance(engine: &Engine, instance: InstanceId, completions: Vec<Completion>) {
    let completion_events = CompletionEvents::of(engine, &completions);
    let mut pause = Duration::from_millis(50);
    let results = loop {
        let params = CompleteParams {
            now: engine.clock.now(),
            instance,
            completions: completions.clone(),
        };
        match engine.store.complete(params).await {
            Ok(results) => break results,
            Err(error) if error.code == crate::error::ErrorCode::Closed => return,
            Err(error) => {
                engine.logger.log(
                    Level::Error,
                    &format!(
                        "cannot write how {} runs ended, will try again: {error}",
                        completions.len()
                    ),
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    };
    // Before anybody learns that the attempts are settled: who waited for that has the events by then.
    completion_events.publish(engine, &completions, &results);
    for (completion, result) in completions.iter().zip(results) {
        match result {
            // Counted before it is settled: whoever waits for the settlement reads the numbers next.
            Completed::Accepted(_) => {
                if !engine.in_flight.is_internal(completion.token) && !engine.in_flight.never_started(completion.token)
                {
                    engine.completer.counters.count(&completion.outcome);
                }
                engine.job_watchers.notify_changed_job(completion.job);
            }
            Completed::LeaseLost => engine.logger.log(
                Level::Debug,
                &format!(
                    "run {} of job number {} ended after it was cancelled or taken over; its outcome does not count",
                    completion.run, completion.job
                ),
            ),
        }
    }
    engine
        .in_flight
        .finish(completions.iter().map(|completion| completion.token));
}
