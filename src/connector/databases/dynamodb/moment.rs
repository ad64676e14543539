//! Points in time that filters compare with.
//!
//! DynamoDB has no dates: programs keep them as text, as JavaScript's `Date` becomes in JSON, or as milliseconds. A job's
//! expression gives milliseconds, and each row is compared by what it stores.

use super::schema::KeyKind;
use super::value::{key_value, stored};
use crate::connector::Failure;
use crate::connector::databases::dates::{TimestampStyle, format_timestamp, from_millis};
use crate::connector::databases::json::Json;
use serde_json::{Value, json};

/// Whole numbers from here on, in 1973, may be milliseconds since 1970; others are counts or amounts.
const LEAST_MILLIS: i64 = 100_000_000_000;

/// The text that a number of milliseconds is as a `Date`; `None`: it is none.
fn as_text(json: &Json) -> Option<Value> {
    let Json::Number(text) = json.value() else { return None };
    let millis: i64 = text.parse().ok()?;
    if millis.unsigned_abs() < LEAST_MILLIS.unsigned_abs() {
        return None;
    }
    let text = format_timestamp(from_millis(text)?, TimestampStyle::Iso);
    Some(json!({ "S": text }))
}

/// What an attribute is compared with: a value, and its text where it may be a point in time.
pub(super) fn forms(json: &Json) -> Result<(Value, Option<Value>), Failure> {
    Ok((stored(json)?, as_text(json)))
}

/// What an attribute of a key is compared with.
pub(super) fn of_key(json: &Json, name: &str, kind: KeyKind) -> Result<Value, Failure> {
    match (kind, as_text(json)) {
        (KeyKind::Text, Some(text)) => Ok(text),
        _ => key_value(json, name, kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_compared_as_the_text_of_a_date_too() {
        for (given, expected) in [
            ("1769850000123", Some("2026-01-31T09:00:00.123Z")),
            ("5", None),
            ("1769850000123.5", None),
            ("\"1769850000123\"", None),
            ("99999999999999999", None),
        ] {
            let (_, text) = forms(&Json::read(given).unwrap()).unwrap();
            assert_eq!(text, expected.map(|text| json!({ "S": text })), "{given}");
        }
        let of = |kind| of_key(&Json::read("1769850000123").unwrap(), "at", kind).unwrap();
        assert_eq!(of(KeyKind::Text), json!({ "S": "2026-01-31T09:00:00.123Z" }));
        assert_eq!(of(KeyKind::Number), json!({ "N": "1769850000123" }));
    }
}
