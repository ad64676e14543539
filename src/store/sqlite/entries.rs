//! Expiring values, by kind, space and key.

use super::run_rows::rows;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{Entry, EntryKey, EntryKind};
use rusqlite::{Connection, OptionalExtension};

/// Most entries deleted in one transaction.
pub(super) const MAX_ENTRIES_PER_TRANSACTION: usize = 250;

const UPSERT_ENTRY: &str = include_str!("sql/upsert_entry.sql");
const SELECT_ENTRY: &str = include_str!("sql/select_entry.sql");
const DELETE_ENTRY: &str = include_str!("sql/delete_entry.sql");
const DELETE_ENTRIES_OF_SPACE: &str = include_str!("sql/delete_entries_of_space.sql");
const DELETE_EXPIRED_ENTRIES: &str = include_str!("sql/delete_expired_entries.sql");
const SELECT_CROWDED_SPACES: &str = include_str!("sql/select_crowded_spaces.sql");
const DELETE_EXCESS_ENTRIES: &str = include_str!("sql/delete_excess_entries.sql");

/// Writes an entry, replacing an existing one.
pub(super) fn put(tx: &mut Tx<'_>, entry: &Entry) -> Result<()> {
    let EntryKey { kind, space, key } = &entry.at;
    let mut put = tx.connection.prepare_cached(UPSERT_ENTRY)?;
    put.execute((*kind as i64, space, key, &entry.value, entry.expires))?;
    Ok(())
}

/// The value of an unexpired entry.
pub(super) fn get(connection: &Connection, at: &EntryKey, now: Millis) -> Result<Option<Box<str>>> {
    let mut get = connection.prepare_cached(SELECT_ENTRY)?;
    let row = (at.kind as i64, &at.space, &at.key, now);
    Ok(get.query_row(row, |row| row.get(0)).optional()?)
}

/// Deletes an entry; returns its value if it had not expired.
pub(super) fn take(tx: &mut Tx<'_>, at: &EntryKey, now: Millis) -> Result<Option<Box<str>>> {
    let mut take = tx.connection.prepare_cached(DELETE_ENTRY)?;
    let found: Option<(Box<str>, Millis)> = take
        .query_row((at.kind as i64, &at.space, &at.key), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.filter(|(_, expires)| *expires > now).map(|(value, _)| value))
}

/// Deletes up to `most` entries of a space; returns how many.
pub(super) fn clear(tx: &mut Tx<'_>, kind: EntryKind, space: &str, most: usize) -> Result<usize> {
    let mut clear = tx.connection.prepare_cached(DELETE_ENTRIES_OF_SPACE)?;
    Ok(clear.execute((kind as i64, space, rows(most)))?)
}

/// Deletes at most `limit` entries that have expired or exceed the `most` of their cache.
pub(super) fn sweep(tx: &mut Tx<'_>, now: Millis, most: usize, limit: usize) -> Result<usize> {
    let connection = tx.connection;
    let mut deleted = connection
        .prepare_cached(DELETE_EXPIRED_ENTRIES)?
        .execute((now, rows(limit)))?;
    let crowded: Vec<(Box<str>, i64)> = {
        let mut spaces = connection.prepare_cached(SELECT_CROWDED_SPACES)?;
        let rows = spaces.query_map((EntryKind::Cache as i64, rows(most)), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (space, count) in crowded {
        let room = limit.saturating_sub(deleted);
        let excess = count.saturating_sub(rows(most)).min(rows(room));
        let mut drop = connection.prepare_cached(DELETE_EXCESS_ENTRIES)?;
        deleted += drop.execute((EntryKind::Cache as i64, space, excess))?;
    }
    Ok(deleted)
}
