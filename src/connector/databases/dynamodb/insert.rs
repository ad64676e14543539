//! Operations that write whole rows.
//!
//! Invariant: a row that is there is changed by `upsert` alone, and by it only where the input says so.

use super::batch::transact;
use super::client::Repeat;
use super::expression::{Expressions, bounded, quoted};
use super::failure::Trouble;
use super::job::Job;
use super::row::changed;
use super::schema::Table;
use super::value::{Item, key_value, of_attribute, stored};
use crate::connector::Failure;
use crate::connector::databases::operation::{Conflict, ConflictAction, Insert, Row};
use serde_json::{Value, json};
use std::collections::HashSet;

/// A row as it is stored.
fn new_item(table: &Table, row: &Row) -> Result<Item, Failure> {
    let mut item = Item::new();
    for (name, json) in row {
        let value = match table.kind(name) {
            Some(kind) => key_value(json, name, kind)?,
            None if name.contains('.') => {
                return Err(Failure::invalid(format!(
                    "input.data: {} has a dot; give an object in its place",
                    quoted(name)
                )));
            }
            None => stored(json).map_err(of_attribute(name))?,
        };
        item.insert(name.to_string(), value);
    }
    match table.key.names().find(|name| !item.contains_key(*name)) {
        None => Ok(item),
        Some(missing) => Err(Failure::invalid(format!(
            "input.data: lacks {}, which is of the key of the table {}",
            quoted(missing),
            quoted(&table.name)
        ))),
    }
}

/// The rows as they are stored, and whether each has another key.
pub(super) fn new_items(table: &Table, rows: &[Row]) -> Result<(Vec<Item>, bool), Failure> {
    let items: Vec<Item> = rows.iter().map(|row| new_item(table, row)).collect::<Result<_, _>>()?;
    let mut keys = HashSet::new();
    let differ = items.iter().all(|item| {
        let key = table.key_of(item).unwrap_or_default();
        keys.insert(Value::Object(key).to_string())
    });
    Ok((items, differ))
}

/// A row that is written only if there is none with its key.
pub(super) fn put_if_absent(table: &Table, item: Item) -> Item {
    let mut expressions = Expressions::of(table);
    let mut put = Item::new();
    put.insert("TableName".into(), json!(&*table.name));
    put.insert("Item".into(), Value::Object(item));
    put.insert("ConditionExpression".into(), json!(expressions.is_absent()));
    expressions.put_into(&mut put);
    put
}

pub(super) async fn insert(job: Job<'_>, insert: &Insert) -> Result<String, Trouble> {
    let table = job.table(&insert.table.name).await?;
    let (items, differ) = new_items(&table, &insert.rows)?;
    if !differ {
        return Err(Failure::invalid("input.data: two rows have the same key; nothing was written").into());
    }
    // Also a single row: a PutItem that is done twice finds its own row the second time, and nothing tells whose it is.
    let puts = items
        .iter()
        .map(|item| json!({ "Put": put_if_absent(&table, item.clone()) }));
    transact(job, puts.collect()).await?;
    let returned = insert.returning.as_ref().map(|columns| (columns, items.as_slice()));
    Ok(changed(items.len() as u64, &table, returned)?)
}

/// Refuses what only unique indexes of SQL have.
pub(super) fn check_conflict(conflict: &Conflict) -> Result<(), Failure> {
    if conflict.filter.matches_everything() {
        return Ok(());
    }
    Err(Failure::invalid(
        "input.onConflict.where: belongs to unique indexes of SQL; DynamoDB knows rows by their key alone",
    ))
}

pub(super) async fn upsert(job: Job<'_>, insert: &Insert, conflict: &Conflict) -> Result<String, Trouble> {
    let table = job.table(&insert.table.name).await?;
    let is_key = conflict.columns.iter().all(|column| table.key.has(column))
        && table
            .key
            .names()
            .all(|name| conflict.columns.iter().any(|column| **column == *name));
    if !is_key {
        let key: Vec<String> = table.key.names().map(quoted).collect();
        return Err(Failure::invalid(format!(
            "input.conflictColumns: DynamoDB knows rows by their key alone, which is {}",
            key.join(" and ")
        ))
        .into());
    }
    check_conflict(conflict)?;
    let (items, differ) = new_items(&table, &insert.rows)?;
    let mut written = Vec::new();
    if differ && items.len() > 1 && insert.returning.is_none() && conflict.action == ConflictAction::UpdateGiven {
        let updates = items.iter().map(|item| {
            let update = set(&table, item, None)?;
            Ok(json!({ "Update": update }))
        });
        transact(job, updates.collect::<Result<_, Failure>>()?).await?;
    } else {
        for (at, item) in items.iter().enumerate() {
            let row = upsert_one(job, &table, item, &conflict.action).await;
            written.push(row.map_err(|trouble| super::batch::after(trouble, at))?);
        }
    }
    let returned = insert.returning.as_ref().map(|columns| (columns, written.as_slice()));
    Ok(changed(items.len() as u64, &table, returned)?)
}

/// An update that sets all attributes of a row but its key, or only some of a row that is there.
pub(super) fn set(table: &Table, item: &Item, only: Option<&[Box<str>]>) -> Result<Item, Failure> {
    let mut expressions = Expressions::of(table);
    let mut update = Item::new();
    update.insert("TableName".into(), json!(&*table.name));
    update.insert("Key".into(), Value::Object(table.key_of(item).unwrap_or_default()));
    let mut parts = Vec::new();
    for (name, value) in item {
        let wanted = only.is_none_or(|only| only.iter().any(|column| **column == **name));
        if wanted && !table.key.has(name) {
            let path = expressions.path(name);
            parts.push(format!("{path} = {}", expressions.value(value.clone())));
        }
    }
    if !parts.is_empty() {
        let text = bounded("the row", format!("SET {}", parts.join(", ")))?;
        update.insert("UpdateExpression".into(), json!(text));
    }
    if only.is_some() {
        update.insert("ConditionExpression".into(), json!(expressions.exists()));
    }
    expressions.put_into(&mut update);
    Ok(update)
}

/// Writes or changes a row, and returns it.
async fn upsert_one(job: Job<'_>, table: &Table, item: &Item, action: &ConflictAction) -> Result<Item, Trouble> {
    let update = |only| {
        let mut update = set(table, item, only)?;
        update.insert("ReturnValues".into(), json!("ALL_NEW"));
        Ok::<_, Failure>(update)
    };
    let row = |answer: Value| {
        answer
            .get("Attributes")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let insert = async || match job
        .call("PutItem", put_if_absent(table, item.clone()), Repeat::Safe)
        .await
    {
        Ok(_) => Ok(true),
        Err(trouble) if trouble.is_unmet_condition() => Ok(false),
        Err(trouble) => Err(trouble),
    };
    match action {
        ConflictAction::UpdateGiven => Ok(row(job.call("UpdateItem", update(None)?, Repeat::Safe).await?)),
        ConflictAction::Ignore => {
            if insert().await? {
                return Ok(item.clone());
            }
            let mut get = Item::new();
            get.insert("TableName".into(), json!(&*table.name));
            get.insert("Key".into(), Value::Object(table.key_of(item).unwrap_or_default()));
            get.insert("ConsistentRead".into(), json!(true));
            let answer = job.call("GetItem", get, Repeat::Safe).await?;
            Ok(answer
                .get("Item")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default())
        }
        ConflictAction::Update(columns) => {
            // Which of the two it is may change in between, once or twice.
            for _ in 0..3 {
                match job.call("UpdateItem", update(Some(columns))?, Repeat::Safe).await {
                    Ok(answer) => return Ok(row(answer)),
                    Err(trouble) if trouble.is_unmet_condition() => {}
                    Err(trouble) => return Err(trouble),
                }
                if insert().await? {
                    return Ok(item.clone());
                }
            }
            Err(Failure::unavailable("DynamoDB: the row is made and removed all the time").into())
        }
    }
}
