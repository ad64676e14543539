//! Reads `orderBy`: a column, `{ column: 'desc' }`, `{ column: 'name', order: 'DESC' }`, or a list of these.

use super::{COLUMN, InputFields};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::Order;
use crate::connector::limits::MAX_COLUMNS;

/// Names of the member with the direction.
const DIRECTION: [&str; 2] = ["order", "direction"];

impl InputFields<'_> {
    pub(super) fn order(&self) -> Result<Vec<Order>, Failure> {
        let Some(json) = self.get(&["orderBy"])? else {
            return Ok(Vec::new());
        };
        let mut order = Vec::new();
        match json.value() {
            Json::List(list) => {
                for entry in list {
                    self.order_entry(entry, &mut order)?;
                }
            }
            _ => self.order_entry(json, &mut order)?,
        }
        if order.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "{}.orderBy: may have at most {MAX_COLUMNS} columns",
                self.path
            )));
        }
        Ok(order)
    }

    fn order_entry(&self, json: &Json, order: &mut Vec<Order>) -> Result<(), Failure> {
        match json.value() {
            Json::Text(text) => order.push(Order {
                column: self.column(text)?,
                descending: false,
            }),
            Json::Map(entries) => match described(entries) {
                Some((Json::Any, direction)) => {
                    direction.map_or(Ok(false), |direction| self.descending(direction))?;
                }
                Some((column, direction)) => order.push(Order {
                    column: self.column(column.as_text().unwrap_or_default())?,
                    descending: direction.map_or(Ok(false), |direction| self.descending(direction))?,
                }),
                None => {
                    for (name, direction) in entries {
                        order.push(Order {
                            column: self.column(name)?,
                            descending: self.descending(direction)?,
                        });
                    }
                }
            },
            Json::Any => {}
            _ => {
                return Err(self.type_mismatch("orderBy", "a column, or an object such as { created: 'desc' }", json));
            }
        }
        Ok(())
    }

    fn descending(&self, direction: &Json) -> Result<bool, Failure> {
        read_direction(direction)
            .ok_or_else(|| Failure::invalid(format!("{}.orderBy: a direction must be 'asc' or 'desc'", self.path)))
    }
}

/// Column and direction of `{ column, order }`. An object of columns and directions is none, such as
/// `{ column: 'desc' }` for a column of that name.
fn described(entries: &[(Box<str>, Json)]) -> Option<(&Json, Option<&Json>)> {
    let member = |names: &[&str]| {
        let mut found = entries.iter().filter(|(key, _)| names.contains(&&**key));
        found.next().map(|(_, value)| value)
    };
    let (column, direction) = (member(&COLUMN)?, member(&DIRECTION));
    if entries.len() != 1 + usize::from(direction.is_some()) {
        return None;
    }
    let column_is_direction = *column.value() != Json::Any && read_direction(column).is_some();
    if direction.is_none() && column_is_direction {
        return None;
    }
    Some((column, direction))
}

/// Whether a direction is descending; `None`: it is none.
fn read_direction(direction: &Json) -> Option<bool> {
    match direction.value() {
        Json::Text(text) if text.eq_ignore_ascii_case("asc") => Some(false),
        Json::Text(text) if text.eq_ignore_ascii_case("desc") => Some(true),
        Json::Number(text) if **text == *"1" => Some(false),
        Json::Number(text) if **text == *"-1" => Some(true),
        Json::Any => Some(false),
        _ => None,
    }
}
