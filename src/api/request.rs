//! The documented shapes of `input`: a documented field with a wrong type is refused, others pass unread.

use super::fields::{Fields, describe};
use crate::model::Namespace;
use serde_json::value::RawValue;

/// What a documented field of an input must be.
#[derive(Clone, Copy)]
enum Shape {
    Object,
    Text,
    /// A list of strings, or one of them alone.
    TextList,
    /// Values that fill a text, or the text itself.
    Filling,
    /// A file: base64 text by the time it arrives here.
    Bytes,
    Nested(&'static [(&'static str, Shape, bool)]),
    /// The same with other names of its members.
    Aliased(Members, &'static [(&'static str, &'static str)]),
}

type Members = &'static [(&'static str, Shape, bool)];

const ACTION: Members = &[
    ("query", Shape::Object, false),
    ("params", Shape::Object, false),
    ("body", Shape::Object, false),
    ("headers", Shape::Object, false),
];

const NOTIFICATION: Members = &[
    (
        "push_notification",
        Shape::Aliased(
            &[
                ("device_tokens", Shape::TextList, true),
                ("title", Shape::Filling, false),
                ("body", Shape::Filling, false),
                ("data", Shape::Object, false),
            ],
            &[("device_token", "device_tokens"), ("tokens", "device_tokens")],
        ),
        false,
    ),
    (
        "email",
        Shape::Aliased(
            &[
                ("recipients", Shape::TextList, true),
                ("subject", Shape::Object, false),
                ("template", Shape::Object, false),
            ],
            &[("to", "recipients")],
        ),
        false,
    ),
    (
        "sms",
        Shape::Aliased(
            &[("recipients", Shape::TextList, true), ("body", Shape::Filling, false)],
            &[
                ("to", "recipients"),
                ("phones", "recipients"),
                ("phone", "recipients"),
                ("message", "body"),
            ],
        ),
        false,
    ),
    ("callback", Shape::Nested(ACTION), false),
];

const STORAGE: Members = &[
    ("fileName", Shape::Text, false),
    ("buffer", Shape::Bytes, false),
    ("path", Shape::Text, false),
    ("mimeType", Shape::Text, false),
    ("prefix", Shape::Text, false),
    ("file", Shape::Object, false),
];

const DATABASE_ACTION: Members = &[
    ("query", Shape::Object, false),
    ("data", Shape::Object, false),
    ("filter", Shape::Object, false),
];

/// Checks an input; the problems found are in what comes back.
pub fn check(namespace: Namespace, mut input: Fields<'_>) -> Fields<'_> {
    match namespace {
        Namespace::Actions => check_members(&mut input, ACTION),
        Namespace::Notifications => check_members(&mut input, NOTIFICATION),
        Namespace::Storage => check_members(&mut input, STORAGE),
        Namespace::DatabaseActions => check_members(&mut input, DATABASE_ACTION),
        Namespace::Events => {
            // With a key, nothing is a message of its own: it deletes what Kafka keeps of the key.
            let deletes = input.is_null("message") && input.raw("key").is_some();
            if input.raw("message").is_none() && !deletes {
                input.problem("message", "is missing; it is what is published");
            }
        }
        Namespace::Features
        | Namespace::Databases
        | Namespace::GraphActions
        | Namespace::Graphs
        | Namespace::Webhooks => {}
    }
    input
}

/// Length of the base64 text of a storage input's `buffer`, 0 without one.
pub fn buffer_length(input: &str) -> usize {
    Fields::read(unwrap_literal(input), "input")
        .ok()
        .and_then(|fields| fields.raw("buffer"))
        .map_or(0, |text| unwrap_literal(text).len().saturating_sub(2))
}

fn check_members(fields: &mut Fields<'_>, members: Members) {
    for (name, shape, required) in members {
        let Some(text) = fields.raw(name) else {
            if *required {
                fields.problem(name, "is missing");
            }
            continue;
        };
        check_shape(fields, name, text, *shape);
    }
}

fn check_shape(fields: &mut Fields<'_>, name: &str, text: &str, shape: Shape) {
    let text = unwrap_literal(text);
    match shape {
        Shape::Object if text.starts_with('{') || is_expression(text) => {}
        Shape::Object => fields.problem(name, format!("must be an object, got {}", describe(text))),
        Shape::Text => {
            if !text.starts_with('"') {
                fields.problem(name, format!("must be a string, got {}", describe(text)));
            }
        }
        Shape::TextList => {
            let texts = serde_json::from_str::<Vec<&RawValue>>(text);
            let is_text = |value: &&RawValue| unwrap_literal(value.get()).starts_with('"');
            if !text.starts_with('"') && !texts.is_ok_and(|texts| texts.iter().all(is_text)) {
                fields.problem(name, format!("must be a list of strings, got {}", describe(text)));
            }
        }
        Shape::Bytes => {
            if !text.starts_with('"') {
                fields.problem(
                    name,
                    format!("must be a Buffer, a Uint8Array or base64 text, got {}", describe(text)),
                );
            }
        }
        Shape::Filling if text.starts_with(['{', '"']) => {}
        Shape::Filling => fields.problem(name, format!("must be an object or a string, got {}", describe(text))),
        Shape::Nested(members) => check_nested(fields, name, text, (members, &[])),
        Shape::Aliased(members, aliases) => check_nested(fields, name, text, (members, aliases)),
    }
}

fn check_nested(
    fields: &mut Fields<'_>,
    name: &str,
    text: &str,
    (members, aliases): (Members, &[(&'static str, &'static str)]),
) {
    if is_expression(text) {
        return;
    }
    match Fields::read(text, &fields.path(name)) {
        Ok(mut inner) => {
            inner.take_aliases(aliases);
            check_members(&mut inner, members);
            fields.absorb(inner);
        }
        Err(problem) => fields.problems.push(problem),
    }
}

/// The value within `{ "$literal": value }`; any other value as it is.
pub fn unwrap_literal(text: &str) -> &str {
    crate::expr::unwrap_literal(text)
}

/// A string that holds an expression may become anything when the run starts.
fn is_expression(text: &str) -> bool {
    text.starts_with("\"$")
}
