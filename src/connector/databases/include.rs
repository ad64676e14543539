//! Reads rows with related rows: one more statement for each relation.
//!
//! Invariants: the number of statements does not depend on the number of rows; rows, keys and size are bounded, and what
//! is beyond fails. The statements do not see the database at one instant.

use super::json::{self, Json};
use super::operation::{Columns, Include, Relation, Select};
use super::rows::Outcome;
use crate::connector::Failure;
use crate::connector::limits::{MAX_IN_VALUES, MAX_INCLUDED_ROWS, MAX_RESULT_BYTES};
use crate::text::json::{Object, list};
use crate::text::spelling::truncated;
use async_trait::async_trait;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// The column of related rows with the key of the row that each belongs to.
pub(super) const KEY: &str = "ductape_key";
/// The column with the place of a related row among those of its row.
pub(super) const PLACE: &str = "ductape_place";

/// A database that finds related rows.
#[async_trait]
pub(super) trait Relations: Send + Sync {
    /// Rows without related ones; `one`: the first.
    async fn rows(&self, select: &Select, one: bool, timeout: Duration) -> Result<Outcome, Failure>;

    /// The related rows for these keys in the order that is asked for, with [`KEY`], and with [`PLACE`] if their number for
    /// each key is limited.
    async fn related(&self, include: &Include, keys: &[Json], timeout: Duration) -> Result<Outcome, Failure>;

    /// The JSON text of a key as it is compared.
    fn comparable(&self, column: &str, json: &str) -> Result<String, Failure>;

    /// Whether rows are documents, which may lack columns, and whose names differ by case.
    fn has_documents(&self) -> bool;
}

/// A row: the JSON text of its columns, by name.
type TextRow = Vec<(String, String)>;

/// What all statements of one reading share.
#[derive(Clone, Copy)]
struct Reading<'a> {
    relations: &'a dyn Relations,
    until: Instant,
    whole: Duration,
}

impl Reading<'_> {
    /// The time that is left.
    fn left(&self) -> Result<Duration, Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::timeout(format!(
                "the rows and their related rows were not read within {} ms",
                self.whole.as_millis()
            )));
        }
        Ok(left)
    }

    /// The value of a column; `None`: there is none.
    fn value<'r>(&self, row: &'r TextRow, column: &str) -> Option<&'r str> {
        let is_it = |name: &str| match self.relations.has_documents() {
            true => name == column,
            false => name.eq_ignore_ascii_case(column),
        };
        let found = row.iter().find(|(name, _)| is_it(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads rows with their related rows, as JSON text: a list of rows, or one row.
pub(super) async fn find(
    relations: &dyn Relations,
    select: &Select,
    one: bool,
    timeout: Duration,
) -> Result<String, Failure> {
    let reading = Reading {
        relations,
        until: Instant::now() + timeout,
        whole: timeout,
    };
    let (select, added) = with_keys(select);
    let outcome = relations.rows(&select, one, timeout).await?;
    let (mut rows, truncated) = rows(outcome)?;
    attach(reading, &select.include, &mut rows).await?;
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
    reading: Reading<'a>,
    includes: &'a [Include],
    rows: &'a mut [TextRow],
) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async move {
        for include in includes {
            let column = key_column(include);
            let keys = keys(reading, rows, column)?;
            let related = related(reading, include, &keys).await?;
            let many = !matches!(include.relation, Relation::ManyToOne { .. });
            for row in rows.iter_mut() {
                if row.iter().any(|(name, _)| **name == *include.name) {
                    return Err(Failure::invalid(format!(
                        "input.include: the table has a column '{}' too; select other columns",
                        truncated(&include.name)
                    )));
                }
                let key = reading.value(row, column);
                let key = key.map(|json| reading.relations.comparable(column, json)).transpose()?;
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

/// The distinct keys of rows.
fn keys(reading: Reading<'_>, rows: &[TextRow], column: &str) -> Result<Vec<Json>, Failure> {
    let mut keys: Vec<Json> = Vec::new();
    let mut seen: HashMap<&str, ()> = HashMap::new();
    for row in rows {
        let json = match reading.value(row, column) {
            Some(json) => json,
            None if reading.relations.has_documents() => continue,
            None => {
                return Err(Failure::invalid(format!(
                    "input.include: the rows have no column '{}'",
                    truncated(column)
                )));
            }
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
async fn related(reading: Reading<'_>, include: &Include, keys: &[Json]) -> Result<HashMap<String, String>, Failure> {
    let mut by_key: HashMap<String, String> = HashMap::new();
    if keys.is_empty() {
        return Ok(by_key);
    }
    let (select, mut added) = with_keys(&include.select);
    let include = Include {
        select,
        ..include.clone()
    };
    let outcome = reading.relations.related(&include, keys, reading.left()?).await?;
    let (mut found, truncated_rows) = rows(outcome)?;
    if truncated_rows {
        return Err(Failure::invalid(format!(
            "input.include: '{}' has more than {MAX_INCLUDED_ROWS} rows or {MAX_RESULT_BYTES} bytes; give it a limit, or read fewer rows",
            truncated(&include.name)
        )));
    }
    attach(reading, &include.select.include, &mut found).await?;
    added.extend([KEY.into(), PLACE.into()]);
    let of_keys = match &include.relation {
        Relation::ManyToOne { primary_key: key, .. }
        | Relation::OneToMany { foreign_key: key, .. }
        | Relation::ManyToMany { foreign_key: key, .. } => key,
    };
    let found_keys: Vec<String> = found
        .iter()
        .map(|row| {
            let key = reading.value(row, KEY).unwrap_or("null");
            reading.relations.comparable(of_keys, key)
        })
        .collect::<Result<_, _>>()?;
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
