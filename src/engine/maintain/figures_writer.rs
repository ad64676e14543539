//! Hands what this process has counted to the store, once a minute and at its end, and deletes what is too old.

use crate::engine::claim::routes::Routes;
use crate::engine::config::FigureRetention;
use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::service::{Service, StopSignal};
use crate::error::Result;
use async_trait::async_trait;
use std::time::Duration;

/// Time between two flushes.
const INTERVAL: Duration = Duration::from_secs(60);
/// Flushes between two looks for what is too old.
const SWEEP_FLUSHES: u32 = 10;

/// Writes figures over time.
pub struct FiguresWriter {
    /// Store, clock, logger, and what was counted.
    pub context: Context,
    /// Routes by their number.
    pub routes: Routes,
    /// How long they are kept; `None`: there are none.
    pub retention: Option<FigureRetention>,
}

#[async_trait]
impl Service for FiguresWriter {
    fn name(&self) -> &'static str {
        "figures writer"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let mut flushes = 0;
        loop {
            tokio::select! {
                () = stop.stopped() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
            self.context.failpoints.pass("figures writer");
            // What the store does not take waits for the next time; that it takes nothing is told of by others.
            if let Err(error) = flush(&self.context, &self.routes).await {
                self.context
                    .log(Level::Debug, &format!("cannot write figures: {error}"));
            }
            if stop.is_stopping() {
                return;
            }
            if flushes % SWEEP_FLUSHES == 0 {
                self.sweep(&stop).await;
            }
            flushes += 1;
        }
    }
}

impl FiguresWriter {
    async fn sweep(&self, stop: &StopSignal) {
        let Some(kept) = self.retention else { return };
        let now = self.context.now();
        let (minutes, hours) = (now.saturating_sub(kept.minutes), now.saturating_sub(kept.hours));
        // One short transaction after the other.
        while !stop.is_stopping()
            && self
                .context
                .store
                .sweep_figures(minutes, hours)
                .await
                .is_ok_and(|swept| swept > 0)
        {}
    }
}

/// Hands over what waits.
///
/// # Errors
/// What the store says; then it waits for the next time.
pub(in crate::engine) async fn flush(context: &Context, routes: &Routes) -> Result<()> {
    let figures = &context.figures;
    let dispatched = figures.dispatched_routes();
    let mut numbers = routes.numbers_of(&dispatched);
    if numbers.len() < dispatched.len() {
        routes.load().await?;
        numbers = routes.numbers_of(&dispatched);
    }
    let minutes = figures.take(&numbers);
    if minutes.is_empty() {
        return Ok(());
    }
    let written = context.store.add_figures(minutes.clone()).await;
    if written.is_err() {
        figures.put_back(minutes);
    }
    written
}
