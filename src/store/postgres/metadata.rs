//! Metadata of the store by name, such as the version of the time zone data that its next occurrences were computed with.

use super::failure::DbResult;
use super::session::Session;

const UPSERT_MARK: &str = include_str!("sql/upsert_mark.sql");
const SELECT_MARK: &str = include_str!("sql/select_mark.sql");

/// Sets a value.
pub(super) async fn set(session: &Session, name: &str, value: &str) -> DbResult<()> {
    session
        .execute(UPSERT_MARK, &[&name.to_owned(), &value.to_owned()])
        .await?;
    Ok(())
}

/// The value, if it was ever set.
pub(super) async fn get(session: &Session, name: &str) -> DbResult<Option<String>> {
    let row = session.query_opt(SELECT_MARK, &[&name.to_owned()]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
