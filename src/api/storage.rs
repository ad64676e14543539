//! What is particular about dispatches of storage jobs: operations in the place of events, and names that are no expressions.

use super::fields::Fields;
use crate::text::json::Object;
use std::borrow::Cow;

/// Operations that a dispatch can name instead of an event, and the event that this is.
const OPERATIONS: [(&str, &str); 9] = [
    ("upload", "upload"),
    ("download", "download"),
    ("read", "download"),
    ("remove", "remove"),
    ("delete", "remove"),
    ("listFiles", "listFiles"),
    ("list", "listFiles"),
    ("stats", "stats"),
    ("getSignedUrl", "getSignedUrl"),
];

/// Members of an input that users of a program name: text, whatever it looks like.
const NAMES: [&str; 6] = ["fileName", "path", "prefix", "mimeType", "cursor", "continuationToken"];

/// The operation that stands in the place of the event; `None`: there is none, or something is wrong with it.
pub(super) fn event_of_operation(fields: &mut Fields<'_>) -> Option<Box<str>> {
    if fields.raw("event").is_some() {
        fields.problem(
            "operation",
            "stands in the place of `event`, which says what is done; give one of them",
        );
        return None;
    }
    fields.one_of("operation", &OPERATIONS).map(Into::into)
}

/// The member of an input that names where an upload finds its content, and the members of that.
const SOURCE: (&str, [&str; 2]) = ("file", ["path", "url"]);

/// An input whose names are marked as text that holds no expressions. What has no `$` in them comes back as it is.
pub(super) fn with_literal_names(input: &str) -> Cow<'_, str> {
    // A look at the text first: it may be long.
    if !input.contains('$') {
        return Cow::Borrowed(input);
    }
    let (source, members) = SOURCE;
    let marked_source = Object::read(input)
        .and_then(|object| object.get(source))
        .filter(|text| text.starts_with('{'))
        .and_then(|text| marked(text, &members, None));
    let source = marked_source.as_deref().map(|text| (source, text));
    marked(input, &NAMES, source).map_or(Cow::Borrowed(input), Cow::Owned)
}

/// An object with the members of these names marked, and another member replaced; `None`: nothing is to be changed.
fn marked(text: &str, names: &[&'static str], replaced: Option<(&'static str, &str)>) -> Option<String> {
    let mut object = Object::read(text)?;
    let marked: Vec<(&str, String)> = names
        .iter()
        .filter_map(|name| {
            let text = object.get(name)?;
            (text.starts_with('"') && text.contains('$')).then(|| (*name, format!("{{\"$literal\":{text}}}")))
        })
        .collect();
    if marked.is_empty() && replaced.is_none() {
        return None;
    }
    for (name, text) in &marked {
        object.put(*name, text);
    }
    if let Some((name, text)) = replaced {
        object.put(name, text);
    }
    Some(object.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_marked_and_nothing_else_is_changed() {
        for unchanged in [
            r#"{"fileName":"a","buffer":"AA=="}"#,
            r#"{"fileName":"a","text":"$Now()"}"#,
            r#"{"fileName":{"$literal":"$Now()"}}"#,
            r#"{"$literal":{"fileName":"$Now()"}}"#,
            "[]",
        ] {
            assert_eq!(with_literal_names(unchanged), unchanged);
        }
        assert_eq!(
            with_literal_names(r#"{"fileName" : "$Now()", "n": 1e400,"path":"$","mimeType":"a/b"}"#),
            r#"{"fileName":{"$literal":"$Now()"},"n":1e400,"path":{"$literal":"$"},"mimeType":"a/b"}"#
        );
        assert_eq!(
            with_literal_names(r#"{"fileName":"a","file":{"url":"http://h/?$Now()","x":"$Now()"}}"#),
            r#"{"fileName":"a","file":{"url":{"$literal":"http://h/?$Now()"},"x":"$Now()"}}"#
        );
    }
}
