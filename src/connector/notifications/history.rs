//! What became of the parts of a notification, and what a run remembers of it.
//!
//! What was sent is remembered for good, also by the new run that somebody asks for when a job has failed; what was refused
//! for good only within its run, since the new run is asked for when the cause is thought to be gone. Invariant: no later
//! attempt of a run tries again what was sent or refused.

use crate::connector::Failure;
use crate::engine::steps::Steps;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What became of one e-mail or one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeliveryOutcome {
    /// It is sent.
    Sent,
    /// It is refused for good: with these words.
    Refused(String),
    /// It failed.
    Failed(Failure),
    /// What came before it failed in a way that spares the attempt.
    NotAttempted,
}

/// How a refusal is written down.
#[derive(Serialize, Deserialize)]
struct RefusalRecord {
    refused: String,
}

/// The memory of a run.
pub(super) struct DeliveryHistory<'a> {
    steps: &'a Steps,
    run: i64,
    results_by_step: HashMap<Box<str>, Option<Box<str>>>,
}

impl<'a> DeliveryHistory<'a> {
    /// What earlier attempts of the run left.
    pub(super) async fn load(steps: &'a Steps, run: i64) -> Result<Self, Failure> {
        let finished = steps.finished().await?;
        Ok(Self {
            steps,
            run,
            results_by_step: finished.into_iter().map(|step| (step.tag, step.result)).collect(),
        })
    }

    /// What earlier attempts made of a part.
    pub(super) fn outcome(&self, tag: &str) -> Option<DeliveryOutcome> {
        if self.results_by_step.contains_key(tag) {
            return Some(DeliveryOutcome::Sent);
        }
        let note = self.results_by_step.get(&*self.refusal_step(tag))?.as_deref();
        let note: Option<RefusalRecord> = note.and_then(|text| serde_json::from_str(text).ok());
        Some(DeliveryOutcome::Refused(
            note.map(|note| note.refused).unwrap_or_default(),
        ))
    }

    fn refusal_step(&self, tag: &str) -> String {
        format!("refused:{}:{tag}", self.run)
    }

    /// Writes down what became of a part for good.
    pub(super) async fn record(&self, tag: &str, outcome: &DeliveryOutcome) -> Result<(), Failure> {
        match outcome {
            DeliveryOutcome::Sent => self.steps.record(tag, None).await?,
            DeliveryOutcome::Refused(why) => {
                let refused = why.clone();
                let note = serde_json::to_string(&RefusalRecord { refused }).ok();
                self.steps.record(&self.refusal_step(tag), note.as_deref()).await?;
            }
            DeliveryOutcome::Failed(_) | DeliveryOutcome::NotAttempted => {}
        }
        Ok(())
    }
}
