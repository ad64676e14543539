//! What a database executes: statements with their values, and the shape of the result.

use super::guards::Guards;
use super::operators::Operators;
use super::value::{BoundValue, Kinds};
use crate::connector::Failure;

/// One statement with its values.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<BoundValue>,
    /// Operators of the update that it is, for messages.
    pub(super) operators: Operators,
    /// What of it needs numbers, for messages.
    pub(super) guards: Guards,
}

/// How the places of values are told that an operator compares with.
pub(super) const PATTERN: &str = "the pattern";
pub(super) const REGEX: &str = "$regex";

impl Statement {
    /// A failure that values of an operator may have caused, with their places.
    pub(super) fn at_operator(&self, operator: &str, failure: Failure) -> Failure {
        let mut places: Vec<&str> = self.values.iter().filter_map(|bound| bound.place.as_deref()).collect();
        places.retain(|place| place.ends_with(operator));
        places.dedup();
        if places.is_empty() {
            return failure;
        }
        Failure {
            message: format!("{}: {}", places.join(", or "), failure.message),
            ..failure
        }
    }
}

/// The shape of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A list of at most this many rows.
    Rows(u64),
    /// The first row.
    FirstRow,
    /// The only row.
    OnlyRow,
    /// The number of changed rows, and the rows themselves if returned.
    Changes,
    /// A list if the statement returns columns, else the number of changed rows.
    RowsOrChanges,
}

/// Statements that are executed all or not at all.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) statements: Vec<Statement>,
    pub(super) shape: Shape,
    /// Kinds of the result's columns, by name.
    pub(super) kinds: Kinds,
    /// Whether its SQL text comes from a job or a definition.
    pub(super) raw: bool,
    /// Number of given rows, for databases that count differently.
    pub(super) given: Option<usize>,
}
