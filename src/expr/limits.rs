//! How much an input's expressions may cost, and what is left of it.

use super::fault::Fault;

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
    pub(super) fn step(&mut self, steps: usize) -> Result<(), Fault> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Fault::invalid(format!(
                "takes more than {} steps; hand the work to the handler, or raise `expressions.maxSteps`",
                self.limits.steps
            ))),
        }
    }

    /// Takes the steps that a text of this length is worth; no text may be longer than all output.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), Fault> {
        self.most(bytes)?;
        self.step(1 + bytes / 1024)
    }

    /// No text may be longer than all output.
    pub(super) fn most(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.limits.output_bytes {
            return Err(self.too_long());
        }
        Ok(())
    }

    /// Takes the steps that looking at so many bytes is worth.
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), Fault> {
        self.step(bytes / 4096)
    }

    /// Counts what an expression has yielded.
    pub(super) fn output(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(self.too_long()),
        }
    }

    fn too_long(&self) -> Fault {
        Fault::invalid(format!(
            "yields more than {} bytes; dispatch a reference, or raise `expressions.maxOutputBytes`",
            self.limits.output_bytes
        ))
    }
}
