//! Removes events from the outbox when their deliveries are created.
//!
//! Invariant: an event is removed in the transaction that inserts its deliveries.

use super::insert;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{InsertParams, RelayedEvent};

const DELETE_EVENT: &str = include_str!("sql/delete_event.sql");

/// Removes events and inserts their deliveries; returns how many events were still present.
pub(super) fn apply(tx: &mut Tx<'_>, relayed: &[RelayedEvent], now: Millis) -> Result<usize> {
    let mut counted = 0;
    for RelayedEvent { event, deliveries } in relayed {
        if tx.connection.prepare_cached(DELETE_EVENT)?.execute([event])? == 0 {
            continue;
        }
        counted += 1;
        let params = InsertParams {
            jobs: deliveries.clone(),
            all_or_nothing: false,
            now,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        };
        insert::apply(tx, &params)?;
    }
    Ok(counted)
}
