//! Changes of an update as update expressions.
//!
//! Pure. Invariant: each change is atomic, or refused by name.

use super::expression::{Expressions, bounded, operand_number, quoted};
use super::schema::Table;
use super::value::{content, key_value, of_attribute, stored};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::Change;
use crate::text::spelling::truncated;
use serde_json::{Value, json};

/// Changes that were checked.
pub(super) struct Changes<'c> {
    all: &'c [(Box<str>, Change)],
}

/// What `$addToSet` adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A set, or nothing yet.
    Set,
    /// A list that lacks the value.
    ListWithout,
    /// A list that has it, so that nothing is added.
    ListWith,
}

/// The expressions of changes.
#[derive(Debug)]
pub(super) struct Rendered {
    /// `None`: nothing changes.
    pub(super) update: Option<String>,
    /// What must hold for the list.
    pub(super) condition: Option<String>,
}

impl<'c> Changes<'c> {
    pub(super) fn of(table: &Table, all: &'c [(Box<str>, Change)]) -> Result<Self, Failure> {
        for (name, change) in all {
            if table.key.has(name) {
                return Err(Failure::invalid(format!(
                    "input.data: {} is of the table's key, which no update changes; insert a row with the other key and delete this one",
                    quoted(name)
                )));
            }
            let refused = match change {
                Change::Multiply(_)
                | Change::Least(_)
                | Change::Greatest(_)
                | Change::Pop { .. }
                | Change::Rename(_)
                | Change::CurrentDate => true,
                Change::Pull(_) => set_of(change).is_none(),
                _ => false,
            };
            if refused {
                return Err(not_atomic(name, change));
            }
        }
        Ok(Self { all })
    }

    /// Whether a row is the same when they are made twice.
    pub(super) fn are_repeatable(&self) -> bool {
        self.all.iter().all(|(_, change)| {
            matches!(
                change,
                Change::Set(_) | Change::Unset | Change::AddToSet(_) | Change::Pull(_)
            )
        })
    }

    /// Whether one value is added to what may be a list.
    pub(super) fn may_be_of_a_list(&self) -> bool {
        let mut added = self.all.iter().filter_map(|(_, change)| match change {
            Change::AddToSet(values) => Some(values.len()),
            _ => None,
        });
        added.next() == Some(1) && added.next().is_none()
    }

    /// The update expression.
    pub(super) fn render(
        &self,
        expressions: &mut Expressions<'_>,
        table: &Table,
        target: Target,
    ) -> Result<Rendered, Failure> {
        let (mut set, mut remove, mut add, mut delete) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut condition = None;
        for (name, change) in self.all {
            let path = expressions.path(name);
            let of = of_attribute(name);
            match change {
                Change::Set(json) => {
                    let value = match table.kind(name) {
                        Some(kind) => key_value(json, name, kind)?,
                        None => stored(json).map_err(of)?,
                    };
                    set.push(format!("{path} = {}", expressions.value(value)));
                }
                Change::Unset => remove.push(path),
                // With a negative number, so that the least of numbers is not another case.
                Change::Increment(by) | Change::Decrement(by) => {
                    let zero = expressions.value(json!({ "N": "0" }));
                    let by = operand_number(name, by, matches!(change, Change::Decrement(_)))?;
                    let by = expressions.value(by);
                    set.push(format!("{path} = if_not_exists({path}, {zero}) + {by}"));
                }
                Change::Push(values) => {
                    let values = all_stored(values).map_err(of)?;
                    set.push(appended(expressions, &path, values));
                }
                Change::AddToSet(values) => match target {
                    Target::Set => {
                        let value = set_of(change).ok_or_else(|| of_sets(name))?.map_err(of)?;
                        add.push(format!("{path} {}", expressions.value(value)));
                    }
                    Target::ListWithout | Target::ListWith => {
                        let values = all_stored(values).map_err(of)?;
                        let kind = expressions.value(json!({ "S": "L" }));
                        let has = match values.first() {
                            Some(value) => format!("contains({path}, {})", expressions.value(value.clone())),
                            None => return Err(of_sets(name)),
                        };
                        let lacks = target == Target::ListWithout;
                        let not = if lacks { "NOT " } else { "" };
                        condition = Some(format!("attribute_type({path}, {kind}) AND ({not}{has})"));
                        // Also what changes nothing is an expression, since not every server takes an update without one.
                        set.push(match lacks {
                            true => appended(expressions, &path, values),
                            false => format!("{path} = {path}"),
                        });
                    }
                },
                Change::Pull(_) => {
                    let value = set_of(change).ok_or_else(|| of_sets(name))?.map_err(of)?;
                    delete.push(format!("{path} {}", expressions.value(value)));
                }
                Change::Multiply(_)
                | Change::Least(_)
                | Change::Greatest(_)
                | Change::Pop { .. }
                | Change::Rename(_)
                | Change::CurrentDate => return Err(of_sets(name)),
            }
        }
        let clauses = [("SET", set), ("REMOVE", remove), ("ADD", add), ("DELETE", delete)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        let text: Vec<String> = clauses
            .map(|(clause, parts)| format!("{clause} {}", parts.join(", ")))
            .collect();
        let text = bounded("the update", text.join(" "))?;
        Ok(Rendered {
            update: (!text.is_empty()).then_some(text),
            condition,
        })
    }
}

/// What DynamoDB has no atomic form of.
fn not_atomic(name: &str, change: &Change) -> Failure {
    let (of, hint) = match change {
        Change::Pull(values) => (
            values.first().map_or("nothing", Json::kind).to_owned(),
            "it takes strings, numbers or bytes of one type, out of sets alone",
        ),
        _ => (
            format!("{} in one step", quoted(name)),
            "read the row, and set what the program computes under a filter on what it read",
        ),
    };
    Failure::invalid(format!(
        "input.data.{}: DynamoDB cannot do {} of {of}; {hint}",
        truncated(name),
        change.operator()
    ))
}

fn of_sets(name: &str) -> Failure {
    Failure::invalid(format!(
        "input.data: of {}, $addToSet and $pull take strings, numbers or bytes of one type, as sets hold them",
        quoted(name)
    ))
}

fn all_stored(values: &[Json]) -> Result<Vec<Value>, Failure> {
    values.iter().map(stored).collect()
}

fn appended(expressions: &mut Expressions<'_>, path: &str, values: Vec<Value>) -> String {
    let none = expressions.value(json!({ "L": [] }));
    let values = expressions.value(json!({ "L": values }));
    format!("{path} = list_append(if_not_exists({path}, {none}), {values})")
}

/// The set of the values of a change: what is a set already, or values of one type; `None`: they make no set.
fn set_of(change: &Change) -> Option<Result<Value, Failure>> {
    let (Change::AddToSet(values) | Change::Pull(values)) = change else {
        return None;
    };
    let values = match all_stored(values) {
        Ok(values) => values,
        Err(failure) => return Some(Err(failure)),
    };
    if let [only] = values.as_slice()
        && matches!(content(only), Some(("SS" | "NS" | "BS", _)))
    {
        return Some(Ok(only.clone()));
    }
    let (first, _) = content(values.first()?)?;
    let kind = match first {
        "S" => "SS",
        "N" => "NS",
        "B" => "BS",
        _ => return None,
    };
    let mut elements: Vec<&Value> = Vec::with_capacity(values.len());
    for value in &values {
        let (kind, element) = content(value)?;
        if kind != first {
            return None;
        }
        if !elements.contains(&element) {
            elements.push(element);
        }
    }
    Some(Ok(json!({ kind: elements })))
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::events;
    use super::super::value::Item;
    use super::*;
    use crate::connector::databases::dialect::Dialect;
    use crate::connector::databases::operation::Operation;
    use crate::connector::databases::request::{self, ReadContext};

    fn rendered(data: &str, target: Target) -> Result<(Rendered, Value), Failure> {
        let table = events();
        let input = format!(r#"{{"table":"events","all":true,"data":{data}}}"#);
        let context = ReadContext {
            dialect: Dialect::Dynamo,
            table: None,
            raw: true,
        };
        let Operation::Update(update) = request::read("update", &Json::read(&input)?, context)? else {
            panic!("no update")
        };
        let mut expressions = Expressions::of(&table);
        let rendered = Changes::of(&table, &update.changes)?.render(&mut expressions, &table, target)?;
        let mut request = Item::new();
        expressions.put_into(&mut request);
        let values = request.remove("ExpressionAttributeValues").unwrap_or_default();
        Ok((rendered, values))
    }

    #[test]
    fn changes_become_clauses() {
        for (data, expected, values) in [
            (
                r#"{"a":1,"o.b":null}"#,
                "SET #n0 = :v0, #n1.#n2 = :v1",
                r#"{":v0":{"N":"1"},":v1":{"NULL":true}}"#,
            ),
            (
                r#"{"$unset":["a"],"b":{"$set":{"$json":{"$inc":1}}}}"#,
                "SET #n1 = :v0 REMOVE #n0",
                r#"{":v0":{"M":{"$inc":{"N":"1"}}}}"#,
            ),
            (
                r#"{"a":{"$inc":2}}"#,
                "SET #n0 = if_not_exists(#n0, :v0) + :v1",
                r#"{":v0":{"N":"0"},":v1":{"N":"2"}}"#,
            ),
            (
                r#"{"a":{"$dec":"0.10"}}"#,
                "SET #n0 = if_not_exists(#n0, :v0) + :v1",
                r#"{":v0":{"N":"0"},":v1":{"N":"-0.1"}}"#,
            ),
            (
                r#"{"a":{"$push":{"$each":[1,"x"]}}}"#,
                "SET #n0 = list_append(if_not_exists(#n0, :v0), :v1)",
                r#"{":v0":{"L":[]},":v1":{"L":[{"N":"1"},{"S":"x"}]}}"#,
            ),
            (
                r#"{"a":{"$addToSet":{"$each":["x","y","x"]}}}"#,
                "ADD #n0 :v0",
                r#"{":v0":{"SS":["x","y"]}}"#,
            ),
            (
                r#"{"a":{"$addToSet":{"$numberSet":[1]}}}"#,
                "ADD #n0 :v0",
                r#"{":v0":{"NS":["1"]}}"#,
            ),
            (r#"{"a":{"$pull":"x"}}"#, "DELETE #n0 :v0", r#"{":v0":{"SS":["x"]}}"#),
            // Attributes of an index have their type.
            (r#"{"status":"x"}"#, "SET #n0 = :v0", r#"{":v0":{"S":"x"}}"#),
        ] {
            let (rendered, given) = rendered(data, Target::Set).unwrap();
            assert_eq!(rendered.update.as_deref(), Some(expected), "{data}");
            assert_eq!(given.to_string(), values, "{data}");
        }
        let (without, _) = rendered(r#"{"a":{"$addToSet":"x"}}"#, Target::ListWithout).unwrap();
        assert_eq!(
            without.condition.as_deref(),
            Some("attribute_type(#n0, :v0) AND (NOT contains(#n0, :v1))")
        );
        let (with, _) = rendered(r#"{"a":{"$addToSet":"x"}}"#, Target::ListWith).unwrap();
        assert_eq!(with.update.as_deref(), Some("SET #n0 = #n0"));
    }

    #[test]
    fn changes_that_are_not_atomic_are_refused_by_name() {
        for (data, named) in [
            (r#"{"a":{"$mul":2}}"#, "$mul"),
            (r#"{"a":{"$min":2}}"#, "$min"),
            (r#"{"a":{"$max":2}}"#, "$max"),
            (r#"{"a":{"$pop":1}}"#, "$pop"),
            (r#"{"a":{"$pull":{"x":1}}}"#, "$pull"),
            (r#"{"a":{"$rename":"b"}}"#, "$rename"),
            (r#"{"a":{"$currentDate":true}}"#, "$currentDate"),
            (r#"{"a":{"$addToSet":{"$each":[1,"x"]}}}"#, "$addToSet"),
            (r#"{"a":{"$inc":{"$numberSet":[1]}}}"#, "$inc"),
            (r#"{"user":"x"}"#, "'user'"),
            (r#"{"status":1}"#, "'status'"),
            (r#"{"a":{"$stringSet":[]}}"#, "$stringSet"),
        ] {
            let failure = rendered(data, Target::Set).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{data}");
            assert!(failure.message.contains(named), "{data}: {}", failure.message);
        }
    }
}
