//! What a schema remembers of a move that it is, or was, an end of.

use super::failure::DbResult;
use super::session::Session;
use crate::store::transfer::{MARK, Record};

/// The version of the schema while it is closed: no process takes it.
pub(super) const CLOSED: i32 = 1_000_000;

const SELECT_MARK: &str = "SELECT value FROM ductape.marks WHERE name = $1";
const LOCK_MARK: &str = "SELECT value FROM ductape.marks WHERE name = $1 FOR UPDATE";
const UPSERT_MARK: &str =
    "INSERT INTO ductape.marks (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// What the store remembers of a move.
pub(super) async fn record(session: &Session) -> DbResult<Option<Record>> {
    let Some(row) = session.query_opt(SELECT_MARK, &[&MARK]).await? else {
        return Ok(None);
    };
    Ok(serde_json::from_str(row.try_get(0)?).ok())
}

/// The same; nobody else changes it before the transaction ends.
pub(super) async fn locked_record(session: &Session) -> DbResult<Option<Record>> {
    let Some(row) = session.query_opt(LOCK_MARK, &[&MARK]).await? else {
        return Ok(None);
    };
    Ok(serde_json::from_str(row.try_get(0)?).ok())
}

/// Writes that down.
pub(super) async fn remember(session: &Session, record: &Record) -> DbResult<()> {
    let text = record.to_text()?;
    session.execute(UPSERT_MARK, &[&MARK, &text]).await?;
    Ok(())
}
