//! One attempt of a feature: its sequences, as soon as those that they wait for have ended.
//!
//! Invariant: once something has failed or snoozes, no other event begins; those that are going end and are stored.

use super::results::Results;
use super::{FeatureWork, handler_failure};
use crate::engine::steps::Steps;
use crate::engine::{Attempt, HandlerFailure, Reply};
use crate::resources::FeatureSequence;
use crate::store::Step;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What sequences of one attempt share.
pub(super) struct FeatureRun<'a> {
    pub(super) work: &'a FeatureWork,
    pub(super) attempt: &'a Attempt,
    /// With its defaults.
    pub(super) input: String,
    pub(super) steps: Steps,
    /// Events that earlier attempts have finished.
    pub(super) finished: Vec<Step>,
    pub(super) results: Mutex<Results>,
    /// Nothing begins any more.
    pub(super) is_over: AtomicBool,
}

impl FeatureRun<'_> {
    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does all sequences. `Some`: an event wants to be called again after a while.
    pub(super) async fn sequences(&self) -> Result<Option<Reply>, HandlerFailure> {
        let all = &self.work.feature.sequence;
        let mut has_ended = vec![false; all.len()];
        let mut waiting: Vec<(usize, &FeatureSequence)> = all.iter().enumerate().collect();
        let mut going = FuturesUnordered::new();
        let (mut failure, mut snooze) = (None, None);
        loop {
            if !self.is_over.load(Ordering::Relaxed) {
                let is_ready = |sequence: &FeatureSequence| {
                    let mut after = sequence.after.iter();
                    after.all(|other| has_ended.get(*other) == Some(&true))
                };
                let (ready, rest) = waiting.into_iter().partition(|(_, sequence)| is_ready(sequence));
                waiting = rest;
                let ready: Vec<(usize, &FeatureSequence)> = ready;
                going.extend(
                    ready
                        .into_iter()
                        .map(|(place, sequence)| self.sequence(place, sequence)),
                );
            }
            let Some((place, ended)) = going.next().await else {
                break;
            };
            match ended {
                Ok(None) => has_ended.iter_mut().skip(place).take(1).for_each(|ended| *ended = true),
                Ok(Some(reply)) => snooze = Some(reply),
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        failure.map_or(Ok(snooze), Err)
    }

    async fn sequence(
        &self,
        place: usize,
        sequence: &FeatureSequence,
    ) -> (usize, Result<Option<Reply>, HandlerFailure>) {
        let done = self.events(place, sequence).await;
        if !matches!(done, Ok(None)) {
            self.is_over.store(true, Ordering::Relaxed);
        }
        (place, done)
    }

    async fn events(&self, place: usize, sequence: &FeatureSequence) -> Result<Option<Reply>, HandlerFailure> {
        for (number, event) in sequence.events.iter().enumerate() {
            let name = format!("{}/{}", sequence.tag, event.tag);
            let known = self.finished.iter().find(|step| *step.tag == *name);
            let result = match known {
                Some(step) => step.result.clone(),
                None if self.is_over.load(Ordering::Relaxed) => return Ok(None),
                None => {
                    let results = self.results().text();
                    let run = self.work.run_event(self.attempt, event, &name, &self.input, &results);
                    match run.await? {
                        Reply::Done(result) => {
                            let result = self.work.drop_if_too_large(self.attempt, &name, result).await;
                            let recorded = self.steps.record(&name, result.as_deref()).await;
                            recorded.map_err(handler_failure)?;
                            result
                        }
                        // Finished events stay finished; this one is called again after the snooze.
                        snooze @ Reply::Snooze(_) => return Ok(Some(snooze)),
                    }
                }
            };
            self.results().set((place, number), result);
        }
        Ok(None)
    }
}
