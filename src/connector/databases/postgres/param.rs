//! Parameters of PostgreSQL: sent as text, which the server parses as the type it expects, so that nothing is lost.
//! Milliseconds are converted to timestamps where the server expects one.

use crate::connector::Failure;
use crate::connector::databases::dates::{self, TimestampStyle};
use crate::connector::databases::json::Json;
use std::error::Error;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type};

/// Text for a parameter of any type.
#[derive(Debug)]
pub(super) struct Param(Option<String>);

impl Param {
    /// The value in the text form of the type.
    pub(super) fn new(value: &Json, ty: &Type) -> Result<Self, Failure> {
        param_text(value, ty).map(Self)
    }
}

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}

/// The message does not show the value, which may be a secret.
fn type_mismatch(value: &Json, ty: &Type, wanted: &str) -> Failure {
    Failure::invalid(format!(
        "a value does not fit the type {ty}, which takes {wanted}; got {}",
        value.kind()
    ))
}

fn param_text(value: &Json, ty: &Type) -> Result<Option<String>, Failure> {
    match ty.kind() {
        Kind::Domain(inner) => return param_text(value, inner),
        Kind::Array(element) => return array_text(value, ty, element),
        _ => {}
    }
    let is_json = *ty == Type::JSON || *ty == Type::JSONB;
    if let Some(json) = value.quoted() {
        if !is_json {
            return Err(type_mismatch(value, ty, "no JSON"));
        }
        return Ok(Some(json.text()));
    }
    let value = value.value();
    if *value == Json::Null {
        return Ok(None);
    }
    if is_json {
        return Ok(Some(value.text()));
    }
    if let Some(bytes) = value.bytes() {
        if *ty != Type::BYTEA {
            return Err(type_mismatch(value, ty, "no bytes"));
        }
        return bytes.map(|bytes| Some(hex(&bytes)));
    }
    if *ty == Type::BYTEA {
        return Err(type_mismatch(value, ty, "bytes as { $bytes: base64 }"));
    }
    if *ty == Type::TIMESTAMPTZ || *ty == Type::TIMESTAMP || *ty == Type::DATE {
        return timestamp_text(value, ty).map(Some);
    }
    match value {
        Json::Text(text) => Ok(Some(text.to_string())),
        Json::Number(text) if *ty != Type::BOOL => Ok(Some(text.to_string())),
        Json::Bool(flag) if *ty == Type::BOOL || is_text(ty) => Ok(Some(flag.to_string())),
        _ if *ty == Type::BOOL => Err(type_mismatch(value, ty, "true or false")),
        _ => Err(type_mismatch(value, ty, "a string or a number")),
    }
}

fn is_text(ty: &Type) -> bool {
    [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME].contains(ty)
}

/// Reads a timestamp: milliseconds or ISO 8601.
fn timestamp_text(value: &Json, ty: &Type) -> Result<String, Failure> {
    let micros = match value {
        Json::Number(text) => dates::from_millis(text),
        Json::Text(text) if matches!(&**text, "infinity" | "-infinity") => return Ok(text.to_string()),
        Json::Text(text) => dates::parse_timestamp(text),
        _ => None,
    };
    let wanted = "a point in time, in ISO 8601 or in milliseconds";
    let micros = micros.ok_or_else(|| type_mismatch(value, ty, wanted))?;
    let iso = if *ty == Type::DATE {
        dates::format_date(dates::day_of(micros))
    } else {
        dates::format_timestamp(micros, TimestampStyle::Iso)
    };
    Ok(dates::with_era(&iso))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn array_text(value: &Json, ty: &Type, element: &Type) -> Result<Option<String>, Failure> {
    match value.value() {
        Json::Null => Ok(None),
        Json::List(values) => {
            let mut out = String::new();
            push_elements(values, element, &mut out)?;
            Ok(Some(out))
        }
        _ => Err(type_mismatch(value, ty, "a list")),
    }
}

fn push_elements(values: &[Json], ty: &Type, out: &mut String) -> Result<(), Failure> {
    out.push('{');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let nested = *ty != Type::JSON && *ty != Type::JSONB;
        if let (Json::List(inner), true) = (value.value(), nested) {
            push_elements(inner, ty, out)?;
            continue;
        }
        match param_text(value, ty)? {
            None => out.push_str("NULL"),
            Some(text) => {
                out.push('"');
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str, ty: &Type) -> Option<String> {
        param_text(&Json::read(json).unwrap(), ty).ok().flatten()
    }

    #[test]
    fn parameters_are_written_in_the_text_form_of_their_type() {
        for (json, ty, expected) in [
            ("1769850000123", Type::TIMESTAMPTZ, Some("2026-01-31T09:00:00.123Z")),
            // For a type without time zone, the server would ignore the offset.
            (
                "\"2026-01-31T10:00:00+01:00\"",
                Type::TIMESTAMP,
                Some("2026-01-31T09:00:00.000Z"),
            ),
            ("\"infinity\"", Type::TIMESTAMPTZ, Some("infinity")),
            ("\"now\"", Type::TIMESTAMPTZ, None),
            ("1769850000123", Type::DATE, Some("2026-01-31")),
            ("1769850000123", Type::INT8, Some("1769850000123")),
            ("\"9007199254740993\"", Type::INT8, Some("9007199254740993")),
            ("\"a\"", Type::JSONB, Some("\"a\"")),
            (r#"{"$json":null}"#, Type::JSONB, Some("null")),
            (r#"{"$json":null}"#, Type::TEXT, None),
            ("[1,null]", Type::JSONB, Some("[1,null]")),
            (
                "[\"a\\\"b\\\\\",null,\"{}\"]",
                Type::TEXT_ARRAY,
                Some(r#"{"a\"b\\",NULL,"{}"}"#),
            ),
            ("[[1,2],[3,4]]", Type::INT4_ARRAY, Some(r#"{{"1","2"},{"3","4"}}"#)),
            ("\"{1}\"", Type::INT4_ARRAY, None),
            (r#"{"$bytes":"AQI="}"#, Type::BYTEA, Some("\\x0102")),
            ("\"AQI=\"", Type::BYTEA, None),
            ("{\"a\":1}", Type::TEXT, None),
            ("1", Type::BOOL, None),
            ("true", Type::BOOL, Some("true")),
            ("null", Type::INT4, None),
        ] {
            assert_eq!(shown(json, &ty).as_deref(), expected, "{json} {ty}");
        }
    }
}
