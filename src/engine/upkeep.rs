//! What is done in passing by calls, since nobody does it regularly in a process that only dispatches: the clock is compared with the
//! store's, and what was counted is handed over.

use super::engine::Engine;
use super::figures::FigureCounts;
use super::maintain::figures_writer;
use super::store_time;
use crate::clock::StoreClock;
use crate::error::Result;
use std::sync::Arc;
use std::time::Duration;

/// A caller waits no longer than this for the store to tell the time.
const MAX_CLOCK_WAIT: Duration = Duration::from_secs(1);

impl Engine {
    /// Compares the clock with the store's, if that was last done over a second ago.
    pub async fn keep_clock(self: &Arc<Self>) {
        if !self.clock.store_clock().is_some_and(StoreClock::sample_is_due) {
            return;
        }
        let engine = Arc::clone(self);
        // Goes on by itself when the store is slow to answer.
        let asking = tokio::spawn(async move {
            if let Some(clock) = engine.clock.store_clock() {
                store_time::keep_clock(&*engine.store, clock, &*engine.logger).await;
            }
        });
        let _ = tokio::time::timeout(MAX_CLOCK_WAIT, asking).await;
    }

    /// What was counted here.
    #[must_use]
    pub fn figures(&self) -> &FigureCounts {
        &self.context.figures
    }

    /// Hands what was counted here to the store.
    ///
    /// # Errors
    /// What the store says; then it waits for the next time.
    pub async fn flush_figures(&self) -> Result<()> {
        figures_writer::flush(&self.context, &self.routes).await
    }

    /// Hands it over without waiting for that.
    pub fn flush_figures_meanwhile(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        // What the store does not take waits for the next time.
        tokio::spawn(async move { engine.flush_figures().await });
    }
}
