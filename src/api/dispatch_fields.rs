//! Which fields a dispatch has, by which names, and those that may stand in `options`.

use super::fields::{Fields, MAX_SAFE_INTEGER};
use super::other_queues::{self, Place};
use crate::error::Problem;
use crate::model::Namespace;

/// Most retries a job may have.
pub const MAX_RETRIES: i64 = 1_000;

/// All fields a dispatch of this namespace may have.
fn known_fields(namespace: Namespace) -> &'static [&'static str] {
    macro_rules! with_common {
        ($($target:literal),*) => {
            &[
                "env", "product", $($target,)* "input", "options", "retries", "schedule", "session", "cache", "job_id", "onConflict",
                "priority", "timeout", "retryConfig", "tags", "unique", "concurrency", "expressions",
            ]
        };
    }
    match namespace {
        Namespace::Actions => with_common!("app", "event"),
        Namespace::Features => with_common!("tag"),
        Namespace::Notifications => with_common!("notification", "event"),
        Namespace::Storage => with_common!("storage", "event", "operation"),
        Namespace::Events => with_common!("broker", "event"),
        Namespace::DatabaseActions => with_common!("database", "event"),
        Namespace::Databases => with_common!("database", "operation"),
        Namespace::GraphActions => with_common!("graph", "event"),
        Namespace::Graphs => with_common!("graph", "operation"),
        Namespace::Webhooks => with_common!(),
    }
}

/// Refuses other fields than those that a dispatch of this namespace may have.
pub(super) fn refuse_unknown_fields(fields: &mut Fields<'_>, namespace: Namespace) {
    let known = known_fields(namespace);
    let is_of_actions = matches!(namespace, Namespace::Databases | Namespace::Graphs);
    if !is_of_actions || fields.raw("event").is_none() {
        return other_queues::refuse_unknown(fields, known, Place::Dispatch);
    }
    other_queues::refuse_unknown(fields, &[known, &["event"]].concat(), Place::Dispatch);
    fields.problem(
        "event",
        format!("belongs to `{namespace}.action.dispatch`; here `operation` says what to do, as in 'find'"),
    );
}

/// That a dispatch is one object is new to who comes from a queue whose jobs have a name and data.
pub(super) fn one_object(problem: Problem) -> Problem {
    let message = format!(
        "{}; a job is one object, as in dispatch({{ tag, input, retries }})",
        problem.message
    );
    Problem { message, ..problem }
}

/// Other names of fields in the public documentation.
pub(super) fn aliases(namespace: Namespace) -> &'static [(&'static str, &'static str)] {
    match namespace {
        Namespace::Features => &[("feature", "tag"), ("workflow", "tag"), ("feature_tag", "tag")],
        Namespace::Actions | Namespace::DatabaseActions | Namespace::GraphActions => &[("action", "event")],
        Namespace::Databases | Namespace::Graphs => &[("action", "operation")],
        Namespace::Notifications | Namespace::Storage | Namespace::Events | Namespace::Webhooks => &[],
    }
}

/// What may stand beside the input or in `options`.
pub(super) struct AttemptOptions {
    /// How many attempts may follow the first.
    pub retries: i64,
    /// Longest attempt, ms.
    pub timeout: Option<i64>,
}

impl AttemptOptions {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let mut found = Self {
            retries: fields.integer("retries", 0, MAX_RETRIES).unwrap_or(0),
            timeout: fields.integer("timeout", 1, MAX_SAFE_INTEGER),
        };
        let Some(mut inner) = fields.object("options") else {
            return found;
        };
        other_queues::refuse_unknown(&mut inner, &["retries", "timeout"], Place::Dispatch);
        for name in ["retries", "timeout"] {
            if inner.raw(name).is_some() && fields.raw(name).is_some() {
                inner.problem(
                    name,
                    format!("is the same as `{name}` beside `options`; give one of them"),
                );
            }
        }
        if let Some(retries) = inner.integer("retries", 0, MAX_RETRIES) {
            found.retries = retries;
        }
        found.timeout = inner.integer("timeout", 1, MAX_SAFE_INTEGER).or(found.timeout);
        fields.absorb(inner);
        found
    }
}
