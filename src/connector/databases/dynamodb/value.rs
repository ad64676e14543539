//! Values of inputs as attribute values, and attribute values as JSON.
//!
//! Invariant: a number keeps all its digits, there and back, or is refused.

use super::schema::KeyKind;
use crate::connector::Failure;
use crate::connector::databases::extended::push_pair;
use crate::connector::databases::json::{Json, push_string};
use crate::connector::databases::{exact, extended};
use crate::text::spelling::truncated;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Significant digits of a number.
const MAX_DIGITS: usize = 38;
/// Powers of ten of the first digit.
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// Attributes by name.
pub(super) type Item = Map<String, Value>;

/// A failure of a value of this attribute.
pub(super) fn of_attribute(name: &str) -> impl Fn(Failure) -> Failure {
    let name = truncated(name);
    move |failure| Failure {
        message: format!("the value of '{name}': {}", failure.message),
        ..failure
    }
}

/// A value as it is stored.
pub(super) fn stored(json: &Json) -> Result<Value, Failure> {
    convert(json, false)
}

fn convert(json: &Json, is_data: bool) -> Result<Value, Failure> {
    let is_data = is_data || matches!(json, Json::Literal(_));
    if let Some(bytes) = json.bytes() {
        return Ok(json!({ "B": STANDARD.encode(bytes?) }));
    }
    if let Some(inner) = json.quoted() {
        return convert_plain(inner, true);
    }
    if let Some((name, content)) = extended::read(json, crate::connector::databases::dialect::Dialect::Dynamo) {
        return read_extended(name, content);
    }
    convert_plain(json, is_data)
}

fn convert_plain(json: &Json, is_data: bool) -> Result<Value, Failure> {
    Ok(match json.value() {
        Json::Number(text) => json!({ "N": number(text)? }),
        Json::Text(text) => json!({ "S": &**text }),
        Json::Bool(flag) => json!({ "BOOL": flag }),
        Json::Null | Json::Literal(_) | Json::Any => json!({ "NULL": true }),
        Json::List(list) => {
            let elements = list.iter().map(|element| convert(element, is_data));
            json!({ "L": elements.collect::<Result<Vec<_>, _>>()? })
        }
        Json::Map(entries) => {
            let mut map = Item::new();
            for (key, value) in entries {
                if key.starts_with('$') && !is_data {
                    return Err(Failure::invalid(format!(
                        "{} is no operator here; an object with such a key is given as {{ $json: … }}",
                        truncated(key)
                    )));
                }
                map.insert(key.to_string(), convert(value, is_data)?);
            }
            json!({ "M": map })
        }
    })
}

/// Reads an element of a set.
type ReadElement = fn(&Json) -> Result<String, Failure>;

fn read_extended(name: &str, content: &Json) -> Result<Value, Failure> {
    if name == "$numberDecimal" {
        let text = content.as_text();
        let text = text.ok_or_else(|| Failure::invalid("$numberDecimal must be a decimal as text"))?;
        return Ok(json!({ "N": number(text)? }));
    }
    let Json::List(elements) = content.value() else {
        return Err(Failure::invalid(format!(
            "{name} must be a list, got {}",
            content.kind()
        )));
    };
    let (kind, read): (_, ReadElement) = match name {
        "$stringSet" => ("SS", string_element),
        "$numberSet" => ("NS", number_element),
        _ => ("BS", bytes_element),
    };
    let mut set: Vec<String> = Vec::with_capacity(elements.len());
    for element in elements {
        let element = read(element)?;
        if !set.contains(&element) {
            set.push(element);
        }
    }
    if set.is_empty() {
        return Err(Failure::invalid(format!(
            "{name} is empty, and DynamoDB keeps no empty sets; leave the attribute out, or remove it by $unset"
        )));
    }
    Ok(json!({ kind: set }))
}

fn string_element(json: &Json) -> Result<String, Failure> {
    let text = json.as_text().map(str::to_owned);
    text.ok_or_else(|| Failure::invalid(format!("$stringSet takes strings, got {}", json.kind())))
}

fn number_element(json: &Json) -> Result<String, Failure> {
    numeric(json).unwrap_or_else(|| {
        Err(Failure::invalid(format!(
            "$numberSet takes numbers, got {}",
            json.kind()
        )))
    })
}

fn bytes_element(json: &Json) -> Result<String, Failure> {
    let bytes = match json.bytes() {
        Some(bytes) => Some(bytes?),
        None => json.as_text().and_then(|text| STANDARD.decode(text).ok()),
    };
    bytes
        .map(|bytes| STANDARD.encode(bytes))
        .ok_or_else(|| Failure::invalid("$bytesSet takes base64 texts"))
}

/// The number that a value is: a number, a text of one, or an extended one.
pub(super) fn numeric(json: &Json) -> Option<Result<String, Failure>> {
    match json.value() {
        Json::Number(text) | Json::Text(text) => Some(number(text)),
        _ => match extended::read(json, crate::connector::databases::dialect::Dialect::Dynamo) {
            Some(("$numberDecimal", content)) => content.as_text().map(number),
            _ => None,
        },
    }
}

/// A number in one form, so that equal numbers are equal texts.
pub(super) fn number(text: &str) -> Result<String, Failure> {
    let wrong = || Failure::invalid("is no number");
    let text = text.trim().strip_prefix('+').unwrap_or(text.trim());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    // What Rust takes as a number, without its words for infinity.
    if unsigned.is_empty() || !unsigned.bytes().all(is_digit) || unsigned.parse::<f64>().is_err() {
        return Err(wrong());
    }
    let (digits, exponent) = exact::normal(unsigned).ok_or_else(wrong)?;
    if digits.is_empty() {
        return Ok("0".into());
    }
    if digits.len() > MAX_DIGITS {
        return Err(Failure::invalid(format!(
            "has {} digits, and DynamoDB keeps {MAX_DIGITS}; give it as text",
            digits.len()
        )));
    }
    let first = exponent.saturating_add(digits.len() as i64 - 1);
    if !EXPONENTS.contains(&first) {
        return Err(Failure::invalid(
            "is too large or too small for DynamoDB, which keeps numbers from 1e-130 to 9.9e125",
        ));
    }
    let sign = if text.len() > unsigned.len() { "-" } else { "" };
    Ok(format!("{sign}{}", written(&digits, exponent)))
}

/// Digits with a power of ten of the last one, as a decimal; with an exponent where that would be long.
fn written(digits: &str, exponent: i64) -> String {
    let point = digits.len() as i64 + exponent;
    match usize::try_from(exponent) {
        Ok(zeros) if point <= MAX_DIGITS as i64 => format!("{digits}{}", "0".repeat(zeros)),
        Ok(_) => format!("{digits}E+{exponent}"),
        Err(_) if point > 0 => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
            format!("{whole}.{fraction}")
        }
        Err(_) if point > -6 => {
            let zeros = usize::try_from(-point).unwrap_or_default();
            format!("0.{}{digits}", "0".repeat(zeros))
        }
        Err(_) => format!("{digits}E{exponent}"),
    }
}

/// Which of two numbers of [`number`] is greater.
pub(super) fn compare_numbers(left: &str, right: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let parts = |text: &str| {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (digits, exponent) = exact::normal(unsigned).unwrap_or_default();
        let sign = match (digits.is_empty(), text.starts_with('-')) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let first = exponent + digits.len() as i64;
        (sign, first, digits)
    };
    let (left, right) = (parts(left), parts(right));
    match left.0.cmp(&right.0) {
        // Digits without zeros at their end compare as text.
        Ordering::Equal => {
            let size = left.1.cmp(&right.1).then_with(|| left.2.cmp(&right.2));
            if left.0 < 0 { size.reverse() } else { size }
        }
        other => other,
    }
}

/// A value as that of a key, whose type the table says.
pub(super) fn key_value(json: &Json, name: &str, kind: KeyKind) -> Result<Value, Failure> {
    let wrong = || {
        Failure::invalid(format!(
            "'{}' is of a key and must be {}, got {}",
            truncated(name),
            kind.described(),
            json.kind()
        ))
    };
    match kind {
        KeyKind::Text => match json.value() {
            Json::Text(text) if text.is_empty() => Err(Failure::invalid(format!(
                "'{}' is of a key and must not be an empty string",
                truncated(name)
            ))),
            Json::Text(text) => Ok(json!({ "S": &**text })),
            _ => Err(wrong()),
        },
        KeyKind::Number => match numeric(json) {
            Some(read) => read.map(|read| json!({ "N": read })).map_err(of_attribute(name)),
            None => Err(wrong()),
        },
        KeyKind::Bytes => match json.bytes() {
            Some(bytes) => Ok(json!({ "B": STANDARD.encode(bytes?) })),
            None => Err(wrong()),
        },
    }
}

/// The type of an attribute value, and its content.
pub(super) fn content(value: &Value) -> Option<(&str, &Value)> {
    let entries = value.as_object()?;
    let (kind, content) = entries.iter().next()?;
    (entries.len() == 1).then_some((kind.as_str(), content))
}

/// Writes an attribute value as JSON; what JSON lacks, in the form that inputs have for it.
pub(super) fn write(out: &mut String, value: &Value) {
    let Some((kind, content)) = content(value) else {
        out.push_str("null");
        return;
    };
    let text = content.as_str().unwrap_or_default();
    match kind {
        "S" => push_string(out, text),
        "N" => write_number(out, text, "$numberDecimal"),
        "B" => push_pair(out, "$bytes", text),
        "BOOL" => out.push_str(if content.as_bool() == Some(true) {
            "true"
        } else {
            "false"
        }),
        "L" => {
            let elements = content.as_array().map(Vec::as_slice).unwrap_or_default();
            list(out, elements, write);
        }
        "M" => match content.as_object() {
            Some(map) => write_map(out, map),
            None => out.push_str("{}"),
        },
        "SS" | "NS" | "BS" => {
            let elements = content.as_array().map(Vec::as_slice).unwrap_or_default();
            out.push_str(match kind {
                "SS" => "{\"$stringSet\":",
                "NS" => "{\"$numberSet\":",
                _ => "{\"$bytesSet\":",
            });
            list(out, elements, |out, element| {
                let text = element.as_str().unwrap_or_default();
                if kind == "NS" && is_kept(text) {
                    out.push_str(text);
                } else {
                    push_string(out, text);
                }
            });
            out.push('}');
        }
        _ => out.push_str("null"),
    }
}

fn list(out: &mut String, elements: &[Value], write: impl Fn(&mut String, &Value)) {
    out.push('[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, element);
    }
    out.push(']');
}

fn write_map(out: &mut String, map: &Item) {
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, key);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

fn write_number(out: &mut String, text: &str, name: &str) {
    if is_kept(text) {
        out.push_str(text);
    } else {
        push_pair(out, name, text);
    }
}

/// Whether a number can stand in JSON as it is, and JavaScript keeps its digits.
fn is_kept(text: &str) -> bool {
    exact::is_exact(text) && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form_and_all_their_digits() {
        for (text, expected) in [
            ("0", Some("0")),
            ("-0.00", Some("0")),
            ("1.50", Some("1.5")),
            ("+7", Some("7")),
            ("1e3", Some("1000")),
            ("100", Some("100")),
            ("0.001", Some("0.001")),
            ("1e-7", Some("1E-7")),
            ("1e125", Some("1E+125")),
            ("1e126", None),
            ("1e-130", Some("1E-130")),
            ("1e-131", None),
            ("-12345678901234567.89", Some("-12345678901234567.89")),
            (
                "12345678901234567890123456789012345678",
                Some("12345678901234567890123456789012345678"),
            ),
            ("123456789012345678901234567890123456789", None),
            ("1e99999999999999999999", None),
            ("", None),
            ("-", None),
            ("inf", None),
            ("NaN", None),
            ("1 or 1=1", None),
            ("0x10", None),
        ] {
            assert_eq!(number(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_by_all_their_digits() {
        let ordered = [
            "-1E+125",
            "-12345678901234567890.2",
            "-12345678901234567890.1",
            "-1",
            "0",
            "1E-130",
            "0.5",
            "5",
            "12",
            "100",
            "12345678901234567890123456789012345678",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(compare_numbers(left, right), at.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn values_are_typed_and_come_back_in_the_same_form() {
        for (given, kept) in [
            ("null", r#"{"NULL":true}"#),
            ("true", r#"{"BOOL":true}"#),
            (r#""x""#, r#"{"S":"x"}"#),
            ("1.5", r#"{"N":"1.5"}"#),
            (r#"{"$bytes":"AQI="}"#, r#"{"B":"AQI="}"#),
            (r#"{"$stringSet":["a","b"]}"#, r#"{"SS":["a","b"]}"#),
            (
                r#"{"$numberSet":[1,"12345678901234567890"]}"#,
                r#"{"NS":["1","12345678901234567890"]}"#,
            ),
            (r#"{"$bytesSet":["AQI="]}"#, r#"{"BS":["AQI="]}"#),
            (
                r#"{"$numberDecimal":"12345678901234567.89"}"#,
                r#"{"N":"12345678901234567.89"}"#,
            ),
            (
                r#"{"a":[1,{"b":null}]}"#,
                r#"{"M":{"a":{"L":[{"N":"1"},{"M":{"b":{"NULL":true}}}]}}}"#,
            ),
        ] {
            let value = stored(&Json::read(given).unwrap()).unwrap();
            assert_eq!(value.to_string(), kept);
            let mut text = String::new();
            write(&mut text, &value);
            assert_eq!(text, given);
        }
        let marked = Json::read_marked(r#"{"$literal":{"$gt":1}}"#).unwrap();
        assert_eq!(stored(&marked).unwrap().to_string(), r#"{"M":{"$gt":{"N":"1"}}}"#);
        for refused in [
            r#"{"$stringSet":[]}"#,
            r#"{"$stringSet":[1]}"#,
            r#"{"$numberSet":["x"]}"#,
            r#"{"$bytesSet":["%"]}"#,
            r#"{"$bytes":"%"}"#,
            r#"{"$numberDecimal":"x"}"#,
            r#"{"a":{"$gt":1}}"#,
            "1e999",
        ] {
            let failure = stored(&Json::read(refused).unwrap()).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{refused}");
        }
    }
}
