//! What of an action's operation its type of database cannot do, as far as that shows without the values of jobs.
//!
//! Pure. Invariant: an operation is turned into what the database gets by the same code as a job's, so that both say the same.

use super::build::{self, Builder};
use super::dialect::Dialect;
use super::filter::{Comparison, Filter, Predicate};
use super::json::Json;
use super::operation::{Include, Operation};
use super::value::{Kind, Kinds};
use crate::connector::Failure;

/// What is wrong with an operation.
pub(super) enum Refused {
    /// With its filter.
    Filter(Failure),
    /// With something else.
    Operation(Failure),
}

/// Checks an operation in which [`Json::Any`] stands for what jobs give.
pub(super) fn check(operation: &Operation, dialect: Dialect) -> Vec<Refused> {
    let mut refused = Vec::new();
    let mut operation = std::borrow::Cow::Borrowed(operation);
    if let Some(filter) = filter_of(&operation)
        && let Err(failure) = check_filter(filter, dialect)
    {
        refused.push(Refused::Filter(failure));
        // The rest is checked with another filter.
        if let Some(filter) = filter_in(operation.to_mut()) {
            *filter = Filter::Column("id".into(), Predicate::Compare(Comparison::Equal, Json::Any));
        }
    }
    let operation = &*operation;
    let checked = match dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite => in_sql(operation, dialect),
        #[cfg(feature = "mongodb")]
        Dialect::Mongo => super::mongodb::definition::check(operation),
        #[cfg(feature = "dynamodb")]
        Dialect::Dynamo => super::dynamodb::definition::check(operation),
        #[cfg(not(all(feature = "mongodb", feature = "dynamodb")))]
        _ => Ok(()),
    };
    refused.extend(checked.err().map(Refused::Operation));
    refused
}

fn filter_in(operation: &mut Operation) -> Option<&mut Filter> {
    match operation {
        Operation::Find(select) | Operation::FindOne(select) => Some(&mut select.filter),
        Operation::Count(count) => Some(&mut count.filter),
        Operation::Compute { filter, .. } => Some(filter),
        Operation::Aggregate(aggregate) => Some(&mut aggregate.select.filter),
        Operation::Update(update) => Some(&mut update.filter),
        Operation::Delete(delete) => Some(&mut delete.filter),
        Operation::Insert(_) | Operation::Pipeline { .. } | Operation::Raw(_) => None,
    }
}

/// The filter of an operation.
pub(super) fn filter_of(operation: &Operation) -> Option<&Filter> {
    match operation {
        Operation::Find(select) | Operation::FindOne(select) => Some(&select.filter),
        Operation::Count(count) => Some(&count.filter),
        Operation::Compute { filter, .. } => Some(filter),
        Operation::Aggregate(aggregate) => Some(&aggregate.select.filter),
        Operation::Update(update) => Some(&update.filter),
        Operation::Delete(delete) => Some(&delete.filter),
        Operation::Insert(_) | Operation::Pipeline { .. } | Operation::Raw(_) => None,
    }
}

fn check_filter(filter: &Filter, dialect: Dialect) -> Result<(), Failure> {
    match dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite => {
            let kinds = Kinds::default();
            Builder::new(dialect, &kinds).condition(filter).map(|_| ())
        }
        #[cfg(feature = "mongodb")]
        Dialect::Mongo => super::mongodb::definition::check_filter(filter),
        #[cfg(feature = "dynamodb")]
        Dialect::Dynamo => super::dynamodb::definition::check_filter(filter),
        #[cfg(not(all(feature = "mongodb", feature = "dynamodb")))]
        _ => Ok(()),
    }
}

/// Columns are of any type, but those whose lists change, which are supposed to have them.
fn in_sql(operation: &Operation, dialect: Dialect) -> Result<(), Failure> {
    let lists = match operation {
        Operation::Update(update) => update.changes.as_slice(),
        _ => &[],
    };
    let lists = lists.iter().filter(|(_, change)| change.is_of_list());
    let kinds = Kinds::partial(lists.map(|(name, _)| (name.to_string(), Kind::Json)));
    build::plan(operation, dialect, &kinds)?;
    match operation {
        Operation::Find(select) | Operation::FindOne(select) => related(&select.include, dialect),
        _ => Ok(()),
    }
}

fn related(includes: &[Include], dialect: Dialect) -> Result<(), Failure> {
    let kinds = Kinds::default();
    for include in includes {
        Builder::new(dialect, &kinds).related(include, &[Json::Any])?;
        related(&include.select.include, dialect)?;
    }
    Ok(())
}
