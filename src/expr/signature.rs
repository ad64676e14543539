//! How an operator is written: its name, and what its arguments must be.
//!
//! It must not know what operators do, nor how an expression is represented.

use super::calendar::Unit;
use super::compare::Comparison;

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    Number,
    Integer,
    Text,
    List,
    Date,
    Unit,
    Comparison,
    Any,
}

impl ArgumentKind {
    /// The kind in words, for an error message.
    fn description(self) -> String {
        match self {
            Self::Number => "a number".into(),
            Self::Integer => "a whole number".into(),
            Self::Text => "a string".into(),
            Self::List => "a list".into(),
            Self::Date => "a date, in ms or ISO 8601".into(),
            Self::Unit => format!("a unit such as {}", Unit::NAMES.join(", ")),
            Self::Comparison => format!("one of {}", Comparison::NAMES.join(" ")),
            Self::Any => "a value".into(),
        }
    }
}

/// How an operator is called.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Its name, without the dollar.
    pub name: &'static str,
    /// The call as documented, with its parameters: `$Trim(text)`.
    pub usage: &'static str,
    /// What it yields, in a few words.
    pub about: &'static str,
    pub(super) parameters: &'static [ArgumentKind],
    /// The minimum number of arguments.
    pub(super) required: usize,
    /// Whether the last parameter can be repeated.
    pub(super) variadic: bool,
    /// Whether `$Size{…}` can be written for `$Size(…)`.
    pub(super) braces: bool,
}

impl Signature {
    /// What the argument at `index` must be.
    pub(super) fn kind(&self, index: usize) -> ArgumentKind {
        let last = self.parameters.last().copied().unwrap_or(ArgumentKind::Any);
        self.parameters.get(index).copied().unwrap_or(last)
    }

    /// Whether the operator can be called with this many arguments.
    pub(super) fn accepts_count(&self, count: usize) -> bool {
        count >= self.required && (self.variadic || count <= self.parameters.len())
    }

    /// The message for an argument of the wrong kind. `got` describes the kind of the value, never the value itself,
    /// which may be a secret.
    pub(super) fn wrong_argument(&self, index: usize, kind: ArgumentKind, got: Option<&str>) -> String {
        let got = got.map(|got| format!(", got {got}")).unwrap_or_default();
        format!(
            "argument {} of ${} must be {}{got}; it is {}",
            index + 1,
            self.name,
            kind.description(),
            self.usage
        )
    }
}
