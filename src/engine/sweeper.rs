//! Deletes what retention no longer keeps, in small batches, so that nobody waits for it.

use super::handler::Level;
use super::worker::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Jobs of one batch: one short transaction.
const BATCH: usize = 500;
/// The same, of cached values.
const ENTRIES: usize = 200;
/// Time between two sweeps.
const EVERY: Duration = Duration::from_secs(30);
/// Time for others between two batches.
const BREATH: Duration = Duration::from_millis(20);

/// Values that each cache keeps at most.
pub const MOST_CACHED: usize = 10_000;

/// Deletes cached values and memories of sessions that have ended, in small batches.
async fn sweep_entries(engine: &Engine) -> crate::error::Result<()> {
    loop {
        let now = engine.clock.now();
        if engine.store.sweep_entries(now, MOST_CACHED, ENTRIES).await? < ENTRIES {
            return Ok(());
        }
        tokio::time::sleep(BREATH).await;
        if engine.is_stopping() {
            return Ok(());
        }
    }
}

/// Sweeps until told to stop.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        if let Err(error) = sweep_entries(&engine).await {
            engine
                .journal
                .log(Level::Debug, &format!("cannot delete old cache entries: {error}"));
        }
        let rest = match engine
            .store
            .sweep(engine.config.retention, engine.clock.now(), BATCH)
            .await
        {
            Ok(deleted) if deleted >= BATCH => BREATH,
            Ok(_) => EVERY,
            Err(error) => {
                engine
                    .journal
                    .log(Level::Debug, &format!("cannot delete old jobs: {error}"));
                EVERY
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}
