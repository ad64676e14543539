//! Moves that end processes, and maintenance of the store.

use super::super::test_support::*;
use super::model::Run;
use super::{MAX_CRASHES, Walk};
use crate::model::{EventKind, Status};
use crate::store::{InstanceId, RecoverParams, Retention, RetentionLimit};

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
            self.take_back(&[process], |_| false);
        } else {
            self.compare_events().await;
            self.s.pass(LEASE + 1);
            let dead = std::mem::take(&mut self.processes);
            let found = self
                .s
                .store
                .recover(RecoverParams::new(self.now, MAX_CRASHES))
                .await
                .unwrap();
            let (requeued, failed) = self.take_back(&dead, |crashes| {
                *crashes += 1;
                *crashes >= MAX_CRASHES
            });
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
            self.processes.push(self.s.process().await);
        }
    }

    pub(super) fn take_back(&mut self, from: &[InstanceId], fails: impl Fn(&mut u32) -> bool) -> (usize, usize) {
        let (mut requeued, mut failed) = (0, 0);
        let mut expected_events = Vec::new();
        for (name, job) in &mut self.jobs {
            for number in job.runs.keys().copied().collect::<Vec<_>>() {
                let (position, crashes) = job.runs.get_mut(&number).unwrap();
                if !matches!(position, Run::Running(process, ..) if from.contains(process)) {
                    continue;
                }
                if fails(crashes) {
                    job.run_ended(number, Status::Failed, self.now);
                    expected_events.push((EventKind::Failed, name.clone(), job.status()));
                    failed += 1;
                } else {
                    job.return_run(number, Run::Ready);
                    requeued += 1;
                }
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
