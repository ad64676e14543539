//! What a move takes of the tables of a schema.

use super::test_support::schema;
use crate::store::Store;
use crate::store::transfer::TABLES;
use std::collections::BTreeSet;

/// Columns that are made anew.
const NOT_MOVED: [&str; 4] = [
    "held.recurring",
    "ready.recurring",
    "routes.added",
    "scheduled.recurring",
];
/// Tables of which nothing is left when nobody works on a store, and the one of the schema's version.
const NO_TABLES: [&str; 3] = ["instances", "running", "versions"];

/// A column that a migration adds is moved too, or is said here not to be.
#[tokio::test]
async fn every_column_of_the_schema_is_moved_or_said_not_to_be() {
    let Some(schema) = schema("every_column_of_the_schema_is_moved_or_said_not_to_be") else {
        return;
    };
    let store = schema.open().await;
    let columns = schema
        .client()
        .await
        .query(
            "SELECT table_name || '.' || column_name FROM information_schema.columns
             WHERE table_schema = $1 AND table_name <> ALL ($2)",
            &[&schema.name, &NO_TABLES.to_vec()],
        )
        .await
        .unwrap();
    let there: BTreeSet<String> = columns.iter().map(|row| row.get(0)).collect();
    let mut known: BTreeSet<String> = NOT_MOVED.map(str::to_owned).into();
    for table in TABLES {
        known.extend(table.columns.iter().map(|(name, _)| format!("{}.{name}", table.name)));
    }
    assert_eq!(there, known);
    store.close().await.unwrap();
}
