//! Which events follow from attempts that start and end.
//!
//! Writes nothing. Invariant: an end is announced only when the store has counted it.

use super::announcer::{Announcer, EventDeferral, EventKind, JobEvent};
use crate::engine::claim::routing::Routing;
use crate::engine::handler::Attempt;
use crate::engine::run::in_flight::{AttemptInfo, InFlightAttempts};
use crate::model::{RunOutcome, Status};
use crate::store::{Completed, Completion};
use std::sync::Arc;

/// An attempt is about to be handed to its handler.
pub fn started(announcer: &Announcer, attempt: &Attempt) {
    if attempt.route.namespace.is_internal() {
        return;
    }
    let run = &attempt.run;
    announcer.announce(EventKind::Started, || JobEvent {
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
pub struct CompletionEvents {
    deferral: EventDeferral,
    attempts: Vec<Option<AttemptInfo>>,
}

impl CompletionEvents {
    /// To be made before the store is asked; costs nothing when nobody listens.
    pub fn of(announcer: &Arc<Announcer>, in_flight: &InFlightAttempts, completions: &[Completion]) -> Self {
        let attempts = if announcer.has_listeners() {
            in_flight.attempt_infos(completions.iter().map(|completion| completion.token))
        } else {
            Vec::new()
        };
        let ids = attempts.iter().flatten().map(|attempt| attempt.id.clone());
        Self {
            deferral: announcer.defer(ids.collect::<Vec<_>>()),
            attempts,
        }
    }

    /// The store has answered: tells of what counted.
    pub fn publish(self, announcer: &Announcer, routing: &Routing, completions: &[Completion], results: &[Completed]) {
        let ended = self.attempts.into_iter().zip(completions).zip(results);
        let events = ended.filter_map(|((attempt, completion), result)| match result {
            Completed::Accepted(status) => completion_event(announcer, routing, attempt?, completion, *status),
            Completed::LeaseLost => None,
        });
        let events = events.collect();
        self.deferral.release(events);
    }
}

fn completion_event(
    announcer: &Announcer,
    routing: &Routing,
    attempt: AttemptInfo,
    completion: &Completion,
    status: Status,
) -> Option<JobEvent> {
    let (kind, error, result, due) = match &completion.outcome {
        RunOutcome::Completed { result } => (EventKind::Completed, None, result.clone(), None),
        RunOutcome::Failed { error } => (EventKind::Failed, Some(error.clone()), None, None),
        RunOutcome::Retry { error, due } => (EventKind::Retrying, Some(error.clone()), None, Some(*due)),
        RunOutcome::Snoozed { .. }
        | RunOutcome::Released
        | RunOutcome::Interrupted { .. }
        | RunOutcome::Discarded
        | RunOutcome::TakenBack => return None,
    };
    if !announcer.wants(kind) {
        return None;
    }
    let route = routing.route(attempt.route)?;
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
