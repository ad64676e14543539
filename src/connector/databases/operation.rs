//! Operations on a database, as plain data that knows no query language.

use super::filter::Filter;
use super::json::Json;
use super::name::Table;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Find(Select),
    FindOne(Select),
    Count(Count),
    /// One aggregate of all rows.
    Compute {
        table: Table,
        filter: Filter,
        function: Function,
        column: Box<str>,
    },
    Aggregate(Aggregate),
    /// A pipeline of MongoDB.
    Pipeline {
        table: Table,
        stages: Vec<Json>,
    },
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Raw(Raw),
}

impl Operation {
    /// Its table.
    pub(super) fn table(&self) -> Option<&Table> {
        match self {
            Self::Find(select) | Self::FindOne(select) => Some(&select.table),
            Self::Count(count) => Some(&count.table),
            Self::Compute { table, .. } | Self::Pipeline { table, .. } => Some(table),
            Self::Aggregate(aggregate) => Some(&aggregate.select.table),
            Self::Insert(insert) => Some(&insert.table),
            Self::Update(update) => Some(&update.table),
            Self::Delete(delete) => Some(&delete.table),
            Self::Raw(_) => None,
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
    /// Related rows that are read with them.
    pub(super) include: Vec<Include>,
}

/// A column to order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Box<str>,
    pub(super) descending: bool,
}

/// Related rows, which become the member `name` of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Include {
    pub(super) name: Box<str>,
    pub(super) relation: Relation,
    /// The related table and what to read of it. `limit` counts the related rows of each row; `offset` is 0.
    pub(super) select: Select,
}

/// How related rows are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// The row's `foreign_key` is the `primary_key` of one related row.
    ManyToOne {
        foreign_key: Box<str>,
        primary_key: Box<str>,
    },
    /// The `foreign_key` of related rows is the row's `primary_key`.
    OneToMany {
        foreign_key: Box<str>,
        primary_key: Box<str>,
    },
    /// Rows of `through` name the `primary_key` of the row in `foreign_key`, and that of a related row in `related_key`.
    ManyToMany {
        through: Table,
        foreign_key: Box<str>,
        related_key: Box<str>,
        primary_key: Box<str>,
    },
}

/// What to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) table: Table,
    pub(super) filter: Filter,
    /// Counts its values; `None`: the rows.
    pub(super) column: Option<Box<str>>,
    /// Counts equal values once.
    pub(super) distinct: bool,
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
    /// The condition of the unique index, if that covers only some rows.
    pub(super) filter: Filter,
    pub(super) action: ConflictAction,
}

/// What becomes of an existing row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConflictAction {
    /// It stays as it is.
    Ignore,
    /// All given columns are updated, except those that identify the row.
    UpdateGiven,
    /// These columns are updated.
    Update(Vec<Box<str>>),
}

/// What changes in which rows, as one atomic change of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) table: Table,
    pub(super) filter: Filter,
    pub(super) changes: Vec<(Box<str>, Change)>,
    /// At most one row, whichever is found first.
    pub(super) one: bool,
    pub(super) returning: Option<Columns>,
}

/// A change of one column or field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(Json),
    /// No value: NULL, or the field is removed.
    Unset,
    /// Adds a number; without a value, to 0.
    Increment(Json),
    /// Subtracts a number; without a value, from 0.
    Decrement(Json),
    /// Multiplies by a number; without a value, 0.
    Multiply(Json),
    /// The lesser of the value and this one, in the order of filters.
    Least(Json),
    /// The greater of the value and this one.
    Greatest(Json),
    /// Appends to a list; without a value, to an empty one.
    Push(Vec<Json>),
    /// Removes all elements that equal one of these.
    Pull(Vec<Json>),
    /// Appends those that the list lacks.
    AddToSet(Vec<Json>),
    /// Removes the first or the last element.
    Pop {
        first: bool,
    },
    /// The field gets another name. Documents only.
    Rename(Box<str>),
    /// The time of the server. Documents only.
    CurrentDate,
}

impl Function {
    /// Its name, as of an operation.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Average => "avg",
            Self::Least => "min",
            Self::Greatest => "max",
            Self::Join(_) => "stringAgg",
            Self::List => "arrayAgg",
        }
    }
}

impl Change {
    /// The operator that asks for it.
    pub(super) fn operator(&self) -> &'static str {
        match self {
            Self::Set(_) => "$set",
            Self::Unset => "$unset",
            Self::Increment(_) => "$inc",
            Self::Decrement(_) => "$dec",
            Self::Multiply(_) => "$mul",
            Self::Least(_) => "$min",
            Self::Greatest(_) => "$max",
            Self::Push(_) => "$push",
            Self::Pull(_) => "$pull",
            Self::AddToSet(_) => "$addToSet",
            Self::Pop { .. } => "$pop",
            Self::Rename(_) => "$rename",
            Self::CurrentDate => "$currentDate",
        }
    }

    /// Whether it computes with the number that is there.
    pub(super) fn is_arithmetic(&self) -> bool {
        matches!(self, Self::Increment(_) | Self::Decrement(_) | Self::Multiply(_))
    }

    /// Whether it changes a list, whose form depends on the type of the column.
    pub(super) fn is_of_list(&self) -> bool {
        matches!(
            self,
            Self::Push(_) | Self::Pull(_) | Self::AddToSet(_) | Self::Pop { .. }
        )
    }
}

/// Which rows to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delete {
    pub(super) table: Table,
    pub(super) filter: Filter,
    /// At most one row, whichever is found first.
    pub(super) one: bool,
    pub(super) returning: Option<Columns>,
}

/// Aggregates to compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aggregate {
    pub(super) select: Select,
    pub(super) measures: Vec<Measure>,
    pub(super) groups: Vec<Box<str>>,
    pub(super) having: Filter,
}

/// One aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    /// Its name in the result.
    pub(super) name: Box<str>,
    pub(super) function: Function,
    /// `None`: the rows, which only `Count` takes.
    pub(super) column: Option<Box<str>>,
    /// Equal values count once.
    pub(super) distinct: bool,
}

/// An aggregate function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Count,
    Sum,
    Average,
    Least,
    Greatest,
    /// The values as one text, separated by this one.
    Join(Box<str>),
    /// The values as a list.
    List,
}

/// What `raw` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// A statement and its values.
    Statement { text: Box<str>, params: Vec<Json> },
    /// A request of DynamoDB's API.
    #[cfg_attr(not(feature = "dynamodb"), allow(dead_code, reason = "executed by DynamoDB"))]
    Request { operation: Box<str>, params: Json },
    /// A command of MongoDB: an object, or a filter on a collection.
    #[cfg_attr(not(feature = "mongodb"), allow(dead_code, reason = "executed by MongoDB"))]
    Command { collection: Option<Table>, command: Json },
}
