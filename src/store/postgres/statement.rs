//! A dispatch as one SQL statement, for the caller's own transaction.
//!
//! Invariant: contended rows (the number of the route, the row of a concurrency key) are written before, in transactions
//! of our own; the statement itself holds no lock that others need.

use super::failure::{DbResult, damaged};
use super::job_text::{options_text, spec_text};
use super::keys::Keys;
use super::param::storable;
use super::routed_job::first_due;
use super::routes::{self, RouteCache};
use super::session::Session;
use super::tx::{Effects, Tx};
use crate::model::{JobId, NewJob, OnConflict};
use crate::store::Statement;
use serde_json::json;

/// The statement that dispatches this job.
pub(super) async fn of(session: &Session, routes: &RouteCache, job: &NewJob) -> DbResult<(Statement, Effects)> {
    let route = routes.intern(session, &[&job.route]).await?;
    let route = route.first().ok_or_else(|| damaged("a route without its number"))?;
    let mut tx = Tx::begin(session).await?;
    // The statement names the number of the key, which must not become that of another.
    session.query(routes::SYNC_COMMIT, &[]).await?;
    let keys = Keys::find(session, [job].into_iter()).await?;
    keys.limit(&mut tx, [job].into_iter()).await?;
    let after = tx.commit().await?;
    let (id, name) = match &job.id {
        JobId::Generated(id) => (Some(id.to_string()), None),
        JobId::Custom(name) => (None, Some(name)),
    };
    let tags: Vec<_> = job.options.tags.iter().map(|tag| storable(tag)).collect();
    let value = json!({
        "job_id": job.id.to_string(),
        "id": id,
        "name": name,
        "route": route.id,
        "route_added": route.mark,
        "priority": job.priority,
        "due": first_due(job),
        "retries": job.retries,
        "spec": job.recurrence.as_ref().map(spec_text).transpose()?,
        "fingerprint": job.fingerprint(),
        "created": job.created,
        "options": options_text(&job.options)?,
        "input": job.input,
        "key": keys.of(job),
        "tags": tags,
        "conflict": if job.on_conflict == OnConflict::Error { "error" } else { "return" },
    });
    let schema = session.connector().address.quoted_schema();
    let statement = Statement {
        text: format!("SELECT * FROM {schema}.dispatch_v2($1)"),
        value: value.to_string(),
    };
    Ok((statement, after))
}
