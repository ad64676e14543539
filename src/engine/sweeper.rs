//! Deletes what retention no longer keeps, in small batches, so that nobody waits for it.

use super::handler::Level;
use super::worker::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Jobs of one batch: one short transaction.
const BATCH: usize = 500;
/// Time between two sweeps.
const EVERY: Duration = Duration::from_secs(30);
/// Time for others between two batches.
const BREATH: Duration = Duration::from_millis(20);

/// Sweeps until told to stop.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
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
