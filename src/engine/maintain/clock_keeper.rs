//! Keeps the clock that jobs go by right while this process works: its machine's may run faster or slower than the store's, and
//! either may be set.

use crate::engine::context::Context;
use crate::engine::service::{Service, StopSignal};
use crate::engine::store_time;
use async_trait::async_trait;
use std::time::Duration;

/// Longest time between two comparisons: for so long processes may go by different times after the store's clock was set.
const INTERVAL: Duration = Duration::from_secs(1);

/// Compares the clock with that of the store.
pub struct ClockKeeper(pub Context);

#[async_trait]
impl Service for ClockKeeper {
    fn name(&self) -> &'static str {
        "clock"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let context = &self.0;
        let Some(clock) = context.clock.store_clock().filter(|clock| clock.follows_store()) else {
            return stop.stopped().await;
        };
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            // Whoever claims or looks for dead processes learns it, too.
            if clock.sample_is_due() {
                store_time::keep_clock(&*context.store, clock, &*context.logger).await;
            } else {
                store_time::warn_of_skew(clock, &*context.logger);
            }
        }
    }
}
