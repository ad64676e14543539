//! Migrates the schema, under SQLite's write lock.
//!
//! Invariant: migrations are append-only and each is one transaction; a file that is no store, or was written by a newer
//! version of this package, is refused and left unchanged.

use super::move_record;
use crate::error::{Error, ErrorCode, Result};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// Marks a file as a store: "duct" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x6475_6374;
/// The migrations, in order; the schema version is the number of those that have run.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
];

/// What all of them make of an empty database.
const NEW: &str = include_str!("migrations/new.sql");

/// What is added to the schema's version while the store takes no work, since it is an end of a move: no process takes it then.
const CLOSED: i64 = 1_000_000;

/// Refuses a database of another program before changing anything in it.
pub(super) fn check_owner(connection: &Connection, path: &Path) -> Result<()> {
    // In this order: another process may make the store meanwhile, tables and mark at once.
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let owner: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if owner == APPLICATION_ID {
        return Ok(());
    }
    if owner == 0 && objects == 0 {
        return Ok(());
    }
    Err(other_programs(path))
}

/// The file is a database of another program.
pub(super) fn other_programs(path: &Path) -> Error {
    let message = format!(
        "{} is no ductape store but another program's database; choose another path, or move the file away",
        path.display()
    );
    Error::new(ErrorCode::StoreCorrupt, message)
}

/// Runs the missing migrations.
pub(super) fn run(connection: &mut Connection) -> Result<()> {
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version(&transaction)? {
        0 => transaction.execute_batch(NEW)?,
        from => run_each(&transaction, from)?,
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
    )?;
    Ok(transaction.commit()?)
}

fn run_each(connection: &Connection, from: usize) -> Result<()> {
    for migration in MIGRATIONS.iter().skip(from) {
        connection.execute_batch(migration)?;
    }
    Ok(())
}

/// Refuses a schema that this version of the package does not know.
pub(super) fn check_known(connection: &Connection) -> Result<()> {
    match version(connection)? {
        0 => Err(Error::new(
            ErrorCode::StoreCorrupt,
            "it is empty, and no ductape store; name another file",
        )),
        _ => Ok(()),
    }
}

/// Refuses a schema that another version of this package has made of the one that this process opened. Costs a cached
/// statement.
pub(super) fn check_unchanged(connection: &Connection, path: &Path) -> Result<()> {
    let found = number(connection)?;
    if usize::try_from(found) == Ok(MIGRATIONS.len()) {
        return Ok(());
    }
    if found > CLOSED {
        return Err(moved(connection));
    }
    let message = format!(
        "the store {} was migrated by another version of this package while it was open (its schema has version {found}, this \
         process writes {}), so nothing is read or written any more; restart this process with that version",
        path.display(),
        MIGRATIONS.len()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// The version of the schema, whoever made it; 0: there is none.
pub(super) fn number(connection: &Connection) -> Result<i64> {
    let mut version = connection.prepare_cached("PRAGMA user_version")?;
    Ok(version.query_row([], |row| row.get(0))?)
}

/// The version that this package makes of a schema.
pub const fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

fn version(connection: &Connection) -> Result<usize> {
    let version = number(connection)?;
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ if version > CLOSED => Err(moved(connection)),
        _ => Err(newer(version)),
    }
}

fn newer(version: i64) -> Error {
    let message = format!(
        "the store's schema has version {version}, this package knows versions up to {}; update this package, or choose another path",
        MIGRATIONS.len()
    );
    Error::new(ErrorCode::StoreError, message)
}

/// Whether the store takes no work, since it is an end of a move.
///
/// # Errors
/// `STORE_ERROR` for a schema that is newer than this code.
pub(super) fn is_closed(connection: &Connection) -> Result<bool> {
    let number = number(connection)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if number > CLOSED {
        return (number == CLOSED + known)
            .then_some(true)
            .ok_or_else(|| newer(number - CLOSED));
    }
    (number <= known).then_some(false).ok_or_else(|| newer(number))
}

/// Takes no work from this transaction on.
pub(super) fn close(connection: &Connection) -> Result<()> {
    let number = number(connection)?;
    if number < CLOSED {
        connection.pragma_update(None, "user_version", number + CLOSED)?;
    }
    Ok(())
}

/// Takes work again.
pub(super) fn reopen(connection: &Connection) -> Result<()> {
    let number = number(connection)?;
    if number > CLOSED {
        connection.pragma_update(None, "user_version", number - CLOSED)?;
    }
    Ok(())
}

/// Why a closed store is refused.
pub(super) fn moved(connection: &Connection) -> Error {
    let store = format!("sqlite:{}", connection.path().unwrap_or_default());
    match move_record::record(connection) {
        Ok(Some(record)) => record.refusal(&store),
        Ok(None) => newer(CLOSED),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, name and SQL of what there is.
    type Objects = Vec<[String; 3]>;
    /// The rows of each table.
    type Rows = Vec<(String, Vec<String>)>;

    /// What there is, as SQLite has it written down, and what is in the tables.
    fn contents(connection: &Connection) -> (Objects, Rows) {
        let mut objects = connection
            .prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
            .unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
        let objects: Objects = objects.query_map([], read).unwrap().map(|row| row.unwrap()).collect();
        let tables = objects.iter().filter(|[kind, ..]| kind == "table");
        let rows = tables.map(|[_, name, _]| {
            let mut all = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
            let columns = all.column_count();
            let read = |row: &rusqlite::Row<'_>| {
                let values = (0..columns).map(|at| row.get_ref(at).map(|value| format!("{value:?}")));
                Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(", "))
            };
            let rows = all.query_map([], read).unwrap().map(|row| row.unwrap()).collect();
            (name.clone(), rows)
        });
        let rows = rows.collect();
        (objects, rows)
    }

    #[test]
    fn a_new_store_is_what_all_migrations_make() {
        let [migrated, new] = [(); 2].map(|()| Connection::open_in_memory().unwrap());
        run_each(&migrated, 0).unwrap();
        new.execute_batch(NEW).unwrap();
        let (made, rows) = contents(&migrated);
        assert!(made.len() > 40, "the reading itself");
        assert!(rows.iter().any(|(_, rows)| !rows.is_empty()), "the reading itself");
        assert_eq!(contents(&new), (made, rows), "src/store/sqlite/migrations/new.sql");
    }
}
