//! The error for an invalid expression: what is wrong, where, and what to write instead.
//!
//! It must not know how parsing works. Invariant: `position` lies within the text and neither
//! `message` nor `hint` is empty.

use std::fmt;

use super::Field;

/// Length to which an error truncates the text it quotes, in bytes.
const MAX_QUOTED_BYTES: usize = 40;

/// An invalid expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// The invalid field, or `None` when the expression as a whole is invalid.
    pub field: Option<Field>,
    /// The byte offset in the text at which the problem begins, 0 to the text's length.
    pub position: usize,
    /// What is wrong, naming the value.
    pub message: String,
    /// What would be valid.
    pub hint: String,
}

impl CronError {
    pub(super) fn whole(position: usize, message: String, hint: impl Into<String>) -> CronError {
        CronError {
            field: None,
            position,
            message,
            hint: hint.into(),
        }
    }

    pub(super) fn in_field(field: Field, position: usize, message: String, hint: impl Into<String>) -> CronError {
        CronError {
            field: Some(field),
            position,
            message,
            hint: hint.into(),
        }
    }
}

impl fmt::Display for CronError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at position {}", self.message, self.position)?;
        if let Some(field) = self.field {
            write!(formatter, " in the {field} field")?;
        }
        write!(formatter, "; {}", self.hint)
    }
}

impl std::error::Error for CronError {}

/// The beginning of `text` as an error shows it: in backquotes, with control characters escaped,
/// truncated to fit on a line.
pub(super) fn quote_excerpt(text: &str) -> String {
    let mut shown = String::from("`");
    for character in text.chars() {
        if shown.len() >= MAX_QUOTED_BYTES {
            shown.push('…');
            break;
        }
        shown.extend(character.escape_debug());
    }
    shown.push('`');
    shown
}
