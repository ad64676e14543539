//! Inputs of notification jobs: reads and checks them, and fills templates with them. Pure.
//!
//! Invariants: no error message contains a value of an input; filled-in values are never parsed as templates, and are
//! escaped in HTML.

use crate::connector::Failure;
use crate::resources::Template;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Named values, as JSON texts.
pub(super) type Values<'a> = BTreeMap<String, &'a RawValue>;

/// An input with its expressions resolved: the channels that it names.
#[derive(Deserialize)]
pub(super) struct Input<'a> {
    #[serde(borrow)]
    pub email: Option<&'a RawValue>,
    #[serde(borrow)]
    pub sms: Option<&'a RawValue>,
    #[serde(borrow)]
    pub push_notification: Option<&'a RawValue>,
    #[serde(borrow)]
    pub callback: Option<&'a RawValue>,
}

impl<'a> Input<'a> {
    /// Reads the JSON text of an input.
    pub(super) fn read(text: &'a str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|_| Failure::invalid("input: must be an object"))
    }
}

/// The members of an object; none if it is absent.
pub(super) fn object_members<'a>(value: Option<&'a RawValue>, path: &str) -> Result<Values<'a>, Failure> {
    let Some(value) = value.filter(|value| value.get() != "null") else {
        return Ok(Values::new());
    };
    serde_json::from_str(value.get()).map_err(|_| Failure::invalid(format!("{path}: must be an object")))
}

/// Reads a list of strings.
pub(super) fn string_list(value: Option<&&RawValue>, path: &str) -> Result<Vec<String>, Failure> {
    let Some(value) = value else {
        return Err(Failure::invalid(format!("{path}: is missing")));
    };
    serde_json::from_str(value.get()).map_err(|_| Failure::invalid(format!("{path}: must be a list of strings")))
}

/// How a value is inserted into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// Verbatim.
    Text,
    /// Verbatim, and must be a single line.
    Line,
    /// Escaped for HTML.
    Html,
}

/// Fills a template with the values of one part of an input.
pub(super) fn fill(
    template: &Template,
    values: &Values<'_>,
    path: &str,
    escaping: Escaping,
) -> Result<String, Failure> {
    let filled = template.fill(|name| {
        let text = scalar_text(lookup(values, name, path)?, &format!("{path}.{name}"))?;
        match escaping {
            Escaping::Text => Ok(text),
            Escaping::Line if text.chars().any(char::is_control) => Err(FillError::Failed(Failure::invalid(format!(
                "{path}.{name}: must be on one line, without control characters"
            )))),
            Escaping::Line => Ok(text),
            Escaping::Html => Ok(escape_html(&text)),
        }
    });
    filled.map_err(|problem| problem.into_failure(path))
}

/// Why a template cannot be filled.
enum FillError {
    Failed(Failure),
    Text(String),
}

impl FillError {
    fn into_failure(self, path: &str) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Text(why) => Failure::invalid(format!("{path}: the text {why}")),
        }
    }
}

impl From<String> for FillError {
    fn from(why: String) -> Self {
        Self::Text(why)
    }
}

impl From<Failure> for FillError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Looks up a name: a member of that name, or a nested member by its dotted path.
pub(super) fn lookup<'a>(values: &Values<'a>, name: &str, path: &str) -> Result<&'a RawValue, Failure> {
    let missing = || Failure::invalid(format!("{path}.{name}: is missing; the message has a place for it"));
    let there = |value: &&'a RawValue| value.get() != "null";
    if let Some(value) = values.get(name) {
        return Some(*value).filter(there).ok_or_else(missing);
    }
    let (first, rest) = name.split_once('.').ok_or_else(missing)?;
    let mut found = *values.get(first).ok_or_else(missing)?;
    for part in rest.split('.') {
        let inner: Values<'a> = serde_json::from_str(found.get()).map_err(|_| missing())?;
        found = inner.get(part).copied().ok_or_else(missing)?;
    }
    Some(found).filter(there).ok_or_else(missing)
}

/// A string, number or boolean as text.
pub(super) fn scalar_text(value: &RawValue, path: &str) -> Result<String, Failure> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map_err(|_| Failure::invalid(format!("{path}: is no text"))),
        Some(b'{' | b'[' | b'n') | None => Err(Failure::invalid(format!(
            "{path}: must be a string, a number or a truth value"
        ))),
        Some(_) => Ok(text.to_owned()),
    }
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, values: &str, escaping: Escaping) -> Result<String, String> {
        let raw: &RawValue = serde_json::from_str(values).unwrap();
        let values = object_members(Some(raw), "input.x").unwrap();
        fill(&Template::parse(template).unwrap(), &values, "input.x", escaping).map_err(|failure| failure.message)
    }

    #[test]
    fn filled_values_are_escaped_only_in_html() {
        let values = r#"{"a":"<b>&\"'</b>","n":12345678901234567890.10,"t":true,"in":{"ner":{"x":"ü"}},"d.t":"dot"}"#;
        let text = "{{a}} {{n}} {{t}} {{in.ner.x}} {{d.t}}";
        assert_eq!(
            filled(text, values, Escaping::Text),
            Ok("<b>&\"'</b> 12345678901234567890.10 true ü dot".into())
        );
        assert_eq!(
            filled("<i>{{a}}</i>", values, Escaping::Html),
            Ok("<i>&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;</i>".into())
        );
    }

    #[test]
    fn missing_value_error_names_it_and_reveals_no_other_value() {
        for name in ["b", "a.b", "nothing", "list.0", "in.x", "in.deep.x"] {
            let values = r#"{"a":"payload","nothing":null,"list":[1],"in":{"x":null}}"#;
            let message = filled(&format!("{{{{{name}}}}}"), values, Escaping::Text).unwrap_err();
            assert!(message.starts_with(&format!("input.x.{name}: is missing")), "{message}");
            assert!(!message.contains("payload"));
        }
    }

    #[test]
    fn non_scalar_value_is_refused() {
        for value in ["[1]", "{}"] {
            let message = filled("{{a}}", &format!("{{\"a\":{value}}}"), Escaping::Text).unwrap_err();
            assert_eq!(message, "input.x.a: must be a string, a number or a truth value");
        }
    }

    #[test]
    fn single_line_value_cannot_contain_line_breaks() {
        for text in [
            "a\\r\\nBcc: x@y.z",
            "a\\nb",
            "a\\rb",
            "\\u0000",
            "\\u0085",
            "a\\u2028b\\n",
        ] {
            let answer = filled("{{a}}", &format!("{{\"a\":\"{text}\"}}"), Escaping::Line);
            assert!(
                answer.unwrap_err().starts_with("input.x.a: must be on one line"),
                "{text}"
            );
        }
        assert_eq!(
            filled("Hi {{a}}", r#"{"a":"żółć <b>"}"#, Escaping::Line),
            Ok("Hi żółć <b>".into())
        );
    }
}
