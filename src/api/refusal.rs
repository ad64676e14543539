//! All that is wrong with a list of dispatches in which JavaScript found numbers and dates that JSON has `null` for.
//!
//! Stores nothing. Invariant: an entry that holds such a value is told of by that alone, since the rest of it was read without.

use super::batch::read_dispatch_many;
use super::dispatch::Defaults;
use super::method::Arguments;
use crate::clock::Millis;
use crate::error::{Error, Problem};
use crate::model::Namespace;
use serde::Deserialize;

#[derive(Deserialize)]
struct Found {
    path: String,
    message: String,
}

/// Why a list is refused: its namespace, its text, and what was found in it.
pub(super) fn of_list(defaults: &Defaults, now: Millis, arguments: &Arguments<'_>) -> Error {
    let text = |index| serde_json::from_str::<String>(arguments.json(index)).unwrap_or_default();
    let found: Vec<Found> = serde_json::from_str(arguments.json(2)).unwrap_or_default();
    let found = found.into_iter().map(|found| Problem::new(found.path, found.message));
    let others = Namespace::parse_public(&text(0))
        .and_then(|namespace| read_dispatch_many(namespace, &text(1), defaults, now).err())
        .map_or_else(Vec::new, |error| error.details);
    Error::invalid(merged(found.collect(), others))
}

/// These problems, and those of entries that have none of them, by entry.
fn merged(found: Vec<Problem>, others: Vec<Problem>) -> Vec<Problem> {
    let known: Vec<usize> = found.iter().map(entry).collect();
    let mut all = found;
    all.extend(others.into_iter().filter(|problem| !known.contains(&entry(problem))));
    all.sort_by_key(entry);
    all
}

/// The number of the entry that a problem is in; what is in none comes last.
fn entry(problem: &Problem) -> usize {
    let number = problem.path.strip_prefix('[').and_then(|rest| rest.split(']').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_by_entry_and_those_that_may_follow_from_a_null_are_not() {
        let problems = |paths: &[&str]| paths.iter().map(|path| Problem::new(*path, "is wrong")).collect();
        let found = problems(&["[2].schedule.every", "[10]"]);
        let others = problems(&[
            "[0].tag",
            "[2].schedule.limit",
            "[3].schedule.except",
            "[10]",
            "[11].input",
            "",
        ]);
        let all = merged(found, others);
        let paths: Vec<&str> = all.iter().map(|problem| &*problem.path).collect();
        assert_eq!(
            paths,
            [
                "[0].tag",
                "[2].schedule.every",
                "[3].schedule.except",
                "[10]",
                "[11].input",
                ""
            ]
        );
    }
}
