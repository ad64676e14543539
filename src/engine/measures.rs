//! What this process tells of itself as it stands.

use super::engine::Engine;
use super::figure_totals::FigureTotals;
use std::time::Duration;

/// Whoever asks waits no longer than this for a store that does not answer.
const MAX_STORE_WAIT: Duration = Duration::from_secs(1);

/// The lease of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseAge {
    /// Since it was renewed.
    pub age: Duration,
    /// How long it lasts from then on.
    pub length: Duration,
}

impl Engine {
    /// Whether a run that crashed often runs alone here, or is to next, so that others wait.
    #[must_use]
    pub fn another_runs_alone(&self) -> bool {
        self.claimer.suspects.keep_others_waiting()
    }

    /// The lease of this process's registration, while it has one.
    #[must_use]
    pub fn lease_age(&self) -> Option<LeaseAge> {
        let age = self.registration.renewed_ago()?;
        let length = self.config.lease;
        Some(LeaseAge { age, length })
    }

    /// All that was counted here since the process began. Dispatches to routes that nobody knows yet are told by a later call.
    pub async fn figure_totals(&self) -> FigureTotals {
        let figures = self.figures();
        let dispatched = figures.dispatched_routes();
        let mut numbers = self.routes.numbers_of(&dispatched);
        if numbers.len() < dispatched.len() {
            let _ = tokio::time::timeout(MAX_STORE_WAIT, self.load_routes()).await;
            numbers = self.routes.numbers_of(&dispatched);
        }
        figures.totals(&numbers)
    }
}
