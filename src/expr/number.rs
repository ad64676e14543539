//! Numbers: integers stay exact, and a number that is only passed on keeps its spelling.

use std::cmp::Ordering;
use std::fmt;

/// 2^53: up to this magnitude a float represents every integer exactly.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number<'a> {
    /// An exact integer.
    Integer(i64),
    /// A finite float.
    Float(f64),
    /// The spelling in the input, not parsed yet.
    Raw(&'a str),
}

impl<'a> Number<'a> {
    /// A float, unless it is infinite or NaN.
    pub(super) fn finite(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self::Float(value))
    }

    /// The value if it is an integer that is known exactly.
    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Float(value) => (value.fract() == 0.0 && value.abs() <= MAX_EXACT_INTEGER).then_some(*value as i64),
            Self::Raw(text) => text
                .parse()
                .ok()
                .or_else(|| Self::Float(text.parse().ok()?).as_integer()),
        }
    }

    pub(super) fn as_f64(&self) -> f64 {
        match self {
            Self::Integer(value) => *value as f64,
            Self::Float(value) => *value,
            // A number too large for a float becomes infinite, which no operator yields.
            Self::Raw(text) => text.parse().unwrap_or(f64::INFINITY),
        }
    }

    /// The sum; `None` if it is out of range.
    pub(super) fn add(self, other: Self) -> Option<Number<'static>> {
        self.combine(other, i64::checked_add, |a, b| a + b)
    }

    /// The difference; `None` if it is out of range.
    pub(super) fn subtract(self, other: Self) -> Option<Number<'static>> {
        self.combine(other, i64::checked_sub, |a, b| a - b)
    }

    fn combine(
        self,
        other: Self,
        integers: fn(i64, i64) -> Option<i64>,
        floats: fn(f64, f64) -> f64,
    ) -> Option<Number<'static>> {
        let exact = self
            .as_integer()
            .zip(other.as_integer())
            .and_then(|(a, b)| integers(a, b));
        match exact {
            Some(value) => Some(Number::Integer(value)),
            None => Number::finite(floats(self.as_f64(), other.as_f64())),
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match self.as_integer().zip(other.as_integer()) {
            Some((a, b)) => Some(a.cmp(&b)),
            None => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

impl fmt::Display for Number<'_> {
    /// Writes JSON, in the shortest form, like JavaScript.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Raw(text) => f.write_str(text),
            Self::Float(value) if *value == 0.0 => f.write_str("0"),
            Self::Float(value) if (1e-6..1e21).contains(&value.abs()) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:e}"),
        }
    }
}
