//! Small facts about the store itself, by name, such as the time zone data its next runs were computed with.

use super::tx::Tx;
use crate::error::Result;
use rusqlite::{Connection, OptionalExtension};

/// When jobs were last changed in slices: written after them, so that its sync is theirs too.
pub(super) const LAST_BULK_CHANGE: &str = "changed";

const UPSERT_MARK: &str =
    "INSERT INTO marks (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const SELECT_MARK: &str = "SELECT value FROM marks WHERE name = ?1";

/// Sets a mark.
pub(super) fn set(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<()> {
    tx.connection.prepare_cached(UPSERT_MARK)?.execute((name, value))?;
    Ok(())
}

/// A mark, if it was ever set.
pub(super) fn get(connection: &Connection, name: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached(SELECT_MARK)?
        .query_row([name], |row| row.get(0))
        .optional()?)
}
