//! Publishes `job.scheduled` for dispatches: once their insert is committed, before any event that follows from it.
//!
//! Invariant: a dispatch that met a job that stays as it was announces nothing.

use super::announcer::{Announcer, EventDeferral, EventKind, JobEvent};
use crate::clock::Millis;
use crate::model::{JobId, NewJob, Route, Status};
use crate::store::Inserted;
use std::sync::Arc;

/// Dispatches under way whose event somebody listens to.
pub struct ScheduledEvents {
    deferral: EventDeferral,
    dispatches: Vec<Dispatched>,
    now: Millis,
}

struct Dispatched {
    id: JobId,
    route: Arc<Route>,
    due: Option<Millis>,
    created: Millis,
}

impl ScheduledEvents {
    /// To be made before the store is asked; costs nothing when nobody listens.
    #[must_use]
    pub fn new(announcer: &Arc<Announcer>, jobs: &[NewJob], now: Millis) -> Self {
        let wanted = announcer.wants(EventKind::Scheduled);
        let dispatches: Vec<Dispatched> = jobs
            .iter()
            .filter(|_| wanted)
            .map(|job| Dispatched {
                id: job.id.clone(),
                route: Arc::clone(&job.route),
                due: job.due,
                created: job.created,
            })
            .collect();
        let ids: Vec<JobId> = dispatches.iter().map(|dispatched| dispatched.id.clone()).collect();
        Self {
            deferral: announcer.defer(ids),
            dispatches,
            now,
        }
    }

    /// Publishes the events, once the insert is committed; `inserted` are its answers.
    pub fn publish(self, inserted: &[Inserted]) {
        let now = self.now;
        let answered = self.dispatches.into_iter().zip(inserted);
        let events = answered
            .filter_map(|(dispatched, inserted)| dispatched.event(inserted, now))
            .collect();
        self.deferral.release(events);
    }
}

impl Dispatched {
    fn event(self, inserted: &Inserted, now: Millis) -> Option<JobEvent> {
        let (status, scheduled_at) = match inserted {
            // A recurring job whose end is past has no run to come: nothing was scheduled.
            Inserted::Created | Inserted::CreatedDuplicateSeries(_) => (self.first_status(), self.due?),
            Inserted::Replaced(summary) => (summary.status, summary.scheduled_at),
            Inserted::Existing(_) | Inserted::Duplicate(..) | Inserted::Conflict(_) | Inserted::Refused(..) => {
                return None;
            }
        };
        let kind = EventKind::Scheduled;
        Some(JobEvent::new(kind, now, self.id, status, self.route, scheduled_at))
    }

    fn first_status(&self) -> Status {
        if self.due.is_some_and(|due| due <= self.created) {
            Status::Queued
        } else {
            Status::Scheduled
        }
    }
}
