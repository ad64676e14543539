//! Metadata of the store by name, such as the version of the time zone data that its next occurrences were computed with.

use super::tx::Tx;
use crate::error::Result;
use rusqlite::{Connection, OptionalExtension};

/// Time of the last bulk change: written after its slices, so that syncing it syncs them too.
pub(super) const LAST_BULK_CHANGE: &str = "changed";

const UPSERT_MARK: &str = include_str!("sql/upsert_mark.sql");
const SELECT_MARK: &str = include_str!("sql/select_mark.sql");

/// Sets a value.
pub(super) fn set(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<()> {
    tx.connection.prepare_cached(UPSERT_MARK)?.execute((name, value))?;
    Ok(())
}

/// The value, if it was ever set.
pub(super) fn get(connection: &Connection, name: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached(SELECT_MARK)?
        .query_row([name], |row| row.get(0))
        .optional()?)
}
