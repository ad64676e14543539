//! What a query asks of its sort key: one range, of all the conditions of a filter.
//!
//! Pure.

use super::expression::{Plain, plain_pattern};
use super::moment;
use super::schema::{KeyKind, Table};
use super::value::{compare_numbers, content};
use crate::connector::Failure;
use crate::connector::databases::filter::{Comparison, Predicate};
use crate::connector::databases::json::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::cmp::Ordering;

/// What is asked of the attribute that orders rows.
#[derive(Debug, PartialEq)]
pub(super) enum Range {
    Is(&'static str, Value),
    Between(Value, Value),
    Starts(Value),
}

/// What conditions on a sort key are together.
pub(super) enum Ranges {
    No,
    Nothing,
    Range(Range),
    /// A range without these ends.
    Open(Range, Vec<Value>),
}

/// One end of a range: its operator and its value.
type End = (&'static str, Value);

/// One range of all conditions on a sort key.
pub(super) fn range(table: &Table, name: &str, predicates: &[&Predicate]) -> Result<Ranges, Failure> {
    let value = |json: &Json| of_key(table, name, json);
    let (mut low, mut high): (Option<End>, Option<End>) = (None, None);
    for predicate in predicates {
        match predicate {
            Predicate::Compare(Comparison::Greater, json) if low.is_none() => low = Some((">", value(json)?)),
            Predicate::Compare(Comparison::GreaterOrEqual, json) if low.is_none() => low = Some((">=", value(json)?)),
            Predicate::Compare(Comparison::Less, json) if high.is_none() => high = Some(("<", value(json)?)),
            Predicate::Compare(Comparison::LessOrEqual, json) if high.is_none() => high = Some(("<=", value(json)?)),
            Predicate::Between(from, to) if low.is_none() && high.is_none() => {
                (low, high) = (Some((">=", value(from)?)), Some(("<=", value(to)?)));
            }
            _ if predicates.len() > 1 => return Ok(Ranges::No),
            Predicate::Compare(Comparison::Equal, json) => return Ok(Ranges::Range(Range::Is("=", value(json)?))),
            Predicate::In(values, true) => {
                return Ok(match values.as_slice() {
                    [] => Ranges::Nothing,
                    [json] => Ranges::Range(Range::Is("=", value(json)?)),
                    _ => Ranges::No,
                });
            }
            Predicate::Like(pattern) if table.kind(name) == Some(KeyKind::Text) && !pattern.ignore_case => {
                return Ok(match plain_pattern(pattern)? {
                    Plain::Start(text) if !text.is_empty() => Ranges::Range(Range::Starts(json!({ "S": text }))),
                    Plain::Whole(text) if !text.is_empty() => Ranges::Range(Range::Is("=", json!({ "S": text }))),
                    _ => Ranges::No,
                });
            }
            _ => return Ok(Ranges::No),
        }
    }
    Ok(match (low, high) {
        (Some((over, low)), Some((under, high))) => match compare(&low, &high) {
            Some(Ordering::Less) => {
                let ends = [(over == ">").then(|| low.clone()), (under == "<").then(|| high.clone())];
                Ranges::Open(Range::Between(low, high), ends.into_iter().flatten().collect())
            }
            Some(Ordering::Equal) if (over, under) == (">=", "<=") => Ranges::Range(Range::Is("=", low)),
            _ => Ranges::Nothing,
        },
        (Some((operator, value)), None) | (None, Some((operator, value))) => Ranges::Range(Range::Is(operator, value)),
        (None, None) => Ranges::No,
    })
}

/// Which of two values of a key is greater.
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    let ((kind, left), (other, right)) = (content(left)?, content(right)?);
    let (left, right) = (left.as_str()?, right.as_str()?);
    match kind {
        _ if kind != other => None,
        "N" => Some(compare_numbers(left, right)),
        "B" => {
            let bytes = |text: &str| STANDARD.decode(text).ok();
            Some(bytes(left)?.cmp(&bytes(right)?))
        }
        _ => Some(left.as_bytes().cmp(right.as_bytes())),
    }
}

/// A value of an attribute of a key.
pub(super) fn of_key(table: &Table, name: &str, value: &Json) -> Result<Value, Failure> {
    moment::of_key(value, name, table.kind(name).unwrap_or(KeyKind::Text))
}
