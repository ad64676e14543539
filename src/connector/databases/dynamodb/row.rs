//! Rows of results.
//!
//! Pure.

use super::schema::Table;
use super::value::{Item, write};
use crate::connector::Failure;
use crate::connector::databases::operation::Columns;
use crate::connector::databases::plan::Shape;
use crate::connector::databases::rows::{Outcome, RowWriter};
use serde_json::{Value, json};

/// Writes a row; `false`: no more are wanted. The key comes first, then the other attributes by name, or all in the order of
/// `columns`.
pub(super) fn push_row(rows: &mut RowWriter, table: &Table, columns: &Columns, item: &Item) -> bool {
    if !rows.begin() {
        return false;
    }
    match columns {
        Columns::These(columns) => {
            for (name, value) in &selected(item, columns) {
                rows.cell(name, |out| write(out, value));
            }
        }
        Columns::All => {
            let keys = table.key.names().filter_map(|name| Some((name, item.get(name)?)));
            let others = item.iter().filter(|(name, _)| !table.key.has(name));
            for (name, value) in keys.chain(others.map(|(name, value)| (name.as_str(), value))) {
                rows.cell(name, |out| write(out, value));
            }
        }
    }
    rows.end()
}

/// The attributes that are wanted, in this order; a path such as `address.city` leaves the object around it.
fn selected(item: &Item, columns: &[Box<str>]) -> Vec<(String, Value)> {
    let mut shown: Vec<(String, Value)> = Vec::with_capacity(columns.len());
    for column in columns {
        let path: Vec<&str> = match item.contains_key(&**column) {
            true => vec![column],
            false => column.split('.').collect(),
        };
        let Some((first, rest)) = path.split_first() else {
            continue;
        };
        let Some(value) = item.get(*first).and_then(|value| reduced(value, rest)) else {
            continue;
        };
        match shown.iter_mut().find(|(name, _)| name == first) {
            Some((_, known)) => merge(known, value),
            None => shown.push(((*first).to_owned(), value)),
        }
    }
    shown
}

/// A value with nothing in it but what the path leads to.
fn reduced(value: &Value, path: &[&str]) -> Option<Value> {
    let Some((first, rest)) = path.split_first() else {
        return Some(value.clone());
    };
    let inner = reduced(value.get("M")?.get(*first)?, rest)?;
    Some(json!({ "M": { *first: inner } }))
}

/// Puts the members of an object into another one.
fn merge(known: &mut Value, more: Value) {
    let (Some(known), Some(more)) = (known.as_object_mut(), more.as_object()) else {
        return;
    };
    for (name, value) in more {
        match known.get_mut(name) {
            Some(known) => merge(known, value.clone()),
            None => {
                known.insert(name.clone(), value.clone());
            }
        }
    }
}

/// The result of a change.
pub(super) fn changed(count: u64, table: &Table, returned: Option<(&Columns, &[Item])>) -> Result<String, Failure> {
    let rows = returned.map(|(columns, items)| {
        let mut rows = RowWriter::new(Shape::Changes);
        for item in items {
            if !push_row(&mut rows, table, columns, item) {
                break;
            }
        }
        rows
    });
    let outcome = Outcome {
        rows,
        changed: count,
        id: None,
    };
    outcome.result(Shape::Changes, None)
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::events;
    use super::*;
    use crate::connector::databases::rows::result_of;

    #[test]
    fn rows_have_their_key_first_and_columns_in_the_order_that_was_asked_for() {
        let item = json!({
            "a": { "N": "1" }, "user": { "S": "u" }, "at": { "N": "2" },
            "o": { "M": { "x": { "S": "1" }, "y": { "M": { "z": { "N": "3" }, "w": { "N": "4" } } } } },
        });
        let item = item.as_object().unwrap();
        for (columns, expected) in [
            (
                Columns::All,
                r#"{"user":"u","at":2,"a":1,"o":{"x":"1","y":{"w":4,"z":3}}}"#,
            ),
            (
                Columns::These(vec!["a".into(), "user".into(), "none".into()]),
                r#"{"a":1,"user":"u"}"#,
            ),
            (
                Columns::These(vec!["o.y.z".into(), "o.x".into(), "o.none".into(), "a.b".into()]),
                r#"{"o":{"x":"1","y":{"z":3}}}"#,
            ),
        ] {
            let mut rows = RowWriter::new(Shape::FirstRow);
            push_row(&mut rows, &events(), &columns, item);
            assert_eq!(result_of(rows, Shape::FirstRow).unwrap(), expected);
        }
    }
}
