//! Values of expressions. Parts of the input stay JSON text, and are parsed only by operators that need them.

use super::cursor::unescape;
use super::json::{Entries, slice};
use super::number::Number;
use std::borrow::Cow;
use std::fmt::Write;

/// A value; `'a` is the lifetime of the input and of the data in the scope.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    /// The content of a JSON string, escapes included.
    EscapedText(&'a str),
    List(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
    /// The JSON text of an array or an object.
    Json(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// The value of a JSON text.
    pub(super) fn from_json(text: &'a str) -> Self {
        match text.as_bytes().first() {
            Some(b'"') => Self::EscapedText(slice(text, 1, text.len().saturating_sub(1))),
            Some(b'{' | b'[') => Self::Json(text.into()),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'-' | b'0'..=b'9') => Self::Number(Number::Raw(text)),
            _ => Self::Null,
        }
    }

    /// The kind of value, for a message; never the value itself, which may be a secret.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::EscapedText(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Json(text) if text.starts_with('[') => "a list",
            Self::Json(_) => "an object",
        }
    }

    /// The text of a string, or the value itself if it is none.
    pub(super) fn text(self) -> Result<Cow<'a, str>, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::EscapedText(raw) => Ok(unescape(raw)),
            other => Err(other),
        }
    }

    /// The number, if the value is one.
    pub(super) fn number(&self) -> Option<Number<'a>> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of a list, or the value itself if it is none.
    pub(super) fn list(self) -> Result<Vec<Value<'a>>, Self> {
        match self {
            Self::List(values) => Ok(values),
            Self::Json(Cow::Borrowed(text)) if text.starts_with('[') => {
                Ok(Entries::of(text).map(|(_, value)| Self::from_json(value)).collect())
            }
            Self::Json(Cow::Owned(text)) if text.starts_with('[') => Ok(Entries::of(&text)
                .map(|(_, value)| Value::from_json(value).into_static())
                .collect()),
            other => Err(other),
        }
    }

    /// Approximate length as JSON, in bytes.
    pub(super) fn approximate_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => 4,
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::EscapedText(raw) => raw.len(),
            Self::List(values) => values.iter().map(|value| value.approximate_bytes() + 1).sum(),
            Self::Object(entries) => entries
                .iter()
                .map(|(key, value)| key.len() + value.approximate_bytes() + 4)
                .sum(),
        }
    }

    /// Number of elements or entries, if the value is a list or an object.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::List(values) => Some(values.len()),
            Self::Object(entries) => Some(entries.len()),
            Self::Json(text) => Some(Entries::of(text).count()),
            _ => None,
        }
    }

    /// The same value, borrowing nothing.
    fn into_static<'b>(self) -> Value<'b> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(Number::Integer(value)) => Value::Number(Number::Integer(value)),
            Self::Number(number) => number
                .as_integer()
                .map_or(Value::Number(Number::Float(number.as_f64())), |integer| {
                    Value::Number(Number::Integer(integer))
                }),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::EscapedText(raw) => Value::Text(Cow::Owned(unescape(raw).into_owned())),
            Self::List(values) => Value::List(values.into_iter().map(Value::into_static).collect()),
            Self::Object(entries) => Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_static()))
                    .collect(),
            ),
            Self::Json(text) => Value::Json(Cow::Owned(text.into_owned())),
        }
    }

    /// Appends the value as JSON.
    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => quote(text, out),
            Self::EscapedText(raw) => {
                out.push('"');
                out.push_str(raw);
                out.push('"');
            }
            Self::List(values) => join(values, out, ['[', ']'], |value, out| value.write_json(out)),
            Self::Object(entries) => join(entries, out, ['{', '}'], |(key, value), out| {
                quote(key, out);
                out.push(':');
                value.write_json(out);
            }),
            Self::Json(text) => out.push_str(text),
        }
    }

    /// Appends the value to the content of a JSON string: a string as it is, null as nothing, anything else as JSON.
    pub(super) fn write_string_content(&self, out: &mut String) {
        match self {
            Self::Null => {}
            Self::Text(text) => escape(text, out),
            Self::EscapedText(raw) => out.push_str(raw),
            Self::Bool(_) | Self::Number(_) => self.write_json(out),
            Self::List(_) | Self::Object(_) | Self::Json(_) => escape(&self.to_json(), out),
        }
    }

    /// The value as text, for `$Concat` and `$Join`.
    pub(super) fn into_display_text(self) -> Cow<'a, str> {
        match self {
            Self::Null => "".into(),
            Self::Text(text) => text,
            Self::EscapedText(raw) => unescape(raw),
            other => other.to_json().into(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut text = String::new();
        self.write_json(&mut text);
        text
    }
}

fn join<T>(items: &[T], out: &mut String, ends: [char; 2], write: impl Fn(&T, &mut String)) {
    out.push(ends[0]);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(ends[1]);
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

/// Appends a text as the content of a JSON string, with the escapes it needs.
fn escape(text: &str, out: &mut String) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(slice(text, copied, at));
        copied = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(slice(text, copied, text.len()));
}
