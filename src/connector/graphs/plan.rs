//! What a server does for an operation: statements with their values, and what becomes of their results.

use super::bolt::Value;
use super::name::Name;
use super::operation::{Id, Nodes, Steps};

/// One statement with its values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) params: Vec<(Box<str>, Value)>,
}

impl Statement {
    pub(super) fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            params: Vec::new(),
        }
    }
}

/// Whether a transaction may change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) access: Access,
    pub(super) work: Work,
    /// Whether its one statement commits by itself.
    pub(super) auto_commit: bool,
}

impl Plan {
    pub(super) fn of(access: Access, work: Work) -> Self {
        Self {
            access,
            work,
            auto_commit: false,
        }
    }
}

/// The statements of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Work {
    One(Statement, Shape),
    /// Both counts.
    Statistics {
        nodes: Statement,
        relationships: Statement,
    },
    /// `first` sets the labels and returns all that the node has; the others are removed then.
    SetLabels {
        first: Statement,
        id: Id,
        labels: Vec<Name>,
    },
    /// `find` returns the name of an index, which the text is searched with.
    TextSearch {
        find: Statement,
        query: Value,
        limit: u64,
    },
    /// Level by level from a node on.
    Neighborhood {
        id: Id,
        steps: Steps,
        nodes: Nodes,
    },
    /// `nodes` returns ids and nodes, `pairs` the ids of those that are connected.
    Components {
        nodes: Statement,
        pairs: Statement,
    },
}

/// What becomes of the result of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The first value under this name, which was created.
    Created(&'static str),
    /// The same, where the counter says whether it was created.
    Merged(&'static str, &'static str),
    /// The first value, else null.
    FirstOrNull,
    /// At most this many first values of rows.
    List { key: &'static str, most: u64 },
    /// What was changed: one under the first name, or a list under the second.
    Updated {
        one: bool,
        key: (&'static str, &'static str),
    },
    /// The number of what was deleted.
    Deleted {
        /// Whether a failure may be due to relationships that nodes still have.
        may_detach: bool,
    },
    /// A number.
    Count,
    /// The first path, with its weight if it has one.
    Path,
    /// What a search has found, with scores.
    Hits,
    /// Rows by the names of their columns.
    Rows,
    /// Whether a counter says that something was done.
    Done { key: &'static str, counter: &'static str },
    /// A list of rows under this name.
    Described(&'static str),
}
