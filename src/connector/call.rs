//! What a connector is given: one attempt, and what goes with it.

use crate::engine::Attempt;
use crate::engine::inputs::ExpressionResolver;
use crate::engine::steps::Steps;

/// Bounds of what connectors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of an answer that are read.
    pub response_bytes: usize,
    /// Longest attempt of a job that sets no `timeout`, ms.
    pub timeout: i64,
    /// Most connections to one resource.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response_bytes: 10 << 20,
            timeout: 60_000,
            connections: 10,
        }
    }
}

/// One attempt of a job whose work is a connector's.
pub struct Call<'a> {
    /// The attempt; the input in it has its expressions resolved.
    pub attempt: &'a Attempt,
    /// Resolves what definitions leave open until a call, such as secrets in templates.
    pub expressions: &'a ExpressionResolver,
    /// What earlier attempts of the run finished, and where this one writes what it finishes.
    pub steps: &'a Steps,
    /// Bounds.
    pub limits: &'a Limits,
}

impl Call<'_> {
    /// JSON text of the input.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.attempt.run.input
    }

    /// The last field of the target: the event, or the operation.
    #[must_use]
    pub fn event(&self) -> &str {
        self.attempt.route.target.last().map_or("", |event| event)
    }

    /// The same for every attempt of a run, and for no other run: what the other side can know a repetition by.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        self.attempt.idempotency_key()
    }
}
