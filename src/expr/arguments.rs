//! The arguments of a call, computed, as the operators take them.

use super::compare::Comparison;
use super::dates::{Unit, parse_date};
use super::error::ExpressionError;
use super::limits::Budget;
use super::number::Number;
use super::operators::{ArgumentKind, Operator};
use super::scope::Scope;
use super::value::Value;
use crate::clock::Millis;
use crate::cron::Zone;
use std::borrow::Cow;

/// The arguments of one call.
pub(super) struct Arguments<'c, 'a> {
    pub(super) operator: &'static Operator,
    pub(super) values: Vec<Value<'a>>,
    pub(super) scope: &'c Scope<'a>,
    pub(super) budget: &'c mut Budget,
}

impl<'a> Arguments<'_, 'a> {
    /// Whether there is an argument at `index`.
    pub(super) fn has(&self, index: usize) -> bool {
        index < self.values.len()
    }

    /// Takes an argument out.
    pub(super) fn take(&mut self, index: usize) -> Value<'a> {
        self.values
            .get_mut(index)
            .map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
    }

    fn wrong<T>(&self, index: usize, kind: ArgumentKind, got: &str) -> Result<T, ExpressionError> {
        Err(ExpressionError::invalid(self.operator.refusal(index, kind, Some(got))))
    }

    /// A refusal that names the operator.
    pub(super) fn fail<T>(&self, message: &str) -> Result<T, ExpressionError> {
        Err(ExpressionError::invalid(format!("${}: {message}", self.operator.name)))
    }

    pub(super) fn number(&mut self, index: usize) -> Result<Number<'a>, ExpressionError> {
        let value = self.take(index);
        match value.number() {
            Some(number) => Ok(number),
            None => self.wrong(index, ArgumentKind::Number, value.kind()),
        }
    }

    pub(super) fn integer(&mut self, index: usize) -> Result<i64, ExpressionError> {
        let value = self.take(index);
        match value.number().and_then(|number| number.as_integer()) {
            Some(whole) => Ok(whole),
            None => self.wrong(index, ArgumentKind::Integer, value.kind()),
        }
    }

    pub(super) fn text(&mut self, index: usize) -> Result<Cow<'a, str>, ExpressionError> {
        match self.take(index).text() {
            Ok(text) => {
                self.budget.charge_text(text.len())?;
                Ok(text)
            }
            Err(other) => self.wrong(index, ArgumentKind::Text, other.kind()),
        }
    }

    pub(super) fn list(&mut self, index: usize) -> Result<Vec<Value<'a>>, ExpressionError> {
        let value = self.take(index);
        // Before they are taken apart.
        self.budget.charge_read(value.approximate_bytes())?;
        self.budget.spend_steps(value.count().unwrap_or_default())?;
        match value.list() {
            Ok(values) => Ok(values),
            Err(other) => self.wrong(index, ArgumentKind::List, other.kind()),
        }
    }

    pub(super) fn date(&mut self, index: usize, zone: Zone) -> Result<Millis, ExpressionError> {
        let value = self.take(index);
        let kind = value.kind();
        let read = match value.number() {
            Some(number) => number.as_integer().or(Some(number.as_f64().floor() as i64)),
            None => value.text().ok().and_then(|text| parse_date(&text, zone)),
        };
        // Beyond this JavaScript has no dates.
        match read.filter(|ms| ms.unsigned_abs() <= 8_640_000_000_000_000) {
            Some(ms) => Ok(ms),
            None => self.wrong(index, ArgumentKind::Date, kind),
        }
    }

    pub(super) fn unit(&mut self, index: usize) -> Result<Unit, ExpressionError> {
        let value = self.take(index);
        let kind = value.kind();
        match value.text().ok().and_then(|text| Unit::find(&text)) {
            Some(unit) => Ok(unit),
            None => self.wrong(index, ArgumentKind::Unit, kind),
        }
    }

    pub(super) fn comparison(&mut self, index: usize) -> Result<Comparison, ExpressionError> {
        let value = self.take(index);
        let kind = value.kind();
        match value.text().ok().and_then(|text| Comparison::find(&text)) {
            Some(comparison) => Ok(comparison),
            None => self.wrong(index, ArgumentKind::Comparison, kind),
        }
    }
}
