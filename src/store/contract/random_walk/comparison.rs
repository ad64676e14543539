//! Compares store and model: every job, and the events for webhooks.

use super::Walk;
use crate::model::{EventKind, Status};
use crate::store::RelayedEvent;

impl Walk<'_> {
    pub(super) async fn compare(&mut self) {
        self.s.check().await;
        self.compare_events().await;
        let mut by_status = [0_i64; 7];
        for (name, job) in &self.jobs {
            let record = self.s.record(name).await;
            let seen = (record.status, record.next_run_at, record.execution_count);
            let next_at = job.next_at.filter(|_| !job.paused);
            assert_eq!(
                seen,
                (job.status(), next_at, job.executions),
                "{name} {job:?} {record:?}"
            );
            by_status[job.status() as usize] += 1;
            self.check_position(name, job).await;
        }
        assert_eq!(self.s.store.stats(None).await.unwrap().by_status, by_status);
    }

    /// Expects the event of a change; call it after the change.
    pub(super) fn expect_event(&mut self, kind: EventKind, name: &str) {
        let status = self.jobs[name].status();
        self.expected_events.push((kind, name.to_owned(), status));
    }

    /// Checks that each change has produced exactly one event, and nothing else has.
    pub(super) async fn compare_events(&mut self) {
        let mut stored = self.take_events().await;
        let mut expected_events = std::mem::take(&mut self.expected_events);
        // A claim returns runs in another order than it processes them.
        stored.sort();
        expected_events.sort();
        assert_eq!(stored, expected_events);
    }

    pub(super) async fn take_events(&mut self) -> Vec<(EventKind, String, Status)> {
        let stored = self.s.store.outbox(100_000).await.unwrap();
        let taken = stored.iter().map(|event| RelayedEvent {
            event: event.seq,
            deliveries: vec![],
        });
        let taken = self.s.store.relay(taken.collect(), self.now).await.unwrap();
        assert_eq!(taken, stored.len());
        self.reached.events += taken;
        let events = stored.into_iter();
        events
            .map(|event| (event.kind, event.id.to_string(), event.status))
            .collect()
    }
}
