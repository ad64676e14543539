//! What JSON in inputs and templates of actions is, and how the two are merged.

use super::super::Failure;
use crate::connector::limits::MAX_MERGE_DEPTH;
use crate::text::json::{Object, push_name};

/// What a JSON text is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum JsonKind {
    /// `null`.
    Null,
    /// A string, a number as it is written, `true` or `false`.
    Scalar(String),
    /// `{…}`.
    Object,
    /// `[…]`.
    List,
}

/// What a JSON text is; `place` is for the message.
pub(super) fn kind(json: &str, place: &str) -> Result<JsonKind, Failure> {
    Ok(match json.as_bytes().first() {
        Some(b'{') => JsonKind::Object,
        Some(b'[') => JsonKind::List,
        Some(b'n') => JsonKind::Null,
        Some(b'"') => {
            JsonKind::Scalar(serde_json::from_str(json).map_err(|_| {
                Failure::invalid(format!("{place}: the text is no valid Unicode (half a surrogate pair)"))
            })?)
        }
        _ => JsonKind::Scalar(json.to_owned()),
    })
}

/// Merges an input into a template: objects member by member, all else as the input has it.
pub(in crate::connector) fn merge(template: &str, input: &str) -> String {
    merge_at_depth(template, input, 0)
}

fn merge_at_depth(template: &str, input: &str, depth: usize) -> String {
    if depth >= MAX_MERGE_DEPTH || !input.starts_with('{') {
        return input.to_owned();
    }
    let (Some(template), Some(input)) = (Object::read(template), Object::read(input)) else {
        return input.to_owned();
    };
    let mut text = String::from("{");
    for (name, known) in template.iter() {
        push_name(&mut text, name);
        match input.get(name) {
            Some(given) => text.push_str(&merge_at_depth(known, given, depth + 1)),
            None => text.push_str(known),
        }
    }
    for (name, given) in input.iter().filter(|(name, _)| template.get(name).is_none()) {
        push_name(&mut text, name);
        text.push_str(given);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_prefers_input_over_template_member_by_member() {
        let template = r#"{"a":1,"b":{"c":[1],"d":12345678901234567890},"e":null}"#;
        let cases = [
            ("{}", template),
            (
                r#"{"a":2}"#,
                r#"{"a":2,"b":{"c":[1],"d":12345678901234567890},"e":null}"#,
            ),
            (
                r#"{"b":{"c":[2],"x":1.0},"z":"y"}"#,
                r#"{"a":1,"b":{"c":[2],"d":12345678901234567890,"x":1.0},"e":null,"z":"y"}"#,
            ),
            (r#"{"b":null}"#, r#"{"a":1,"b":null,"e":null}"#),
            ("[1]", "[1]"),
            ("\"text\"", "\"text\""),
        ];
        for (input, expected) in cases {
            assert_eq!(merge(template, input), expected, "{input}");
        }
        assert_eq!(merge("[1]", r#"{"a":1}"#), r#"{"a":1}"#);
    }

    #[test]
    fn deeply_nested_json_does_not_overflow_the_stack() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(merge(&deep, &deep), deep);
    }
}
