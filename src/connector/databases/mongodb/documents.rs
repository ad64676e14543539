//! What the operations share: a collection, the fields to read, and a time limit, as the driver and the server take them.

use crate::connector::databases::name::Table;
use crate::connector::databases::operation::Columns;
use mongodb::bson::{Bson, Document};
use mongodb::{Collection, Database};
use std::time::Duration;

/// The documents of a collection.
pub(super) fn collection(database: &Database, table: &Table) -> Collection<Document> {
    database.collection(&table.name)
}

/// Which fields to read; `None`: all.
pub(super) fn projection(columns: &Columns) -> Option<Document> {
    let Columns::These(columns) = columns else { return None };
    let mut projection = Document::new();
    if !columns
        .iter()
        .any(|column| **column == *"_id" || column.starts_with("_id."))
    {
        projection.insert("_id", 0);
    }
    for column in columns {
        projection.insert(&**column, 1);
    }
    Some(projection)
}

/// A time limit as the server takes it, ms.
pub(super) fn millis(timeout: Duration) -> Bson {
    Bson::Int64(i64::from(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1)))
}
