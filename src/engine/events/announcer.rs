//! Tells whoever listens in this process what happened to jobs: the one way that events take.
//!
//! Knows neither stores nor Node. Invariants: with nobody listening an event costs one atomic load and is never built;
//! the listener is told of a job's changes in the order they were committed, as far as a [`EventDeferral`] covers them.

use crate::clock::Millis;
pub use crate::model::EventKind;
use crate::model::{JobId, Route, RunError, Status};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobEvent {
    /// What.
    pub kind: EventKind,
    /// When, wall time.
    pub at: Millis,
    /// The job's public id.
    pub id: JobId,
    /// The state it is in now.
    pub status: Status,
    /// Where it goes.
    pub route: Arc<Route>,
    /// When the run is (was) due; with [`EventKind::Retrying`] the next attempt.
    pub scheduled_at: Millis,
    /// The run, where the event is about one.
    pub run: Option<i64>,
    /// The attempt, where the event is about one.
    pub attempt: Option<u32>,
    /// Runs that have ended, where that is known.
    pub execution_count: Option<i64>,
    /// Why an attempt failed.
    pub error: Option<RunError>,
    /// Why the job was cancelled.
    pub cancel_reason: Option<Box<str>>,
    /// JSON text of what a completed run came to.
    pub result: Option<Box<str>>,
}

impl JobEvent {
    /// An event with nothing but what all have.
    #[must_use]
    pub fn new(
        kind: EventKind,
        at: Millis,
        id: JobId,
        status: Status,
        route: Arc<Route>,
        scheduled_at: Millis,
    ) -> Self {
        Self {
            kind,
            at,
            id,
            status,
            route,
            scheduled_at,
            run: None,
            attempt: None,
            execution_count: None,
            error: None,
            cancel_reason: None,
            result: None,
        }
    }
}

/// Takes events. Must not block and must not announce anything itself.
pub trait Listener: Send + Sync {
    /// Takes some, in order.
    fn on_events(&self, events: Vec<JobEvent>);
}

/// Events of a job that wait for the news of an earlier change.
#[derive(Default)]
struct DeferredEvents {
    deferrals: usize,
    events: Vec<JobEvent>,
}

/// Who listens to which events.
#[derive(Default)]
pub struct Announcer {
    wanted_mask: AtomicU32,
    listener: Option<Arc<dyn Listener>>,
    deferred: Mutex<HashMap<JobId, DeferredEvents>>,
}

impl std::fmt::Debug for Announcer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announcer")
            .field("wanted", &self.wanted_mask)
            .finish_non_exhaustive()
    }
}

impl Announcer {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(listener: Arc<dyn Listener>) -> Arc<Self> {
        Arc::new(Self {
            listener: Some(listener),
            ..Self::default()
        })
    }

    /// From now on the events whose bits are set are wanted, and no others.
    pub fn listen(&self, mask: u32) {
        self.wanted_mask.store(mask, Ordering::Relaxed);
    }

    /// Whether anybody listens to anything.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.wanted_mask.load(Ordering::Relaxed) != 0
    }

    /// Whether anybody listens to this.
    #[must_use]
    pub fn wants(&self, kind: EventKind) -> bool {
        self.wanted_mask.load(Ordering::Relaxed) & kind.bit() != 0
    }

    /// Tells of an event, which is built only when somebody wants it.
    pub fn announce(&self, kind: EventKind, event: impl FnOnce() -> JobEvent) {
        if self.wants(kind) {
            let event = event();
            let mut deferred = self.deferred();
            match deferred.get_mut(&event.id) {
                Some(earlier) => earlier.events.push(event),
                None => self.notify_listener(vec![event]),
            }
        }
    }

    /// Keeps back what is announced about these jobs until the returned hold is gone. To be asked for before a change is
    /// sent to the store: what follows from the change may be seen here before the store's answer to it is.
    #[must_use]
    pub fn defer(self: &Arc<Self>, ids: impl IntoIterator<Item = JobId>) -> EventDeferral {
        let mut jobs = Vec::new();
        if self.has_listeners() {
            jobs.extend(ids);
            let mut deferred = self.deferred();
            for id in &jobs {
                deferred.entry(id.clone()).or_default().deferrals += 1;
            }
        }
        EventDeferral {
            announcer: Arc::clone(self),
            jobs,
        }
    }

    fn deferred(&self) -> MutexGuard<'_, HashMap<JobId, DeferredEvents>> {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify_listener(&self, mut events: Vec<JobEvent>) {
        events.retain(|event| self.wants(event.kind));
        if let Some(listener) = self.listener.as_ref().filter(|_| !events.is_empty()) {
            listener.on_events(events);
        }
    }
}

/// Jobs whose events wait, until this is dropped.
#[derive(Debug)]
pub struct EventDeferral {
    announcer: Arc<Announcer>,
    jobs: Vec<JobId>,
}

impl EventDeferral {
    /// Tells of the changes that were waited for, then of what waited for them.
    pub fn release(self, events: Vec<JobEvent>) {
        if !events.is_empty() {
            let _order = self.announcer.deferred();
            self.announcer.notify_listener(events);
        }
    }
}

impl Drop for EventDeferral {
    fn drop(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let mut deferred = self.announcer.deferred();
        for id in &self.jobs {
            let Some(entry) = deferred.get_mut(id) else { continue };
            entry.deferrals -= 1;
            if entry.deferrals == 0
                && let Some(entry) = deferred.remove(id)
            {
                self.announcer.notify_listener(entry.events);
            }
        }
    }
}

#[cfg(test)]
mod tests;
