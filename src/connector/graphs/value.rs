//! Values of inputs as Cypher takes them: parameters, and functions of parameters for types that JSON does not have.
//!
//! Invariant: nothing of a value becomes text of a statement, and none is changed: what has no exact form is refused.

use super::bolt::Value;
use crate::connector::Failure;
use crate::connector::databases::dates::parse_timestamp;
use crate::connector::databases::json::Json;
use crate::resources::{GRAPH_VALUE_TYPES, GraphKind};
use crate::text::spelling::truncated;

/// A value as it stands in a statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Value(Value),
    /// A function of a value.
    Call(Function, Value),
    List(Vec<Term>),
}

impl Term {
    /// Whether it is a point in time.
    pub(super) fn is_instant(&self) -> bool {
        matches!(self, Self::Call(Function::DateTime | Function::DateTimeOfMillis, _))
    }
}

/// Functions that make values of other types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    DateTime,
    /// Of milliseconds since 1970.
    DateTimeOfMillis,
    LocalDateTime,
    Date,
    Time,
    LocalTime,
    Duration,
    Point,
}

impl Function {
    /// The call with this argument.
    pub(super) fn call(self, argument: &str) -> String {
        match self {
            Self::DateTime => format!("datetime({argument})"),
            Self::DateTimeOfMillis => format!("datetime({{epochMillis: {argument}}})"),
            Self::LocalDateTime => format!("localdatetime({argument})"),
            Self::Date => format!("date({argument})"),
            Self::Time => format!("time({argument})"),
            Self::LocalTime => format!("localtime({argument})"),
            Self::Duration => format!("duration({argument})"),
            Self::Point => format!("point({argument})"),
        }
    }
}

/// Members of `$point`.
const POINT_MEMBERS: [&str; 8] = ["x", "y", "z", "longitude", "latitude", "height", "srid", "crs"];

/// Type and value of an object such as `{ $date: '2026-01-31' }`.
fn typed(json: &Json) -> Option<(&'static str, &Json)> {
    let Json::Map(entries) = json.value() else { return None };
    let [(key, value)] = entries.as_slice() else {
        return None;
    };
    let name = GRAPH_VALUE_TYPES
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(key))?;
    Some((name, value))
}

/// Whether it is an object that is a value.
pub(super) fn is_typed(json: &Json) -> bool {
    typed(json).is_some()
}

/// The value of a property.
pub(super) fn property(name: &str, json: &Json) -> Result<Term, Failure> {
    let term = match json.value() {
        Json::List(list) => {
            let terms: Vec<Term> = list.iter().map(|value| scalar(name, value)).collect::<Result<_, _>>()?;
            let plain = |term: &Term| match term {
                Term::Value(value) => Some(value.clone()),
                _ => None,
            };
            let values: Option<Vec<Value>> = terms.iter().map(plain).collect();
            values.map_or(Term::List(terms), |values| Term::Value(Value::List(values)))
        }
        _ => scalar(name, json)?,
    };
    Ok(term)
}

fn scalar(name: &str, json: &Json) -> Result<Term, Failure> {
    let refused = |what: &str| Failure::invalid(format!("the value of '{}' {what}", truncated(name)));
    let typed = typed(json);
    // An object that is no value is none whatever a job gives.
    if holds_any(json) && (typed.is_some() || *json.value() == Json::Any) {
        return Ok(Term::Value(Value::Null));
    }
    let Some((kind, inner)) = typed else {
        return Ok(Term::Value(match json.value() {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(text) => number(text).ok_or_else(|| refused("is a number that cannot be kept exactly"))?,
            Json::Text(text) => Value::Text(text.clone()),
            _ => {
                return Err(refused(
                    "is none of a property, which is a string, a number, a boolean, a list of these, or one of \
                     { $datetime }, { $localdatetime }, { $date }, { $time }, { $localtime }, { $duration }, { $point }, \
                     { $bytes }, { $integer }, { $float }",
                ));
            }
        }));
    };
    let text = || match inner.value() {
        Json::Text(text) => Ok(Value::Text(text.clone())),
        _ => Err(refused(&format!("has a {kind} that is no string"))),
    };
    Ok(match kind {
        "$datetime" => match inner.value() {
            Json::Number(millis) => match number(millis) {
                Some(millis @ Value::Integer(_)) => Term::Call(Function::DateTimeOfMillis, millis),
                _ => {
                    return Err(refused(
                        "has a $datetime that is neither a string nor a whole number of ms",
                    ));
                }
            },
            _ => Term::Call(Function::DateTime, text()?),
        },
        "$localdatetime" => Term::Call(Function::LocalDateTime, text()?),
        "$date" => Term::Call(Function::Date, text()?),
        "$time" => Term::Call(Function::Time, text()?),
        "$localtime" => Term::Call(Function::LocalTime, text()?),
        "$duration" => Term::Call(Function::Duration, text()?),
        "$point" => Term::Call(
            Function::Point,
            point(inner).ok_or_else(|| {
                refused("has a $point that is none, as in { $point: { longitude: 13.4, latitude: 52.5 } }")
            })?,
        ),
        _ => Term::Value(exact(kind, json, inner).ok_or_else(|| refused(&format!("has a {kind} that is none")))?),
    })
}

/// Whether it, or what makes up a value of a type, is what a job will give.
fn holds_any(json: &Json) -> bool {
    match json.value() {
        Json::Any => true,
        Json::Map(entries) => entries.iter().any(|(_, value)| holds_any(value)),
        _ => false,
    }
}

/// `$bytes`, `$integer` and `$float`.
fn exact(kind: &str, json: &Json, inner: &Json) -> Option<Value> {
    let digits = match inner.value() {
        Json::Number(text) | Json::Text(text) => Some(text),
        _ => None,
    };
    match kind {
        "$bytes" => json.bytes()?.ok().map(Value::Bytes),
        "$integer" => digits?.parse().ok().map(Value::Integer),
        _ => number(digits?).map(|value| match value {
            Value::Integer(whole) => Value::Float(whole as f64),
            other => other,
        }),
    }
}

fn point(json: &Json) -> Option<Value> {
    let Json::Map(entries) = json.value() else { return None };
    let member = |(key, value): &(Box<str>, Json)| {
        let known = POINT_MEMBERS.into_iter().find(|known| **known == **key)?;
        let value = match value.value() {
            Json::Number(text) => number(text)?,
            Json::Text(text) if known == "crs" => Value::Text(text.clone()),
            _ => return None,
        };
        Some((known.into(), value))
    };
    entries.iter().map(member).collect::<Option<_>>().map(Value::Map)
}

/// A number without loss: an integer, if it is written as one.
fn number(text: &str) -> Option<Value> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return text.parse().ok().map(Value::Integer);
    }
    // Not what only Rust reads as a number.
    let digits = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    let number: f64 = text.parse().ok().filter(|_| digits)?;
    number.is_finite().then_some(Value::Float(number))
}

/// A parameter of a query that somebody else wrote: any JSON.
pub(super) fn parameter(name: &str, json: &Json) -> Result<Value, Failure> {
    if let Some((kind, inner)) = typed(json).filter(|_| !holds_any(json)) {
        return exact(kind, json, inner).ok_or_else(|| {
            Failure::invalid(format!(
                "input.params.{0}: {kind} is not there in parameters; write its function in the query, as in datetime(${0})",
                truncated(name)
            ))
        });
    }
    Ok(match json.value() {
        Json::List(list) => Value::List(
            list.iter()
                .map(|value| parameter(name, value))
                .collect::<Result<_, _>>()?,
        ),
        Json::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), parameter(name, value)?)));
            Value::Map(entries.collect::<Result<_, Failure>>()?)
        }
        _ => match scalar(name, json)? {
            Term::Value(value) => value,
            Term::Call(_, value) => value,
            Term::List(_) => Value::Null,
        },
    })
}

/// What a property may hold that compares with a value: points in time match their texts in ISO 8601 and milliseconds.
pub(super) fn comparable(name: &str, json: &Json, in_order: bool, kind: GraphKind) -> Result<Vec<Term>, Failure> {
    let term = property(name, json)?;
    let mut all = Vec::with_capacity(3);
    if kind == GraphKind::Neo4j {
        match &term {
            Term::Value(millis @ Value::Integer(_)) if in_order => {
                all.push(Term::Call(Function::DateTimeOfMillis, millis.clone()));
            }
            Term::Value(Value::Text(text)) => {
                let functions = time_functions(text).iter();
                all.extend(functions.map(|function| Term::Call(*function, Value::Text(text.clone()))));
            }
            _ => {}
        }
    }
    all.insert(0, term);
    Ok(all)
}

/// What a text in ISO 8601 can stand for, beside itself.
fn time_functions(text: &str) -> &'static [Function] {
    let is_date = |text: &str| {
        let shape = text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        text.len() == 10 && shape
    };
    // What is read here must be read by servers too, which are stricter.
    if parse_timestamp(text).is_none() || text.len() > 40 {
        return &[];
    }
    let Some((date, time)) = text.split_once('T') else {
        return if is_date(text) { &[Function::Date] } else { &[] };
    };
    let clock = time.trim_end_matches('Z');
    let (clock, offset) = clock.find(['+', '-']).map_or((clock, ""), |at| clock.split_at(at));
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let clock_is_sound = matches!(clock.len(), 5 | 8) && !fraction.is_empty() && fraction.len() <= 9;
    let offset_is_sound = offset.is_empty() || (offset.len() == 6 && offset.get(1..3) < Some("18"));
    if !is_date(date) || !clock_is_sound || !offset_is_sound {
        return &[];
    }
    if time.ends_with('Z') || !offset.is_empty() {
        &[Function::DateTime]
    } else {
        &[Function::LocalDateTime, Function::DateTime]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Option<Term> {
        property("p", &Json::read(json).unwrap()).ok()
    }

    #[test]
    fn values_keep_their_types_and_digits() {
        let value = |value| Some(Term::Value(value));
        let call = |function, text: &str| Some(Term::Call(function, Value::text(text)));
        for (json, expected) in [
            ("1", value(Value::Integer(1))),
            ("-0", value(Value::Integer(0))),
            ("1.0", value(Value::Float(1.0))),
            ("1e3", value(Value::Float(1_000.0))),
            ("9223372036854775807", value(Value::Integer(i64::MAX))),
            ("9223372036854775808", None),
            ("1e999", None),
            (r#""1""#, value(Value::text("1"))),
            ("null", value(Value::Null)),
            ("[1,2]", value(Value::List(vec![Value::Integer(1), Value::Integer(2)]))),
            ("[[1]]", None),
            (r#"{"a":1}"#, None),
            (
                r#"{"$integer":"9007199254740993"}"#,
                value(Value::Integer(9_007_199_254_740_993)),
            ),
            (r#"{"$integer":"1.5"}"#, None),
            (r#"{"$float":1}"#, value(Value::Float(1.0))),
            (r#"{"$float":"NaN"}"#, None),
            (r#"{"$bytes":"AQI="}"#, value(Value::Bytes(vec![1, 2]))),
            (r#"{"$bytes":"%"}"#, None),
            (r#"{"$date":"2026-01-31"}"#, call(Function::Date, "2026-01-31")),
            (
                r#"{"$DateTime":"2026-01-31T09:00Z"}"#,
                call(Function::DateTime, "2026-01-31T09:00Z"),
            ),
            (
                r#"{"$datetime":5}"#,
                Some(Term::Call(Function::DateTimeOfMillis, Value::Integer(5))),
            ),
            (r#"{"$datetime":5.5}"#, None),
            (r#"{"$duration":7}"#, None),
            (
                r#"{"$point":{"x":1,"y":2.5}}"#,
                Some(Term::Call(
                    Function::Point,
                    Value::Map(vec![("x".into(), Value::Integer(1)), ("y".into(), Value::Float(2.5))]),
                )),
            ),
            (r#"{"$point":{"x":1,"w":2}}"#, None),
            (r#"{"$point":{"x":"1"}}"#, None),
            (
                r#"[{"$date":"2026-01-31"}]"#,
                Some(Term::List(vec![call(Function::Date, "2026-01-31").unwrap()])),
            ),
        ] {
            assert_eq!(of(json), expected, "{json}");
        }
    }

    #[test]
    fn only_what_servers_read_as_well_is_compared_with_points_in_time() {
        for (text, expected) in [
            ("2026-01-31", &[Function::Date][..]),
            ("2026-01-31T09:00:00.123Z", &[Function::DateTime]),
            ("2026-01-31T09:00+01:00", &[Function::DateTime]),
            ("2026-01-31T09:00:00", &[Function::LocalDateTime, Function::DateTime]),
            ("2026-01-31 09:00:00", &[]),
            ("2026-02-30", &[]),
            ("2026-01-31T9:00Z", &[]),
            ("2026-01-31T09:00:00.1234567891Z", &[]),
            ("2026-01-31T09:00:00+18:30", &[]),
            ("2026-01-31T09:00:00+01", &[]),
            ("+002026-01-31", &[]),
            ("now", &[]),
        ] {
            assert_eq!(time_functions(text), expected, "{text}");
        }
    }
}
