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
pub(super) enum Fate {
    /// It is sent.
    Done,
    /// It is refused for good: with these words.
    Refused(String),
    /// It failed.
    Failed(Failure),
    /// What came before it failed in a way that spares the attempt.
    Untried,
}

/// How a refusal is written down.
#[derive(Serialize, Deserialize)]
struct Note {
    refused: String,
}

/// The memory of a run.
pub(super) struct Memory<'a> {
    steps: &'a Steps,
    run: i64,
    known: HashMap<Box<str>, Option<Box<str>>>,
}

impl<'a> Memory<'a> {
    /// What earlier attempts of the run left.
    pub(super) async fn of(steps: &'a Steps, run: i64) -> Result<Self, Failure> {
        let finished = steps.finished().await?;
        Ok(Self {
            steps,
            run,
            known: finished.into_iter().map(|step| (step.tag, step.result)).collect(),
        })
    }

    /// What earlier attempts made of a part.
    pub(super) fn fate(&self, tag: &str) -> Option<Fate> {
        if self.known.contains_key(tag) {
            return Some(Fate::Done);
        }
        let note = self.known.get(&*self.refusal(tag))?.as_deref();
        let note: Option<Note> = note.and_then(|text| serde_json::from_str(text).ok());
        Some(Fate::Refused(note.map(|note| note.refused).unwrap_or_default()))
    }

    fn refusal(&self, tag: &str) -> String {
        format!("refused:{}:{tag}", self.run)
    }

    /// Writes down what became of a part for good.
    pub(super) async fn record(&self, tag: &str, fate: &Fate) -> Result<(), Failure> {
        match fate {
            Fate::Done => self.steps.record(tag, None).await?,
            Fate::Refused(why) => {
                let refused = why.clone();
                let note = serde_json::to_string(&Note { refused }).ok();
                self.steps.record(&self.refusal(tag), note.as_deref()).await?;
            }
            Fate::Failed(_) | Fate::Untried => {}
        }
        Ok(())
    }
}
