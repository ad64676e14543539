//! What a move takes of the tables of a file.

use crate::store::sqlite::Location;
use crate::store::sqlite::open::open_writer;
use crate::store::transfer::{Kind, TABLES};
use std::collections::BTreeSet;

/// Columns that are made anew, or of which nothing is left when nobody works on a store.
const NOT_MOVED: [&str; 27] = [
    "instances.version",
    "instances.handlers",
    "instances.host",
    "instances.pid",
    "instances.registered",
    "instances.boot",
    "instances.id",
    "instances.lease",
    "instances.seen",
    "instances.slots",
    "keys.jobs",
    "keys.kind",
    "keys.owed",
    "keys.running",
    "numbers.last_job",
    "running.attempt",
    "running.crashes",
    "running.due",
    "running.job",
    "running.key",
    "running.owner",
    "running.priority",
    "running.recurring",
    "running.route",
    "running.run",
    "running.started",
    "running.token",
];

/// A column that a migration adds is moved too, or is said here not to be.
#[test]
fn every_column_of_the_schema_is_moved_or_said_not_to_be() {
    let (connection, _) = open_writer(&Location::Memory).unwrap();
    let mut columns = connection
        .prepare(
            "SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
        )
        .unwrap();
    let there: BTreeSet<String> = columns
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    let mut known: BTreeSet<String> = NOT_MOVED.map(str::to_owned).into();
    for table in TABLES {
        let has_ids = table.columns.iter().any(|(_, kind)| *kind == Kind::Id);
        let columns = table.columns.iter().filter(|(name, _)| !(has_ids && *name == "name"));
        known.extend(columns.map(|(name, _)| format!("{}.{name}", table.name)));
    }
    assert_eq!(there, known);
}
