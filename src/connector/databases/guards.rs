//! Columns that a statement computes with, named when something else than numbers is stored there.
//!
//! Pure. Invariant: a message names columns, functions and types, and no value.

use super::value::Kind;
use crate::connector::Failure;
use crate::text::spelling::truncated;

/// What begins the path that a guard of SQLite fails with; behind it stand the guard's number and the type that was found.
pub(super) const MARK: &str = "needs-numbers";

/// Something that needs numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Guard {
    /// The name of an aggregate in the result.
    result: Option<Box<str>>,
    /// What needs them, with its place in the input: `input.column: sum of 'name'`.
    place: String,
    remedy: &'static str,
}

/// All of a statement, in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guards(Vec<Guard>);

impl Guards {
    /// A sum or an average of a column, by its place in the input and its name in the result, and its number.
    pub(super) fn add_aggregate(&mut self, (place, result): (&str, &str), function: &str, column: &str) -> usize {
        self.add(Guard {
            result: Some(result.into()),
            place: format!("{place}: {function} of '{}'", truncated(column)),
            remedy: "keep numbers in a column of numbers, or convert them in SQL of your own (`raw`)",
        })
    }

    /// An operator of an update, and its number.
    pub(super) fn add_operator(&mut self, column: &str, operator: &str) -> usize {
        self.add(Guard {
            result: None,
            place: format!("input.data.{}: {operator}", truncated(column)),
            remedy: "set such a value first, or take it away by $unset",
        })
    }

    fn add(&mut self, guard: Guard) -> usize {
        self.0.push(guard);
        self.0.len() - 1
    }

    /// The last one met a column that holds no numbers.
    pub(super) fn last_refused(&self, kind: Kind) -> Failure {
        Self::told(self.0.last(), kind.contents())
    }

    /// One of them, or any of them, met something of this type.
    pub(super) fn any_refused(&self, found: &str) -> Failure {
        Self::told(self.0.iter(), found)
    }

    /// The failure that a message of SQLite means, if a guard failed.
    pub(super) fn of_mark(&self, message: &str) -> Option<Failure> {
        let (_, rest) = message.split_once(MARK)?;
        let mut words = rest.split(|character: char| !character.is_ascii_alphanumeric());
        let mut words = words.by_ref().filter(|word| !word.is_empty());
        let number: usize = words.next()?.parse().ok()?;
        let found = match words.next()? {
            "blob" => "bytes",
            _ => "text",
        };
        Some(Self::told(self.0.get(number), found))
    }

    /// The aggregate of this name in the result added up something of this type.
    pub(super) fn result_refused(&self, result: &str, found: &str) -> Option<Failure> {
        self.of_result(result).map(|guard| Self::told([guard], found))
    }

    /// Refuses infinity in the result, as which databases give a sum that is beyond the range of floating point numbers.
    pub(super) fn check_sum(&self, result: &str, number: f64) -> Result<(), Failure> {
        match self.of_result(result) {
            Some(guard) if !number.is_finite() => Err(Failure::invalid(format!(
                "{} is beyond the range of floating point numbers",
                guard.place
            ))),
            _ => Ok(()),
        }
    }

    fn of_result(&self, result: &str) -> Option<&Guard> {
        self.0.iter().find(|guard| guard.result.as_deref() == Some(result))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn told<'g>(guards: impl IntoIterator<Item = &'g Guard>, found: &str) -> Failure {
        let guards: Vec<&Guard> = guards.into_iter().collect();
        let places: Vec<&str> = guards.iter().map(|guard| guard.place.as_str()).collect();
        let remedy = guards.first().map_or("", |guard| guard.remedy);
        Failure::invalid(format!(
            "{} needs numbers, and {found} {} stored there; {remedy}",
            places.join(", or "),
            if found.ends_with('s') { "are" } else { "is" }
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_failed_is_named_with_what_was_found() {
        let mut guards = Guards::default();
        assert_eq!(guards.add_aggregate(("input.column", "value"), "sum", "a"), 0);
        assert_eq!(guards.add_operator("b", "$inc"), 1);
        let said = |message: &str| guards.of_mark(message).map(|failure| failure.message);
        assert_eq!(
            said("SQLite: bad JSON path: 'needs-numbers 0 blob'").unwrap(),
            "input.column: sum of 'a' needs numbers, and bytes are stored there; keep numbers in a column of numbers, or convert them in SQL of your own (`raw`)"
        );
        let second = said("JSON path error near 'needs-numbers 1 text'").unwrap();
        assert!(
            second.starts_with("input.data.b: $inc needs numbers, and text is stored there; set such a value first"),
            "{second}"
        );
        for other in ["malformed JSON", "needs-numbers", "needs-numbers x text"] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
