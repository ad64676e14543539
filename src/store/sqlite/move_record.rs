//! What a store in a file remembers of a move that it is, or was, an end of.

use crate::error::Result;
use crate::store::transfer::{MARK, Record};
use rusqlite::{Connection, OptionalExtension};

/// What the store remembers of a move.
pub(super) fn record(connection: &Connection) -> Result<Option<Record>> {
    let text: Option<String> = connection
        .query_row("SELECT value FROM marks WHERE name = ?1", [MARK], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Writes that down.
pub(super) fn remember(connection: &Connection, record: &Record) -> Result<()> {
    let text = record.to_text()?;
    connection.execute(
        "INSERT OR REPLACE INTO marks (name, value) VALUES (?1, ?2)",
        (MARK, text),
    )?;
    Ok(())
}

/// Forgets it.
pub(super) fn forget(connection: &Connection) -> Result<()> {
    connection.execute("DELETE FROM marks WHERE name = ?1", [MARK])?;
    Ok(())
}
