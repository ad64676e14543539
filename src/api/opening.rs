//! Opening the store, once for all who wait for it.

use crate::engine::Engine;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A call that waited so long while the store could not be opened fails with the one that tried, instead of after a try of
/// its own.
const SHARED_FAILURE_WAIT: Duration = Duration::from_secs(2);

/// The engine, once its store is open.
#[derive(Default)]
pub(super) struct Opening {
    pub(super) engine: Option<Arc<Engine>>,
    /// When and why opening failed last.
    failed: Option<(Instant, Error)>,
}

impl Opening {
    /// The last failure, when a call that was made then has waited for it.
    pub(super) fn failure_shared_with(&self, asked: Instant) -> Option<Error> {
        let (at, error) = self.failed.as_ref()?;
        (*at >= asked + SHARED_FAILURE_WAIT).then(|| error.clone())
    }

    /// Notes a failure.
    pub(super) fn remember<T>(&mut self, opened: Result<T>) -> Result<T> {
        self.failed = opened.as_ref().err().map(|error| (Instant::now(), error.clone()));
        opened
    }
}
