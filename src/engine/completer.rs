//! Writes how attempts ended, in batches, and keeps trying while the store cannot take them.
//!
//! Invariant: an attempt is settled (forgotten by this process) only when the store has it or has refused it. Holds
//! nothing back: whatever waits goes into the next batch.

use super::announcing::Ends;
use super::handler::Level;
use super::worker::Engine;
use crate::model::RunOutcome;
use crate::store::{CompleteParams, Completed, Completion, InstanceId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Ended attempts that may wait; more make their executors wait, and no slot is claimed for meanwhile.
const CAPACITY: usize = 8_192;
/// Most attempts of one batch.
const BATCH: usize = 1_000;

/// How attempts of this process went so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs that completed.
    pub completed: AtomicU64,
    /// Runs that failed for good.
    pub failed: AtomicU64,
    /// Attempts that will be tried again.
    pub retried: AtomicU64,
    /// Attempts handed back.
    pub released: AtomicU64,
}

impl Tally {
    fn count(&self, outcome: &RunOutcome) {
        let counter = match outcome {
            RunOutcome::Completed { .. } => &self.completed,
            RunOutcome::Failed { .. } => &self.failed,
            RunOutcome::Retry { .. } => &self.retried,
            RunOutcome::Released => &self.released,
            RunOutcome::Snoozed { .. } | RunOutcome::Forgotten => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

type Ended = (InstanceId, Completion);

/// The way of ended attempts into the store.
pub struct Completer {
    sender: mpsc::Sender<Ended>,
    receiver: Mutex<Option<mpsc::Receiver<Ended>>>,
    /// How attempts went.
    pub tally: Tally,
}

impl Default for Completer {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            tally: Tally::default(),
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
    pub fn run(&self, engine: &Arc<Engine>) {
        let taken = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = taken else { return };
        let engine = Arc::downgrade(engine);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while receiver.recv_many(&mut batch, BATCH).await > 0 {
                let Some(engine) = engine.upgrade() else { return };
                write(&engine, std::mem::take(&mut batch)).await;
            }
        });
    }
}

/// Writes a batch; one call of the store for each registration in it, which is one but in the moment a lease was lost.
async fn write(engine: &Engine, mut batch: Vec<Ended>) {
    while let Some(instance) = batch.first().map(|(instance, _)| *instance) {
        let (mine, others): (Vec<Ended>, Vec<Ended>) = batch.into_iter().partition(|(owner, _)| *owner == instance);
        write_for(
            engine,
            instance,
            mine.into_iter().map(|(_, completion)| completion).collect(),
        )
        .await;
        batch = others;
    }
}

async fn write_for(engine: &Engine, instance: InstanceId, completions: Vec<Completion>) {
    let ends = Ends::of(engine, &completions);
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
                engine.journal.log(
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
    ends.tell(engine, &completions, &results);
    for (completion, result) in completions.iter().zip(results) {
        match result {
            // Counted before it is settled: whoever waits for the settlement reads the numbers next.
            Completed::Counted(_) => {
                if !engine.running.is_own(completion.token) && !engine.running.never_begun(completion.token) {
                    engine.completer.tally.count(&completion.outcome);
                }
                engine.events.run_ended(completion.job);
            }
            Completed::LeaseLost => engine.journal.log(
                Level::Debug,
                &format!(
                    "run {} of job number {} ended after it was cancelled or taken over; its outcome does not count",
                    completion.run, completion.job
                ),
            ),
        }
    }
    engine
        .running
        .settle(completions.iter().map(|completion| completion.token));
}
