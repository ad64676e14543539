//! Related documents of many documents, by one pipeline.
//!
//! Invariant: names of an input reach a pipeline only as paths of fields and as the name of a collection.

use super::documents::projection;
use super::filter::{of_documents, translate};
use super::value::Forms;
use super::{group, query};
use crate::connector::Failure;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::include::{KEY, PLACE, Relations};
use crate::connector::databases::json::Json;
use crate::connector::databases::name::Table;
use crate::connector::databases::operation::{Include, Relation, Select};
use crate::connector::databases::rows::Outcome;
use crate::connector::limits::MAX_INCLUDED_ROWS;
use crate::text::spelling::truncated;
use async_trait::async_trait;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;

/// Where a pipeline of many-to-many has what a document between names, and the related document.
const NAMED: &str = "n";
const FOUND: &str = "r";

/// The related documents of a database.
pub(super) struct Related<'a>(pub(super) &'a Database);

#[async_trait]
impl Relations for Related<'_> {
    async fn rows(&self, select: &Select, one: bool, timeout: Duration) -> Result<Outcome, Failure> {
        query::rows(self.0, select, one, timeout).await
    }

    async fn related(&self, include: &Include, keys: &[Json], timeout: Duration) -> Result<Outcome, Failure> {
        let (table, stages) = pipeline(include, keys)?;
        query::piped(self.0, table, stages, (MAX_INCLUDED_ROWS, timeout)).await
    }

    fn comparable(&self, column: &str, json: &str) -> Result<String, Failure> {
        comparable(&Json::read(json)?, json).ok_or_else(|| {
            Failure::invalid(format!(
                "input.include: '{}' holds a list, and keys are single values; use `$lookup` in a pipeline",
                truncated(column)
            ))
        })
    }

    fn has_documents(&self) -> bool {
        true
    }
}

/// A key as it is compared; `None`: a list. An id and a text of its digits are the same, and so are numbers of all types.
fn comparable(key: &Json, json: &str) -> Option<String> {
    let number = |text: &str| match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        Some(_) if !text.contains(['e', 'E']) => text.trim_end_matches('0').to_owned(),
        _ => text.to_owned(),
    };
    match key {
        Json::List(_) => None,
        Json::Text(text) => Some(format!("\"{text}")),
        Json::Number(text) => Some(number(text)),
        Json::Map(entries) => match entries.as_slice() {
            [(name, Json::Text(text))] => match &**name {
                "$oid" => Some(format!("\"{text}")),
                "$numberLong" | "$numberDecimal" => Some(number(text)),
                _ => Some(json.to_owned()),
            },
            _ => Some(json.to_owned()),
        },
        _ => Some(json.to_owned()),
    }
}

/// Keys in the forms in which fields may hold them.
fn forms(keys: &[Json]) -> Result<Vec<Bson>, Failure> {
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        for form in Forms::read(key)?.all() {
            if let Bson::ObjectId(id) = &form
                && key.as_text().is_none()
            {
                all.push(Bson::String(id.to_hex()));
            }
            all.push(form);
        }
    }
    Ok(all)
}

/// A condition on one field.
fn on(field: &str, operators: Document) -> Document {
    let mut condition = Document::new();
    condition.insert(field, operators);
    condition
}

/// The collection and the stages that find the related documents of these keys.
fn pipeline<'i>(include: &'i Include, keys: &[Json]) -> Result<(&'i Table, Vec<Document>), Failure> {
    let select = &include.select;
    let keys = doc! { "$in": forms(keys)? };
    let (table, mut stages) = match &include.relation {
        Relation::ManyToOne { primary_key: key, .. } | Relation::OneToMany { foreign_key: key, .. } => {
            let mut stages = vec![doc! { "$match": on(key, keys) }];
            push_match(&mut stages, &select.filter, of_documents)?;
            let mut computed = Document::new();
            computed.insert(KEY, format!("${key}"));
            stages.push(doc! { "$addFields": computed });
            (&select.table, stages)
        }
        Relation::ManyToMany {
            through,
            foreign_key,
            related_key,
            primary_key,
        } => {
            let named = on(related_key, doc! { "$ne": Bson::Null });
            let mut between = doc! { "_id": 0 };
            between.insert(KEY, format!("${foreign_key}"));
            between.insert(NAMED, format!("${related_key}"));
            let lookup = doc! {
                "from": &*select.table.name, "localField": NAMED, "foreignField": &**primary_key, "as": FOUND,
            };
            let mut stages = vec![
                doc! { "$match": { "$and": [on(foreign_key, keys), named] } },
                doc! { "$project": between },
                doc! { "$lookup": lookup },
                doc! { "$unwind": format!("${FOUND}") },
            ];
            push_match(&mut stages, &select.filter, |filter| {
                translate(filter, &|name| Ok(format!("{FOUND}.{name}")))
            })?;
            let mut with_key = Document::new();
            with_key.insert(KEY, format!("${KEY}"));
            stages.push(doc! { "$replaceRoot": { "newRoot": { "$mergeObjects": [format!("${FOUND}"), with_key] } } });
            (through, stages)
        }
    };
    push_order(&mut stages, select)?;
    stages.push(doc! { "$limit": i64::try_from(MAX_INCLUDED_ROWS + 1).unwrap_or(i64::MAX) });
    if let Some(mut projection) = projection(&select.columns) {
        projection.insert(KEY, 1);
        stages.push(doc! { "$project": projection });
    }
    Ok((table, stages))
}

fn push_match(
    stages: &mut Vec<Document>,
    filter: &Filter,
    translate: impl Fn(&Filter) -> Result<Document, Failure>,
) -> Result<(), Failure> {
    if !filter.matches_everything() {
        stages.push(doc! { "$match": translate(filter)? });
    }
    Ok(())
}

/// Puts documents in order, and takes so many of each key as are asked for.
fn push_order(stages: &mut Vec<Document>, select: &Select) -> Result<(), Failure> {
    let mut order = group::sort(&select.order, |name| Ok(name.to_owned()))?;
    let Some(limit) = select.limit else {
        if !order.is_empty() {
            stages.push(doc! { "$sort": order });
        }
        return Ok(());
    };
    if order.is_empty() {
        order.insert(KEY, 1);
    }
    let place = on(PLACE, doc! { "$documentNumber": {} });
    stages.push(doc! { "$setWindowFields": { "partitionBy": format!("${KEY}"), "sortBy": order, "output": place } });
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    stages.push(doc! { "$match": on(PLACE, doc! { "$lte": limit }) });
    stages.push(doc! { "$sort": on_place() });
    Ok(())
}

fn on_place() -> Document {
    let mut order = Document::new();
    order.insert(PLACE, 1);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_as_the_server_does() {
        for (left, right, same) in [
            ("1", r#"{"$numberDecimal":"1.0"}"#, true),
            ("1", "1.0", true),
            ("1.5", r#"{"$numberDecimal":"1.50"}"#, true),
            ("9007199254740993", r#"{"$numberLong":"9007199254740993"}"#, true),
            ("1", r#""1""#, false),
            ("100", "10", false),
            (
                r#""65f0a1b2c3d4e5f6a7b8c9d0""#,
                r#"{"$oid":"65f0a1b2c3d4e5f6a7b8c9d0"}"#,
                true,
            ),
            (r#""a""#, r#""A""#, false),
            ("null", r#""null""#, false),
        ] {
            let of = |json: &str| comparable(&Json::read(json).unwrap(), json).unwrap();
            assert_eq!(of(left) == of(right), same, "{left} {right}");
        }
        assert_eq!(comparable(&Json::read("[1]").unwrap(), "[1]"), None);
    }
}
