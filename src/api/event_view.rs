//! An event as JavaScript gets it: the documented members, in JSON.
//!
//! Knows no Node. Invariant: a result is embedded as the text it was stored as.

use crate::engine::JobEvent;
use crate::model::RunError;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct EventView<'a> {
    event: &'static str,
    timestamp: i64,
    job: EventJob<'a>,
}

#[derive(Serialize)]
struct EventJob<'a> {
    id: String,
    status: &'static str,
    namespace: &'static str,
    product: &'a str,
    env: &'a str,
    target: BTreeMap<&'static str, &'a str>,
    scheduled_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RunError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

/// JSON of an event.
#[must_use]
pub fn event_json(event: &JobEvent) -> String {
    let result = event.result.as_deref();
    let view = EventView {
        event: event.kind.as_str(),
        timestamp: event.at,
        job: EventJob {
            id: event.id.to_string(),
            status: event.status.as_str(),
            namespace: event.route.namespace.as_str(),
            product: &event.route.product,
            env: &event.route.env,
            target: event.route.fields().collect(),
            scheduled_at: event.scheduled_at,
            run: event.run,
            attempt: event.attempt,
            execution_count: event.execution_count,
            error: event.error.as_ref(),
            cancel_reason: event.cancel_reason.as_deref(),
            result: result.and_then(|text| serde_json::from_str(text).ok()),
        },
    };
    // Plain text and numbers always have a JSON form.
    serde_json::to_string(&view).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EventKind;
    use crate::model::{JobId, Namespace, Route, Status};
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
}
