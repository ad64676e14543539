//! The table of operators: name, signature, parameters and what each does.

use super::arguments::Arguments;
use super::ast::Node;
use super::compare::Comparison;
use super::dates::{self, Unit};
use super::error::ExpressionError;
use super::value::Value;
use super::{lists, strings};

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
    pub(super) fn description(self) -> String {
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

    /// Whether a constant can be right.
    fn accepts(self, node: &Node<'_>) -> bool {
        match (self, node) {
            (Self::Any, _) | (_, Node::Reference { .. } | Node::Call { .. }) => true,
            (Self::Number | Self::Date, Node::Number(_))
            | (Self::Text, Node::Text(_))
            | (Self::List, Node::List(_)) => true,
            (Self::Integer, Node::Number(number)) => number.as_integer().is_some(),
            (Self::Date, Node::Text(text)) => dates::is_date(text),
            (Self::Unit, Node::Text(text)) => Unit::find(text).is_some(),
            (Self::Comparison, Node::Text(text)) => Comparison::find(text).is_some(),
            _ => false,
        }
    }
}

type Apply = for<'a> fn(&mut Arguments<'_, 'a>) -> Result<Value<'a>, ExpressionError>;

/// An operator.
pub struct Operator {
    /// Its name, without the dollar.
    pub name: &'static str,
    /// How it is written.
    pub signature: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    pub(super) parameters: &'static [ArgumentKind],
    /// How many arguments it needs at least.
    pub(super) required: usize,
    /// The last parameter may come again and again.
    pub(super) variadic: bool,
    /// `$Size{…}` is another form of `$Size(…)`.
    pub(super) braces: bool,
    pub(super) apply: Apply,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.signature)
    }
}

const fn operator(
    name: &'static str,
    signature: &'static str,
    about: &'static str,
    parameters: &'static [ArgumentKind],
    required: usize,
    apply: Apply,
) -> Operator {
    Operator {
        name,
        signature,
        about,
        parameters,
        required,
        variadic: false,
        braces: false,
        apply,
    }
}

const DATE_FORMAT: &[ArgumentKind] = &[ArgumentKind::Date, ArgumentKind::Text];
const SEARCH: &[ArgumentKind] = &[ArgumentKind::List, ArgumentKind::Comparison, ArgumentKind::Any];

#[rustfmt::skip]
static OPERATORS: [Operator; 18] = [
    Operator {
        variadic: true,
        ..operator("Add", "$Add(number, number, …)", "the sum", &[ArgumentKind::Number, ArgumentKind::Number], 2, strings::add)
    },
    Operator {
        variadic: true,
        ..operator("Subtract", "$Subtract(number, number, …)", "the first less the others", &[ArgumentKind::Number, ArgumentKind::Number], 2, strings::subtract)
    },
    operator("Concat", "$Concat([values], delimiter?)", "the values as one text, the delimiter (default none) between them", &[ArgumentKind::List, ArgumentKind::Text], 1, lists::concat),
    operator("Join", "$Join(list, delimiter?)", "the same; the delimiter is a comma by default", &[ArgumentKind::List, ArgumentKind::Text], 1, lists::join),
    operator("Substring", "$Substring(text, start, end?)", "the characters from start up to, not including, end; negative ones count from the end", &[ArgumentKind::Text, ArgumentKind::Integer, ArgumentKind::Integer], 2, strings::substring),
    operator("Trim", "$Trim(text)", "without white space at both ends", &[ArgumentKind::Text], 1, strings::trim),
    operator("Split", "$Split(text, delimiter)", "the list of parts; an empty delimiter gives the characters", &[ArgumentKind::Text, ArgumentKind::Text], 2, strings::split),
    operator("Pick", "$Pick(list, index)", "the element at the index, from 0; a negative one counts from the end", &[ArgumentKind::List, ArgumentKind::Integer], 2, lists::pick),
    operator("Uppercase", "$Uppercase(text)", "in upper case", &[ArgumentKind::Text], 1, strings::uppercase),
    operator("Lowercase", "$Lowercase(text)", "in lower case", &[ArgumentKind::Text], 1, strings::lowercase),
    operator("Dateformat", "$Dateformat(date, format)", "the date as text", DATE_FORMAT, 2, dates::format),
    operator("Format", "$Format(date, format)", "the same as $Dateformat", DATE_FORMAT, 2, dates::format),
    operator("DateAdd", "$DateAdd(date, count, unit)", "the date so many units later (earlier, when negative), in ms", &[ArgumentKind::Date, ArgumentKind::Integer, ArgumentKind::Unit], 3, dates::add),
    operator("Replace", "$Replace(text, search, replacement)", "with every occurrence replaced", &[ArgumentKind::Text, ArgumentKind::Text, ArgumentKind::Text], 3, strings::replace),
    operator("Filter", "$Filter(list, comparison, value)", "the elements for which the comparison holds", SEARCH, 3, lists::filter),
    operator("Find", "$Find(list, comparison, value)", "the first of them, else null", SEARCH, 3, lists::find),
    Operator {
        braces: true,
        ..operator("Size", "$Size{reference}", "how many elements a list, entries an object, or bytes a text has", &[ArgumentKind::Any], 1, lists::size)
    },
    Operator {
        braces: true,
        ..operator("Length", "$Length{reference}", "the same, but the characters of a text", &[ArgumentKind::Any], 1, lists::length)
    },
];

/// All operators.
pub fn operators() -> impl Iterator<Item = &'static Operator> {
    OPERATORS.iter()
}

/// The operator of that name.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == name)
}

impl Operator {
    /// What the argument at `index` must be.
    pub(super) fn kind(&self, index: usize) -> ArgumentKind {
        let last = self.parameters.last().copied().unwrap_or(ArgumentKind::Any);
        self.parameters.get(index).copied().unwrap_or(last)
    }

    /// Checks number and, where they are constants, kinds of arguments.
    pub(super) fn check(&self, arguments: &[Node<'_>]) -> Result<(), String> {
        let most = if self.variadic {
            usize::MAX
        } else {
            self.parameters.len()
        };
        if !(self.required..=most).contains(&arguments.len()) {
            return Err(format!(
                "${} does not take {} arguments; it is {}",
                self.name,
                arguments.len(),
                self.signature
            ));
        }
        for (index, argument) in arguments.iter().enumerate() {
            let kind = self.kind(index);
            if !kind.accepts(argument) {
                return Err(self.refusal(index, kind, None));
            }
        }
        Ok(())
    }

    /// Why an argument will not do. `got` is the kind of value it is, never the value.
    pub(super) fn refusal(&self, index: usize, kind: ArgumentKind, got: Option<&str>) -> String {
        let got = got.map(|got| format!(", got {got}")).unwrap_or_default();
        format!(
            "argument {} of ${} must be {}{got}; it is {}",
            index + 1,
            self.name,
            kind.description(),
            self.signature
        )
    }
}
