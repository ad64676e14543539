//! The arguments of a connector: one attempt, its steps, and what resolves late expressions.

use super::limits::Limits;
use crate::engine::Attempt;
use crate::engine::inputs::ExpressionResolver;
use crate::engine::steps::Steps;
use std::time::Duration;

/// One attempt of a job that a connector runs.
pub struct Call<'a> {
    /// The attempt; the input in it has its expressions resolved.
    pub attempt: &'a Attempt,
    /// Resolves what definitions leave open until a call, such as secrets in templates.
    pub expressions: &'a ExpressionResolver,
    /// What earlier attempts of the run finished, and where this one writes what it finishes.
    pub steps: &'a Steps,
    /// Bounds of the attempt.
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

    /// How long an operation of the attempt may take: what the job says, else what is usual.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let timeout = self.attempt.options.timeout.unwrap_or(self.limits.timeout).max(1);
        Duration::from_millis(timeout.unsigned_abs())
    }

    /// The same for every attempt of a run and different for each run, so that a server can recognise a repetition.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        self.attempt.idempotency_key()
    }
}
