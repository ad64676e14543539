//! JSON as databases need it: numbers keep their text, and keys their order.
//!
//! Invariant: nesting is bounded, and so is recursion.

use super::dialect::Dialect;
use super::{exact, extended, surrogates};
use crate::connector::limits::MAX_JSON_DEPTH;
use crate::connector::{Call, Failure};
pub(in crate::connector) use crate::text::json::push_string;
use crate::text::json::{self, Object, list};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

/// The only key of an object that represents bytes.
const BYTES_KEY: &str = "$bytes";

/// The only key of an object that quotes JSON.
const JSON_KEY: &str = "$json";

/// The only key of an object that a program marked as data.
const LITERAL_KEY: &str = "$literal";

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connector) enum Json {
    Null,
    Bool(bool),
    /// The number as it was written.
    Number(Box<str>),
    Text(Box<str>),
    List(Vec<Json>),
    Map(Vec<(Box<str>, Json)>),
    /// A value that a job filled into a template, or gave as a literal: never an operator, even if it looks like one.
    Literal(Box<Json>),
    /// Whatever a job will give, while a definition is checked; never part of an operation that is run.
    Any,
}

impl Json {
    /// Reads JSON text. Half a surrogate pair, which no database takes, becomes U+FFFD.
    pub(in crate::connector) fn read(text: &str) -> Result<Self, Failure> {
        Self::read_at(surrogates::replaced(text).trim(), 0, false)
    }

    /// Reads the input of a job, in which literals are marked.
    pub(in crate::connector) fn read_marked(text: &str) -> Result<Self, Failure> {
        Self::read_at(surrogates::replaced(text).trim(), 0, true)
    }

    /// The input of a job, in which literals are marked unless it is plain.
    pub(in crate::connector) fn of_call(call: &Call<'_>) -> Result<Self, Failure> {
        if call.attempt.options.plain {
            return Self::read(call.input());
        }
        Ok(Self::read_marked(call.input())?.with_marked_fields())
    }

    fn read_at(text: &str, depth: usize, marked: bool) -> Result<Self, Failure> {
        if depth > MAX_JSON_DEPTH {
            return Err(Failure::invalid(format!(
                "the input is nested deeper than {MAX_JSON_DEPTH} levels"
            )));
        }
        let unreadable = || Failure::invalid("the input is no JSON");
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let object = Object::read(text).ok_or_else(unreadable)?;
                let mut entries = object.iter();
                if marked && let (Some((LITERAL_KEY, inner)), None) = (entries.next(), entries.next()) {
                    // Within it nothing is marked: it is data as it stands.
                    return Ok(Self::Literal(Box::new(Self::read_at(inner, depth + 1, false)?)));
                }
                let members = object
                    .iter()
                    .map(|(name, json)| Ok((name.into(), Self::read_at(json, depth + 1, marked)?)));
                Self::Map(members.collect::<Result<_, Failure>>()?)
            }
            Some(b'[') => {
                let elements = list(text).ok_or_else(unreadable)?.into_iter();
                let read = elements.map(|element| Self::read_at(element, depth + 1, marked));
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

    /// An object that is a literal as a whole, as one whose fields are.
    pub(in crate::connector) fn with_marked_fields(self) -> Self {
        match self {
            Self::Literal(inner) => match *inner {
                Self::Map(fields) => {
                    let marked = fields
                        .into_iter()
                        .map(|(name, value)| (name, Self::Literal(Box::new(value))));
                    Self::Map(marked.collect())
                }
                other => other,
            },
            other => other,
        }
    }

    /// The value, without a wrapping [`Literal`](Self::Literal).
    pub(in crate::connector) fn value(&self) -> &Self {
        match self {
            Self::Literal(inner) => inner.value(),
            other => other,
        }
    }

    /// The same as a literal.
    pub(super) fn marked(&self) -> Self {
        match self {
            Self::Literal(_) => self.clone(),
            other => Self::Literal(Box::new(other.clone())),
        }
    }

    /// The type of the value for error messages, which never show the value itself.
    pub(in crate::connector) fn kind(&self) -> &'static str {
        match self.value() {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Any => "a value of the job",
            _ => "an object",
        }
    }

    pub(in crate::connector) fn as_text(&self) -> Option<&str> {
        match self.value() {
            Self::Text(text) => Some(text),
            Self::Any => Some(""),
            _ => None,
        }
    }

    /// The bytes of `{ "$bytes": "base64" }`; `None`: another value; `Err`: invalid base64.
    pub(in crate::connector) fn bytes(&self) -> Option<Result<Vec<u8>, Failure>> {
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

    /// The JSON in `{ "$json": … }`, which is a value whatever its keys are. JSON `null` is written like this, since `null`
    /// alone is SQL's.
    pub(super) fn quoted(&self) -> Option<&Self> {
        match self {
            Self::Map(entries) => match entries.as_slice() {
                [(key, inner)] if **key == *JSON_KEY => Some(inner),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is an object that stands for a value, though its key looks like an operator.
    pub(super) fn is_special(&self, dialect: Dialect) -> bool {
        self.bytes().is_some() || self.quoted().is_some() || extended::read(self, dialect).is_some()
    }

    /// As JSON text.
    pub(in crate::connector) fn text(&self) -> String {
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
            Self::Literal(_) | Self::Any => {}
        }
    }
}

/// Writes bytes in the form that [`bytes`](Json::bytes) reads.
pub(in crate::connector) fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push_str("{\"$bytes\":\"");
    STANDARD.encode_string(bytes, out);
    out.push_str("\"}");
}

/// Writes an integer: as a number if JavaScript can represent it exactly, else as a string.
pub(in crate::connector) fn push_integer(out: &mut String, number: i128) {
    const SAFE: i128 = 9_007_199_254_740_991;
    if (-SAFE..=SAFE).contains(&number) {
        out.push_str(&number.to_string());
    } else {
        push_string(out, &number.to_string());
    }
}

/// Writes a floating point number; NaN and infinities as strings.
pub(in crate::connector) fn push_float(out: &mut String, number: f64) {
    match serde_json::to_string(&number) {
        Ok(text) if number.is_finite() => out.push_str(&text),
        _ if number.is_nan() => out.push_str("\"NaN\""),
        _ if number > 0.0 => out.push_str("\"Infinity\""),
        _ => out.push_str("\"-Infinity\""),
    }
}

/// Writes text that is JSON according to the database. Numbers that JavaScript would change become strings.
pub(in crate::connector) fn push_raw(out: &mut String, text: &str) {
    match serde_json::from_str::<&RawValue>(text) {
        // Told from NULL, in the form that inputs have for it.
        Ok(value) if value.get() == "null" => out.push_str("{\"$json\":null}"),
        Ok(value) => exact::push_json(out, value.get()),
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
