//! Which events follow from what the engine does: attempts that start and end, changes on request.
//!
//! Writes nothing. Invariant: an end is announced only when the store has counted it.

use super::announcer::{EventDeferral, EventKind, JobEvent};
use super::handler::Attempt;
use super::in_flight::AttemptInfo;
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
pub(super) struct CompletionEvents {
    deferral: EventDeferral,
    attempts: Vec<Option<AttemptInfo>>,
}

impl CompletionEvents {
    /// To be made before the store is asked; costs nothing when nobody listens.
    pub(super) fn of(engine: &Engine, completions: &[Completion]) -> Self {
        let attempts = if engine.announcer.has_listeners() {
            engine
                .in_flight
                .attempt_infos(completions.iter().map(|completion| completion.token))
        } else {
            Vec::new()
        };
        let ids = attempts.iter().flatten().map(|attempt| attempt.id.clone());
        Self {
            deferral: engine.announcer.defer(ids.collect::<Vec<_>>()),
            attempts,
        }
    }

    /// The store has answered: tells of what counted.
    pub(super) fn publish(self, engine: &Engine, completions: &[Completion], results: &[Completed]) {
        let ended = self.attempts.into_iter().zip(completions).zip(results);
        let events = ended.filter_map(|((attempt, completion), result)| match result {
            Completed::Accepted(status) => completion_event(engine, attempt?, completion, *status),
            Completed::LeaseLost => None,
        });
        let events = events.collect();
        self.deferral.release(events);
    }
}

fn completion_event(
    engine: &Engine,
    attempt: AttemptInfo,
    completion: &Completion,
    status: Status,
) -> Option<JobEvent> {
    let (kind, error, result, due) = match &completion.outcome {
        RunOutcome::Completed { result } => (EventKind::Completed, None, result.clone(), None),
        RunOutcome::Failed { error } => (EventKind::Failed, Some(error.clone()), None, None),
        RunOutcome::Retry { error, due } => (EventKind::Retrying, Some(error.clone()), None, Some(*due)),
        RunOutcome::Snoozed { .. } | RunOutcome::Released | RunOutcome::Discarded => return None,
    };
    if !engine.announcer.wants(kind) {
        return None;
    }
    let route = engine.routing.route(attempt.route)?;
    if route.namespace.is_internal() {
        return None;
    }
    let scheduled_at = due.unwrap_or(attempt.scheduled_at);
    Some(JobEvent {
        run: Some(completion.run),
        attempt: Some(attempt.attempt),
        error,
        result,
        ..JobEvent::new(kind, completion.ended_at, attempt.id, status, route, scheduled_at)
    })
}

impl Engine {
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
        deferral.release(vec![event]);
    }

    pub(super) async fn route_of(&self, id: RouteId) -> Option<Arc<Route>> {
        if let Some(route) = self.routing.route(id) {
            return Some(route);
        }
        self.load_routes().await.ok()?;
        self.routing.route(id)
    }
}
