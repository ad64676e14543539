//! The walk goes on in another store, to which all was moved.

use super::super::test_support::*;
use super::{MOVES_PER_COMPARISON, SLOTS, Walk};
use crate::model::EventKind;
use std::future::Future;

/// Moves of the walk in each store.
const MOVES_PER_STORE: usize = 2_500;

/// Walks in the first store, has `transfer` move all to the next one, by their places in `stores`, goes on there, and so on.
pub async fn random_walk_goes_on_in_moved_stores<T: Future<Output = ()>>(
    stores: &[TestStore],
    transfer: impl Fn(usize, usize) -> T,
) {
    let mut walk = Walk::new(&stores[0]);
    let everything = super::super::webhooks::webhook("all", &EventKind::DELIVERED_TO_WEBHOOKS);
    stores[0].store.set_webhook(everything, 1, T0).await.unwrap();
    for (at, store) in stores.iter().enumerate() {
        if at > 0 {
            transfer(at - 1, at).await;
            walk.s = store;
            walk.compare().await;
        }
        walk.processes.push(store.process_with(SLOTS).await);
        for number in 0..MOVES_PER_STORE {
            walk.make_a_move().await;
            if number % MOVES_PER_COMPARISON == 0 {
                walk.compare().await;
            }
        }
        // Their events stay in the outbox, and are moved with the rest.
        walk.everybody_leaves().await;
        store.check().await;
    }
}
