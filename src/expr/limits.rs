//! How much an input's expressions may cost, and what is left of it.

use super::error::ExpressionError;

/// Bounds of one input's expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls, lists and objects within each other.
    pub depth: usize,
    /// Steps: one for each value computed, each element of a list handled, each KiB of text made,
    /// each 4 KiB of it looked at.
    pub steps: usize,
    /// Bytes of JSON that expressions yield, together.
    pub output_bytes: usize,
}

impl Limits {
    /// Deepest nesting that can be allowed: the parser and the evaluator recurse.
    pub const MAX_DEPTH: usize = 200;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 32,
            steps: 100_000,
            output_bytes: 1 << 20,
        }
    }
}

/// What is left of the limits while an input is resolved.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    steps: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            steps: limits.steps,
            bytes: limits.output_bytes,
        }
    }

    /// Takes steps.
    pub(super) fn spend_steps(&mut self, steps: usize) -> Result<(), ExpressionError> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(ExpressionError::invalid(format!(
                "takes more than {} steps; hand the work to the handler, or raise `expressions.maxSteps`",
                self.limits.steps
            ))),
        }
    }

    /// Takes the steps that a text of this length is worth; no text may be longer than all output.
    pub(super) fn charge_text(&mut self, bytes: usize) -> Result<(), ExpressionError> {
        self.check_text_size(bytes)?;
        self.spend_steps(1 + bytes / 1024)
    }

    /// No text may be longer than all output.
    pub(super) fn check_text_size(&self, bytes: usize) -> Result<(), ExpressionError> {
        if bytes > self.limits.output_bytes {
            return Err(self.output_exceeded());
        }
        Ok(())
    }

    /// Takes the steps that looking at so many bytes is worth.
    pub(super) fn charge_read(&mut self, bytes: usize) -> Result<(), ExpressionError> {
        self.spend_steps(bytes / 4096)
    }

    /// Counts what an expression has yielded.
    pub(super) fn charge_output(&mut self, bytes: usize) -> Result<(), ExpressionError> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(self.output_exceeded()),
        }
    }

    fn output_exceeded(&self) -> ExpressionError {
        ExpressionError::invalid(format!(
            "yields more than {} bytes; dispatch a reference, or raise `expressions.maxOutputBytes`",
            self.limits.output_bytes
        ))
    }
}
