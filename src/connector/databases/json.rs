//! JSON as databases need it: numbers stay the text they were written as, and keys keep their order.
//!
//! Invariant: nesting is bounded, so that nothing here recurses far.

use crate::connector::Failure;
use crate::connector::limits::MAX_JSON_DEPTH;
pub(super) use crate::text::json::push_string;
use crate::text::json::{self, Object, list};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

/// The one key of an object that stands for bytes.
const BYTES_KEY: &str = "$bytes";

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(Box<str>),
    Text(Box<str>),
    List(Vec<Json>),
    Map(Vec<(Box<str>, Json)>),
    /// What a job put into a template: a value, and never an operator, whatever it looks like.
    Literal(Box<Json>),
}

impl Json {
    /// Reads JSON text.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        Self::read_at(text.trim(), 0)
    }

    fn read_at(text: &str, depth: usize) -> Result<Self, Failure> {
        if depth > MAX_JSON_DEPTH {
            return Err(Failure::invalid(format!(
                "the input is nested deeper than {MAX_JSON_DEPTH} levels"
            )));
        }
        let unreadable = || Failure::invalid("the input is no JSON");
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let object = Object::read(text).ok_or_else(unreadable)?;
                let members = object
                    .iter()
                    .map(|(name, json)| Ok((name.into(), Self::read_at(json, depth + 1)?)));
                Self::Map(members.collect::<Result<_, Failure>>()?)
            }
            Some(b'[') => {
                let elements = list(text).ok_or_else(unreadable)?.into_iter();
                let read = elements.map(|element| Self::read_at(element, depth + 1));
                Self::List(read.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(json::string(text).ok_or_else(unreadable)?.into()),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            Some(_) => Self::Number(text.into()),
            None => return Err(Failure::invalid("the input is empty")),
        })
    }

    /// Itself, also where a template holds it.
    pub(super) fn value(&self) -> &Self {
        match self {
            Self::Literal(inner) => inner.value(),
            other => other,
        }
    }

    /// What kind of value it is, for errors; never the value itself.
    pub(super) fn kind(&self) -> &'static str {
        match self.value() {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            _ => "an object",
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self.value() {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes that `{ "$bytes": "base64" }` stands for, when it is that; `Err`: it is no base64.
    pub(super) fn bytes(&self) -> Option<Result<Vec<u8>, Failure>> {
        let Self::Map(entries) = self.value() else { return None };
        let [(key, value)] = entries.as_slice() else {
            return None;
        };
        if **key != *BYTES_KEY {
            return None;
        }
        let decoded = value.as_text().and_then(|text| STANDARD.decode(text).ok());
        Some(decoded.ok_or_else(|| Failure::invalid("$bytes must be a string of base64")))
    }

    /// As JSON text.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self.value() {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => push_string(out, text),
            Self::List(list) => {
                out.push('[');
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    push_string(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Self::Literal(_) => {}
        }
    }
}

/// Writes bytes as they are read again.
pub(super) fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push_str("{\"$bytes\":\"");
    STANDARD.encode_string(bytes, out);
    out.push_str("\"}");
}

/// Writes a whole number: as one, as long as JavaScript can hold it, else as a string.
pub(super) fn push_integer(out: &mut String, number: i128) {
    const SAFE: i128 = 9_007_199_254_740_991;
    if (-SAFE..=SAFE).contains(&number) {
        out.push_str(&number.to_string());
    } else {
        push_string(out, &number.to_string());
    }
}

/// Writes a floating point number; what JSON has no number for, as a string.
pub(super) fn push_float(out: &mut String, number: f64) {
    match serde_json::to_string(&number) {
        Ok(text) if number.is_finite() => out.push_str(&text),
        _ if number.is_nan() => out.push_str("\"NaN\""),
        _ if number > 0.0 => out.push_str("\"Infinity\""),
        _ => out.push_str("\"-Infinity\""),
    }
}

/// Writes text that the database says is JSON.
pub(super) fn push_raw(out: &mut String, text: &str) {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) => out.push_str(value.get()),
        Err(_) => push_string(out, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_keys_their_order() {
        let text = r#"{"b":9007199254740993,"a":[1.10,"x\n",null,true,{"$bytes":"AQI="}]}"#;
        assert_eq!(Json::read(text).unwrap().text(), text);
        assert_eq!(Json::read(r#"{"a":1,"a":2}"#).unwrap().text(), r#"{"a":2}"#);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(&*Json::read(&deep).unwrap_err().code, "VALIDATION_ERROR");
    }

    #[test]
    fn numbers_are_written_without_loss() {
        let written = |write: fn(&mut String)| {
            let mut out = String::new();
            write(&mut out);
            out
        };
        assert_eq!(
            written(|out| push_integer(out, 9_007_199_254_740_991)),
            "9007199254740991"
        );
        assert_eq!(
            written(|out| push_integer(out, -9_007_199_254_740_992)),
            "\"-9007199254740992\""
        );
        assert_eq!(written(|out| push_float(out, f64::NAN)), "\"NaN\"");
        assert_eq!(written(|out| push_float(out, 0.1)), "0.1");
        assert_eq!(written(|out| push_raw(out, "{\"a\": 1}")), "{\"a\": 1}");
        assert_eq!(written(|out| push_raw(out, "{broken")), "\"{broken\"");
    }
}
