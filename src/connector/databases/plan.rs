//! What a database is told to do: statements with their values, and what becomes of their rows.

use super::value::{BoundValue, Kinds};

/// One statement with its values.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<BoundValue>,
}

/// What becomes of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A list, of at most so many.
    Rows(u64),
    /// The first one.
    FirstRow,
    /// The number in the first one.
    Count,
    /// How many were changed, and the rows themselves if they are returned.
    Changes,
    /// A list if there are columns, else how many were changed.
    RowsOrChanges,
}

/// Statements that are done together, or not at all.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) statements: Vec<Statement>,
    pub(super) shape: Shape,
    /// Kinds of the columns of the result, by name.
    pub(super) kinds: Kinds,
    /// Whether its text comes from a job or a definition.
    pub(super) raw: bool,
    /// How many rows were given, where the database counts otherwise.
    pub(super) given: Option<usize>,
}
