//! Values of inputs as BSON, and BSON as extended JSON.
//!
//! Invariants: no value is converted lossily; an input never becomes code or an operator here.

use crate::connector::Failure;
use crate::connector::databases::dates::{TimestampStyle, format_timestamp, parse_timestamp};
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::extended::{self, push_pair};
use crate::connector::databases::json::{Json, push_bytes, push_float, push_integer, push_string};
use crate::text::spelling::truncated;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, Regex, Timestamp};

/// Whole numbers from here on are compared with dates too, as milliseconds since 1970: from March 1973.
const LEAST_MILLIS: i64 = 100_000_000_000;
/// The last millisecond that extended JSON writes as text, at the end of the year 9999.
const LAST_TEXT_MILLIS: i64 = 253_402_300_799_999;
/// Integers that JavaScript represents exactly.
const SAFE_INTEGERS: std::ops::RangeInclusive<i64> = -9_007_199_254_740_991..=9_007_199_254_740_991;

/// A failure of a value of this field.
pub(super) fn of_field(name: &str) -> impl Fn(Failure) -> Failure {
    let name = truncated(name).to_string();
    move |failure| Failure {
        message: format!("the value of '{name}': {}", failure.message),
        ..failure
    }
}

/// A value as it is stored. A text in exactly the form of JavaScript's `Date.prototype.toISOString` is a date.
pub(super) fn stored(json: &Json) -> Result<Bson, Failure> {
    convert(json, false)
}

/// A value as it is stored, in which no key is an operator.
pub(super) fn as_data(json: &Json) -> Result<Bson, Failure> {
    convert(json, true)
}

fn convert(json: &Json, is_data: bool) -> Result<Bson, Failure> {
    let is_data = is_data || matches!(json, Json::Literal(_));
    if let Some(bytes) = json.bytes() {
        return bytes.map(binary);
    }
    if let Some(inner) = json.quoted() {
        return as_it_stands(inner);
    }
    if let Some((name, content)) = extended::read(json, Dialect::Mongo) {
        return read_extended(name, content);
    }
    Ok(match json.value() {
        Json::Number(text) => number(text)?,
        Json::Text(text) => exact_date(text).map_or_else(|| Bson::String(text.to_string()), Bson::DateTime),
        Json::List(list) => Bson::Array(
            list.iter()
                .map(|element| convert(element, is_data))
                .collect::<Result<_, _>>()?,
        ),
        Json::Map(entries) => {
            let mut document = Document::new();
            for (key, value) in entries {
                if key.starts_with('$') && !is_data {
                    return Err(Failure::invalid(format!(
                        "{} is no operator here; an object with such a key is given as {{ $json: … }}",
                        truncated(key)
                    )));
                }
                document.insert(checked_key(key)?, convert(value, is_data)?);
            }
            Bson::Document(document)
        }
        Json::Bool(flag) => Bson::Boolean(*flag),
        Json::Null | Json::Literal(_) | Json::Any => Bson::Null,
    })
}

/// JSON whose objects and texts mean nothing else.
fn as_it_stands(json: &Json) -> Result<Bson, Failure> {
    Ok(match json.value() {
        Json::Number(text) => number(text)?,
        Json::Text(text) => Bson::String(text.to_string()),
        Json::List(list) => Bson::Array(list.iter().map(as_it_stands).collect::<Result<_, _>>()?),
        Json::Map(entries) => {
            let mut document = Document::new();
            for (key, value) in entries {
                document.insert(checked_key(key)?, as_it_stands(value)?);
            }
            Bson::Document(document)
        }
        Json::Bool(flag) => Bson::Boolean(*flag),
        Json::Null | Json::Literal(_) | Json::Any => Bson::Null,
    })
}

fn checked_key(key: &str) -> Result<&str, Failure> {
    if key.contains('\0') {
        return Err(Failure::invalid("a key must not contain the character U+0000"));
    }
    Ok(key)
}

fn binary(bytes: Vec<u8>) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

/// A number without loss: 32 or 64 bits if it is whole, else floating point.
pub(super) fn number(text: &str) -> Result<Bson, Failure> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(integer(number));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number: f64 = text.parse().map_err(|_| Failure::invalid("is no number"))?;
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !number.is_finite() || (is_whole && format!("{number:.0}") != text) {
        return Err(Failure::invalid(
            "has more digits than a number of MongoDB keeps; give it as { $numberDecimal: '…' }",
        ));
    }
    Ok(Bson::Double(number))
}

fn integer(number: i64) -> Bson {
    i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32)
}

/// The date that a text is in the form of JavaScript's `toISOString`.
fn exact_date(text: &str) -> Option<DateTime> {
    let micros = parse_timestamp(text).filter(|micros| micros % 1_000 == 0)?;
    (format_timestamp(micros, TimestampStyle::Iso) == text).then(|| DateTime::from_millis(micros / 1_000))
}

/// A value in each of the types that fields may have for it: MongoDB compares only values of one type, so that each document
/// is compared by the type that it stores.
pub(super) struct Forms {
    pub(super) plain: Bson,
    /// As a point in time: of ISO 8601 text, and of whole numbers from 10¹¹ on up to the year 9999.
    pub(super) date: Option<Bson>,
    /// As an id: of 24 hexadecimal digits.
    pub(super) id: Option<Bson>,
}

impl Forms {
    pub(super) fn read(json: &Json) -> Result<Self, Failure> {
        let of_text = |text: &str| Self {
            plain: Bson::String(text.to_owned()),
            date: parse_timestamp(text).map(|micros| Bson::DateTime(DateTime::from_millis(micros.div_euclid(1_000)))),
            id: ObjectId::parse_str(text).ok().map(Bson::ObjectId),
        };
        match json.value() {
            Json::Text(text) => Ok(of_text(text)),
            Json::Number(text) => Ok(Self {
                plain: number(text)?,
                date: text
                    .parse()
                    .ok()
                    .filter(|millis: &i64| millis.unsigned_abs() >= LEAST_MILLIS.unsigned_abs())
                    // Beyond that, it is an id or an amount.
                    .filter(|millis| *millis <= LAST_TEXT_MILLIS)
                    .map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
                id: None,
            }),
            _ => Ok(Self {
                plain: compared(json)?,
                date: None,
                id: None,
            }),
        }
    }

    /// All of them.
    pub(super) fn all(self) -> Vec<Bson> {
        [Some(self.plain), self.date, self.id].into_iter().flatten().collect()
    }
}

/// A value that fields are compared with. A regular expression in a list would match instead.
fn compared(json: &Json) -> Result<Bson, Failure> {
    match stored(json)? {
        Bson::RegularExpression(_) => Err(Failure::invalid("regular expressions are given as { $regex: '…' }")),
        value => Ok(value),
    }
}

fn read_extended(name: &str, content: &Json) -> Result<Bson, Failure> {
    let wrong = |expected: &str| Failure::invalid(format!("{name} must be {expected}, got {}", content.kind()));
    let text = || content.as_text();
    Ok(match name {
        "$oid" => {
            let read = text().and_then(|text| ObjectId::parse_str(text).ok());
            Bson::ObjectId(read.ok_or_else(|| wrong("24 hexadecimal digits"))?)
        }
        "$date" => Bson::DateTime(date(content).ok_or_else(|| wrong("ISO 8601 text, or milliseconds since 1970"))?),
        "$numberInt" => Bson::Int32(parsed(content).ok_or_else(|| wrong("a whole number of 32 bits as text"))?),
        "$numberLong" => Bson::Int64(parsed(content).ok_or_else(|| wrong("a whole number of 64 bits as text"))?),
        "$numberDouble" => Bson::Double(parsed(content).ok_or_else(|| wrong("a number as text"))?),
        "$numberDecimal" => decimal(text().unwrap_or_default()).ok_or_else(|| wrong("a decimal as text"))?,
        "$binary" => read_binary(content).ok_or_else(|| wrong("an object { base64, subType }"))?,
        "$uuid" => read_uuid(text().unwrap_or_default()).ok_or_else(|| wrong("a UUID as text"))?,
        "$timestamp" => {
            let part = |name| member(content, name).and_then(parsed::<u32>);
            match (part("t"), part("i")) {
                (Some(time), Some(increment)) => Bson::Timestamp(Timestamp { time, increment }),
                _ => return Err(wrong("an object { t, i } of whole numbers")),
            }
        }
        "$regularExpression" => {
            let part = |name| member(content, name).and_then(Json::as_text);
            let read = part("pattern").and_then(|pattern| regex(pattern, part("options").unwrap_or_default()).ok());
            read.ok_or_else(|| wrong("an object { pattern, options }"))?
        }
        "$minKey" => Bson::MinKey,
        _ => Bson::MaxKey,
    })
}

fn member<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    let Json::Map(entries) = json.value() else { return None };
    entries.iter().find(|(key, _)| **key == *name).map(|(_, value)| value)
}

fn parsed<T: std::str::FromStr>(json: &Json) -> Option<T> {
    match json.value() {
        Json::Number(text) | Json::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn date(content: &Json) -> Option<DateTime> {
    match content.value() {
        Json::Text(text) => Some(DateTime::from_millis(parse_timestamp(text)?.div_euclid(1_000))),
        Json::Number(text) => text.parse().ok().map(DateTime::from_millis),
        _ => member(content, "$numberLong")
            .and_then(parsed)
            .map(DateTime::from_millis),
    }
}

/// A decimal, unless its digits are more than 34.
fn decimal(text: &str) -> Option<Bson> {
    text.parse::<Decimal128>().ok().map(Bson::Decimal128)
}

/// The operand of an operator that computes: a number, or a decimal as text.
pub(super) fn operand(json: &Json) -> Result<Bson, Failure> {
    match json.value() {
        Json::Text(text) => decimal(text.strip_prefix('+').unwrap_or(text))
            .ok_or_else(|| Failure::invalid("is no decimal of 34 digits")),
        _ => stored(json),
    }
}

/// The operand with the other sign.
pub(super) fn negated(json: &Json) -> Result<Bson, Failure> {
    let negated = match operand(json)? {
        Bson::Int32(number) => Some(integer(-i64::from(number))),
        Bson::Int64(number) => number.checked_neg().map(Bson::Int64),
        Bson::Double(number) => Some(Bson::Double(-number)),
        Bson::Decimal128(number) => {
            let text = number.to_string();
            decimal(&text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned))
        }
        _ => None,
    };
    negated.ok_or_else(|| Failure::invalid("must be a number of 64 bits, or a decimal as text"))
}

fn read_binary(content: &Json) -> Option<Bson> {
    let bytes = STANDARD.decode(member(content, "base64")?.as_text()?).ok()?;
    let subtype = u8::from_str_radix(member(content, "subType")?.as_text()?, 16).ok()?;
    Some(Bson::Binary(Binary {
        subtype: BinarySubtype::from(subtype),
        bytes,
    }))
}

fn read_uuid(text: &str) -> Option<Bson> {
    Some(Bson::Binary(Binary {
        subtype: BinarySubtype::Uuid,
        bytes: uuid::Uuid::try_parse(text).ok()?.into_bytes().to_vec(),
    }))
}

/// A regular expression; not with U+0000, at which the server's would end.
pub(super) fn regex(pattern: &str, options: &str) -> Result<Bson, Failure> {
    let text = |text: &str| {
        CString::try_from(text.to_owned())
            .map_err(|_| Failure::invalid("a pattern must not contain the character U+0000"))
    };
    Ok(Bson::RegularExpression(Regex {
        pattern: text(pattern)?,
        options: text(options)?,
    }))
}

/// Writes a value as extended JSON; numbers as such where JavaScript keeps them.
pub(super) fn write(out: &mut String, value: &Bson) {
    match value {
        Bson::Null => out.push_str("null"),
        Bson::Boolean(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Bson::String(text) => push_string(out, text),
        Bson::Int32(number) => push_integer(out, (*number).into()),
        Bson::Int64(number) if SAFE_INTEGERS.contains(number) => push_integer(out, (*number).into()),
        Bson::Int64(number) => push_pair(out, "$numberLong", &number.to_string()),
        Bson::Double(number) if number.is_finite() => push_float(out, *number),
        Bson::Double(number) if number.is_nan() => push_pair(out, "$numberDouble", "NaN"),
        Bson::Double(number) => push_pair(
            out,
            "$numberDouble",
            if *number > 0.0 { "Infinity" } else { "-Infinity" },
        ),
        Bson::Decimal128(number) => push_pair(out, "$numberDecimal", &number.to_string()),
        Bson::ObjectId(id) => push_pair(out, "$oid", &id.to_hex()),
        Bson::DateTime(date) => write_date(out, date.timestamp_millis()),
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Generic => push_bytes(out, &binary.bytes),
        Bson::Binary(binary) => {
            out.push_str("{\"$binary\":{\"base64\":\"");
            STANDARD.encode_string(&binary.bytes, out);
            out.push_str(&format!("\",\"subType\":\"{:02x}\"}}}}", u8::from(binary.subtype)));
        }
        Bson::Array(list) => {
            out.push('[');
            for (index, element) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, element);
            }
            out.push(']');
        }
        Bson::Document(document) => write_document(out, document),
        Bson::RegularExpression(regex) => {
            out.push_str("{\"$regularExpression\":{\"pattern\":");
            push_string(out, regex.pattern.as_str());
            out.push_str(",\"options\":");
            push_string(out, regex.options.as_str());
            out.push_str("}}");
        }
        Bson::Timestamp(stamp) => out.push_str(&format!(
            "{{\"$timestamp\":{{\"t\":{},\"i\":{}}}}}",
            stamp.time, stamp.increment
        )),
        Bson::JavaScriptCode(code) => push_pair(out, "$code", code),
        Bson::JavaScriptCodeWithScope(code) => {
            out.push_str("{\"$code\":");
            push_string(out, &code.code);
            out.push_str(",\"$scope\":");
            write_document(out, &code.scope);
            out.push('}');
        }
        Bson::Symbol(text) => push_pair(out, "$symbol", text),
        Bson::Undefined => out.push_str("{\"$undefined\":true}"),
        Bson::MinKey => out.push_str("{\"$minKey\":1}"),
        Bson::MaxKey => out.push_str("{\"$maxKey\":1}"),
        // Its parts cannot be read.
        Bson::DbPointer(_) => out.push_str("{\"$dbPointer\":{}}"),
    }
}

fn write_date(out: &mut String, millis: i64) {
    if (0..=LAST_TEXT_MILLIS).contains(&millis) {
        push_pair(out, "$date", &format_timestamp(millis * 1_000, TimestampStyle::Iso));
    } else {
        out.push_str("{\"$date\":");
        push_pair(out, "$numberLong", &millis.to_string());
        out.push('}');
    }
}

/// Writes a document as an object.
pub(super) fn write_document(out: &mut String, document: &Document) {
    out.push('{');
    for (index, (key, value)) in document.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, key);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}
