//! What `having` compares with the numbers that are computed.
//!
//! Pure. Invariant: a value that is no number is refused, where databases would take it for 0 or compare it as nothing.

use super::update::is_extended_number;
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::filter::{Filter, Predicate};
use crate::connector::databases::json::Json;
use crate::text::spelling::truncated;

/// The same filter, with numbers in place of texts of digits; `counted` says which names are of numbers.
pub(super) fn with_numbers(
    filter: Filter,
    counted: &dyn Fn(&str) -> bool,
    dialect: Dialect,
) -> Result<Filter, Failure> {
    let all = |parts: Vec<Filter>| {
        let parts = parts.into_iter().map(|part| with_numbers(part, counted, dialect));
        parts.collect::<Result<Vec<_>, Failure>>()
    };
    Ok(match filter {
        Filter::All(parts) => Filter::All(all(parts)?),
        Filter::Any(parts) => Filter::Any(all(parts)?),
        Filter::Not(inner) => Filter::Not(Box::new(with_numbers(*inner, counted, dialect)?)),
        Filter::Column(name, predicate) if counted(&name) => {
            let number = |value: Json| number(&name, value, dialect);
            let predicate = match predicate {
                Predicate::Compare(how, value) => Predicate::Compare(how, number(value)?),
                Predicate::Between(low, high) => Predicate::Between(number(low)?, number(high)?),
                Predicate::In(values, wanted) => {
                    let values = values.into_iter().map(number);
                    Predicate::In(values.collect::<Result<_, _>>()?, wanted)
                }
                Predicate::IsNull(_) | Predicate::Exists(_) => predicate,
                Predicate::Like(_) | Predicate::Regex(_) => return Err(wrong(&name, "a pattern")),
                Predicate::ContainsAll(_) | Predicate::ContainsAny(_) => return Err(wrong(&name, "a list")),
            };
            Filter::Column(name, predicate)
        }
        other => other,
    })
}

fn number(name: &str, value: Json, dialect: Dialect) -> Result<Json, Failure> {
    match value.value() {
        Json::Number(_) | Json::Any | Json::Null => Ok(value),
        Json::Text(text) if is_decimal(text) => Ok(Json::Number(text.clone())),
        _ if is_extended_number(&value, dialect) => Ok(value),
        other => Err(wrong(name, other.kind())),
    }
}

fn wrong(name: &str, got: &str) -> Failure {
    Failure::invalid(format!(
        "input.having: '{}' is a number, and is compared with numbers; got {got}",
        truncated(name)
    ))
}

/// Whether a text is a number as JSON writes it, without an exponent.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}
