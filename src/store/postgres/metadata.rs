//! Small facts about the store itself, by name, such as the time zone data its next runs were computed with.

use super::failure::DbResult;
use super::session::Session;

const UPSERT_MARK: &str = include_str!("sql/upsert_mark.sql");
const SELECT_MARK: &str = include_str!("sql/select_mark.sql");

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
