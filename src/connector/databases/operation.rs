//! Operations on a database, as plain data that knows no SQL.

use super::filter::Filter;
use super::json::Json;
use super::name::Table;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Find(Select),
    FindOne(Select),
    Count(Table, Filter),
    Aggregate(Aggregate),
    Insert(Insert),
    Update {
        table: Table,
        filter: Filter,
        set: Row,
        returning: Option<Columns>,
    },
    Delete {
        table: Table,
        filter: Filter,
        returning: Option<Columns>,
    },
    Raw {
        sql: Box<str>,
        params: Vec<Json>,
    },
}

impl Operation {
    /// Its table.
    pub(super) fn table(&self) -> Option<&Table> {
        match self {
            Self::Find(select) | Self::FindOne(select) => Some(&select.table),
            Self::Count(table, _) | Self::Update { table, .. } | Self::Delete { table, .. } => Some(table),
            Self::Aggregate(aggregate) => Some(&aggregate.select.table),
            Self::Insert(insert) => Some(&insert.table),
            Self::Raw { .. } => None,
        }
    }
}

/// Values by column.
pub(super) type Row = Vec<(Box<str>, Json)>;

/// Columns to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    All,
    These(Vec<Box<str>>),
}

/// Which rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Select {
    pub(super) table: Table,
    pub(super) columns: Columns,
    pub(super) filter: Filter,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

/// A column to order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Box<str>,
    pub(super) descending: bool,
}

/// Rows to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Insert {
    pub(super) table: Table,
    pub(super) rows: Vec<Row>,
    /// How to treat existing rows.
    pub(super) conflict: Option<Conflict>,
    pub(super) returning: Option<Columns>,
}

/// How an existing row is detected and treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) columns: Vec<Box<str>>,
    /// Columns to update; `None`: all given ones except those that identify the row.
    pub(super) update: Option<Vec<Box<str>>>,
}

/// Aggregates to compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aggregate {
    pub(super) select: Select,
    /// Name in the result, function and column.
    pub(super) measures: Vec<(Box<str>, Function, Option<Box<str>>)>,
    pub(super) groups: Vec<Box<str>>,
    pub(super) having: Filter,
}

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Count,
    CountDistinct,
    Sum,
    Average,
    Least,
    Greatest,
}
