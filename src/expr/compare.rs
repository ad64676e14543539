//! Comparisons of `$Filter` and `$Find`.

use super::number::Number;
use super::value::Value;
use std::cmp::Ordering;

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    Less,
    AtLeast,
    AtMost,
    Equal,
    StrictlyEqual,
    Unequal,
    StrictlyUnequal,
}

impl Comparison {
    pub(super) const NAMES: [&'static str; 8] = [">", "<", ">=", "<=", "==", "===", "!=", "!=="];

    pub(super) fn find(text: &str) -> Option<Self> {
        Some(match text {
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" => Self::AtLeast,
            "<=" => Self::AtMost,
            "==" => Self::Equal,
            "===" => Self::StrictlyEqual,
            "!=" => Self::Unequal,
            "!==" => Self::StrictlyUnequal,
            _ => return None,
        })
    }

    /// Whether `left` compares to `right` in this way. Values without a common order are neither less nor greater.
    pub(super) fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        let order = || compare_values(left, right);
        match self {
            Self::Greater => order() == Some(Ordering::Greater),
            Self::Less => order() == Some(Ordering::Less),
            Self::AtLeast => order().is_some_and(Ordering::is_ge),
            Self::AtMost => order().is_some_and(Ordering::is_le),
            Self::Equal => loosely_equal(left, right),
            Self::Unequal => !loosely_equal(left, right),
            Self::StrictlyEqual => strictly_equal(left, right),
            Self::StrictlyUnequal => !strictly_equal(left, right),
        }
    }
}

/// Compares numbers by value and strings by code points; beside a number, a numeric string counts as a number.
fn compare_values(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (left.number(), right.number()) {
        return a.compare(&b);
    }
    match (left.clone().text(), right.clone().text()) {
        (Ok(a), Ok(b)) => Some(a.cmp(&b)),
        (Ok(a), Err(b)) => parse_number(&a)?.compare(&b.number()?),
        (Err(a), Ok(b)) => a.number()?.compare(&parse_number(&b)?),
        _ => None,
    }
}

fn parse_number(text: &str) -> Option<Number<'static>> {
    let text = text.trim();
    match text.parse() {
        Ok(whole) => Some(Number::Integer(whole)),
        Err(_) => text.parse().ok().and_then(Number::finite),
    }
}

/// Whether kind and value are equal (`===`).
fn strictly_equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => a.compare(b) == Some(Ordering::Equal),
        (Value::Text(_) | Value::EscapedText(_), Value::Text(_) | Value::EscapedText(_)) => {
            left.clone().text().ok() == right.clone().text().ok()
        }
        (Value::List(_) | Value::Object(_) | Value::Json(_), Value::List(_) | Value::Object(_) | Value::Json(_)) => {
            left.to_json() == right.to_json()
        }
        _ => false,
    }
}

/// Whether the values are equal, a numeric string beside a number counting as a number (`==`).
fn loosely_equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    strictly_equal(left, right) || (left.kind() != right.kind() && compare_values(left, right) == Some(Ordering::Equal))
}
