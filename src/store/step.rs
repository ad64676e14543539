//! Steps of a run that are finished, so that a later attempt does not repeat them.

use super::payload::plain_len;
use super::{ClaimedRun, InstanceId, JobSeq, Token};
use crate::error::{Error, ErrorCode, Problem, Result};

/// Most steps that a run may finish.
pub const MAX_STEPS_PER_RUN: usize = 1_000;
/// Most bytes of a step's result.
pub const MAX_STEP_RESULT_BYTES: usize = 1 << 20;
/// Most bytes of a step's tag.
pub const MAX_STEP_TAG_BYTES: usize = 1_000;

/// Before the tags of what the package itself remembers of a run's steps. Those are not counted.
pub(in crate::store) const INTERNAL_TAG_PREFIX: &str = "ductape:";
/// Before the number of a run that is run again: [`Change::Retry`](super::Change::Retry) puts the tag behind the steps
/// that the new run has of it.
pub const EARLIER_RUN_PREFIX: &str = "ductape:run:";

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name within the run.
    pub tag: Box<str>,
    /// JSON text of its result.
    pub result: Option<Box<str>>,
}

impl Step {
    /// Whether it is of the package's own.
    pub(in crate::store) fn is_internal(&self) -> bool {
        self.tag.starts_with(INTERNAL_TAG_PREFIX)
    }

    /// Refuses what no store takes.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a tag or a result that is too long.
    pub fn check(&self) -> Result<()> {
        if self.tag.is_empty() || self.tag.len() > MAX_STEP_TAG_BYTES {
            return Err(validation_error(format!(
                "the tag of a step must have 1 to {MAX_STEP_TAG_BYTES} bytes"
            )));
        }
        let size = self.result.as_deref().map_or(0, plain_len);
        if size > MAX_STEP_RESULT_BYTES {
            return Err(validation_error(format!(
                "the result of the step '{}' has {size} bytes, and at most {MAX_STEP_RESULT_BYTES} are kept; \
                 keep it elsewhere and return where it is",
                self.tag
            )));
        }
        Ok(())
    }
}

/// Who has a run: what was recorded for it counts only with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRef {
    /// The job.
    pub job: JobSeq,
    /// The run.
    pub run: i64,
    /// Whose it is.
    pub instance: InstanceId,
    /// Proof of the claim.
    pub token: Token,
}

impl ClaimRef {
    /// The process that claimed a run.
    #[must_use]
    pub fn of(instance: InstanceId, run: &ClaimedRun) -> Self {
        Self {
            job: run.job,
            run: run.run,
            instance,
            token: run.token,
        }
    }
}

/// What became of a step that was to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum StepRecording {
    /// It is there now, or was before.
    Stored,
    /// The run is no longer that process's.
    LeaseLost,
    /// The run has as many as it may.
    TooMany,
}

impl StepRecording {
    /// The answer of the verb.
    pub(in crate::store) fn answer(self) -> Result<()> {
        match self {
            Self::Stored => Ok(()),
            Self::LeaseLost => Err(Error::new(
                ErrorCode::LeaseLost,
                "the run is no longer this process's: its lease has ended, or the job was cancelled",
            )),
            Self::TooMany => Err(validation_error(format!(
                "a run may finish at most {MAX_STEPS_PER_RUN} steps; put several things into one, or dispatch jobs for them"
            ))),
        }
    }
}

fn validation_error(message: String) -> Error {
    Error::invalid(vec![Problem::new("step", message)])
}
