//! Reads an operation from a job's input.
//!
//! Invariant: everything that is not a value is from a closed list or a checked name.

use super::dialect::Dialect;
use super::filter::{self, Filter};
use super::json::Json;
use super::name::{Table, column};
use super::operation::{Columns, Operation, Order, Select};
use crate::connector::Failure;
use crate::connector::limits::{MAX_COLUMNS, MAX_ROWS_READ};
use crate::text::spelling::{suggestion, truncated};

mod aggregate;
mod write;

/// The operations, in documentation order.
const OPERATIONS: [&str; 13] = [
    "query",
    "find",
    "findOne",
    "insert",
    "insertMany",
    "update",
    "updateMany",
    "upsert",
    "delete",
    "deleteMany",
    "count",
    "aggregate",
    "raw",
];

/// Settings for reading an operation.
#[derive(Clone, Copy)]
pub(super) struct ReadContext<'a> {
    pub(super) dialect: Dialect,
    /// The default table.
    pub(super) table: Option<&'a str>,
    /// Whether jobs may run SQL of their own.
    pub(super) raw: bool,
}

/// Reads an operation by its name and input.
pub(super) fn read(name: &str, input: &Json, context: ReadContext<'_>) -> Result<Operation, Failure> {
    let Json::Map(entries) = input else {
        return Err(Failure::invalid(format!(
            "the input must be an object, got {}",
            input.kind()
        )));
    };
    let fields = InputFields { entries, context };
    match name {
        "query" | "find" => fields.select().map(Operation::Find),
        "findOne" => fields.select().map(Operation::FindOne),
        "count" => {
            fields.reject_unknown_fields(&["table", "collection", "where", "filter"])?;
            Ok(Operation::Count(fields.table()?, fields.filter()?))
        }
        "aggregate" => fields.aggregate(),
        "insert" => fields.insert(false),
        "insertMany" => fields.insert(true),
        "upsert" => fields.upsert(),
        "update" | "updateMany" => fields.update(),
        "delete" | "deleteMany" => fields.delete(),
        "raw" => fields.raw(),
        _ => Err(Failure::invalid(format!(
            "'{}' is no operation of databases; {}",
            truncated(name),
            suggestion(name, &OPERATIONS)
        ))),
    }
}

/// The fields of an input, and the settings for reading them.
struct InputFields<'a> {
    entries: &'a [(Box<str>, Json)],
    context: ReadContext<'a>,
}

impl<'a> InputFields<'a> {
    fn reject_unknown_fields(&self, known: &[&str]) -> Result<(), Failure> {
        match self.entries.iter().find(|(key, _)| !known.contains(&&**key)) {
            Some((key, _)) => Err(Failure::unknown_member("input", key, known)),
            None => Ok(()),
        }
    }

    /// The value of a field with several names; `null` counts as absent.
    fn get(&self, names: &[&str]) -> Result<Option<&'a Json>, Failure> {
        let mut found = None;
        for (key, value) in self.entries.iter().filter(|(key, _)| names.contains(&&**key)) {
            if *value.value() == Json::Null {
                continue;
            }
            if found.is_some() {
                return Err(Failure::invalid(format!(
                    "give one of {}, not several",
                    names.join(", ")
                )));
            }
            found = Some((key, value));
        }
        Ok(found.map(|(_, value)| value))
    }

    fn table(&self) -> Result<Table, Failure> {
        let named = match self.get(&["table", "collection"])? {
            None => None,
            Some(json) => Some(json.as_text().ok_or_else(|| type_mismatch("table", "a string", json))?),
        };
        let name = named.or(self.context.table).ok_or_else(|| {
            Failure::invalid("no table is named; give `table` in the input, or in the definition of the database")
        })?;
        Table::read(name, self.context.dialect)
    }

    fn filter(&self) -> Result<Filter, Failure> {
        match self.get(&["where", "filter"])? {
            None => Ok(Filter::All(Vec::new())),
            Some(json) => filter::read(json, self.context.dialect),
        }
    }

    /// Reads a filter that must exclude rows, unless the input explicitly asks for all.
    fn bounded_filter(&self, verb: &str) -> Result<Filter, Failure> {
        let all = match self.get(&["all"])? {
            None => false,
            Some(json) => match json.value() {
                Json::Bool(all) => *all,
                _ => return Err(type_mismatch("all", "true or false", json)),
            },
        };
        let filter = self.filter()?;
        if filter.matches_everything() && !all {
            return Err(Failure::invalid(format!(
                "the filter is empty, so that {verb} would meet every row; give `where`, or `all: true` if that is meant"
            )));
        }
        Ok(filter)
    }

    fn column(&self, text: &str) -> Result<Box<str>, Failure> {
        column(text, self.context.dialect)
    }

    fn column_list(&self, names: &[&str]) -> Result<Option<Vec<Box<str>>>, Failure> {
        let Some(json) = self.get(names)? else { return Ok(None) };
        let name = names.first().copied().unwrap_or_default();
        let list = match json.value() {
            Json::Text(text) => return Ok(Some(vec![self.column(text)?])),
            Json::List(list) => list,
            _ => return Err(type_mismatch(name, "a list of columns", json)),
        };
        if list.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "input.{name}: may have at most {MAX_COLUMNS} columns"
            )));
        }
        let mut columns: Vec<Box<str>> = Vec::with_capacity(list.len());
        for entry in list {
            let text = entry
                .as_text()
                .ok_or_else(|| type_mismatch(name, "a list of columns", entry))?;
            let column = self.column(text)?;
            if columns.contains(&column) {
                return Err(Failure::invalid(format!(
                    "input.{name}: names '{}' twice",
                    truncated(text)
                )));
            }
            columns.push(column);
        }
        Ok(Some(columns))
    }

    fn columns(&self) -> Result<Columns, Failure> {
        Ok(match self.column_list(&["fields", "select"])? {
            None => Columns::All,
            Some(list) if list.is_empty() || list.iter().any(|name| **name == *"*") => Columns::All,
            Some(list) => Columns::These(list),
        })
    }

    fn returning(&self) -> Result<Option<Columns>, Failure> {
        let columns = match self.get(&["returning"])?.map(Json::value) {
            None | Some(Json::Bool(false)) => return Ok(None),
            Some(Json::Bool(true)) => Columns::All,
            Some(_) => match self.column_list(&["returning"])? {
                Some(list) if !list.is_empty() => Columns::These(list),
                _ => Columns::All,
            },
        };
        if self.context.dialect == Dialect::MySql {
            return Err(Failure::invalid(
                "input.returning: MySQL returns no rows of a change; read them with a query",
            ));
        }
        Ok(Some(columns))
    }

    fn whole_number(&self, name: &str, least: i64) -> Result<Option<u64>, Failure> {
        let Some(json) = self.get(&[name])? else {
            return Ok(None);
        };
        let number = match json.value() {
            Json::Number(text) => text.parse::<i64>().ok(),
            _ => None,
        };
        let most = if name == "limit" { MAX_ROWS_READ } else { i64::MAX };
        number
            .filter(|number| (least..=most).contains(number))
            .map(|number| Some(number.unsigned_abs()))
            .ok_or_else(|| Failure::invalid(format!("input.{name}: must be an integer from {least} to {most}")))
    }

    fn order(&self) -> Result<Vec<Order>, Failure> {
        let Some(json) = self.get(&["orderBy"])? else {
            return Ok(Vec::new());
        };
        let mut order = Vec::new();
        match json.value() {
            Json::List(list) => {
                for entry in list.iter().take(MAX_COLUMNS) {
                    self.order_entry(entry, &mut order)?;
                }
            }
            _ => self.order_entry(json, &mut order)?,
        }
        Ok(order)
    }

    fn order_entry(&self, json: &Json, order: &mut Vec<Order>) -> Result<(), Failure> {
        match json.value() {
            Json::Text(text) => order.push(Order {
                column: self.column(text)?,
                descending: false,
            }),
            Json::Map(entries) => {
                for (name, direction) in entries {
                    order.push(Order {
                        column: self.column(name)?,
                        descending: descending(direction)?,
                    });
                }
            }
            _ => {
                return Err(type_mismatch(
                    "orderBy",
                    "a column, or an object such as { created: 'desc' }",
                    json,
                ));
            }
        }
        Ok(())
    }

    fn select(&self) -> Result<Select, Failure> {
        self.reject_unknown_fields(&[
            "table",
            "collection",
            "where",
            "filter",
            "fields",
            "select",
            "orderBy",
            "limit",
            "offset",
        ])?;
        self.selected(self.columns()?)
    }

    fn selected(&self, columns: Columns) -> Result<Select, Failure> {
        Ok(Select {
            table: self.table()?,
            columns,
            filter: self.filter()?,
            order: self.order()?,
            limit: self.whole_number("limit", 1)?,
            offset: self.whole_number("offset", 0)?.unwrap_or(0),
        })
    }

    fn raw(&self) -> Result<Operation, Failure> {
        if !self.context.raw {
            return Err(Failure::invalid(
                "this database takes no SQL from jobs (its definition says `raw: false`); use an action",
            ));
        }
        self.reject_unknown_fields(&["sql", "params"])?;
        let sql = self
            .get(&["sql"])?
            .and_then(Json::as_text)
            .filter(|sql| !sql.trim().is_empty());
        let sql = sql.ok_or_else(|| Failure::invalid("input.sql: is missing; it must be a string of SQL"))?;
        let params = match self.get(&["params"])?.map(Json::value) {
            None => Vec::new(),
            Some(Json::List(list)) => list.clone(),
            Some(other) => return Err(type_mismatch("params", "a list of values", other)),
        };
        Ok(Operation::Raw {
            sql: sql.into(),
            params,
        })
    }
}

fn descending(direction: &Json) -> Result<bool, Failure> {
    let type_mismatch = || Failure::invalid("input.orderBy: a direction must be 'asc' or 'desc'");
    match direction.value() {
        Json::Text(text) if text.eq_ignore_ascii_case("asc") => Ok(false),
        Json::Text(text) if text.eq_ignore_ascii_case("desc") => Ok(true),
        Json::Number(text) if **text == *"1" => Ok(false),
        Json::Number(text) if **text == *"-1" => Ok(true),
        _ => Err(type_mismatch()),
    }
}

fn type_mismatch(name: &str, expected: &str, got: &Json) -> Failure {
    Failure::invalid(format!("input.{name}: must be {expected}, got {}", got.kind()))
}
