//! In which order the sequences of a feature are done: one after the other, or as their `parents` and `level` say.
//!
//! A sequence begins when its parents have ended; without `parents`, when those of lower levels have; one that says nothing, when all
//! before it have. Sequences that wait for nothing of each other are done at the
//! same time.

use crate::api::fields::{Fields, nearest, truncated};

/// What a sequence says of its place.
pub(super) struct Place {
    tag: Option<Box<str>>,
    parents: Option<Vec<Box<str>>>,
    level: Option<i64>,
}

impl Place {
    /// Reads `parents`, a list of tags or one of them, and `level`.
    pub(super) fn read(sequence: &mut Fields<'_>, tag: Option<Box<str>>) -> Self {
        let is_one = sequence.raw("parents").is_some_and(|text| text.starts_with('"'));
        let parents = if is_one {
            sequence.tag("parents").map(|tag| vec![tag.as_ref().into()])
        } else {
            sequence.tags("parents", 200)
        };
        Self {
            tag,
            parents,
            level: sequence.integer("level", 0, i64::from(i32::MAX)),
        }
    }
}

/// For each sequence those that it waits for, by their places; problems are noted in the sequence they are of.
pub(super) fn order(places: &[Place], sequences: &mut [Fields<'_>]) -> Vec<Vec<usize>> {
    let mut after: Vec<Vec<usize>> = Vec::with_capacity(places.len());
    for (index, (place, fields)) in places.iter().zip(sequences.iter_mut()).enumerate() {
        after.push(match &place.parents {
            Some(parents) => read_parents(parents, places, fields),
            None => (0..places.len())
                .filter(|other| *other != index && comes_before(places, *other, index))
                .collect(),
        });
    }
    for (index, fields) in sequences.iter_mut().enumerate() {
        if ancestors(&after, index).contains(&index) {
            let tag = places
                .get(index)
                .and_then(|place| place.tag.as_deref())
                .unwrap_or_default();
            fields.problem(
                "parents",
                format!("lead back to '{}', which would never begin", truncated(tag)),
            );
        }
    }
    after
}

/// Whether a sequence that names no parents waits for another one.
fn comes_before(places: &[Place], other: usize, index: usize) -> bool {
    let level = |index: usize| places.get(index).and_then(|place| place.level);
    match (level(other), level(index)) {
        (Some(other), Some(own)) => other < own,
        (None, Some(_)) => false,
        (_, None) => other < index,
    }
}

fn read_parents(parents: &[Box<str>], places: &[Place], fields: &mut Fields<'_>) -> Vec<usize> {
    let mut found = Vec::with_capacity(parents.len());
    for parent in parents {
        match places.iter().position(|place| place.tag.as_ref() == Some(parent)) {
            Some(index) => found.push(index),
            None => {
                let tags: Vec<&str> = places.iter().filter_map(|place| place.tag.as_deref()).collect();
                let hint = nearest(parent, &tags).map(|near| format!("; did you mean '{near}'?"));
                let message = format!(
                    "'{}' is no sequence of the feature{}",
                    truncated(parent),
                    hint.unwrap_or_default()
                );
                fields.problem("parents", message);
            }
        }
    }
    found
}

/// All sequences that have ended when this one begins.
pub(super) fn ancestors(after: &[Vec<usize>], index: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut next: Vec<usize> = after.get(index).cloned().unwrap_or_default();
    while let Some(other) = next.pop() {
        if !found.contains(&other) {
            found.push(other);
            next.extend(after.get(other).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The predecessors of sequences with these members, and the paths of problems.
    fn ordered(sequences: &[&str]) -> (Vec<Vec<usize>>, Vec<String>) {
        let mut fields: Vec<Fields<'_>> = sequences.iter().map(|text| Fields::read(text, "s").unwrap()).collect();
        let read = |(index, fields): (usize, &mut Fields<'_>)| {
            let tag = ["a", "b", "c", "d"][index];
            Place::read(fields, Some(tag.into()))
        };
        let places: Vec<Place> = fields.iter_mut().enumerate().map(read).collect();
        let after = order(&places, &mut fields);
        let problems = fields.iter().flat_map(|fields| &fields.problems);
        (after, problems.map(|problem| problem.to_string()).collect())
    }

    #[test]
    fn sequences_follow_each_other_unless_they_say_more() {
        let (after, problems) = ordered(&["{}", "{}", "{}"]);
        assert_eq!((after, problems.len()), (vec![vec![], vec![0], vec![0, 1]], 0));
    }

    #[test]
    fn parents_are_waited_for_wherever_they_stand() {
        let (after, problems) = ordered(&[r#"{"parents":["c"]}"#, r#"{"parents":[]}"#, r#"{"parents":"b"}"#, "{}"]);
        assert_eq!(after, [vec![2], vec![], vec![1], vec![0, 1, 2]]);
        assert_eq!(problems.len(), 0);
        assert_eq!(ancestors(&after, 0), [2, 1]);
    }

    #[test]
    fn levels_follow_each_other() {
        let (after, problems) = ordered(&[r#"{"level":1}"#, r#"{"level":2}"#, r#"{"level":1}"#, r#"{"level":3}"#]);
        assert_eq!(after, [vec![], vec![0, 2], vec![], vec![0, 1, 2]]);
        assert_eq!(problems.len(), 0);
        let (after, _) = ordered(&["{}", r#"{"level":5}"#, "{}", r#"{"level":1}"#]);
        assert_eq!(after, [vec![], vec![3], vec![0, 1], vec![]]);
    }

    #[test]
    fn what_can_never_begin_is_refused() {
        let (_, problems) = ordered(&[r#"{"parents":["b"]}"#, r#"{"parents":["a"]}"#]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        let (_, problems) = ordered(&[r#"{"parents":["aa"]}"#]);
        assert!(problems[0].contains("did you mean 'a'"), "{problems:?}");
        let (_, problems) = ordered(&[r#"{"level":-1}"#]);
        assert_eq!(problems.len(), 1);
    }
}
