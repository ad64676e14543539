//! The outcome of an attempt.

use crate::clock::Millis;
use serde::{Deserialize, Serialize};

/// Stored stacks are truncated to this length, in bytes.
pub const MAX_STACK_BYTES: usize = 8 * 1024;
/// Stored messages are truncated to this length, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;
/// Stored codes are truncated to this length, in bytes.
pub const MAX_CODE_BYTES: usize = 255;
/// Causes whose text is longer than this, in bytes, are not stored.
pub const MAX_ORIGIN_BYTES: usize = 64 * 1024;

/// Why an attempt failed, as stored in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The error's `code`, or else its `name`; at most [`MAX_CODE_BYTES`].
    pub code: Box<str>,
    /// The message, at most [`MAX_MESSAGE_BYTES`].
    pub message: Box<str>,
    /// The stack, at most [`MAX_STACK_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Box<str>>,
    /// What it names as its causes: JSON text of an object with `cause`, an error with its causes, and `errors`, a list of them;
    /// at most [`MAX_ORIGIN_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<str>>,
}

impl RunError {
    /// An error whose texts are truncated to their maximum lengths.
    #[must_use]
    pub fn new(code: &str, message: &str, stack: Option<&str>) -> Self {
        Self {
            code: truncate_to(code, MAX_CODE_BYTES).into(),
            message: truncate_to(message, MAX_MESSAGE_BYTES).into(),
            stack: stack.map(|text| truncate_to(text, MAX_STACK_BYTES).into()),
            origin: None,
        }
    }

    /// The same with what it names as its causes, if that is not too long.
    #[must_use]
    pub fn with_origin(self, origin: Option<&str>) -> Self {
        let origin = origin.filter(|origin| origin.len() <= MAX_ORIGIN_BYTES);
        Self {
            origin: origin.map(Into::into),
            ..self
        }
    }
}

/// The longest prefix of `text` of at most `bytes` bytes that ends at a character boundary.
fn truncate_to(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        text
    } else {
        &text[..text.floor_char_boundary(bytes)]
    }
}

/// What happens to a run after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// The run is over.
    Completed {
        /// JSON text of the result, if there is one.
        result: Option<Box<str>>,
    },
    /// The run is over, with an error.
    Failed {
        /// Why.
        error: RunError,
    },
    /// The attempt failed and another one follows.
    Retry {
        /// Why.
        error: RunError,
        /// When the next attempt is due, ms since the epoch.
        due: Millis,
    },
    /// The handler asked to be called again later; the attempt is not counted.
    Snoozed {
        /// When the next attempt is due, ms since the epoch.
        due: Millis,
    },
    /// The run is over, and its job is deleted with its history. Only for internal one-off jobs, whose outcome is recorded
    /// elsewhere.
    Discarded,
    /// Released before it was started, for any process to claim; the attempt is not counted.
    Released,
    /// The same of the first attempt of a run of a series, which was begun: so that it does not count as one that only waits, it
    /// is due anew.
    Interrupted {
        /// When it was given up, ms since the epoch.
        at: Millis,
    },
    /// A run of a series that nobody has begun while its occurrence was in time: there is no such run, and what becomes of
    /// the occurrence is decided anew.
    TakenBack,
}
