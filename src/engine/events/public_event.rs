//! An event as the public has it: the documented members, in JSON, for listeners and for webhooks.
//!
//! Knows no Node and no HTTP. Invariants: members stand in one order; a result is embedded as the text it was stored as.

use super::announcer::JobEvent;
use super::shown_error::ShownError;
use crate::clock::Millis;
use crate::model::{EventKind, Route};
use crate::store::StoredEvent;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct PublicEvent<'a> {
    event: &'static str,
    timestamp: Millis,
    job: PublicJob<'a>,
}

#[derive(Serialize)]
struct PublicJob<'a> {
    id: String,
    status: &'static str,
    namespace: &'static str,
    product: &'a str,
    env: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<BTreeMap<&'static str, &'a str>>,
    scheduled_at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ShownError<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

impl PublicEvent<'_> {
    fn to_json(&self) -> String {
        // Plain text and numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_else(|_| "null".to_owned())
    }
}

/// What listeners get.
#[must_use]
pub fn event_json(event: &JobEvent) -> String {
    let result = event.result.as_deref();
    let shown = PublicEvent {
        event: event.kind.as_str(),
        timestamp: event.at,
        job: PublicJob {
            id: event.id.to_string(),
            status: event.status.as_str(),
            namespace: event.route.namespace.as_str(),
            product: &event.route.product,
            env: &event.route.env,
            target: Some(event.route.fields().collect()),
            scheduled_at: event.scheduled_at,
            run: event.run,
            attempt: event.attempt,
            execution_count: event.execution_count,
            error: event.error.as_ref().map(ShownError::from),
            cancel_reason: event.cancel_reason.as_deref(),
            result: result.and_then(|text| serde_json::from_str(text).ok()),
        },
    };
    shown.to_json()
}

/// What webhooks get. `None` for a route that is not known shows empty names.
#[must_use]
pub fn webhook_payload(event: &StoredEvent, route: Option<&Route>) -> String {
    let shown = PublicEvent {
        event: event.kind.as_str(),
        timestamp: event.at,
        job: PublicJob {
            id: event.id.to_string(),
            status: event.status.as_str(),
            namespace: route.map_or("", |route| route.namespace.as_str()),
            product: route.map_or("", |route| &route.product),
            env: route.map_or("", |route| &route.env),
            target: None,
            scheduled_at: event.scheduled_at,
            run: None,
            attempt: None,
            execution_count: Some(event.execution_count),
            error: event
                .error
                .as_ref()
                .filter(|_| event.kind == EventKind::Failed)
                .map(ShownError::from),
            cancel_reason: None,
            result: None,
        },
    };
    shown.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobId, Namespace, Route, RunError, Status};
    use crate::store::RouteId;
    use std::sync::Arc;

    #[test]
    fn an_event_shows_only_the_members_it_has() {
        let route = Route {
            namespace: Namespace::Actions,
            product: "shop".into(),
            env: "prd".into(),
            target: vec!["mail".into(), "send".into()],
        };
        let plain = JobEvent::new(
            EventKind::Scheduled,
            5,
            JobId::Custom("x".into()),
            Status::Queued,
            Arc::new(route),
            7,
        );
        assert_eq!(
            event_json(&plain),
            "{\"event\":\"job.scheduled\",\"timestamp\":5,\"job\":{\"id\":\"x\",\"status\":\"queued\",\
             \"namespace\":\"actions\",\"product\":\"shop\",\"env\":\"prd\",\
             \"target\":{\"app\":\"mail\",\"event\":\"send\"},\"scheduled_at\":7}}"
        );
        let full = JobEvent {
            run: Some(1),
            attempt: Some(2),
            result: Some("{ \"z\": 1.50 }".into()),
            ..plain
        };
        assert!(event_json(&full).ends_with("\"scheduled_at\":7,\"run\":1,\"attempt\":2,\"result\":{ \"z\": 1.50 }}}"));
    }

    #[test]
    fn webhook_payload_has_the_documented_members() {
        let event = StoredEvent {
            seq: 1,
            kind: EventKind::Failed,
            at: 5,
            id: JobId::Custom("x".into()),
            route: RouteId::new(1),
            status: Status::Failed,
            scheduled_at: 7,
            execution_count: 1,
            error: Some(RunError::new("FLAKY", "no", None)),
        };
        let route = Route {
            namespace: Namespace::Actions,
            product: "shop".into(),
            env: "prd".into(),
            target: vec!["mail".into(), "send".into()],
        };
        assert_eq!(
            webhook_payload(&event, Some(&route)),
            "{\"event\":\"job.failed\",\"timestamp\":5,\"job\":{\"id\":\"x\",\"status\":\"failed\",\"namespace\":\"actions\",\
             \"product\":\"shop\",\"env\":\"prd\",\"scheduled_at\":7,\"execution_count\":1,\
             \"error\":{\"code\":\"FLAKY\",\"message\":\"no\"}}}"
        );
    }
}
