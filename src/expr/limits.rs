//! How much the expressions of one input may cost, and what is left of that.

use super::error::ExpressionError;

/// Upper bounds for the expressions of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nesting depth of calls, lists and objects.
    pub depth: usize,
    /// Steps: one for each value computed, each list element processed, each KiB of text produced and each 4 KiB of
    /// text read.
    pub steps: usize,
    /// Total bytes of JSON that the expressions yield.
    pub output_bytes: usize,
}

impl Limits {
    /// The highest `depth` that has an effect: parser and evaluator recurse.
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
    steps_left: usize,
    output_bytes_left: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            steps_left: limits.steps,
            output_bytes_left: limits.output_bytes,
        }
    }

    /// Spends steps; fails when there are too few left.
    pub(super) fn spend_steps(&mut self, steps: usize) -> Result<(), ExpressionError> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(ExpressionError::invalid(format!(
                "takes more than {} steps; hand the work to the handler, or raise `expressions.maxSteps`",
                self.limits.steps
            ))),
        }
    }

    /// Charges for a text of this length, before or after it is made.
    pub(super) fn charge_text(&mut self, bytes: usize) -> Result<(), ExpressionError> {
        self.check_text_size(bytes)?;
        self.spend_steps(1 + bytes / 1024)
    }

    /// Fails for a text that alone would exceed the output limit.
    pub(super) fn check_text_size(&self, bytes: usize) -> Result<(), ExpressionError> {
        if bytes > self.limits.output_bytes {
            return Err(self.output_exceeded());
        }
        Ok(())
    }

    /// Charges for reading this many bytes.
    pub(super) fn charge_read(&mut self, bytes: usize) -> Result<(), ExpressionError> {
        self.spend_steps(bytes / 4096)
    }

    /// Counts bytes that an expression yields towards the output limit.
    pub(super) fn charge_output(&mut self, bytes: usize) -> Result<(), ExpressionError> {
        match self.output_bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.output_bytes_left = left;
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
