//! What nearly every part of the engine needs: the store, the time, and where messages go.

use super::failpoint::Failpoints;
use super::figures::FigureCounts;
use super::handler::{Level, Logger};
use crate::clock::{Clock, Millis};
use crate::store::Store;
use std::sync::Arc;

/// Store, clock and logger of one engine.
#[derive(Clone)]
pub struct Context {
    /// Where jobs live.
    pub store: Arc<dyn Store>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Where messages go.
    pub logger: Arc<dyn Logger>,
    /// What is counted here.
    pub figures: Arc<FigureCounts>,
    /// Panics on demand, in tests.
    pub failpoints: Failpoints,
}

impl Context {
    /// Wall time, ms.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Logs a message.
    pub fn log(&self, level: Level, message: &str) {
        self.logger.log(level, message);
    }
}
