//! Expiring values, by kind, space and key.

use super::failure::DbResult;
use super::param::{rows, storable};
use super::session::Session;
use crate::clock::Millis;
use crate::store::{Entry, EntryKey, EntryKind};

/// Most entries of a space deleted in one statement.
pub(super) const MAX_ENTRIES_PER_TRANSACTION: usize = 1_000;

const UPSERT_ENTRY: &str = include_str!("sql/upsert_entry.sql");
const SELECT_ENTRY: &str = include_str!("sql/select_entry.sql");
const DELETE_ENTRY: &str = include_str!("sql/delete_entry.sql");
const DELETE_ENTRIES_OF_SPACE: &str = include_str!("sql/delete_entries_of_space.sql");
const DELETE_EXPIRED_ENTRIES: &str = include_str!("sql/delete_expired_entries.sql");
const SELECT_CROWDED_SPACES: &str = include_str!("sql/select_crowded_spaces.sql");
const DELETE_EXCESS_ENTRIES: &str = include_str!("sql/delete_excess_entries.sql");

/// The key of an entry, as parameters.
fn named(at: &EntryKey) -> (i32, String, String) {
    let text = |text: &str| storable(text).into_owned();
    (at.kind as i32, text(&at.space), text(&at.key))
}

/// Writes an entry, replacing an existing one.
pub(super) async fn put(session: &Session, entry: &Entry) -> DbResult<()> {
    let (kind, space, key) = named(&entry.at);
    let value = storable(&entry.value).into_owned();
    session
        .execute(UPSERT_ENTRY, &[&kind, &space, &key, &value, &entry.expires])
        .await?;
    Ok(())
}

/// The value of an unexpired entry.
pub(super) async fn get(session: &Session, at: &EntryKey, now: Millis) -> DbResult<Option<Box<str>>> {
    let (kind, space, key) = named(at);
    let row = session.query_opt(SELECT_ENTRY, &[&kind, &space, &key, &now]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Deletes an entry; returns its value if it had not expired.
pub(super) async fn take(session: &Session, at: &EntryKey, now: Millis) -> DbResult<Option<Box<str>>> {
    let (kind, space, key) = named(at);
    let Some(row) = session.query_opt(DELETE_ENTRY, &[&kind, &space, &key, &now]).await? else {
        return Ok(None);
    };
    let lives: bool = row.try_get(1)?;
    Ok(if lives { Some(row.try_get(0)?) } else { None })
}

/// Deletes some entries of a space; returns how many: fewer than [`MAX_ENTRIES_PER_TRANSACTION`] if none are left.
pub(super) async fn clear(session: &Session, kind: EntryKind, space: &str) -> DbResult<usize> {
    let (kind, space) = (kind as i32, storable(space).into_owned());
    let cleared = session
        .execute(
            DELETE_ENTRIES_OF_SPACE,
            &[&kind, &space, &rows(MAX_ENTRIES_PER_TRANSACTION)],
        )
        .await?;
    Ok(counted(cleared))
}

/// Deletes at most `limit` entries that have expired or exceed the `most` of their cache.
pub(super) async fn sweep(session: &Session, now: Millis, most: usize, limit: usize) -> DbResult<usize> {
    let mut deleted = counted(session.execute(DELETE_EXPIRED_ENTRIES, &[&now, &rows(limit)]).await?);
    let (kind, most) = (EntryKind::Cache as i32, rows(most));
    for row in session.query(SELECT_CROWDED_SPACES, &[&kind, &most]).await? {
        let (space, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let excess = count.saturating_sub(most).min(rows(limit.saturating_sub(deleted)));
        deleted += counted(
            session
                .execute(DELETE_EXCESS_ENTRIES, &[&kind, &space, &excess])
                .await?,
        );
    }
    Ok(deleted)
}

fn counted(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
