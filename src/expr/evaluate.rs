//! Evaluates a parsed expression. Recursion is bounded by the depth that the parser allowed.

use super::arguments::Arguments;
use super::ast::{Key, Node};
use super::error::ExpressionError;
use super::index::JsonIndex;
use super::limits::Budget;
use super::number::Number;
use super::references::Reference;
use super::scope::{Claims, Scope};
use super::substitution::{Literals, without_literal_markers};
use super::value::Value;
use crate::error::ErrorCode;
use crate::text::spelling::truncated;
use std::borrow::Cow;

/// Evaluates the expressions of one input, within one budget.
pub(super) struct Evaluator<'c, 'a> {
    pub(super) input: &'a str,
    pub(super) scope: &'c Scope<'a>,
    pub(super) budget: Budget,
    pub(super) index: JsonIndex<'a>,
    /// What becomes of literals.
    pub(super) literals: Literals,
    /// Whether the expression that is evaluated has found anything in a literal.
    pub(super) found_literal: bool,
}

impl<'a> Evaluator<'_, 'a> {
    /// Evaluates an expression whose value will be written to the output, and charges for its size.
    pub(super) fn output(&mut self, node: Node<'a>) -> Result<Value<'a>, ExpressionError> {
        let value = self.value(node)?;
        self.budget.charge_output(value.approximate_bytes())?;
        Ok(value)
    }

    pub(super) fn value(&mut self, node: Node<'a>) -> Result<Value<'a>, ExpressionError> {
        self.budget.spend_steps(1)?;
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
                source_text,
            } => self.reference(reference, &path, source_text)?,
            Node::Call { operator, arguments } => {
                let values = self.values(arguments)?;
                let mut arguments = Arguments {
                    signature: &operator.signature,
                    values,
                    scope: self.scope,
                    budget: &mut self.budget,
                };
                (operator.apply)(&mut arguments)?
            }
        })
    }

    fn values(&mut self, nodes: Vec<Node<'a>>) -> Result<Vec<Value<'a>>, ExpressionError> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.value(node)?);
        }
        Ok(values)
    }

    fn reference(
        &mut self,
        reference: Reference,
        path: &[Key<'a>],
        source_text: &str,
    ) -> Result<Value<'a>, ExpressionError> {
        match reference {
            Reference::Now => Ok(Value::Number(Number::Integer(self.scope.now))),
            Reference::Var => Ok(self.variable(path)),
            Reference::Input => {
                let input = self.scope.feature.map_or(self.input, |feature| feature.input);
                self.value_at_path(input, path, source_text, "the input has no such value")
            }
            Reference::Session => self.session_claim(path, source_text),
            Reference::Secret | Reference::Token => {
                let key = path.join(".");
                match self.scope.secrets.value_of(&key) {
                    Ok(secret) => Ok(Value::Text(secret.into())),
                    Err(why) => missing_value(source_text, &why),
                }
            }
            Reference::Variable | Reference::Constant | Reference::Auth => {
                missing_value(source_text, "no resource defines it in this version")
            }
            Reference::Sequence => match self.scope.feature {
                Some(feature) => {
                    self.value_at_path(feature.results, path, source_text, "no event has yielded such a value")
                }
                None => missing_value(source_text, "the job is no step of a feature"),
            },
            Reference::Response => missing_value(source_text, "there is no response"),
            Reference::Default => missing_value(source_text, "no resource defines a default for this field"),
        }
    }

    /// The value at a path of a JSON text, without literal markers.
    fn value_at_path(
        &mut self,
        text: &'a str,
        path: &[Key<'a>],
        source_text: &str,
        why: &str,
    ) -> Result<Value<'a>, ExpressionError> {
        let Some(found) = self.index.lookup(text, path, &mut self.budget)? else {
            return missing_value(source_text, why);
        };
        self.found_literal |= found.literal;
        Ok(match without_literal_markers(found.value, self.literals) {
            Cow::Borrowed(value) => Value::from_json(value),
            Cow::Owned(value) => Value::Json(value.into()),
        })
    }

    fn variable(&self, path: &[Key<'a>]) -> Value<'a> {
        let variables = &self.scope.variables;
        let integer = |value: i64| Value::Number(Number::Integer(value));
        match path.first().map(|name| &**name) {
            Some("execution_count") => integer(variables.execution_count),
            Some("attempt") => integer(i64::from(variables.attempt)),
            Some("scheduled_at") => integer(variables.scheduled_at),
            Some("job_id") => Value::Text(variables.job_id.into()),
            Some("product") => Value::Text(variables.product.into()),
            Some("env") => Value::Text(variables.env.into()),
            // The parser accepts no other names.
            _ => Value::Null,
        }
    }

    fn session_claim(&mut self, path: &[Key<'a>], source_text: &str) -> Result<Value<'a>, ExpressionError> {
        match self.scope.claims {
            Claims::Known(claims) => match self.index.lookup(claims, path, &mut self.budget)? {
                Some(found) => Ok(Value::from_json(found.value)),
                None => missing_value(source_text, "the session's data has no such value"),
            },
            Claims::Absent => missing_value(source_text, "the job was dispatched without `session`"),
            Claims::Unverified(why) => Err(ExpressionError::new(
                ErrorCode::Unauthorized,
                format!("{} cannot be used: {why}", truncated(source_text)),
            )),
        }
    }
}

fn missing_value<T>(source_text: &str, why: &str) -> Result<T, ExpressionError> {
    Err(ExpressionError::invalid(format!(
        "{} is missing: {why}",
        truncated(source_text)
    )))
}
