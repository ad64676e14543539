//! Finds values by their paths in JSON texts, however often: what has been looked into before is not read again.
//!
//! Literals on the way are unwrapped, and it is said when there were any. Invariant: each object and list is read a bounded number of times, and what an index
//! costs is charged before it is made.

use super::ast::Key;
use super::cursor::unescape;
use super::error::ExpressionError;
use super::json::Entries;
use super::limits::Budget;
use super::substitution::{LITERAL, unwrap_literal};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The first lookups read the text as far as they need to, which is cheaper than an index that is not used again.
const LOOKUPS_WITHOUT_INDEX: usize = 4;

/// What an object or a list has in it.
enum Container<'a> {
    /// An object that is a literal, and the value in it.
    Literal(&'a str),
    Object(HashMap<Cow<'a, str>, &'a str>),
    List(Vec<&'a str>),
}

/// What has been looked into, by the address of its text.
#[derive(Default)]
pub(super) struct JsonIndex<'a> {
    containers: HashMap<usize, Container<'a>>,
    lookups: usize,
}

/// What was found at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) value: &'a str,
    /// It is in a literal, or is one.
    pub(super) literal: bool,
}

impl<'a> JsonIndex<'a> {
    /// The value at a path of a JSON text; a number is also the index of a list element.
    pub(super) fn lookup(
        &mut self,
        text: &'a str,
        path: &[Key<'_>],
        budget: &mut Budget,
    ) -> Result<Option<Found<'a>>, ExpressionError> {
        let text = text.trim();
        self.lookups += 1;
        if self.lookups > LOOKUPS_WITHOUT_INDEX {
            return self.indexed(text, path, budget);
        }
        let found = scan(text, path);
        if let Some(Found { value, .. }) = found {
            // Finding the value reads the text up to its end.
            let end = (value.as_ptr() as usize + value.len()).saturating_sub(text.as_ptr() as usize);
            budget.charge_read(end)?;
        }
        Ok(found)
    }

    fn indexed(
        &mut self,
        text: &'a str,
        path: &[Key<'_>],
        budget: &mut Budget,
    ) -> Result<Option<Found<'a>>, ExpressionError> {
        let mut found = Found {
            value: text,
            literal: false,
        };
        for key in path {
            found = self.unwrapped(found, budget)?;
            let Some(value) = self.read(found.value, budget)?.and_then(|container| container.get(key)) else {
                return Ok(None);
            };
            found.value = value;
        }
        // It is read once more, for what it yields.
        budget.charge_read(found.value.len())?;
        Ok(Some(unwrapped(found)))
    }

    /// What a literal holds.
    fn unwrapped(&mut self, found: Found<'a>, budget: &mut Budget) -> Result<Found<'a>, ExpressionError> {
        Ok(match self.read(found.value, budget)? {
            Some(Container::Literal(value)) => Found { value, literal: true },
            _ => found,
        })
    }

    fn read(&mut self, text: &'a str, budget: &mut Budget) -> Result<Option<&Container<'a>>, ExpressionError> {
        if !text.starts_with(['{', '[']) {
            return Ok(None);
        }
        let address = text.as_ptr() as usize;
        Ok(Some(match self.containers.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                budget.charge_read(text.len())?;
                free.insert(Container::of(text))
            }
        }))
    }
}

impl<'a> Container<'a> {
    fn of(text: &'a str) -> Self {
        if text.starts_with('[') {
            return Self::List(Entries::of(text).map(|(_, value)| value).collect());
        }
        let inner = unwrap_literal(text);
        if inner.len() < text.len() {
            return Self::Literal(inner);
        }
        let mut entries = HashMap::new();
        for (raw_key, value) in Entries::of(text) {
            let key = if raw_key.contains('\\') {
                Cow::Owned(unescape(raw_key).into_owned())
            } else {
                Cow::Borrowed(raw_key)
            };
            // Of two entries with one key the first counts.
            entries.entry(key).or_insert(value);
        }
        Self::Object(entries)
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        match self {
            // Within another literal it is data.
            Self::Literal(value) => (key == LITERAL).then_some(*value),
            Self::Object(entries) => entries.get(key).copied(),
            Self::List(items) => items.get(key.parse::<usize>().ok()?).copied(),
        }
    }
}

fn scan<'a>(text: &'a str, path: &[Key<'_>]) -> Option<Found<'a>> {
    let mut found = unwrapped(Found {
        value: text,
        literal: false,
    });
    for key in path {
        let mut entries = Entries::of(found.value);
        let value = if found.value.starts_with('[') {
            entries.nth(key.parse().ok()?)?.1
        } else {
            entries.find(|(raw_key, _)| is_key(raw_key, key))?.1
        };
        found = unwrapped(Found { value, ..found });
    }
    Some(found)
}

fn unwrapped(found: Found<'_>) -> Found<'_> {
    let value = unwrap_literal(found.value);
    Found {
        value,
        literal: found.literal || value.len() < found.value.len(),
    }
}

/// Whether `raw_key`, with its escapes, spells `key`.
fn is_key(raw_key: &str, key: &str) -> bool {
    if raw_key.contains('\\') {
        unescape(raw_key) == key
    } else {
        raw_key == key
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::expr::Limits;

    const TEXT: &str = r#" {"a":1,"b":{"c":[10,{"$literal":{"d":"e"}},[]],"x\ny":"z"},"a":2,"$literal":3,
        "l":{"$literal":{"$literal":{"m":4}}},"n":"text","twice":{"$literal":{"o":5},"$literal":6},
        "escaped":{"\u0024literal":{"o":5}}} "#;

    fn path(text: &str) -> Vec<Key<'_>> {
        text.split('/').filter(|key| !key.is_empty()).map(Into::into).collect()
    }

    #[test]
    fn an_index_finds_what_a_scan_finds() {
        for wanted in [
            "",
            "a",
            "b",
            "b/c",
            "b/c/0",
            "b/c/1",
            "b/c/1/d",
            "b/c/2",
            "b/c/3",
            "b/c/x",
            "b/x\ny",
            "l",
            "n",
            "n/0",
            "a/a",
            "absent",
            "$literal",
            "l/m",
            "l/$literal",
            "l/$literal/m",
            "twice",
            "twice/o",
            "twice/$literal",
            "twice/$literal/o",
            "escaped",
            "escaped/o",
            "escaped/$literal/o",
        ] {
            let mut index = JsonIndex::default();
            let mut budget = Budget::new(&Limits::default());
            let found: Vec<_> = (0..2 * LOOKUPS_WITHOUT_INDEX)
                .map(|_| index.lookup(TEXT, &path(wanted), &mut budget).unwrap())
                .collect();
            assert_eq!(found.first(), found.last(), "{wanted}");
        }
    }

    #[test]
    fn many_lookups_cost_as_much_as_the_text_is_long() {
        let values = "x".repeat(1 << 20);
        let text = format!(r#"{{"a":1,"rest":"{values}"}}"#);
        let limits = Limits {
            steps: 2 * text.len() / 4096,
            ..Limits::default()
        };
        let mut budget = Budget::new(&limits);
        let mut index = JsonIndex::default();
        let began = std::time::Instant::now();
        for _ in 0..200_000 {
            let found = index.lookup(&text, &path("a"), &mut budget).unwrap().unwrap();
            assert_eq!((found.value, found.literal), ("1", false));
        }
        // A scan for each would read 200 GB.
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }
}
