//! What of an operation MongoDB cannot do, as far as that shows without values.
//!
//! Pure.

use super::change::{one_only, upsert_of};
use super::filter::of_documents;
use super::{group, update};
use crate::connector::Failure;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::{Change, Operation};

pub(in crate::connector::databases) fn check(operation: &Operation) -> Result<(), Failure> {
    match operation {
        Operation::Aggregate(aggregate) => group::stages(aggregate, 1).map(|_| ()),
        Operation::Compute {
            filter,
            function,
            column,
            ..
        } => group::compute(filter, function, column).map(|_| ()),
        Operation::Insert(insert) => {
            for row in &insert.rows {
                match &insert.conflict {
                    None => super::change::new_document(row).map(|_| ())?,
                    Some(conflict) => upsert_of(row, conflict).map(|_| ())?,
                }
            }
            insert.conflict.iter().try_for_each(super::change::check_conflict)
        }
        Operation::Update(changed) if changed.returning.is_some() && !changed.one => Err(one_only()),
        Operation::Update(changed) => {
            // What a job gives may well be a number.
            let known = |(_, change): &&(Box<str>, Change)| match change {
                Change::Increment(by) | Change::Decrement(by) | Change::Multiply(by) => *by.value() != Json::Any,
                _ => true,
            };
            let changes: Vec<_> = changed.changes.iter().filter(known).cloned().collect();
            update::document(&changes).map(|_| ())
        }
        Operation::Delete(delete) if delete.returning.is_some() && !delete.one => Err(one_only()),
        _ => Ok(()),
    }
}

pub(in crate::connector::databases) fn check_filter(filter: &Filter) -> Result<(), Failure> {
    of_documents(filter).map(|_| ())
}
