//! What of an operation DynamoDB cannot do, as far as that shows without values and without the table's key.
//!
//! Pure.

use super::expression::Expressions;
use super::schema::Table;
use super::update::Changes;
use super::{not_served, read};
use crate::connector::Failure;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::{Change, Operation};

pub(in crate::connector::databases) fn check(operation: &Operation) -> Result<(), Failure> {
    not_served(operation)?;
    match operation {
        Operation::Find(select) | Operation::FindOne(select) => read::without_include(select),
        Operation::Count(count) => read::without_distinct(count),
        Operation::Insert(insert) => match &insert.conflict {
            Some(conflict) => super::insert::check_conflict(conflict),
            None => Ok(()),
        },
        Operation::Update(update) => {
            // What a job gives may well be an element of a set.
            let known = |(_, change): &&(Box<str>, Change)| match change {
                Change::Pull(values) | Change::AddToSet(values) => {
                    values.iter().all(|value| *value.value() != Json::Any)
                }
                _ => true,
            };
            let changes: Vec<_> = update.changes.iter().filter(known).cloned().collect();
            Changes::of(&Table::unknown(), &changes).map(|_| ())
        }
        _ => Ok(()),
    }
}

pub(in crate::connector::databases) fn check_filter(filter: &Filter) -> Result<(), Failure> {
    Expressions::of(&Table::unknown()).condition([filter]).map(|_| ())
}
