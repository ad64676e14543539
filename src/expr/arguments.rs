//! The computed arguments of a call, and their conversion to what an operator needs.

use super::calendar::{Unit, is_representable, parse_date};
use super::compare::Comparison;
use super::error::ExpressionError;
use super::limits::Budget;
use super::number::Number;
use super::scope::Scope;
use super::signature::{ArgumentKind, Signature};
use super::value::Value;
use crate::clock::Millis;
use crate::cron::Zone;
use std::borrow::Cow;

/// What an operator yields.
pub(super) type OperatorResult<'a> = Result<Value<'a>, ExpressionError>;

/// The arguments of one call. Conversions take an argument out, so each is read once.
pub(super) struct Arguments<'c, 'a> {
    pub(super) signature: &'static Signature,
    pub(super) values: Vec<Value<'a>>,
    pub(super) scope: &'c Scope<'a>,
    pub(super) budget: &'c mut Budget,
}

impl<'a> Arguments<'_, 'a> {
    /// Whether there is an argument at `index`.
    pub(super) fn has(&self, index: usize) -> bool {
        index < self.values.len()
    }

    /// Takes an argument out, leaving null; null too if there is none.
    pub(super) fn take(&mut self, index: usize) -> Value<'a> {
        self.values
            .get_mut(index)
            .map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
    }

    fn wrong_kind<T>(&self, index: usize, kind: ArgumentKind, got: &str) -> Result<T, ExpressionError> {
        Err(ExpressionError::invalid(self.signature.wrong_argument(
            index,
            kind,
            Some(got),
        )))
    }

    /// Fails with a message that names the operator.
    pub(super) fn fail<T>(&self, message: &str) -> Result<T, ExpressionError> {
        Err(ExpressionError::invalid(format!("${}: {message}", self.signature.name)))
    }

    pub(super) fn number(&mut self, index: usize) -> Result<Number<'a>, ExpressionError> {
        let value = self.take(index);
        match value.number() {
            Some(number) => Ok(number),
            None => self.wrong_kind(index, ArgumentKind::Number, value.kind()),
        }
    }

    pub(super) fn integer(&mut self, index: usize) -> Result<i64, ExpressionError> {
        let value = self.take(index);
        match value.number().and_then(|number| number.as_integer()) {
            Some(whole) => Ok(whole),
            None => self.wrong_kind(index, ArgumentKind::Integer, value.kind()),
        }
    }

    pub(super) fn text(&mut self, index: usize) -> Result<Cow<'a, str>, ExpressionError> {
        match self.take(index).text() {
            Ok(text) => {
                self.budget.charge_text(text.len())?;
                Ok(text)
            }
            Err(other) => self.wrong_kind(index, ArgumentKind::Text, other.kind()),
        }
    }

    pub(super) fn list(&mut self, index: usize) -> Result<Vec<Value<'a>>, ExpressionError> {
        let value = self.take(index);
        // Charged before the list is parsed into its elements.
        self.budget.charge_read(value.approximate_bytes())?;
        self.budget.spend_steps(value.count().unwrap_or_default())?;
        match value.list() {
            Ok(values) => Ok(values),
            Err(other) => self.wrong_kind(index, ArgumentKind::List, other.kind()),
        }
    }

    pub(super) fn date(&mut self, index: usize, zone: Zone) -> Result<Millis, ExpressionError> {
        let value = self.take(index);
        let kind = value.kind();
        let date = match value.number() {
            Some(number) => number.as_integer().or(Some(number.as_f64().floor() as i64)),
            None => value.text().ok().and_then(|text| parse_date(&text, zone)),
        };
        match date.filter(|ms| is_representable(*ms)) {
            Some(ms) => Ok(ms),
            None => self.wrong_kind(index, ArgumentKind::Date, kind),
        }
    }

    pub(super) fn unit(&mut self, index: usize) -> Result<Unit, ExpressionError> {
        let value = self.take(index);
        let kind = value.kind();
        match value.text().ok().and_then(|text| Unit::find(&text)) {
            Some(unit) => Ok(unit),
            None => self.wrong_kind(index, ArgumentKind::Unit, kind),
        }
    }

    pub(super) fn comparison(&mut self, index: usize) -> Result<Comparison, ExpressionError> {
        let value = self.take(index);
        let kind = value.kind();
        match value.text().ok().and_then(|text| Comparison::find(&text)) {
            Some(comparison) => Ok(comparison),
            None => self.wrong_kind(index, ArgumentKind::Comparison, kind),
        }
    }
}
