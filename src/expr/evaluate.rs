//! Computes an expression that was read. Recursion is bounded by the depth the parser allowed.

use super::arguments::Arguments;
use super::document::unwrapped;
use super::fault::Fault;
use super::json::Entries;
use super::limits::Budget;
use super::number::Number;
use super::references::{Reference, short};
use super::scope::{Claims, Scope};
use super::tree::{Key, Node};
use super::value::Value;
use crate::error::ErrorCode;
use std::borrow::Cow;

/// Computes expressions of one input.
pub(super) struct Evaluator<'c, 'a> {
    pub(super) input: &'a str,
    pub(super) scope: &'c Scope<'a>,
    pub(super) budget: Budget,
}

impl<'a> Evaluator<'_, 'a> {
    /// A value that is about to be written out, counted as output.
    pub(super) fn output(&mut self, node: Node<'a>) -> Result<Value<'a>, Fault> {
        let value = self.value(node)?;
        self.budget.output(value.weight())?;
        Ok(value)
    }

    pub(super) fn value(&mut self, node: Node<'a>) -> Result<Value<'a>, Fault> {
        self.budget.step(1)?;
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(number) => Value::Number(number),
            Node::Text(text) => Value::Text(text),
            Node::List(items) => Value::List(self.values(items)?),
            Node::Object(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (key, node) in entries {
                    values.push((key, self.value(node)?));
                }
                Value::Object(values)
            }
            Node::Reference {
                reference,
                path,
                written,
            } => self.reference(reference, &path, written)?,
            Node::Call { operator, arguments } => {
                let values = self.values(arguments)?;
                let mut arguments = Arguments {
                    operator,
                    values,
                    scope: self.scope,
                    budget: &mut self.budget,
                };
                (operator.apply)(&mut arguments)?
            }
        })
    }

    fn values(&mut self, nodes: Vec<Node<'a>>) -> Result<Vec<Value<'a>>, Fault> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.value(node)?);
        }
        Ok(values)
    }

    fn reference(&mut self, reference: Reference, path: &[Key<'a>], written: &str) -> Result<Value<'a>, Fault> {
        match reference {
            Reference::Now => Ok(Value::Number(Number::Integer(self.scope.now))),
            Reference::Var => Ok(self.variable(path)),
            Reference::Input => {
                let input = self.scope.feature.map_or(self.input, |feature| feature.input);
                self.found(input, path, written, "the input has no such value")
            }
            Reference::Session => self.claim(path, written),
            Reference::Secret | Reference::Token => {
                let key = path.join(".");
                match self.scope.secrets.value_of(&key) {
                    Ok(secret) => Ok(Value::Text(secret.into())),
                    Err(why) => missing(written, &why),
                }
            }
            Reference::Variable | Reference::Constant | Reference::Auth => {
                missing(written, "no resource defines it in this version")
            }
            Reference::Sequence => match self.scope.feature {
                Some(feature) => self.found(feature.results, path, written, "no event has yielded such a value"),
                None => missing(written, "the job is no step of a feature"),
            },
            Reference::Response => missing(written, "there is no response"),
            Reference::Default => missing(written, "no resource defines a default for this field"),
        }
    }

    /// The value at a path of a JSON text.
    fn found(&mut self, text: &'a str, path: &[Key<'a>], written: &str, why: &str) -> Result<Value<'a>, Fault> {
        let Some(value) = lookup(text, path) else {
            return missing(written, why);
        };
        // What was passed over to find it, and the value itself.
        let end = (value.as_ptr() as usize + value.len()).saturating_sub(text.as_ptr() as usize);
        self.budget.read(end)?;
        Ok(match unwrapped(value) {
            Cow::Borrowed(value) => Value::from_json(value),
            Cow::Owned(value) => Value::Json(value.into()),
        })
    }

    fn variable(&self, path: &[Key<'a>]) -> Value<'a> {
        let variables = &self.scope.variables;
        let whole = |value: i64| Value::Number(Number::Integer(value));
        match path.first().map(|name| &**name) {
            Some("execution_count") => whole(variables.execution_count),
            Some("attempt") => whole(i64::from(variables.attempt)),
            Some("scheduled_at") => whole(variables.scheduled_at),
            Some("job_id") => Value::Text(variables.job_id.into()),
            Some("product") => Value::Text(variables.product.into()),
            Some("env") => Value::Text(variables.env.into()),
            // The parser knows no others.
            _ => Value::Null,
        }
    }

    fn claim(&self, path: &[Key<'a>], written: &str) -> Result<Value<'a>, Fault> {
        match self.scope.claims {
            Claims::Known(claims) => match lookup(claims, path) {
                Some(text) => Ok(Value::from_json(text)),
                None => missing(written, "the session's data has no such value"),
            },
            Claims::Absent => missing(written, "the job was dispatched without `session`"),
            Claims::Unverified(why) => Err(Fault::new(
                ErrorCode::Unauthorized,
                format!("{} cannot be used: {why}", short(written)),
            )),
        }
    }
}

fn missing<T>(written: &str, why: &str) -> Result<T, Fault> {
    Err(Fault::invalid(format!("{} is missing: {why}", short(written))))
}

/// The value at a path of a JSON text; a number is also the index of an element. A literal on the way counts as what
/// it holds.
fn lookup<'a>(text: &'a str, path: &[Key<'_>]) -> Option<&'a str> {
    let mut value = inside_literal(text.trim());
    for key in path {
        let mut entries = Entries::of(value);
        value = if value.starts_with('[') {
            entries.nth(key.parse().ok()?)?.1
        } else {
            entries.find(|(written, _)| is_key(written, key))?.1
        };
        value = inside_literal(value);
    }
    Some(value)
}

/// What `{ "$literal": value }` holds; any other value itself.
#[must_use]
pub fn inside_literal(value: &str) -> &str {
    if !value.starts_with('{') {
        return value;
    }
    let mut entries = Entries::of(value);
    match (entries.next(), entries.next()) {
        (Some((super::document::LITERAL, inner)), None) => inner,
        _ => value,
    }
}

fn is_key(written: &str, key: &str) -> bool {
    if written.contains('\\') {
        super::cursor::unescape(written) == key
    } else {
        written == key
    }
}
