//! Reads rows with related rows: one more statement for each relation.
//!
//! Invariants: the number of statements does not depend on the number of rows; rows, keys and size are bounded, and what
//! is beyond fails. The statements do not see the database at one instant.

use super::build::{self, Builder, KEY, PLACE};
use super::dialect::Dialect;
use super::json::{self, Json};
use super::operation::{Columns, Include, Operation, Relation, Select};
use super::plan::{Plan, Shape};
use super::rows::Outcome;
use super::sql::SqlDatabase;
use super::value::Kinds;
use crate::connector::Failure;
use crate::connector::limits::{MAX_IN_VALUES, MAX_INCLUDED_ROWS, MAX_RESULT_BYTES};
use crate::text::json::{Object, list};
use crate::text::spelling::truncated;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A row: the JSON text of its columns, by name.
type TextRow = Vec<(String, String)>;

/// Reads rows with their related rows, as JSON text: a list of rows, or one row.
pub(super) async fn find(
    database: &SqlDatabase,
    select: &Select,
    one: bool,
    timeout: Duration,
) -> Result<String, Failure> {
    let (select, added) = with_keys(select);
    let operation = if one {
        Operation::FindOne(select.clone())
    } else {
        Operation::Find(select.clone())
    };
    let plan = database.plan(&operation).await?;
    let outcome = database.run_plan(Some(&select.table), plan, timeout).await?;
    let (mut rows, truncated) = rows(outcome)?;
    attach(database, &select.include, &mut rows, timeout).await?;
    remove(&mut rows, &added);
    let mut text = String::new();
    for row in &rows {
        write(row, &mut text)?;
    }
    Ok(match (one, rows.is_empty()) {
        (true, true) => "null".into(),
        (true, false) => text,
        (false, _) => {
            let truncated = if truncated { ",\"truncated\":true" } else { "" };
            format!("{{\"rows\":[{text}],\"count\":{}{truncated}}}", rows.len())
        }
    })
}

/// The column whose value finds the related rows.
fn key_column(include: &Include) -> &str {
    match &include.relation {
        Relation::ManyToOne { foreign_key, .. } => foreign_key,
        Relation::OneToMany { primary_key, .. } | Relation::ManyToMany { primary_key, .. } => primary_key,
    }
}

/// The same with the columns that its relations need, and those that it would not have.
fn with_keys(select: &Select) -> (Select, Vec<Box<str>>) {
    let mut select = select.clone();
    let mut added: Vec<Box<str>> = Vec::new();
    if let Columns::These(columns) = &mut select.columns {
        for include in &select.include {
            let key = key_column(include);
            if !columns.iter().any(|column| **column == *key) {
                columns.push(key.into());
                added.push(key.into());
            }
        }
    }
    (select, added)
}

fn remove(rows: &mut [TextRow], columns: &[Box<str>]) {
    if columns.is_empty() {
        return;
    }
    for row in rows {
        row.retain(|(name, _)| !columns.iter().any(|column| **column == **name));
    }
}

/// The rows of a result, and whether there are more.
fn rows(outcome: Outcome) -> Result<(Vec<TextRow>, bool), Failure> {
    let unreadable = || Failure::connection("the rows of the database cannot be read");
    let (text, truncated) = outcome.rows_text()?;
    let elements = list(&text).ok_or_else(unreadable)?;
    let read = elements.into_iter().map(|element| {
        let object = Object::read(element).ok_or_else(unreadable)?;
        Ok(object
            .iter()
            .map(|(name, json)| (name.to_owned(), json.to_owned()))
            .collect())
    });
    Ok((read.collect::<Result<_, Failure>>()?, truncated))
}

fn write(row: &TextRow, text: &mut String) -> Result<(), Failure> {
    if !text.is_empty() {
        text.push(',');
    }
    text.push('{');
    for (index, (name, value)) in row.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        json::push_string(text, name);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    if text.len() > MAX_RESULT_BYTES {
        return Err(Failure::invalid(format!(
            "the rows with their related rows are larger than {MAX_RESULT_BYTES} bytes; read fewer, or fewer columns"
        )));
    }
    Ok(())
}

/// Adds the related rows to rows. Boxed, since relations have relations.
fn attach<'a>(
    database: &'a SqlDatabase,
    includes: &'a [Include],
    rows: &'a mut [TextRow],
    timeout: Duration,
) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async move {
        for include in includes {
            let keys = keys(rows, key_column(include))?;
            let related = related(database, include, &keys, timeout).await?;
            let many = !matches!(include.relation, Relation::ManyToOne { .. });
            for row in rows.iter_mut() {
                if row.iter().any(|(name, _)| **name == *include.name) {
                    return Err(Failure::invalid(format!(
                        "input.include: the table has a column '{}' too; select other columns",
                        truncated(&include.name)
                    )));
                }
                let key = value(row, key_column(include)).map(comparable);
                let found = key.and_then(|key| related.get(&key)).map(String::as_str);
                let member = match (found, many) {
                    (Some(found), true) => format!("[{found}]"),
                    (Some(found), false) => found.to_owned(),
                    (None, true) => "[]".to_owned(),
                    (None, false) => "null".to_owned(),
                };
                row.push((include.name.to_string(), member));
            }
        }
        Ok(())
    })
}

fn value<'r>(row: &'r TextRow, column: &str) -> Option<&'r str> {
    let found = row.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
    found.map(|(_, value)| value.as_str())
}

/// A key as it is compared: a number and a text of its digits are the same, since tables may differ in that.
fn comparable(json: &str) -> String {
    match Json::read(json) {
        Ok(Json::Text(text)) => text.into(),
        _ => json.to_owned(),
    }
}

/// The distinct keys of rows.
fn keys(rows: &[TextRow], column: &str) -> Result<Vec<Json>, Failure> {
    let mut keys: Vec<Json> = Vec::new();
    let mut seen: HashMap<&str, ()> = HashMap::new();
    for row in rows {
        let Some(json) = value(row, column) else {
            return Err(Failure::invalid(format!(
                "input.include: the rows have no column '{}'",
                truncated(column)
            )));
        };
        if json != "null" && seen.insert(json, ()).is_none() {
            keys.push(Json::read(json)?);
        }
    }
    if keys.len() > MAX_IN_VALUES {
        return Err(Failure::invalid(format!(
            "input.include: takes rows with at most {MAX_IN_VALUES} keys, got {}; give a smaller limit",
            keys.len()
        )));
    }
    Ok(keys)
}

/// Related rows as JSON text, by key.
async fn related(
    database: &SqlDatabase,
    include: &Include,
    keys: &[Json],
    timeout: Duration,
) -> Result<HashMap<String, String>, Failure> {
    let mut by_key: HashMap<String, String> = HashMap::new();
    if keys.is_empty() {
        return Ok(by_key);
    }
    let (select, mut added) = with_keys(&include.select);
    let include = Include {
        select,
        ..include.clone()
    };
    let dialect = database.backend().dialect();
    let build = |kinds: &Kinds| {
        let plan = Plan {
            statements: vec![Builder::new(dialect, kinds).related(&include, keys)?],
            shape: Shape::Rows(MAX_INCLUDED_ROWS),
            kinds: kinds.clone(),
            raw: false,
            given: None,
        };
        build::check_parameters(&plan, dialect)?;
        Ok(plan)
    };
    let table = &include.select.table;
    let plan = if dialect == Dialect::Postgres {
        build(&Kinds::default())?
    } else {
        database.with_kinds(table, build).await?
    };
    let outcome = database.run_plan(Some(table), plan, timeout).await?;
    let (mut found, truncated_rows) = rows(outcome)?;
    if truncated_rows {
        return Err(Failure::invalid(format!(
            "input.include: '{}' has more than {MAX_INCLUDED_ROWS} rows or {MAX_RESULT_BYTES} bytes; give it a limit, or read fewer rows",
            truncated(&include.name)
        )));
    }
    attach(database, &include.select.include, &mut found, timeout).await?;
    added.extend([KEY.into(), PLACE.into()]);
    let found_keys: Vec<String> = found
        .iter()
        .map(|row| value(row, KEY).map(comparable).unwrap_or_default())
        .collect();
    remove(&mut found, &added);
    for (key, row) in found_keys.into_iter().zip(&found) {
        let text = by_key.entry(key).or_default();
        if matches!(include.relation, Relation::ManyToOne { .. }) && !text.is_empty() {
            return Err(Failure::invalid(format!(
                "input.include: '{}' has several rows with the same primaryKey; use one-to-many",
                truncated(&include.name)
            )));
        }
        write(row, text)?;
    }
    Ok(by_key)
}
