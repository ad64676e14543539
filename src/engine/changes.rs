//! Changes of jobs on request, and what follows from them in this process: handlers that are told to stop, callers
//! that wait.
//!
//! Knows no JSON and no arguments. Invariant: what is told has been committed.

use super::engine::Engine;
use super::events::announcer::{EventDeferral, EventKind, JobEvent};
use super::handler::AbortReason;
use crate::error::Result;
use crate::model::{JobId, Status};
use crate::store::{Change, ChangeOutcome, JobSeq, ListFilter, RevokedClaim};

/// Jobs looked up at a time.
const FIND_BATCH_JOBS: usize = 10_000;
/// Jobs changed in one transaction: between two of them others get their turn.
const CHANGE_BATCH_JOBS: usize = 200;

impl Engine {
    /// Changes a job.
    ///
    /// # Errors
    /// What the store says.
    pub async fn change(&self, id: &JobId, change: Change) -> Result<ChangeOutcome> {
        let (reason, kind) = (abort_reason(&change), change.event());
        let deferral = self.announcer.defer([id.clone()]);
        let changed = self.store.change(id, change, self.clock.now()).await?;
        if let ChangeOutcome::Done { job, running, .. } = &changed {
            self.notify_changed(&[*job], running, &reason);
            if let Some(kind) = kind {
                self.announce_change(deferral, kind, id).await;
            }
        }
        Ok(changed)
    }

    /// Changes the jobs that match, newest first, and returns how many. Jobs in a state that forbids the change are
    /// passed over. Not one transaction: after a failure those changed before it stay changed.
    ///
    /// # Errors
    /// What the store says.
    pub async fn change_many(&self, mut filter: ListFilter, change: Change) -> Result<usize> {
        let (reason, now, kind) = (abort_reason(&change), self.clock.now(), change.event());
        let allowed = change.action().states();
        let wanted = std::mem::take(&mut filter.statuses);
        filter.statuses = allowed
            .filter(|status| wanted.is_empty() || wanted.contains(status))
            .collect();
        filter.limit = FIND_BATCH_JOBS;
        let mut count = 0;
        // An empty list would mean any state.
        while !filter.statuses.is_empty() {
            let found = self.store.matching_jobs(filter.clone()).await?;
            for jobs in found.chunks(CHANGE_BATCH_JOBS) {
                let (statuses, change) = (filter.statuses.clone(), change.clone());
                let changed = self.store.change_many(jobs.to_vec(), statuses, change, now).await?;
                count += changed.jobs.len();
                self.notify_changed(&changed.jobs, &changed.running, &reason);
                for id in changed
                    .ids
                    .iter()
                    .filter(|_| kind.is_some_and(|kind| self.announcer.wants(kind)))
                {
                    if let Some(kind) = kind {
                        self.announce_change(self.announcer.defer([]), kind, id).await;
                    }
                }
            }
            if found.len() < FIND_BATCH_JOBS {
                break;
            }
            filter.before = found.last().copied();
        }
        Ok(count)
    }

    /// Tells of a change that somebody asked for and that is committed: cancelled, paused, resumed. `deferral` was asked for
    /// before the store was.
    pub async fn announce_change(&self, deferral: EventDeferral, kind: EventKind, id: &JobId) {
        if !self.announcer.wants(kind) {
            return;
        }
        // A job that cannot be read any more has nothing to be told about it; the change itself is committed.
        let Ok(Some(record)) = self.store.get(id).await else {
            return;
        };
        let Some(route) = self.routes.find(record.route).await else {
            return;
        };
        // One run of a series was cancelled: the job itself goes on, and is not what the event would say.
        if kind == EventKind::Cancelled && record.status != Status::Cancelled {
            return;
        }
        let now = self.clock.now();
        let event = JobEvent {
            execution_count: Some(record.execution_count),
            cancel_reason: record.cancel_reason.filter(|_| kind == EventKind::Cancelled),
            ..JobEvent::new(kind, now, record.id, record.status, route, record.scheduled_at)
        };
        deferral.release(vec![event]);
    }

    fn notify_changed(&self, jobs: &[JobSeq], running: &[RevokedClaim], reason: &AbortReason) {
        for (_, instance, token) in running {
            if self.instance() == Some(*instance) {
                self.in_flight.abort(*token, reason.clone());
            }
        }
        for job in jobs {
            self.job_watchers.notify_changed_job(*job);
        }
    }
}

/// What a handler is told whose run is taken away.
fn abort_reason(change: &Change) -> AbortReason {
    match change {
        Change::Cancel { reason } | Change::CancelRun { reason } => AbortReason::Cancelled(reason.clone()),
        _ => AbortReason::Cancelled(None),
    }
}
