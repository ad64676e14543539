//! A whole input: finds the strings that may hold expressions, and puts what they become in their place.

use super::ast::Node;
use super::error::ExpressionError;
use super::evaluate::Evaluator;
use super::json::{path_of, skip_space, slice, string_end, string_start, value_end};
use super::limits::{Budget, Limits};
use super::references::Reference;
use super::scope::Scope;
use super::template::{Part, Parts, render};
use memchr::memchr;
use std::borrow::Cow;

/// The key that marks a value to be left as it is.
pub(super) const LITERAL: &str = "$literal";

/// Where the input stands in what the user dispatched.
const ROOT_PATH: &str = "input";

/// A place of the input that does not simply stay.
enum Substitution {
    /// A string value with a `$` in it, quotes included.
    Text { start: usize, end: usize },
    /// `{ "$literal": value }`, and the value in it.
    Literal {
        start: usize,
        end: usize,
        inner: (usize, usize),
    },
}

/// The places of an input, in order.
struct Substitutions<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Substitutions<'_> {
    type Item = Substitution;

    fn next(&mut self) -> Option<Substitution> {
        let bytes = self.text.as_bytes();
        loop {
            let dollar = self.at + memchr(b'$', bytes.get(self.at..)?)?;
            // A dollar outside of a string is no JSON.
            let start = string_start(self.text, dollar)?;
            let end = string_end(self.text, dollar) + 1;
            self.at = end;
            let after_string = skip_space(self.text, end);
            if bytes.get(after_string) != Some(&b':') {
                return Some(Substitution::Text { start, end });
            }
            if slice(self.text, start + 1, end.saturating_sub(1)) == LITERAL
                && let Some(substitution) = self.literal(start, after_string + 1)
            {
                return Some(substitution);
            }
        }
    }
}

impl Substitutions<'_> {
    /// The object whose only key starts at `key`, with its value behind `colon`.
    fn literal(&mut self, key: usize, colon: usize) -> Option<Substitution> {
        let bytes = self.text.as_bytes();
        let before = bytes.get(..key)?.iter().rposition(|byte| !byte.is_ascii_whitespace())?;
        let value = skip_space(self.text, colon);
        let value_end = value_end(self.text, value);
        let close = skip_space(self.text, value_end);
        if bytes.get(before) != Some(&b'{') || bytes.get(close) != Some(&b'}') {
            return None;
        }
        self.at = close + 1;
        Some(Substitution::Literal {
            start: before,
            end: close + 1,
            inner: (value, value_end),
        })
    }
}

/// What an input's expressions refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputReferences {
    /// `$Session{…}`.
    pub session: bool,
    /// Keys of secrets.
    pub secrets: Vec<String>,
    /// How many expressions there are.
    pub expressions: usize,
    /// Paths of `$Input{…}`.
    pub inputs: Vec<Vec<String>>,
    /// Paths of `$Sequence{…}`.
    pub sequences: Vec<Vec<String>>,
}

/// Reads every expression of `input`, a JSON text, without computing it.
///
/// # Errors
/// Every text that is malformed, with its path, up to a bound.
pub fn check(input: &str, limits: &Limits) -> Result<InputReferences, Vec<ExpressionError>> {
    /// Malformed texts that are listed.
    const MAX_LISTED_ERRORS: usize = 20;
    let mut references = InputReferences::default();
    let mut errors = Vec::new();
    for substitution in (Substitutions { text: input, at: 0 }) {
        let Substitution::Text { start, end } = substitution else {
            continue;
        };
        for part in Parts::of(slice(input, start + 1, end.saturating_sub(1)), limits) {
            match part {
                Ok(Part::Expression(node)) => {
                    references.expressions += 1;
                    references.collect(&node);
                }
                Ok(Part::Text(_)) => {}
                Err(error) => errors.push(error.at(path_of(input, start, ROOT_PATH))),
            }
        }
        if errors.len() >= MAX_LISTED_ERRORS {
            break;
        }
    }
    if errors.is_empty() { Ok(references) } else { Err(errors) }
}

impl InputReferences {
    fn collect(&mut self, node: &Node<'_>) {
        match node {
            Node::Reference { reference, path, .. } => match reference {
                Reference::Session => self.session = true,
                Reference::Input => self.inputs.push(path.iter().map(|key| key.to_string()).collect()),
                Reference::Sequence => self.sequences.push(path.iter().map(|key| key.to_string()).collect()),
                Reference::Secret | Reference::Token => {
                    let key = path.join(".");
                    if !self.secrets.contains(&key) {
                        self.secrets.push(key);
                    }
                }
                _ => {}
            },
            Node::List(nodes) | Node::Call { arguments: nodes, .. } => nodes.iter().for_each(|node| self.collect(node)),
            Node::Object(entries) => entries.iter().for_each(|(_, node)| self.collect(node)),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {}
        }
    }
}

/// Puts what the expressions of `input`, a JSON text, yield in their place. What holds none stays byte for byte.
///
/// # Errors
/// The first expression that cannot be computed, with its path.
pub fn resolve<'a>(input: &'a str, scope: &Scope<'a>, limits: &Limits) -> Result<Cow<'a, str>, ExpressionError> {
    if memchr(b'$', input.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(input));
    }
    let mut evaluator = Evaluator {
        input,
        scope,
        budget: Budget::new(limits),
    };
    let mut out = String::with_capacity(input.len() + 256);
    let mut copied = 0;
    for substitution in (Substitutions { text: input, at: 0 }) {
        match substitution {
            Substitution::Text { start, end } => {
                out.push_str(slice(input, copied, start));
                let raw = slice(input, start + 1, end.saturating_sub(1));
                render(raw, limits, &mut evaluator, &mut out)
                    .map_err(|error| error.at(path_of(input, start, ROOT_PATH)))?;
                copied = end;
            }
            Substitution::Literal { start, end, inner } => {
                out.push_str(slice(input, copied, start));
                out.push_str(slice(input, inner.0, inner.1));
                copied = end;
            }
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(input));
    }
    out.push_str(slice(input, copied, input.len()));
    Ok(Cow::Owned(out))
}

/// A part of the input without the marks of literals in it.
pub(super) fn without_literal_markers(text: &str) -> Cow<'_, str> {
    if !text.contains(LITERAL) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut copied = 0;
    for substitution in (Substitutions { text, at: 0 }) {
        if let Substitution::Literal { start, end, inner } = substitution {
            out.push_str(slice(text, copied, start));
            out.push_str(slice(text, inner.0, inner.1));
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(slice(text, copied, text.len()));
    Cow::Owned(out)
}
