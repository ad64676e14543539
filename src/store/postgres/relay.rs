//! Removes events from the outbox when their deliveries are created.
//!
//! Invariant: an event is removed in the transaction that inserts its deliveries.

use super::failure::DbResult;
use super::insert;
use super::routed_job::RoutedJob;
use super::routes::{RouteCache, RouteRef};
use super::session::Session;
use super::tx::{Effects, Tx};
use crate::clock::Millis;
use crate::model::NewJob;
use crate::store::RelayedEvent;
use crate::store::begin_anew;

const DELETE_EVENT: &str = include_str!("sql/delete_event.sql");

/// Removes events and inserts their deliveries; returns how many events were still present.
pub(super) async fn apply(
    session: &Session,
    routes: &RouteCache,
    relayed: &[RelayedEvent],
    now: Millis,
) -> DbResult<(usize, Effects)> {
    // Route numbers are assigned in separate transactions, before this one.
    let all: Vec<_> = relayed
        .iter()
        .flat_map(|event| &event.deliveries)
        .map(|job| &*job.route)
        .collect();
    let numbers = routes.intern(session, &all).await?;
    let mut tx = Tx::begin(session).await?;
    let events: Vec<i64> = relayed.iter().map(|event| event.event).collect();
    let taken: Vec<i64> = session
        .query(DELETE_EVENT, &[&events])
        .await?
        .iter()
        .map(|row| Ok(row.try_get(0)?))
        .collect::<DbResult<_>>()?;
    let deliveries = relayed
        .iter()
        .flat_map(|event| event.deliveries.iter().map(move |job| (event.event, job)))
        .zip(numbers);
    let jobs: Vec<(&NewJob, RouteRef)> = deliveries
        .filter(|((event, _), _)| taken.contains(event))
        .map(|((_, job), route)| (job, route))
        .collect();
    let routed: Vec<RoutedJob<'_>> = jobs
        .iter()
        .map(|(job, route)| RoutedJob::new(job, *route, begin_anew))
        .collect();
    routes.check(insert::insert_in(&mut tx, &routed, now).await)?;
    let after = tx.commit().await?;
    Ok((taken.len(), after))
}
