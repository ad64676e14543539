//! Small facts about the store itself, by name, such as the time zone data its next runs were computed with.

use super::tx::Tx;
use crate::error::Result;
use rusqlite::{Connection, OptionalExtension};

/// When jobs were last changed in slices: written after them, so that its sync is theirs too.
pub(super) const LAST_BULK_CHANGE: &str = "changed";

const UPSERT_MARK: &str = include_str!("sql/upsert_mark.sql");
const SELECT_MARK: &str = include_str!("sql/select_mark.sql");

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
