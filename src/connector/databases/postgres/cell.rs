//! Reads PostgreSQL values in binary format and writes them as JSON.
//!
//! Invariants: numbers that JavaScript cannot represent exactly become strings; malformed bytes yield an error, never a
//! panic.

use crate::connector::Failure;
use crate::connector::databases::dates::{self, TimestampStyle};
use crate::connector::databases::json;
use std::error::Error;
use tokio_postgres::types::{FromSql, Kind, Type};

/// Days and microseconds from 1970 to 2000, PostgreSQL's epoch.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;
const POSTGRES_EPOCH_MICROS: i64 = POSTGRES_EPOCH_DAYS * 86_400 * 1_000_000;

/// The range of JavaScript's dates, from 1970 on in both directions.
const MAX_MICROS: u64 = 8_640_000_000_000_000_000;

/// The bytes of a value of any type.
pub(super) struct Cell<'a>(pub(super) Option<&'a [u8]>);

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether values of a type can be read in binary; others are requested as text.
pub(super) fn is_readable(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(inner) => is_readable(inner),
        Kind::Array(element) => !matches!(element.kind(), Kind::Array(_)) && is_readable(element),
        _ => {
            const KNOWN: [Type; 24] = [
                Type::BOOL,
                Type::BYTEA,
                Type::CHAR,
                Type::NAME,
                Type::INT8,
                Type::INT2,
                Type::INT4,
                Type::TEXT,
                Type::OID,
                Type::JSON,
                Type::XML,
                Type::FLOAT4,
                Type::FLOAT8,
                Type::UUID,
                Type::JSONB,
                Type::DATE,
                Type::TIME,
                Type::TIMESTAMP,
                Type::TIMESTAMPTZ,
                Type::NUMERIC,
                Type::VARCHAR,
                Type::BPCHAR,
                Type::UNKNOWN,
                Type::VOID,
            ];
            KNOWN.contains(ty) || ty.name() == "citext"
        }
    }
}

/// Reads big-endian numbers from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }
}

/// Writes a value as JSON.
pub(super) fn write(out: &mut String, ty: &Type, bytes: &[u8]) -> Result<(), Failure> {
    written(out, ty, bytes).ok_or_else(|| {
        if is_timestamp(ty) {
            return Failure::invalid(format!(
                "a value of type {ty} is beyond the dates of JavaScript (the year 275760); read it as text, by `raw`"
            ));
        }
        Failure::connection(format!("the server sent a value of type {ty} that cannot be read"))
    })
}

fn is_timestamp(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Domain(inner) | Kind::Array(inner) => is_timestamp(inner),
        _ => *ty == Type::TIMESTAMP || *ty == Type::TIMESTAMPTZ,
    }
}

fn written(out: &mut String, ty: &Type, bytes: &[u8]) -> Option<()> {
    match ty.kind() {
        Kind::Domain(inner) => return written(out, inner, bytes),
        Kind::Array(element) => return list(out, element, bytes),
        _ => {}
    }
    let mut reader = Reader(bytes);
    match *ty {
        Type::BOOL => out.push_str(if *bytes.first()? == 0 { "false" } else { "true" }),
        Type::BYTEA => json::push_bytes(out, bytes),
        Type::CHAR => json::push_string(out, &char::from(*bytes.first()?).to_string()),
        Type::INT2 => json::push_integer(out, reader.i16()?.into()),
        Type::INT4 => json::push_integer(out, reader.i32()?.into()),
        Type::OID => json::push_integer(out, u32::from_be_bytes(reader.array()?).into()),
        Type::INT8 => json::push_integer(out, reader.i64()?.into()),
        // By way of its shortest text, so that 0.1 stays 0.1.
        Type::FLOAT4 => float4(out, f32::from_be_bytes(reader.array()?)),
        Type::FLOAT8 => json::push_float(out, f64::from_be_bytes(reader.array()?)),
        Type::NUMERIC => json::push_string(out, &numeric(reader)?),
        Type::JSON => json::push_raw(out, std::str::from_utf8(bytes).ok()?),
        // The first byte is the version of the format.
        Type::JSONB => json::push_raw(out, std::str::from_utf8(bytes.get(1..)?).ok()?),
        Type::UUID => json::push_string(out, &uuid(bytes)?),
        Type::DATE => json::push_string(
            out,
            &match reader.i32()? {
                i32::MAX => "infinity".to_owned(),
                i32::MIN => "-infinity".to_owned(),
                days => dates::format_date(i64::from(days) + POSTGRES_EPOCH_DAYS),
            },
        ),
        Type::TIME => json::push_string(out, &time(reader.i64()?)),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => json::push_string(
            out,
            &match reader.i64()? {
                i64::MAX => "infinity".to_owned(),
                i64::MIN => "-infinity".to_owned(),
                micros => {
                    let micros = micros.checked_add(POSTGRES_EPOCH_MICROS);
                    let micros = micros.filter(|micros| micros.unsigned_abs() <= MAX_MICROS)?;
                    dates::format_timestamp(micros, TimestampStyle::Iso)
                }
            },
        ),
        Type::VOID => out.push_str("null"),
        _ => json::push_string(out, std::str::from_utf8(bytes).ok()?),
    }
    Some(())
}

fn float4(out: &mut String, number: f32) {
    match number.to_string().parse() {
        Ok(exact) if number.is_finite() => json::push_float(out, exact),
        _ => json::push_float(out, number.into()),
    }
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to);
    let parts = [part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?];
    Some(parts.join("-"))
}

fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 {
        clock
    } else {
        format!("{clock}.{fraction:06}")
    }
}

/// Digits come in groups of four, the first of which is `weight` groups before the decimal point.
fn numeric(mut reader: Reader<'_>) -> Option<String> {
    let groups = reader.i16()?;
    let weight = i32::from(reader.i16()?);
    let sign = reader.i16()? as u16;
    let scale = usize::try_from(reader.i16()?).ok()?;
    match sign {
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => {}
    }
    let digits: Vec<i16> = (0..groups).map(|_| reader.i16()).collect::<Option<_>>()?;
    let group = |at: i32| {
        let index = usize::try_from(at).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let mut text = String::from(if sign == 0x4000 { "-" } else { "" });
    if weight < 0 {
        text.push('0');
    }
    for at in 0..=weight {
        let digits = group(at);
        text.push_str(&if at == 0 {
            digits.to_string()
        } else {
            format!("{digits:04}")
        });
    }
    if scale > 0 {
        let mut fraction = String::new();
        let mut at = weight + 1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", group(at)));
            at += 1;
        }
        text.push('.');
        text.push_str(fraction.get(..scale)?);
    }
    Some(text)
}

fn list(out: &mut String, element: &Type, bytes: &[u8]) -> Option<()> {
    let mut reader = Reader(bytes);
    let dimensions = usize::try_from(reader.i32()?).ok().filter(|count| *count <= 6)?;
    reader.i32()?;
    reader.i32()?;
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        lengths.push(usize::try_from(reader.i32()?).ok()?);
        reader.i32()?;
    }
    if lengths.is_empty() {
        out.push_str("[]");
        return Some(());
    }
    dimension(out, element, &lengths, &mut reader)
}

fn dimension(out: &mut String, element: &Type, lengths: &[usize], reader: &mut Reader<'_>) -> Option<()> {
    let (length, inner) = lengths.split_first()?;
    out.push('[');
    for index in 0..*length {
        if index > 0 {
            out.push(',');
        }
        if !inner.is_empty() {
            dimension(out, element, inner, reader)?;
            continue;
        }
        match usize::try_from(reader.i32()?) {
            Ok(size) => written(out, element, reader.take(size)?)?,
            Err(_) => out.push_str("null"),
        }
    }
    out.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ty: &Type, bytes: &[u8]) -> Option<String> {
        let mut out = String::new();
        written(&mut out, ty, bytes).map(|()| out)
    }

    #[test]
    fn numeric_values_keep_all_digits() {
        let numeric = |words: &[i16]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            shown(&Type::NUMERIC, &bytes).unwrap()
        };
        assert_eq!(numeric(&[3, 1, 0, 2, 1, 2345, 6700]), "\"12345.67\"");
        assert_eq!(numeric(&[1, -2, 0x4000, 6, 1200]), "\"-0.000012\"");
        assert_eq!(numeric(&[1, 2, 0, 0, 1]), "\"100000000\"");
        assert_eq!(numeric(&[0, 0, 0, 2]), "\"0.00\"");
        assert_eq!(numeric(&[0, 0, 0xC000_u16 as i16, 0]), "\"NaN\"");
    }

    #[test]
    fn malformed_binary_value_is_an_error() {
        for ty in [
            Type::INT8,
            Type::NUMERIC,
            Type::TIMESTAMPTZ,
            Type::INT4_ARRAY,
            Type::JSONB,
            Type::BOOL,
            Type::UUID,
        ] {
            assert_eq!(shown(&ty, &[]), None, "{ty}");
        }
        assert_eq!(shown(&Type::TEXT, &[0xff]), None);
        // An array that claims to be longer than it is.
        let list: Vec<u8> = [1, 0, 23, i32::MAX, 1, 4, 7]
            .iter()
            .flat_map(|word: &i32| word.to_be_bytes())
            .collect();
        assert_eq!(shown(&Type::INT4_ARRAY, &list), None);
    }
}
