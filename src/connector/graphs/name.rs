//! Names of labels, types, properties and indexes: checked and quoted.
//!
//! Invariant: a [`Name`] is one identifier in Cypher, whatever it was read from.

use crate::connector::Failure;
use std::fmt;

/// Longest name, characters.
const MAX_NAME_CHARS: usize = 255;

/// A checked name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(Box<str>);

impl Name {
    /// Checks a name; `what` it is the name of.
    pub(super) fn read(what: &str, text: &str) -> Result<Self, Failure> {
        let length = text.chars().count();
        if length == 0 || length > MAX_NAME_CHARS {
            return Err(Failure::invalid(format!(
                "the name of a {what} must have 1 to {MAX_NAME_CHARS} characters, got {length}"
            )));
        }
        // Servers read `\u0060` as a backtick before they look at quotes.
        if text
            .chars()
            .any(|character| character.is_control() || character == '\\')
        {
            return Err(Failure::invalid(format!(
                "the name of a {what} must not contain control characters or backslashes"
            )));
        }
        Ok(Self(text.into()))
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Quoted, to be put into Cypher.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_cannot_end_their_quotes() {
        for (text, quoted) in [
            ("Person", "`Person`"),
            ("a b", "`a b`"),
            ("a`) DETACH DELETE n //", "`a``) DETACH DELETE n //`"),
            ("``", "``````"),
            ("größe", "`größe`"),
        ] {
            assert_eq!(Name::read("label", text).unwrap().to_string(), quoted);
        }
        for text in ["", "a\\u0060", "a\nb", "a\0", &"x".repeat(256)] {
            assert_eq!(&*Name::read("label", text).unwrap_err().code, "VALIDATION_ERROR");
        }
    }
}
