//! Reads an operation from a job's input.
//!
//! Invariant: everything that is not a value is from a closed list or a checked name.

use super::dialect::Dialect;
use super::filter::{self, Filter};
use super::json::Json;
use super::name::{Table, column};
use super::operation::{Columns, Count, Function, Operation, Raw, Select};
use crate::connector::Failure;
use crate::connector::limits::{MAX_COLUMNS, MAX_ROWS_READ};
use crate::text::spelling::{suggestion, truncated};

mod aggregate;
mod having;
mod include;
mod order;
mod update;
mod write;

/// The operations, in documentation order.
const OPERATIONS: [&str; 23] = [
    "query",
    "find",
    "findMany",
    "findOne",
    "insert",
    "insertOne",
    "insertMany",
    "update",
    "updateOne",
    "updateMany",
    "updateRecords",
    "upsert",
    "delete",
    "deleteOne",
    "deleteMany",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "aggregate",
    "groupBy",
    "raw",
];

/// Names of the member with the table.
const TABLE: [&str; 3] = ["table", "collection", "entity"];
/// Names of the member with the filter.
const FILTER: [&str; 2] = ["where", "filter"];
/// Names of the member with the columns to read.
const FIELDS: [&str; 2] = ["fields", "select"];
/// Names of the member with the data.
const DATA: [&str; 3] = ["data", "values", "records"];
/// Names of the member with one column.
const COLUMN: [&str; 2] = ["column", "field"];

/// Names of members with several, of which messages have the one that was given.
const SYNONYMS: [&[&str]; 3] = [&TABLE, &COLUMN, &["sql", "query", "statement"]];

/// Names of the member with an operation of DynamoDB's API.
const REQUEST: [&str; 2] = ["operation", "target"];

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
    let fields = InputFields {
        entries,
        context,
        path: "input",
    };
    match name {
        "query" | "find" | "findMany" => fields.select().map(Operation::Find),
        "findOne" => fields.select().map(Operation::FindOne),
        "count" => fields.count(),
        "sum" => fields.compute(Function::Sum),
        "avg" => fields.compute(Function::Average),
        "min" => fields.compute(Function::Least),
        "max" => fields.compute(Function::Greatest),
        "aggregate" => fields.aggregate(),
        "groupBy" => fields.group_by(),
        "insert" => fields.insert(None),
        "insertOne" => fields.insert(Some(false)),
        "insertMany" => fields.insert(Some(true)),
        "upsert" => fields.upsert(),
        "update" | "updateMany" | "updateRecords" => fields.update(false),
        "updateOne" => fields.update(true),
        "delete" | "deleteMany" => fields.delete(false),
        "deleteOne" => fields.delete(true),
        "raw" => fields.raw(),
        _ => Err(Failure::invalid(format!(
            "'{}' is no operation of databases; {}",
            truncated(name),
            suggestion(name, &OPERATIONS)
        ))),
    }
}

/// The fields of an input, or of an object in it, and the settings for reading them.
struct InputFields<'a> {
    entries: &'a [(Box<str>, Json)],
    context: ReadContext<'a>,
    /// Where the fields are, for messages.
    path: &'a str,
}

impl<'a> InputFields<'a> {
    /// Refuses other fields than those of these lists.
    fn reject_unknown_fields(&self, known: &[&[&str]]) -> Result<(), Failure> {
        let known = known.concat();
        match self.entries.iter().find(|(key, _)| !known.contains(&&**key)) {
            Some((key, _)) if matches!(&**key, "preSave" | "preSaveConfig" | "transaction") => {
                Err(Failure::invalid(format!(
                    "{}.{key}: is not supported; change values before the dispatch, or use a feature",
                    self.path
                )))
            }
            Some((key, _)) => Err(Failure::unknown_member(self.path, key, &known)),
            None => Ok(()),
        }
    }

    /// A value of a wrong type.
    fn type_mismatch(&self, name: &str, expected: &str, got: &Json) -> Failure {
        // By the name that it was given by.
        let same = SYNONYMS
            .into_iter()
            .find(|names| names.contains(&name))
            .unwrap_or_default();
        let written = self.entries.iter().find(|(key, _)| same.contains(&&**key));
        let name = written.map_or(name, |(key, _)| key);
        Failure::invalid(format!("{}.{name}: must be {expected}, got {}", self.path, got.kind()))
    }

    /// The value of a field with several names; `null` counts as absent.
    fn get(&self, names: &[&str]) -> Result<Option<&'a Json>, Failure> {
        Ok(self.get_named(names)?.map(|(_, value)| value))
    }

    /// The same with the name by which it was given.
    fn get_named(&self, names: &[&str]) -> Result<Option<(&'a str, &'a Json)>, Failure> {
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
            found = Some((&**key, value));
        }
        Ok(found)
    }

    fn table(&self) -> Result<Table, Failure> {
        let named = match self.get(&TABLE)? {
            None => None,
            Some(json) => Some(
                json.as_text()
                    .ok_or_else(|| self.type_mismatch("table", "a string", json))?,
            ),
        };
        let name = named.or(self.context.table).ok_or_else(|| {
            Failure::invalid("no table is named; give `table` in the input, or in the definition of the database")
        })?;
        Table::read(name, self.context.dialect)
    }

    fn filter(&self) -> Result<Filter, Failure> {
        match self.get(&FILTER)? {
            None => Ok(Filter::All(Vec::new())),
            Some(json) => filter::read(json, self.context.dialect),
        }
    }

    /// Reads a filter that must exclude rows, unless the input explicitly asks for all.
    fn bounded_filter(&self, verb: &str) -> Result<Filter, Failure> {
        let all = self.flag("all")?;
        let filter = self.filter()?;
        if filter.matches_everything() && !all {
            return Err(Failure::invalid(format!(
                "the filter is empty, so that {verb} would meet every row; give `where`, or `all: true` if that is meant"
            )));
        }
        Ok(filter)
    }

    fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(&[name])? {
            None => Ok(false),
            Some(json) => match json.value() {
                Json::Bool(flag) => Ok(*flag),
                Json::Any => Ok(true),
                _ => Err(self.type_mismatch(name, "true or false", json)),
            },
        }
    }

    fn column(&self, text: &str) -> Result<Box<str>, Failure> {
        column(text, self.context.dialect)
    }

    /// One column; `None`: absent, or `*`.
    fn one_column(&self) -> Result<Option<Box<str>>, Failure> {
        match self.get(&COLUMN)? {
            None => Ok(None),
            Some(json) => match json.as_text() {
                Some("*") => Ok(None),
                Some(text) => self.column(text).map(Some),
                None => Err(self.type_mismatch("column", "the name of a column", json)),
            },
        }
    }

    fn column_list(&self, names: &[&str]) -> Result<Option<Vec<Box<str>>>, Failure> {
        let Some((name, json)) = self.get_named(names)? else {
            return Ok(None);
        };
        let list = match json.value() {
            Json::Text(text) => return Ok(Some(vec![self.column(text)?])),
            Json::List(list) => list,
            _ => return Err(self.type_mismatch(name, "a list of columns", json)),
        };
        if list.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "{}.{name}: may have at most {MAX_COLUMNS} columns",
                self.path
            )));
        }
        let mut columns: Vec<Box<str>> = Vec::with_capacity(list.len());
        for entry in list.iter().filter(|entry| *entry.value() != Json::Any) {
            let text = entry
                .as_text()
                .ok_or_else(|| self.type_mismatch(name, "a list of columns", entry))?;
            let column = self.column(text)?;
            if columns.contains(&column) {
                return Err(Failure::invalid(format!(
                    "{}.{name}: names '{}' twice",
                    self.path,
                    truncated(text)
                )));
            }
            columns.push(column);
        }
        Ok(Some(columns))
    }

    fn columns(&self) -> Result<Columns, Failure> {
        Ok(match self.column_list(&FIELDS)? {
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
            Json::Any => Some(least),
            _ => None,
        };
        let most = if name == "limit" { MAX_ROWS_READ } else { i64::MAX };
        number
            .filter(|number| (least..=most).contains(number))
            .map(|number| Some(number.unsigned_abs()))
            .ok_or_else(|| {
                Failure::invalid(format!(
                    "{}.{name}: must be an integer from {least} to {most}",
                    self.path
                ))
            })
    }

    fn data(&self) -> Result<&'a Json, Failure> {
        self.get(&DATA)?
            .ok_or_else(|| Failure::invalid("input.data: is missing; give columns and their values"))
    }

    fn select(&self) -> Result<Select, Failure> {
        self.reject_unknown_fields(&[&TABLE, &FILTER, &FIELDS, &["orderBy", "limit", "offset", "include"]])?;
        self.selected(self.columns()?)
    }

    fn selected(&self, columns: Columns) -> Result<Select, Failure> {
        let table = self.table()?;
        Ok(Select {
            include: self.includes(&table, 0)?,
            table,
            columns,
            filter: self.filter()?,
            order: self.order()?,
            limit: self.whole_number("limit", 1)?,
            offset: self.whole_number("offset", 0)?.unwrap_or(0),
        })
    }

    fn count(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&TABLE, &FILTER, &COLUMN, &["distinct"]])?;
        let (column, distinct) = (self.one_column()?, self.flag("distinct")?);
        if distinct && column.is_none() {
            return Err(Failure::invalid(
                "input.distinct: needs `column`, whose values are counted",
            ));
        }
        Ok(Operation::Count(Count {
            table: self.table()?,
            filter: self.filter()?,
            column,
            distinct,
        }))
    }

    /// One aggregate of a column.
    fn compute(&self, function: Function) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&TABLE, &FILTER, &COLUMN])?;
        self.computed(function)
    }

    fn computed(&self, function: Function) -> Result<Operation, Failure> {
        let column = self.one_column()?;
        Ok(Operation::Compute {
            table: self.table()?,
            filter: self.filter()?,
            function,
            column: column.ok_or_else(|| Failure::invalid("input.column: is missing; name a column"))?,
        })
    }

    fn raw(&self) -> Result<Operation, Failure> {
        if !self.context.raw {
            return Err(Failure::invalid(
                "this database takes no SQL from jobs (its definition says `raw: false`); use an action",
            ));
        }
        let dialect = self.context.dialect;
        if !dialect.raw_is_text() {
            return self.command();
        }
        if dialect == Dialect::Dynamo && self.get(&REQUEST)?.is_some() {
            return self.request();
        }
        let statement: &[&str] = match dialect {
            Dialect::Dynamo => &["sql", "query", "statement"],
            _ => &["sql", "query"],
        };
        self.reject_unknown_fields(&[statement, &["params"]])?;
        let text = match self.get(statement)? {
            None => None,
            Some(json) => Some(
                json.as_text()
                    .ok_or_else(|| self.type_mismatch("sql", "a string; only MongoDB takes objects", json))?,
            ),
        };
        let text = text.filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| Failure::invalid("input.sql: is missing; it must be a string of SQL"))?;
        let params = match self.get(&["params"])?.map(Json::value) {
            None | Some(Json::Any) => Vec::new(),
            Some(Json::List(list)) => list.clone(),
            Some(other) => return Err(self.type_mismatch("params", "a list of values", other)),
        };
        Ok(Operation::Raw(Raw::Statement {
            text: text.into(),
            params,
        }))
    }

    /// `raw` of DynamoDB: `{ operation, params }`, an operation of its API and the request as it stands.
    fn request(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&REQUEST, &["params"]])?;
        let operation = self.get(&REQUEST)?.and_then(Json::as_text).unwrap_or_default();
        if operation.is_empty() || operation.len() > 100 || !operation.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(Failure::invalid(
                "input.operation: must be the name of an operation of DynamoDB, as in 'Query'",
            ));
        }
        let params = match self.get(&["params"])?.map(Json::value) {
            None => Json::Map(Vec::new()),
            Some(params @ Json::Map(_)) => params.clone(),
            Some(other) => return Err(self.type_mismatch("params", "an object", other)),
        };
        Ok(Operation::Raw(Raw::Request {
            operation: operation.into(),
            params,
        }))
    }

    /// `raw` of MongoDB: `{ command }`, or `{ collection, query }` for a filter.
    fn command(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&TABLE, &["query", "command"]])?;
        let given = |name: &str| match self.get(&[name])? {
            None => Ok(None),
            Some(json) if matches!(json.value(), Json::Map(_)) => Ok(Some(json.value().clone())),
            Some(other) => Err(self.type_mismatch(name, "an object", other)),
        };
        let (collection, command) = match (given("query")?, given("command")?) {
            (Some(query), None) => (Some(self.table()?), query),
            (None, Some(_)) if self.get(&TABLE)?.is_some() => {
                return Err(Failure::invalid(
                    "input.command: names its collection itself; `collection` belongs to `query`",
                ));
            }
            (None, Some(command)) => (None, command),
            _ => {
                return Err(Failure::invalid(
                    "input.command: give `command`, as in { ping: 1 }, or `query`, a filter on `collection`",
                ));
            }
        };
        Ok(Operation::Raw(Raw::Command { collection, command }))
    }
}
