//! What the fuzz target `mongodb` sees: the documents that an operation sends.

use super::documents::projection;
use super::filter::of_documents;
use super::value::write_document;
use super::{change, group, pipeline, update};
use crate::connector::Failure;
use crate::connector::databases::operation::Operation;
use mongodb::bson::{Document, serialize_to_vec};

/// A document that is sent.
pub struct Sent {
    /// `filter`, `update`, `document`, `stage`, `projection` or `sort`.
    pub role: &'static str,
    /// It as extended JSON.
    pub json: String,
    /// Whether it can be written as BSON.
    pub is_bson: bool,
}

/// The documents of an operation, in the order of their execution.
///
/// # Errors
/// As the job fails.
pub(in crate::connector::databases) fn documents(operation: &Operation) -> Result<Vec<Sent>, Failure> {
    let mut all = Vec::new();
    let mut add = |role, document: &Document| {
        let mut json = String::new();
        write_document(&mut json, document);
        let is_bson = serialize_to_vec(document).is_ok();
        all.push(Sent { role, json, is_bson });
    };
    let stages = match operation {
        Operation::Find(select) | Operation::FindOne(select) => {
            add("filter", &of_documents(&select.filter)?);
            if let Some(fields) = projection(&select.columns) {
                add("projection", &fields);
            }
            add("sort", &group::sort(&select.order, |name| Ok(name.to_owned()))?);
            Vec::new()
        }
        Operation::Count(count) => match &count.column {
            Some(column) => group::count(count, column)?,
            None => {
                add("filter", &of_documents(&count.filter)?);
                Vec::new()
            }
        },
        Operation::Compute {
            filter,
            function,
            column,
            ..
        } => group::compute(filter, function, column)?.0,
        Operation::Aggregate(aggregate) => group::stages(aggregate, 10)?,
        Operation::Pipeline { stages, .. } => pipeline::read(stages)?,
        Operation::Insert(insert) => {
            for row in &insert.rows {
                match &insert.conflict {
                    None => add("document", &change::new_document(row)?),
                    Some(conflict) => {
                        let (filter, changes) = change::upsert_of(row, conflict)?;
                        add("filter", &filter);
                        add("update", &changes);
                    }
                }
            }
            Vec::new()
        }
        Operation::Update(change) => {
            add("filter", &of_documents(&change.filter)?);
            add("update", &update::document(&change.changes)?);
            Vec::new()
        }
        Operation::Delete(delete) => {
            add("filter", &of_documents(&delete.filter)?);
            Vec::new()
        }
        Operation::Raw(_) => Vec::new(),
    };
    stages.iter().for_each(|stage| add("stage", stage));
    Ok(all)
}
