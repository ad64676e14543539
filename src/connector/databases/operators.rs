//! The operators of an update, named when a database says only that a value does not fit.
//!
//! Pure. Invariant: a message names columns, operators and types, and no value.

use super::operation::Change;
use crate::connector::Failure;
use crate::text::spelling::truncated;

/// What an operator needs of what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Number,
    List,
    /// A set of DynamoDB.
    Set,
    /// A set of DynamoDB, or a list.
    SetOrList,
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::List => "a list",
            Self::Set => "a set",
            Self::SetOrList => "a set or a list",
        }
    }
}

/// The changes of an update that compute with what is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Operators(Vec<(String, Need)>);

impl Operators {
    pub(super) fn of(changes: &[(Box<str>, Change)]) -> Self {
        Self::needing(changes, |change| {
            if change.is_of_list() {
                return Some(Need::List);
            }
            change.is_arithmetic().then_some(Need::Number)
        })
    }

    /// The same for DynamoDB, which has sets.
    #[cfg_attr(not(feature = "dynamodb"), allow(dead_code, reason = "used by its own feature"))]
    pub(super) fn with_sets(changes: &[(Box<str>, Change)]) -> Self {
        Self::needing(changes, |change| match change {
            Change::Pull(_) => Some(Need::Set),
            Change::AddToSet(_) => Some(Need::SetOrList),
            Change::Push(_) => Some(Need::List),
            other => other.is_arithmetic().then_some(Need::Number),
        })
    }

    fn needing(changes: &[(Box<str>, Change)], need: impl Fn(&Change) -> Option<Need>) -> Self {
        let of = |(name, change): &(Box<str>, Change)| {
            let place = format!("input.data.{}: {}", truncated(name), change.operator());
            Some((place, need(change)?))
        };
        Self(changes.iter().filter_map(of).collect())
    }

    /// A failure that may mean each of the operators: something of another type is stored. `found`: of which, if that is known.
    #[cfg_attr(
        not(any(feature = "mongodb", feature = "dynamodb")),
        allow(dead_code, reason = "used by databases without SQL")
    )]
    pub(super) fn not_fitting(&self, failure: Failure, found: Option<&str>) -> Failure {
        Self::told(self.0.iter(), failure, found)
    }

    /// The same of a failure that is about lists.
    pub(super) fn not_a_list(&self, failure: Failure, found: Option<&str>) -> Failure {
        let lists = self.0.iter().filter(|(_, need)| *need == Need::List);
        Self::told(lists, failure, found)
    }

    fn told<'o>(of: impl Iterator<Item = &'o (String, Need)>, failure: Failure, found: Option<&str>) -> Failure {
        let needs: Vec<String> = of
            .map(|(place, need)| format!("{place} needs {}", need.name()))
            .collect();
        if needs.is_empty() {
            return failure;
        }
        let found = found.unwrap_or("something else, such as JSON null,");
        Failure {
            message: format!(
                "{}, and {found} is stored there; set such a value first, or take it away by $unset ({})",
                needs.join(", or "),
                failure.message
            ),
            ..failure
        }
    }

    /// A failure that is about a number that became too large.
    pub(super) fn out_of_range(&self, failure: Failure) -> Failure {
        let numbers = self.0.iter().filter(|(_, need)| *need == Need::Number);
        let places: Vec<&str> = numbers.map(|(place, _)| place.as_str()).collect();
        if places.is_empty() {
            return failure;
        }
        Failure {
            message: format!(
                "{} leads beyond the range of the column; give it a larger type, or a filter that stops before ({})",
                places.join(", or "),
                failure.message
            ),
            ..failure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::databases::json::Json;

    #[test]
    fn operators_are_named_with_their_columns_and_what_they_need() {
        let by = || Json::Number("1".into());
        let changes = vec![
            ("name".into(), Change::Set(by())),
            ("tags".into(), Change::Push(vec![by()])),
            ("n".into(), Change::Increment(by())),
            ("kinds".into(), Change::Pull(vec![by()])),
        ];
        let operators = Operators::of(&changes);
        let failure = || Failure::invalid("refused");
        assert_eq!(
            operators.not_a_list(failure(), Some("an object")).message,
            "input.data.tags: $push needs a list, or input.data.kinds: $pull needs a list, and an object is stored there; set such a value first, or take it away by $unset (refused)"
        );
        assert!(
            operators
                .out_of_range(failure())
                .message
                .starts_with("input.data.n: $inc leads beyond")
        );
        let sets = Operators::with_sets(&changes).not_fitting(failure(), None).message;
        assert!(
            sets.contains("input.data.kinds: $pull needs a set,") && sets.contains("n: $inc needs a number"),
            "{sets}"
        );
        assert_eq!(Operators::default().not_fitting(failure(), None), failure());
    }
}
