//! Metadata of the store by name, such as the version of the time zone data that its next occurrences were computed with; and the
//! server's clock.

use super::failure::DbResult;
use super::session::Session;
use crate::clock::Millis;

const UPSERT_MARK: &str = include_str!("sql/upsert_mark.sql");
const SELECT_TIME: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
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

/// What the server's clock shows, ms.
pub(super) async fn server_time(session: &Session) -> DbResult<Millis> {
    let row = session.query_opt(SELECT_TIME, &[]).await?;
    let row = row.ok_or_else(|| super::failure::damaged("no time"))?;
    Ok(row.try_get(0)?)
}
