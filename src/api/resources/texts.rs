//! Reads texts of definitions that may hold expressions, including headers.

use crate::api::fields::{Fields, describe, truncated};
use crate::expr;
use crate::resources::{Text, is_connection_header};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Reads a text that may hold expressions, which must be well-formed.
pub(super) fn text(fields: &mut Fields<'_>, name: &str) -> Option<Text> {
    let text = fields.string(name)?;
    let quoted = fields.raw(name).unwrap_or_default();
    check_expressions(fields, name, quoted);
    Some(Text::from(&*text))
}

/// Reads JSON whose strings may hold expressions, which must be well-formed.
pub(super) fn template(fields: &mut Fields<'_>, name: &str) -> Option<Text> {
    let json = fields.raw(name)?;
    check_expressions(fields, name, json);
    Some(Text::from(json))
}

/// As [`template`], for an object.
pub(super) fn object_template(fields: &mut Fields<'_>, name: &str) -> Option<Text> {
    let json = fields.raw(name)?;
    if !json.starts_with('{') {
        fields.problem(name, format!("must be an object, got {}", describe(json)));
        return None;
    }
    template(fields, name)
}

/// Notes what is wrong with the expressions of a member, given as JSON, each with its path.
pub(super) fn check_expressions(fields: &mut Fields<'_>, name: &str, json: &str) {
    if !json.contains('$') {
        return;
    }
    if let Err(faults) = expr::check(json, &expr::Limits::default()) {
        for fault in faults {
            // The path of whole JSON begins with a word of its own.
            let path = &fault.problem.path;
            let within = path.find(['.', '[']).and_then(|at| path.get(at..)).unwrap_or_default();
            fields.problem(&format!("{name}{within}"), fault.problem.message);
        }
    }
}

/// The same for a text that is a part of a member, or one that members make up.
pub(super) fn check_text(fields: &mut Fields<'_>, path: &str, text: &str) {
    if let Ok(quoted) = serde_json::to_string(text) {
        check_expressions(fields, path, &quoted);
    }
}

/// Reads headers: names, and texts that may hold expressions.
pub(super) fn headers(fields: &mut Fields<'_>, name: &str) -> Vec<(Box<str>, Text)> {
    let Some(mut inner) = fields.object(name) else {
        return Vec::new();
    };
    let members: BTreeMap<String, &RawValue> = fields
        .raw(name)
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let mut read = Vec::with_capacity(members.len());
    for header in members.keys() {
        let Some(known) = header_name(&mut inner, header, header) else {
            continue;
        };
        let Some(value) = text(&mut inner, header) else {
            continue;
        };
        if value
            .as_written()
            .chars()
            .any(|character| character.is_control() && character != '\t')
        {
            inner.problem(header, "must hold no line breaks and no other control characters");
            continue;
        }
        read.push((known, value));
    }
    fields.absorb(inner);
    read
}

/// The name of a header in lower case; a problem with it is noted at `place`.
pub(super) fn header_name(fields: &mut Fields<'_>, place: &str, name: &str) -> Option<Box<str>> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        fields.problem(
            place,
            format!(
                "'{}' is no name of a header",
                truncated(&name.escape_debug().to_string())
            ),
        );
        return None;
    }
    let name = name.to_ascii_lowercase();
    if is_connection_header(&name) {
        fields.problem(place, format!("'{name}' is set by the connection itself"));
        return None;
    }
    Some(name.into())
}
