//! Small facts about the store itself, by name, such as the time zone data its next runs were computed with.

use super::failure::Attempt;
use super::session::Session;

const PUT: &str =
    "INSERT INTO ductape.marks (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const GET: &str = "SELECT value FROM ductape.marks WHERE name = $1";

/// Sets a mark.
pub(super) async fn set(session: &Session, name: &str, value: &str) -> Attempt<()> {
    session.execute(PUT, &[&name.to_owned(), &value.to_owned()]).await?;
    Ok(())
}

/// A mark, if it was ever set.
pub(super) async fn get(session: &Session, name: &str) -> Attempt<Option<String>> {
    let row = session.query_opt(GET, &[&name.to_owned()]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
