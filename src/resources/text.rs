//! Text in a definition.

use std::fmt;

/// A text that may hold `$Secret{…}`, or a secret itself: never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Box<str>);

impl Text {
    /// The unresolved text.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.0
    }

    /// Whether it is literal, with no expression to resolve.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.0.contains('$')
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(…)")
    }
}
