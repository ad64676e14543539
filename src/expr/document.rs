//! A whole input: checks and resolves the expressions in its strings.

use super::ast::Node;
use super::error::ExpressionError;
use super::evaluate::Evaluator;
use super::index::JsonIndex;
use super::json::{path_of, slice};
use super::limits::{Budget, Limits};
use super::references::Reference;
use super::scope::Scope;
use super::substitution::{Literals, Substitution, substitutions};
use super::template::{Part, Parts, render};
use memchr::memchr;
use std::borrow::Cow;

/// Path of the input within a dispatch, with which the paths of errors begin.
const ROOT_PATH: &str = "input";

/// What an input's expressions refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputReferences {
    /// Whether there is a `$Session{…}`.
    pub session: bool,
    /// Keys of the secrets, each once.
    pub secrets: Vec<String>,
    /// Number of expressions.
    pub expressions: usize,
    /// Paths of `$Input{…}`.
    pub inputs: Vec<Vec<String>>,
    /// Paths of `$Sequence{…}`.
    pub sequences: Vec<Vec<String>>,
}

/// Parses every expression of `input`, a JSON text, without evaluating it.
///
/// # Errors
/// Every malformed string with its path, up to about 20.
pub fn check(input: &str, limits: &Limits) -> Result<InputReferences, Vec<ExpressionError>> {
    /// Checking stops after the string with which this many errors are reached.
    const MAX_LISTED_ERRORS: usize = 20;
    let mut references = InputReferences::default();
    let mut errors = Vec::new();
    for substitution in substitutions(input) {
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

/// Replaces the expressions of `input`, a JSON text, by their values, and literals by theirs. Everything else stays byte for
/// byte.
///
/// # Errors
/// The first expression that is malformed or cannot be evaluated, with its path.
pub fn resolve<'a>(input: &'a str, scope: &Scope<'a>, limits: &Limits) -> Result<Cow<'a, str>, ExpressionError> {
    resolve_with(input, scope, limits, Literals::Unwrapped)
}

/// As [`resolve`], with literals as `literals` says.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_with<'a>(
    input: &'a str,
    scope: &Scope<'a>,
    limits: &Limits,
    literals: Literals,
) -> Result<Cow<'a, str>, ExpressionError> {
    if memchr(b'$', input.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(input));
    }
    let mut evaluator = Evaluator {
        input,
        scope,
        budget: Budget::new(limits),
        index: JsonIndex::default(),
        literals,
        found_literal: false,
    };
    let mut out = String::with_capacity(input.len() + 256);
    let mut copied = 0;
    for substitution in substitutions(input) {
        match substitution {
            Substitution::Text { start, end } => {
                out.push_str(slice(input, copied, start));
                let raw = slice(input, start + 1, end.saturating_sub(1));
                render(raw, limits, &mut evaluator, &mut out)
                    .map_err(|error| error.at(path_of(input, start, ROOT_PATH)))?;
                copied = end;
            }
            Substitution::Literal { inner, .. } if literals.keeps(slice(input, inner.0, inner.1)) => {}
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
