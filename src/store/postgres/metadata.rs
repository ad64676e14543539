//! Small facts about the store itself, by name, such as the time zone data its next runs were computed with.

use super::failure::DbResult;
use super::session::Session;

const UPSERT_MARK: &str =
    "INSERT INTO ductape.marks (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const SELECT_MARK: &str = "SELECT value FROM ductape.marks WHERE name = $1";

/// Sets a mark.
pub(super) async fn set(session: &Session, name: &str, value: &str) -> DbResult<()> {
    session
        .execute(UPSERT_MARK, &[&name.to_owned(), &value.to_owned()])
        .await?;
    Ok(())
}

/// A mark, if it was ever set.
pub(super) async fn get(session: &Session, name: &str) -> DbResult<Option<String>> {
    let row = session.query_opt(SELECT_MARK, &[&name.to_owned()]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
