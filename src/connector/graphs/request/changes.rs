//! Reads the changes of properties.

use super::{InputFields, UNKNOWN, bounded_properties, type_mismatch};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::graphs::name::Name;
use crate::connector::graphs::operation::{Change, Changes, Merge};
use crate::connector::graphs::value;
use crate::resources::GRAPH_UPDATE_OPERATORS;
use crate::text::spelling::{simplified, suggestion, truncated};

impl InputFields<'_> {
    /// Changes by property: values, or operators such as `{ visits: { $inc: 1 } }` and `{ $inc: { visits: 1 } }`.
    pub(super) fn changes(&self, names: &[&str]) -> Result<Changes, Failure> {
        let name = names.first().copied().unwrap_or_default();
        let mut changes = Vec::new();
        for (key, value) in self.given(names)? {
            let operators = match &value {
                Json::Map(entries) if key.starts_with('$') => Some(entries),
                _ if key.starts_with('$') => {
                    return Err(type_mismatch(
                        name,
                        "an object of properties behind each operator",
                        &value,
                    ));
                }
                _ => None,
            };
            match operators {
                Some(entries) => {
                    bounded_properties(name, entries)?;
                    for (property, operand) in entries {
                        changes.push((Name::read("property", property)?, read_change(&key, operand)?));
                    }
                }
                None => changes.push((Name::read("property", &key)?, change_of(name, &key, &value)?)),
            }
        }
        Ok(changes)
    }

    /// The members of an object, without those that mean nothing.
    fn given(&self, names: &[&str]) -> Result<Vec<(Box<str>, Json)>, Failure> {
        let name = names.first().copied().unwrap_or_default();
        let Some(json) = self.get(names)? else {
            return Ok(Vec::new());
        };
        let entries = match json.value() {
            Json::Map(entries) => entries,
            Json::Any => return Ok(vec![(UNKNOWN.into(), Json::Any)]),
            _ => return Err(type_mismatch(name, "an object of properties and values", json)),
        };
        bounded_properties(name, entries)?;
        let literal = matches!(json, Json::Literal(_));
        if literal && entries.iter().any(|(key, _)| key.starts_with('$')) {
            return Err(Failure::invalid(format!("input.{name}: a literal has no operators")));
        }
        let marked = |value: &Json| {
            if literal {
                Json::Literal(Box::new(value.clone()))
            } else {
                value.clone()
            }
        };
        Ok(entries
            .iter()
            .map(|(key, value)| (key.clone(), marked(value)))
            .collect())
    }

    pub(super) fn merge(&self) -> Result<Merge, Failure> {
        let set = self.changes(&["setProperties", "setProps"])?;
        let merged = |names: &[&str]| -> Result<Changes, Failure> {
            let mut changes = set.clone();
            changes.extend(self.changes(names)?);
            Ok(changes)
        };
        let merge = Merge {
            matched: self.properties(&["matchProperties", "matchProps"])?,
            on_create: merged(&["onCreate"])?,
            on_match: merged(&["onMatch"])?,
        };
        if let Some((name, _)) = merge.matched.iter().find(|(_, value)| *value.value() == Json::Null) {
            return Err(Failure::invalid(format!(
                "input.matchProperties.{}: must have a value, got null, which no property equals",
                truncated(name.as_str())
            )));
        }
        found_again(&merge)?;
        Ok(merge)
    }
}

/// Refuses what creates something that the same properties do not find: each job would create one more.
fn found_again(merge: &Merge) -> Result<(), Failure> {
    for (name, change) in &merge.on_create {
        let Some((_, matched)) = merge.matched.iter().find(|(known, _)| known == name) else {
            continue;
        };
        let same = match change {
            Change::Set(value) => {
                let (value, matched) = (value.value(), matched.value());
                value == matched || *value == Json::Any || *matched == Json::Any
            }
            _ => false,
        };
        if !same {
            return Err(Failure::invalid(format!(
                "input.onCreate.{0}: differs from `matchProperties.{0}`, by which what is created is to be found again; leave \
                 it out here and in `setProperties`, or change it by `onMatch`",
                truncated(name.as_str())
            )));
        }
    }
    Ok(())
}

/// The change that one member of `properties` asks for.
fn change_of(name: &str, key: &str, value: &Json) -> Result<Change, Failure> {
    let Json::Map(entries) = value else {
        return Ok(Change::Set(value.clone()));
    };
    if value::is_typed(value) || !entries.iter().any(|(key, _)| key.starts_with('$')) {
        return Ok(Change::Set(value.clone()));
    }
    let [(operator, operand)] = entries.as_slice() else {
        return Err(Failure::invalid(format!(
            "input.{name}.{}: must have one operator",
            truncated(key)
        )));
    };
    read_change(operator, operand)
}

fn read_change(operator: &str, operand: &Json) -> Result<Change, Failure> {
    let number = || match operand.value() {
        Json::Number(_) | Json::Any => Ok(operand.clone()),
        _ if value::is_typed(operand) => Ok(operand.clone()),
        _ => Err(Failure::invalid(format!(
            "{} must have a number, got {}",
            truncated(operator),
            operand.kind()
        ))),
    };
    // Nothing compares with null, and a list has none.
    let value = || match operand.value() {
        Json::Null => Err(Failure::invalid(format!(
            "{} must have a value, got null; take a property away by $unset",
            truncated(operator)
        ))),
        _ => Ok(operand.clone()),
    };
    Ok(match &*simplified(operator) {
        "set" => Change::Set(operand.clone()),
        "unset" => Change::Unset,
        "inc" | "increment" => Change::Increment(number()?),
        "dec" | "decrement" => Change::Decrement(number()?),
        "mul" | "multiply" => Change::Multiply(number()?),
        "min" => Change::Least(value()?),
        "max" => Change::Greatest(value()?),
        "push" => Change::Push(value()?),
        "pull" => Change::Pull(value()?),
        "addtoset" => Change::AddToSet(value()?),
        _ => {
            return Err(Failure::invalid(format!(
                "{} is no operator of updates; {}",
                truncated(operator),
                suggestion(operator, &GRAPH_UPDATE_OPERATORS)
            )));
        }
    })
}
