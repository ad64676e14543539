//! What is known of tables: their keys and indexes, asked for once.
//!
//! Invariant: what is remembered is bounded in number and age.

use super::value::Item;
use crate::connector::limits::{MAX_CACHED_TABLES, TABLE_CACHE_TTL};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The type of an attribute of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Text,
    Number,
    Bytes,
}

impl KeyKind {
    /// Its name in messages.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a number, or a string of digits",
            Self::Bytes => "bytes as { $bytes: base64 }",
        }
    }
}

/// A key: the attribute that rows are found by, and the one that orders those with the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) hash: Box<str>,
    pub(super) sort: Option<Box<str>>,
}

impl Key {
    /// The names of its attributes.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&*self.hash), self.sort.as_deref()].into_iter().flatten()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: Box<str>,
    pub(super) key: Key,
    /// Attributes that it holds beside keys; `None`: all.
    pub(super) holds: Option<Vec<Box<str>>>,
    /// Whether it follows the table a moment later.
    pub(super) global: bool,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: Box<str>,
    pub(super) key: Key,
    pub(super) indexes: Vec<Index>,
    /// Types of attributes of keys.
    kinds: HashMap<Box<str>, KeyKind>,
}

impl Table {
    /// Reads the answer of `DescribeTable`; `None`: it is not what is expected.
    pub(super) fn read(name: &str, answer: &Value) -> Option<Self> {
        let described = answer.get("Table")?;
        let mut kinds = HashMap::new();
        for attribute in described.get("AttributeDefinitions")?.as_array()? {
            let kind = match attribute.get("AttributeType")?.as_str()? {
                "N" => KeyKind::Number,
                "B" => KeyKind::Bytes,
                _ => KeyKind::Text,
            };
            kinds.insert(attribute.get("AttributeName")?.as_str()?.into(), kind);
        }
        let list = |name: &str| described.get(name).and_then(Value::as_array).cloned();
        let mut indexes = Vec::new();
        for (member, global) in [("LocalSecondaryIndexes", false), ("GlobalSecondaryIndexes", true)] {
            let found = list(member).unwrap_or_default();
            indexes.extend(found.iter().filter_map(|index| read_index(index, global)));
        }
        Some(Self {
            name: name.into(),
            key: read_key(described)?,
            indexes,
            kinds,
        })
    }

    /// One of which only the key is known.
    pub(super) fn with_key(key: Key) -> Self {
        Self {
            name: "".into(),
            key,
            indexes: Vec::new(),
            kinds: HashMap::new(),
        }
    }

    /// The type of an attribute, if it is of a key.
    pub(super) fn kind(&self, name: &str) -> Option<KeyKind> {
        self.kinds.get(name).copied()
    }

    /// The key of a row that a request returned.
    pub(super) fn key_of(&self, item: &Item) -> Option<Item> {
        let parts = self
            .key
            .names()
            .map(|name| Some((name.to_owned(), item.get(name)?.clone())));
        parts.collect()
    }
}

fn read_key(described: &Value) -> Option<Key> {
    let (mut hash, mut sort) = (None, None);
    for part in described.get("KeySchema")?.as_array()? {
        let name: Box<str> = part.get("AttributeName")?.as_str()?.into();
        let place = match part.get("KeyType")?.as_str()? {
            "HASH" => &mut hash,
            _ => &mut sort,
        };
        // Keys of several attributes are not known here.
        if place.replace(name).is_some() {
            return None;
        }
    }
    Some(Key { hash: hash?, sort })
}

/// An index that can be asked; `None`: it is being made, or removed.
fn read_index(described: &Value, global: bool) -> Option<Index> {
    let status = described.get("IndexStatus").and_then(Value::as_str);
    if global && status.is_some_and(|status| !matches!(status, "ACTIVE" | "UPDATING")) {
        return None;
    }
    let projection = described.get("Projection")?;
    let holds = match projection.get("ProjectionType")?.as_str()? {
        "ALL" => None,
        _ => {
            let named = projection.get("NonKeyAttributes").and_then(Value::as_array);
            let named = named.map(Vec::as_slice).unwrap_or_default().iter();
            Some(named.filter_map(|name| name.as_str().map(Box::from)).collect())
        }
    };
    Some(Index {
        name: described.get("IndexName")?.as_str()?.into(),
        key: read_key(described)?,
        holds,
        global,
    })
}

/// Tables by name, and when they were asked for.
type Known = HashMap<Box<str>, (Arc<Table>, Instant)>;

/// Tables that were asked for, and those that were warned of.
#[derive(Default)]
pub(super) struct Tables {
    known: Mutex<Known>,
    warned: Mutex<HashSet<Box<str>>>,
}

impl Tables {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Table>> {
        let known = self.known();
        let (table, since) = known.get(name)?;
        (since.elapsed() < TABLE_CACHE_TTL).then(|| Arc::clone(table))
    }

    pub(super) fn remember(&self, table: &Arc<Table>) {
        let mut known = self.known();
        if known.len() >= MAX_CACHED_TABLES {
            known.clear();
        }
        known.insert(table.name.clone(), (Arc::clone(table), Instant::now()));
    }

    /// It may be another one by now.
    pub(super) fn forget(&self, name: &str) {
        self.known().remove(name);
    }

    /// Whether a table is to be warned of: the first time only.
    pub(super) fn warns_of(&self, name: &str) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < MAX_CACHED_TABLES && warned.insert(name.into())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// `events`: key `user`, `at`; an index `by_status` that holds all, one `by_kind` that holds keys and `size`.
    pub(in super::super) fn events() -> Table {
        let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
        let key = |hash: &str, sort: &str| json!([{ "AttributeName": hash, "KeyType": "HASH" }, { "AttributeName": sort, "KeyType": "RANGE" }]);
        let answer = json!({ "Table": {
            "AttributeDefinitions": [attribute("user", "S"), attribute("at", "N"), attribute("status", "S"),
                attribute("kind", "S")],
            "KeySchema": key("user", "at"),
            "GlobalSecondaryIndexes": [
                { "IndexName": "by_status", "KeySchema": key("status", "at"), "IndexStatus": "ACTIVE",
                  "Projection": { "ProjectionType": "ALL" } },
                { "IndexName": "late", "KeySchema": key("kind", "user"), "IndexStatus": "CREATING",
                  "Projection": { "ProjectionType": "ALL" } },
                { "IndexName": "by_kind", "KeySchema": [{ "AttributeName": "kind", "KeyType": "HASH" }],
                  "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["size"] } }],
        }});
        Table::read("events", &answer).unwrap()
    }

    #[test]
    fn keys_and_indexes_are_read() {
        let table = events();
        assert_eq!(table.key.names().collect::<Vec<_>>(), ["user", "at"]);
        assert_eq!(table.kind("at"), Some(KeyKind::Number));
        assert_eq!(table.kind("size"), None);
        let indexes: Vec<_> = table.indexes.iter().map(|index| &*index.name).collect();
        assert_eq!(indexes, ["by_status", "by_kind"]);
        assert_eq!(table.indexes[1].holds.as_deref(), Some(&["size".into()][..]));
        assert!(Table::read("x", &json!({})).is_none());
    }

    #[test]
    fn tables_are_warned_of_once_and_forgotten_on_demand() {
        let tables = Tables::default();
        assert!(tables.warns_of("events") && !tables.warns_of("events"));
        tables.remember(&Arc::new(events()));
        assert!(tables.get("events").is_some());
        tables.forget("events");
        assert!(tables.get("events").is_none());
    }
}
