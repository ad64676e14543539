//! Outcomes of the parts of a notification, recorded as steps of the run.
//!
//! Parts that were sent stay recorded for the job, including a run made by a manual retry. Permanent refusals count only
//! within their run, since a manual retry means that the cause is thought to be gone. Invariant: no later attempt of a run
//! repeats a part that was sent or refused.

use crate::connector::Failure;
use crate::engine::steps::Steps;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The outcome of one e-mail or callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeliveryOutcome {
    /// Sent.
    Sent,
    /// Permanently refused, with this message.
    Refused(String),
    /// Failed; the failure's code decides about a retry.
    Failed(Failure),
    /// Not tried, since an earlier part failed in a way that affects all.
    NotAttempted,
}

/// What a provider said of a part besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartNote {
    /// Its id of what was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its code of what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Nothing will ever be delivered to this address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dead: bool,
}

/// A refusal as it is stored.
#[derive(Serialize, Deserialize)]
struct RefusalRecord {
    refused: String,
    #[serde(flatten)]
    note: PartNote,
}

/// Recorded outcomes of a run.
pub(super) struct DeliveryHistory<'a> {
    steps: &'a Steps,
    run: i64,
    results_by_step: HashMap<Box<str>, Option<Box<str>>>,
}

impl<'a> DeliveryHistory<'a> {
    /// Loads the outcomes recorded by earlier attempts.
    pub(super) async fn load(steps: &'a Steps, run: i64) -> Result<Self, Failure> {
        let finished = steps.finished().await?;
        Ok(Self {
            steps,
            run,
            results_by_step: finished.into_iter().map(|step| (step.tag, step.result)).collect(),
        })
    }

    /// The recorded outcome of a part.
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

    /// What was recorded of a part besides its outcome.
    pub(super) fn note(&self, tag: &str) -> PartNote {
        let refusal = self.refusal_step(tag);
        let recorded = self
            .results_by_step
            .get(tag)
            .or_else(|| self.results_by_step.get(&*refusal));
        let text = recorded.and_then(Option::as_deref);
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    fn refusal_step(&self, tag: &str) -> String {
        format!("refused:{}:{tag}", self.run)
    }

    /// Records the outcome of a part if it is final.
    pub(super) async fn record(&self, tag: &str, outcome: &DeliveryOutcome) -> Result<(), Failure> {
        self.record_with_note(tag, outcome, &PartNote::default()).await
    }

    /// The same with what the provider said besides.
    pub(super) async fn record_with_note(
        &self,
        tag: &str,
        outcome: &DeliveryOutcome,
        note: &PartNote,
    ) -> Result<(), Failure> {
        match outcome {
            DeliveryOutcome::Sent => {
                let note = note.id.as_ref().and_then(|_| serde_json::to_string(note).ok());
                self.steps.record(tag, note.as_deref()).await?;
            }
            DeliveryOutcome::Refused(why) => {
                let (refused, note) = (why.clone(), note.clone());
                let note = serde_json::to_string(&RefusalRecord { refused, note }).ok();
                self.steps.record(&self.refusal_step(tag), note.as_deref()).await?;
            }
            DeliveryOutcome::Failed(_) | DeliveryOutcome::NotAttempted => {}
        }
        Ok(())
    }
}
