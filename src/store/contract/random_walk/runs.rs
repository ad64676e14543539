//! Moves that claim and complete runs.

use super::super::test_support::*;
use super::Walk;
use super::model::{Run, first, number};
use crate::model::{EventKind, RunOutcome, Status};
use crate::store::{ClaimedRun, Completed, InstanceId, SUSPECT_AFTER};

impl Walk<'_> {
    /// A process claims as many runs as its slots allow.
    pub(super) async fn claim(&mut self) {
        let Some(&process) = self.processes.first() else { return };
        let process = if self.rng.below(2) == 0 {
            process
        } else {
            *self.processes.last().unwrap()
        };
        if self.rng.below(4) == 0 {
            return self.claim_suspect(process).await;
        }
        let slots = self.rng.of(&[0, 1, 3, 50]);
        let claimed = self.s.claim_with(process, self.now, slots).await;
        self.fall_due();
        let claimable = self.claimable();
        assert_eq!(claimed.runs.len(), claimable.min(slots));
        assert!(
            claimed
                .runs
                .is_sorted_by_key(|run| (run.priority, run.due, run.job, run.run))
        );
        self.claimed(process, claimed.runs).await;
    }

    /// A process claims a run that runs alone.
    async fn claim_suspect(&mut self, process: InstanceId) {
        let runs = self.s.claim_suspect(process, self.now).await;
        self.fall_due();
        let (without_key, with_free_key) = self.claimable_suspects();
        // Behind a key that was full, others may come first.
        assert!(runs.len() <= 1 && runs.len() <= without_key + with_free_key);
        assert!(!runs.is_empty() || without_key == 0);
        assert!(runs.iter().all(|run| run.crashes >= SUSPECT_AFTER));
        self.reached.claims_of_suspects += runs.len();
        self.claimed(process, runs).await;
    }

    async fn claimed(&mut self, process: InstanceId, runs: Vec<ClaimedRun>) {
        for run in runs {
            let name = run.id.to_string();
            let job = self.jobs.get_mut(&name).unwrap();
            let key = job.key;
            let (state, crashes) = job.runs.get_mut(&number(&run)).unwrap();
            assert_eq!((*state, *crashes), (Run::Ready, run.crashes));
            *state = Run::Running(process, run.token, key);
            self.expect_event(EventKind::Started, &name);
            self.check_steps(&name, &run).await;
            self.claims.push((process, name, run));
            assert!(key.is_none_or(|key| self.running_with(key) <= self.limits[key]));
        }
    }

    /// Promotes due runs, as a claim does.
    pub(super) fn fall_due(&mut self) {
        for (run, _) in self.jobs.values_mut().flat_map(|job| job.runs.values_mut()) {
            if matches!(run, Run::Waiting(due) if *due <= self.now) {
                *run = Run::Ready;
            }
        }
    }

    /// A process completes a run, though its claim may be lost.
    pub(super) async fn complete(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let at = usize::try_from(self.rng.below(self.claims.len() as u64)).unwrap();
        let (process, name, run) = self.claims.swap_remove(at);
        let due = self.random_time();
        let has_only_waited = run.recurring && run.attempt == 1 && run.due == run.scheduled_at;
        let outcome = match self.rng.below(8) {
            0 | 1 => done(),
            2 => failed(),
            3 => retry(due),
            4 => RunOutcome::Snoozed { due },
            5 if has_only_waited => RunOutcome::TakenBack,
            6 if has_only_waited => RunOutcome::Interrupted { at: self.now },
            _ => RunOutcome::Released,
        };
        let answer = self.s.complete(process, &run, outcome.clone(), self.now).await;
        let now = self.now;
        let job = self.jobs.get_mut(&name);
        let number = number(&run);
        let Some(job) = job
            .filter(|job| job.is_claimed(process, &run))
            .filter(|_| self.processes.contains(&process))
        else {
            assert_eq!(answer, Completed::LeaseLost);
            self.reached.refused_completions += 1;
            return;
        };
        match outcome {
            RunOutcome::Completed { .. } => job.run_ended(number, Status::Completed, now),
            RunOutcome::Failed { .. } => job.run_ended(number, Status::Failed, now),
            RunOutcome::Retry { .. } | RunOutcome::Snoozed { .. } => {
                job.return_run(number, first(Some(due), now));
            }
            RunOutcome::Released | RunOutcome::Interrupted { .. } => job.return_run(number, Run::Ready),
            RunOutcome::TakenBack => job.run_taken_back(number, run.scheduled_at),
            RunOutcome::Discarded => panic!("this walk discards no run"),
        }
        assert_eq!(answer, Completed::Accepted(job.status()));
        self.reached.accepted_completions += 1;
        match outcome {
            RunOutcome::Completed { .. } => self.expect_event(EventKind::Completed, &name),
            RunOutcome::Failed { .. } => self.expect_event(EventKind::Failed, &name),
            _ => {}
        }
    }
}
