//! What came of an attempt.

use crate::clock::Millis;
use serde::{Deserialize, Serialize};

/// Longest stack kept with an error, in bytes.
pub const MAX_STACK_BYTES: usize = 8 * 1024;
/// Longest message kept with an error, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// Why an attempt failed, as history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The error's `code`, else its `name`.
    pub code: Box<str>,
    /// Its message.
    pub message: Box<str>,
    /// Its stack, cut to [`MAX_STACK_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Box<str>>,
}

impl RunError {
    /// An error with a code and a message; both are cut to a length a store can bear.
    #[must_use]
    pub fn new(code: &str, message: &str, stack: Option<&str>) -> Self {
        Self {
            code: truncate_to(code, 255).into(),
            message: truncate_to(message, MAX_MESSAGE_BYTES).into(),
            stack: stack.map(|text| truncate_to(text, MAX_STACK_BYTES).into()),
        }
    }
}

/// The longest prefix of `text` that fits in `bytes` and ends at a character.
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
    /// The run is over; JSON text of the result, if it has one.
    Completed {
        /// JSON text.
        result: Option<Box<str>>,
    },
    /// The run is over, with an error.
    Failed {
        /// Why.
        error: RunError,
    },
    /// The attempt failed; the next one is due at `due`.
    Retry {
        /// Why.
        error: RunError,
        /// When the next attempt is due.
        due: Millis,
    },
    /// The handler asked to be called again at `due`; the attempt is not counted.
    Snoozed {
        /// When.
        due: Millis,
    },
    /// The run is over, and its job is deleted with all it has left behind: nobody will ask for it. Only for a one-off
    /// of the package's own; what came of it is kept elsewhere.
    Discarded,
    /// Handed back unstarted or undone, to be run by whoever comes next; the attempt is not counted.
    Released,
}
