//! Which events follow from what the engine does: attempts that start and end, changes on request.
//!
//! Writes nothing. Invariant: an end is announced only when the store has counted it.

use super::announcer::{EventKind, Hold, JobEvent};
use super::handler::Attempt;
use super::running::Subject;
use super::worker::Engine;
use crate::model::{JobId, Route, RunOutcome, Status};
use crate::store::{Completed, Completion, RouteId};
use std::sync::Arc;

/// An attempt is about to be handed to its handler.
pub(super) fn started(engine: &Engine, attempt: &Attempt) {
    if attempt.route.namespace.is_internal() {
        return;
    }
    let run = &attempt.run;
    engine.announcer.announce(EventKind::Started, || JobEvent {
        run: Some(run.run),
        attempt: Some(run.attempt),
        ..JobEvent::new(
            EventKind::Started,
            attempt.started_at,
            run.id.clone(),
            Status::Running,
            Arc::clone(&attempt.route),
            run.scheduled_at,
        )
    });
}

/// Attempts on their way into the store, for the events that tell of them.
pub(super) struct Ends {
    hold: Hold,
    subjects: Vec<Option<Subject>>,
}

impl Ends {
    /// To be made before the store is asked; costs nothing when nobody listens.
    pub(super) fn of(engine: &Engine, completions: &[Completion]) -> Self {
        let subjects = if engine.announcer.is_listened_to() {
            engine
                .running
                .subjects(completions.iter().map(|completion| completion.token))
        } else {
            Vec::new()
        };
        let ids = subjects.iter().flatten().map(|subject| subject.id.clone());
        Self {
            hold: engine.announcer.hold(ids.collect::<Vec<_>>()),
            subjects,
        }
    }

    /// The store has answered: tells of what counted.
    pub(super) fn tell(self, engine: &Engine, completions: &[Completion], results: &[Completed]) {
        let attempts = self.subjects.into_iter().zip(completions).zip(results);
        let events = attempts.filter_map(|((subject, completion), result)| match result {
            Completed::Counted(status) => ended(engine, subject?, completion, *status),
            Completed::LeaseLost => None,
        });
        let events = events.collect();
        self.hold.release(events);
    }
}

fn ended(engine: &Engine, subject: Subject, completion: &Completion, status: Status) -> Option<JobEvent> {
    let (kind, error, result, due) = match &completion.outcome {
        RunOutcome::Completed { result } => (EventKind::Completed, None, result.clone(), None),
        RunOutcome::Failed { error } => (EventKind::Failed, Some(error.clone()), None, None),
        RunOutcome::Retry { error, due } => (EventKind::Retrying, Some(error.clone()), None, Some(*due)),
        RunOutcome::Snoozed { .. } | RunOutcome::Released | RunOutcome::Forgotten => return None,
    };
    if !engine.announcer.wants(kind) {
        return None;
    }
    let route = engine.routing.route(subject.route)?;
    if route.namespace.is_internal() {
        return None;
    }
    let scheduled_at = due.unwrap_or(subject.scheduled_at);
    Some(JobEvent {
        run: Some(completion.run),
        attempt: Some(subject.attempt),
        error,
        result,
        ..JobEvent::new(kind, completion.ended_at, subject.id, status, route, scheduled_at)
    })
}

impl Engine {
    /// Tells of a change that somebody asked for and that is committed: cancelled, paused, resumed. `hold` was asked for
    /// before the store was.
    pub async fn announce_change(&self, hold: Hold, kind: EventKind, id: &JobId) {
        if !self.announcer.wants(kind) {
            return;
        }
        // A job that cannot be read any more has nothing to be told about it; the change itself is committed.
        let Ok(Some(record)) = self.store.get(id).await else {
            return;
        };
        let Some(route) = self.route_of(record.route).await else {
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
        hold.release(vec![event]);
    }

    pub(super) async fn route_of(&self, id: RouteId) -> Option<Arc<Route>> {
        if let Some(route) = self.routing.route(id) {
            return Some(route);
        }
        self.learn_routes().await.ok()?;
        self.routing.route(id)
    }
}
