//! Moves that end processes, and maintenance of the store.

use super::super::test_support::*;
use super::model::{Run, first};
use super::{MAX_CRASHES, SLOTS, Walk};
use crate::model::{EventKind, Status};
use crate::store::{InstanceId, RecoverParams, Retention, RetentionLimit, Token};

impl Walk<'_> {
    /// One process unregisters, or all but the last crash.
    pub(super) async fn crash_or_leave(&mut self) {
        if self.rng.below(3) > 0 {
            return;
        }
        // Most claims of crashed processes are never completed.
        let Self { claims, rng, .. } = self;
        claims.retain(|_| rng.below(4) == 0);
        if self.rng.below(2) == 0 {
            let process = self.processes.remove(0);
            self.s.store.unregister(process, self.now).await.unwrap();
            self.take_back(&[process], &[]);
        } else {
            self.compare_events().await;
            let dead = std::mem::take(&mut self.processes);
            dead.iter().for_each(|process| self.s.crash(*process));
            let crashed = self.executed_by(&dead);
            let found = self
                .s
                .store
                .recover(RecoverParams::new(self.now, MAX_CRASHES))
                .await
                .unwrap();
            let (requeued, failed) = self.take_back(&dead, &crashed);
            assert_eq!(
                (found.instances, found.requeued, found.failed),
                (dead.len(), requeued, failed)
            );
            // Recovery handles the runs of a job in unspecified order, on which the states in between depend.
            let stored = self.take_events().await.into_iter();
            let mut stored: Vec<_> = stored.map(|(kind, name, _)| (kind, name)).collect();
            let mut expected_events: Vec<_> = self
                .expected_events
                .drain(..)
                .map(|(kind, name, _)| (kind, name))
                .collect();
            stored.sort();
            expected_events.sort();
            assert_eq!(stored, expected_events);
        }
        if self.processes.is_empty() {
            self.processes.push(self.s.process_with(SLOTS).await);
        }
    }

    /// All processes unregister; what they had claimed is lost to them.
    pub(super) async fn everybody_leaves(&mut self) {
        self.claims.clear();
        for process in std::mem::take(&mut self.processes) {
            self.s.store.unregister(process, self.now).await.unwrap();
            self.take_back(&[process], &[]);
        }
    }

    /// The claims that these processes made first, which they were executing.
    fn executed_by(&self, processes: &[InstanceId]) -> Vec<(InstanceId, Token)> {
        let runs = || self.jobs.values().flat_map(|job| job.runs.values());
        let mut executed = Vec::new();
        for process in processes {
            let mut claims: Vec<_> = runs()
                .filter_map(|(run, _)| match run {
                    Run::Running(holder, token, _) if holder == process => Some((*process, *token)),
                    _ => None,
                })
                .collect();
            claims.sort_unstable();
            executed.extend(claims.into_iter().take(SLOTS));
        }
        executed
    }

    /// Returns the claims of processes that are gone; those of `crashed` have crashed.
    fn take_back(&mut self, from: &[InstanceId], crashed: &[(InstanceId, Token)]) -> (usize, usize) {
        let now = self.now;
        let (mut requeued, mut failed) = (0, 0);
        let mut expected_events = Vec::new();
        for (name, job) in &mut self.jobs {
            for number in job.runs.keys().copied().collect::<Vec<_>>() {
                let (position, crashes) = job.runs.get_mut(&number).unwrap();
                let Run::Running(process, token, _) = *position else {
                    continue;
                };
                if !from.contains(&process) {
                    continue;
                }
                let has_crashed = crashed.contains(&(process, token));
                *crashes += u32::from(has_crashed);
                if has_crashed && *crashes >= MAX_CRASHES {
                    job.run_ended(number, Status::Failed, now);
                    expected_events.push((EventKind::Failed, name.clone(), job.status()));
                    failed += 1;
                    continue;
                }
                let delay = match (has_crashed, *crashes) {
                    (true, 2) => Some(1_000),
                    (true, 3) => Some(2_000),
                    (true, 4) => Some(4_000),
                    _ => None,
                };
                job.return_run(number, first(delay.map(|delay| now + delay), now));
                requeued += 1;
            }
        }
        self.expected_events.extend(expected_events);
        (requeued, failed)
    }

    pub(super) async fn sweep(&mut self) {
        if self.rng.below(10) > 0 {
            return;
        }
        let all = RetentionLimit {
            age: None,
            count: Some(0),
        };
        let some = RetentionLimit {
            age: Some(DAY),
            count: Some(2),
        };
        let retention = Retention {
            completed: all,
            failed: all,
            cancelled: all,
            runs: some,
        };
        let ended = self.jobs.values().filter(|job| job.ended.is_some()).count();
        assert_eq!(self.s.store.sweep(retention, self.now, 1_000).await.unwrap(), ended);
        self.sweep_uniques();
        for job in self.jobs.values_mut() {
            job.steps.swept();
        }
        self.jobs.retain(|_, job| job.ended.is_none());
    }
}
