//! Moves that record steps of runs, and the steps in the model.

use super::Walk;
use super::model::number;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::{ClaimRef, ClaimedRun, EARLIER_RUN_PREFIX};
use std::collections::BTreeMap;

/// Finished steps of the runs of a job. Those of a completed run are deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    of_runs: BTreeMap<i64, Vec<String>>,
    /// When the last failed run of a series ended, and its number.
    failed: Option<(Millis, i64)>,
    /// A run whose steps retention may have deleted together with their history.
    maybe_trimmed: Option<i64>,
    /// Whether retention ran since that failure.
    swept: bool,
}

impl Steps {
    pub(super) fn run_ended(&mut self, run: i64, recurring: bool, status: Status, now: Millis) {
        match status {
            Status::Failed if recurring => {
                let failed = Some((now, run));
                if failed > self.failed {
                    (self.failed, self.swept) = (failed, false);
                }
            }
            Status::Failed => {}
            Status::Cancelled if !recurring => {}
            _ => drop(self.of_runs.remove(&run)),
        }
    }

    pub(super) fn rerun_failed(&mut self, as_run: i64) {
        let Some((_, failed)) = self.failed else { return };
        self.maybe_trimmed = self.swept.then_some(as_run);
        if let Some(steps) = self.of_runs.remove(&failed) {
            self.of_runs.insert(as_run, steps);
        }
    }

    /// Notes that history may have been trimmed.
    pub(super) fn swept(&mut self) {
        self.swept = true;
    }
}

impl Walk<'_> {
    /// A process records a step of a run, or deletes it.
    pub(super) async fn finish_step(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let at = usize::try_from(self.rng.below(self.claims.len() as u64)).unwrap();
        let (process, name, run) = self.claims[at].clone();
        let tag = self.rng.below(4).to_string();
        let holder = ClaimRef::of(process, &run);
        let forget = self.rng.below(10) == 0;
        let done = if forget {
            self.s.store.forget_steps(holder, vec![tag.as_str().into()]).await
        } else {
            self.s.finish_step(process, &run, &tag).await
        };
        let number = number(&run);
        let is_claimed =
            self.processes.contains(&process) && self.jobs.get(&name).is_some_and(|job| job.is_claimed(process, &run));
        assert_eq!(done.is_ok(), is_claimed, "{name} {run:?} {done:?}");
        let Some(job) = self.jobs.get_mut(&name).filter(|_| is_claimed) else {
            return;
        };
        self.reached.recorded_steps += 1;
        let steps = job.steps.of_runs.entry(number).or_default();
        if forget {
            steps.retain(|known| *known != tag);
        } else if !steps.contains(&tag) {
            steps.push(tag);
        }
    }

    /// Checks that a claimed run has the steps that earlier attempts recorded. The earlier number of a retried run is left
    /// to the tests of retries.
    pub(super) async fn check_steps(&mut self, name: &str, run: &ClaimedRun) {
        let mut found = self.s.finished(run).await;
        found.retain(|tag| !tag.starts_with(EARLIER_RUN_PREFIX));
        let number = number(run);
        let steps = &mut self.jobs.get_mut(name).unwrap().steps;
        if steps.maybe_trimmed == Some(number) {
            steps.maybe_trimmed = None;
            steps.of_runs.insert(number, found.clone());
        }
        let known = steps.of_runs.get(&number).cloned().unwrap_or_default();
        assert_eq!(found, known, "{name} {run:?} {steps:?}");
        self.reached.claims_with_steps += usize::from(!found.is_empty());
    }
}
