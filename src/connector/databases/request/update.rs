//! Reads the changes of an update: values by column, operators by column (`{ stock: { $inc: 1 } }`), and columns by
//! operator (`{ $inc: { stock: 1 } }`).
//!
//! Invariant: a value that a job marked as data stays a value, even if it looks like an operator.

use super::{DATA, FILTER, InputFields, TABLE};
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::extended;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::{Change, Operation, Update};
use crate::connector::limits::{MAX_COLUMNS, MAX_LIST_VALUES};
use crate::text::spelling::{simplified, suggestion, truncated};

/// The operators, as documented.
const OPERATORS: [&str; 16] = [
    "$set",
    "$unset",
    "$inc",
    "$dec",
    "$increment",
    "$decrement",
    "$mul",
    "$multiply",
    "$min",
    "$max",
    "$push",
    "$pull",
    "$addToSet",
    "$pop",
    "$rename",
    "$currentDate",
];

/// Whether a key is an operator of updates.
pub(super) fn is_operator(key: &str) -> bool {
    key.starts_with('$') && OPERATORS.iter().any(|known| simplified(known) == simplified(key))
}

impl InputFields<'_> {
    pub(super) fn update(&self, one: bool) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&TABLE, &FILTER, &DATA, &["returning", "all"]])?;
        Ok(Operation::Update(Update {
            table: self.table()?,
            filter: self.bounded_filter("an update")?,
            changes: self.changes()?,
            one,
            returning: self.returning()?,
        }))
    }

    fn changes(&self) -> Result<Vec<(Box<str>, Change)>, Failure> {
        let json = self.data()?;
        let entries = match json.value() {
            Json::Map(entries) => entries,
            Json::Any => return Ok(Vec::new()),
            Json::List(_) => {
                return Err(Failure::invalid(
                    "input.data: must be an object of columns and values; an update takes no list",
                ));
            }
            _ => return Err(self.type_mismatch("data", "an object of columns and values", json)),
        };
        let is_data = matches!(json, Json::Literal(_));
        let mut changes: Vec<(Box<str>, Change)> = Vec::with_capacity(entries.len());
        let mut add = |name: &str, change: Change| {
            let name = self.column(name)?;
            if changes.iter().any(|(known, _)| *known == name) {
                return Err(Failure::invalid(format!(
                    "input.data: changes '{}' twice",
                    truncated(&name)
                )));
            }
            changes.push((name, change));
            Ok(())
        };
        for (key, value) in entries {
            if is_data || !key.starts_with('$') {
                add(
                    key,
                    if is_data {
                        Change::Set(value.marked())
                    } else {
                        change(key, value, self.context.dialect)?
                    },
                )?;
                continue;
            }
            match value {
                Json::Map(columns) => {
                    for (name, of) in columns {
                        add(name, operator(name, key, of, self.context.dialect)?)?;
                    }
                }
                // `$unset` needs no values.
                Json::Text(_) | Json::List(_) if simplified(key) == "unset" => {
                    let names = match value {
                        Json::List(list) => list.as_slice(),
                        one => std::slice::from_ref(one),
                    };
                    for name in names {
                        let name = name.as_text().ok_or_else(|| self.type_mismatch(key, "columns", name))?;
                        add(name, Change::Unset)?;
                    }
                }
                _ if is_operator(key) => {
                    return Err(self.type_mismatch(
                        &format!("data.{}", truncated(key)),
                        "an object of columns and values",
                        value,
                    ));
                }
                _ => return Err(unknown(key)),
            }
        }
        if changes.is_empty() || changes.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "input.data: must change 1 to {MAX_COLUMNS} columns, got {}",
                changes.len()
            )));
        }
        Ok(changes)
    }
}

fn unknown(key: &str) -> Failure {
    Failure::invalid(format!(
        "input.data: {} is no operator of updates; {}. JSON is given as {{ $set: … }}",
        truncated(key),
        suggestion(key, &OPERATORS)
    ))
}

/// The change of a column: a value, or an object with one operator.
fn change(name: &str, value: &Json, dialect: Dialect) -> Result<Change, Failure> {
    let Json::Map(entries) = value else {
        return Ok(Change::Set(value.clone()));
    };
    if value.is_special(dialect) || !entries.iter().any(|(key, _)| key.starts_with('$')) {
        return Ok(Change::Set(value.clone()));
    }
    match entries.as_slice() {
        [(key, of)] => operator(name, key, of, dialect),
        _ => Err(Failure::invalid(format!(
            "input.data.{}: must have one operator; JSON is given as {{ $set: … }}",
            truncated(name)
        ))),
    }
}

fn operator(name: &str, key: &str, of: &Json, dialect: Dialect) -> Result<Change, Failure> {
    let wrong = |expected: &str| {
        Failure::invalid(format!(
            "input.data.{}: {} takes {expected}, got {}",
            truncated(name),
            truncated(key),
            of.kind()
        ))
    };
    let number = || match of.value() {
        Json::Number(_) | Json::Any => Ok(of.clone()),
        Json::Text(text) if is_number(text) => Ok(of.clone()),
        _ if is_extended_number(of, dialect) => Ok(of.clone()),
        _ => Err(wrong("a number")),
    };
    let value = || match of.value() {
        Json::Null => Err(wrong("a value")),
        _ => Ok(of.clone()),
    };
    Ok(match simplified(key).as_str() {
        "set" => Change::Set(of.clone()),
        "unset" => match of.value() {
            Json::Bool(true) | Json::Any => Change::Unset,
            Json::Number(text) if **text == *"1" => Change::Unset,
            Json::Text(text) if text.is_empty() => Change::Unset,
            _ => return Err(wrong("true, 1 or '', whatever it takes away")),
        },
        "inc" | "increment" => Change::Increment(number()?),
        "dec" | "decrement" => Change::Decrement(number()?),
        "mul" | "multiply" => Change::Multiply(number()?),
        "min" => Change::Least(value()?),
        "max" => Change::Greatest(value()?),
        "push" => Change::Push(elements(name, key, of, dialect, "each")?),
        "addtoset" => Change::AddToSet(elements(name, key, of, dialect, "each")?),
        "pull" => Change::Pull(elements(name, key, of, dialect, "in")?),
        "pop" => match of.value() {
            Json::Number(text) if **text == *"-1" => Change::Pop { first: true },
            Json::Number(text) if **text == *"1" => Change::Pop { first: false },
            Json::Bool(true) | Json::Any => Change::Pop { first: false },
            _ => return Err(wrong("1 for the last element, or -1 for the first")),
        },
        "rename" if *of.value() == Json::Any => return Err(wrong("the new name, which a job does not give")),
        "rename" => Change::Rename(of.as_text().ok_or_else(|| wrong("the new name"))?.into()),
        "currentdate" => match of.value() {
            Json::Bool(true) | Json::Any => Change::CurrentDate,
            Json::Map(entries) if matches!(entries.as_slice(), [(key, kind)] if **key == *"$type" && kind.as_text() == Some("date")) => {
                Change::CurrentDate
            }
            _ => return Err(wrong("true, or { $type: 'date' }")),
        },
        _ => return Err(unknown(key)),
    })
}

/// One element, or several as `{ $each: [...] }` (of `$pull`: `{ $in: [...] }`).
fn elements(name: &str, key: &str, of: &Json, dialect: Dialect, several: &str) -> Result<Vec<Json>, Failure> {
    let Json::Map(entries) = of else {
        return Ok(vec![of.clone()]);
    };
    match entries.as_slice() {
        [(operator, list)] if operator.starts_with('$') && simplified(operator) == several => {
            if *list.value() == Json::Any {
                return Ok(vec![Json::Any]);
            }
            let Json::List(list) = list.value() else {
                return Err(Failure::invalid(format!(
                    "input.data.{}: ${several} must be a list, got {}",
                    truncated(name),
                    list.kind()
                )));
            };
            if list.is_empty() || list.len() > MAX_LIST_VALUES {
                return Err(Failure::invalid(format!(
                    "input.data.{}: ${several} must have 1 to {MAX_LIST_VALUES} values, got {}",
                    truncated(name),
                    list.len()
                )));
            }
            Ok(list.clone())
        }
        _ if extended::read(of, dialect).is_some() || of.is_special(dialect) && dialect == Dialect::Mongo => {
            Ok(vec![of.clone()])
        }
        entries if of.bytes().is_none() && entries.iter().any(|(key, _)| key.starts_with('$')) => {
            Err(Failure::invalid(format!(
                "input.data.{}: {} takes a value, or several as {{ ${several}: [...] }}",
                truncated(name),
                truncated(key)
            )))
        }
        _ => Ok(vec![of.clone()]),
    }
}

/// Whether a value is a number of extended JSON.
pub(super) fn is_extended_number(value: &Json, dialect: Dialect) -> bool {
    let is_number = |name: &str| name.starts_with("$number") && name != "$numberSet";
    extended::read(value, dialect).is_some_and(|(name, _)| is_number(name))
}

/// Whether a text is a decimal number.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.bytes().filter(u8::is_ascii_digit).count();
    let points = unsigned.bytes().filter(|byte| *byte == b'.').count();
    digits > 0 && points <= 1 && digits + points == unsigned.len()
}
