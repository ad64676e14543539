//! Writes values of MySQL and MariaDB as JSON.
//!
//! Invariant: numbers that JavaScript cannot represent exactly become strings.

use crate::connector::databases::dates::{self, TimestampStyle};
use crate::connector::databases::json;
use crate::connector::databases::value::{Kind, Scalar};
use mysql_async::consts::ColumnType;
use mysql_async::{Column, Value};

/// The character set of binary data.
const BINARY_CHARSET: u16 = 63;

pub(super) fn value(scalar: Scalar) -> Value {
    match scalar {
        Scalar::Null => Value::NULL,
        Scalar::Integer(number) => Value::Int(number),
        Scalar::Unsigned(number) => Value::UInt(number),
        Scalar::Float(number) => Value::Double(number),
        Scalar::Text(text) => Value::Bytes(text.into_bytes()),
        Scalar::Bytes(bytes) => Value::Bytes(bytes),
    }
}

/// Writes a value by the type of its column and its kind in the table's definition.
pub(super) fn write(out: &mut String, value: &Value, column: &Column, kind: Kind) {
    match value {
        Value::NULL => out.push_str("null"),
        Value::Int(flag @ (0 | 1)) if kind == Kind::Bool => out.push_str(if *flag == 1 { "true" } else { "false" }),
        Value::Int(number) => json::push_integer(out, (*number).into()),
        Value::UInt(number) => json::push_integer(out, (*number).into()),
        // By way of its shortest text, so that 0.1 stays 0.1.
        Value::Float(number) => json::push_float(out, number.to_string().parse().unwrap_or_else(|_| (*number).into())),
        Value::Double(number) => json::push_float(out, *number),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let date = format!("{year:04}-{month:02}-{day:02}");
            if column.column_type() == ColumnType::MYSQL_TYPE_DATE {
                return json::push_string(out, &date);
            }
            let text = format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}");
            // MySQL's zero date is no valid date and stays text.
            let read = dates::parse_timestamp(&text).map(|micros| dates::format_timestamp(micros, TimestampStyle::Iso));
            json::push_string(out, &read.unwrap_or(text));
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if *negative { "-" } else { "" };
            let hours = days * 24 + u32::from(*hours);
            let fraction = if *micros == 0 {
                String::new()
            } else {
                format!(".{micros:06}")
            };
            json::push_string(out, &format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"));
        }
        Value::Bytes(bytes) => write_bytes(out, bytes, column, kind),
    }
}

fn write_bytes(out: &mut String, bytes: &[u8], column: &Column, kind: Kind) {
    use ColumnType::{MYSQL_TYPE_BIT, MYSQL_TYPE_DECIMAL, MYSQL_TYPE_GEOMETRY, MYSQL_TYPE_JSON, MYSQL_TYPE_NEWDECIMAL};
    let text = String::from_utf8_lossy(bytes);
    match column.column_type() {
        MYSQL_TYPE_JSON => json::push_raw(out, &text),
        MYSQL_TYPE_NEWDECIMAL | MYSQL_TYPE_DECIMAL => json::push_string(out, &text),
        MYSQL_TYPE_BIT => {
            let number = bytes
                .iter()
                .take(8)
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
            json::push_integer(out, number.into());
        }
        MYSQL_TYPE_GEOMETRY => json::push_bytes(out, bytes),
        _ if column.character_set() == BINARY_CHARSET => json::push_bytes(out, bytes),
        // In MariaDB, JSON is text with a check constraint.
        _ if kind == Kind::Json => json::push_raw(out, &text),
        _ => json::push_string(out, &text),
    }
}
