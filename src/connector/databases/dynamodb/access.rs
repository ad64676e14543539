//! How rows are found: by their key, by a query of the table or an index, or by reading the whole table.
//!
//! Pure. Invariants: each way finds exactly the rows of the filter that the table or the index has; nothing is said about
//! attributes of its key but what a key condition can say, since a query's filter must not name them.

use super::expression::Expressions;
use super::range::{Range, Ranges, compare, of_key, range};
use super::schema::{Index, Key, Table};
use super::value::Item;
use crate::connector::Failure;
use crate::connector::databases::filter::{Comparison, Filter, Predicate};
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::Order;
use serde_json::Value;
use std::cmp::Ordering;

/// Keys that are asked for one by one rather than by reading a table.
const MAX_KEYS: usize = 1_000;

/// A way to find rows.
pub(super) enum Access<'t, 'f> {
    /// The filter contradicts itself.
    Nothing,
    /// The row with this key, and nothing else is asked of it.
    Get(Item),
    /// The rows with these keys, likewise.
    GetMany(Vec<Item>),
    Query(Query<'t, 'f>),
    /// Every row is read and tested.
    Scan,
}

/// A query of a table or an index.
pub(super) struct Query<'t, 'f> {
    /// `None`: the table itself.
    pub(super) index: Option<&'t Index>,
    hash: (&'t str, Value),
    sort: Option<(&'t str, Range)>,
    /// Exclusive ends of its range, since a key condition takes both ends only as inclusive ones.
    excluded: Vec<Value>,
    /// The rest of the filter, which names no attribute of the key.
    pub(super) rest: Vec<&'f Filter>,
    pub(super) descending: bool,
}

/// What a query must return or test besides keys.
#[derive(Clone, Copy)]
pub(super) enum Needed<'a> {
    /// All attributes.
    All,
    These(&'a [Box<str>]),
}

impl<'t> Query<'t, '_> {
    /// Puts the key condition into the expressions of a request.
    pub(super) fn key_condition(&self, expressions: &mut Expressions<'_>) -> String {
        let (name, value) = &self.hash;
        let mut text = format!("{} = {}", expressions.path(name), expressions.value(value.clone()));
        if let Some((name, range)) = &self.sort {
            let path = expressions.path(name);
            let condition = match range {
                Range::Is(operator, value) => format!("{path} {operator} {}", expressions.value(value.clone())),
                Range::Between(low, high) => format!(
                    "{path} BETWEEN {} AND {}",
                    expressions.value(low.clone()),
                    expressions.value(high.clone())
                ),
                Range::Starts(value) => format!("begins_with({path}, {})", expressions.value(value.clone())),
            };
            text.push_str(" AND ");
            text.push_str(&condition);
        }
        text
    }

    /// The attribute by which [`excludes`](Self::excludes) decides, if it has to.
    pub(super) fn excluding(&self) -> Option<&'t str> {
        self.sort
            .as_ref()
            .filter(|_| !self.excluded.is_empty())
            .map(|(name, _)| *name)
    }

    /// Whether a row that it found is one of an exclusive end.
    pub(super) fn excludes(&self, item: &Item) -> bool {
        let value = self.excluding().and_then(|name| item.get(name));
        let is = |excluded: &Value| value.is_some_and(|value| compare(value, excluded) == Some(Ordering::Equal));
        self.excluded.iter().any(is)
    }

    /// Whether it finds at most one row.
    fn finds_one(&self) -> bool {
        self.index.is_none() && matches!(&self.sort, Some((_, Range::Is("=", _))))
    }

    fn key<'a>(&self, table: &'a Table) -> &'a Key
    where
        't: 'a,
    {
        self.index.map_or(&table.key, |index| &index.key)
    }
}

/// Parts of a filter, all of which must hold.
fn conjuncts<'f>(filter: &'f Filter, all: &mut Vec<&'f Filter>) {
    match filter {
        Filter::All(parts) => parts.iter().for_each(|part| conjuncts(part, all)),
        part if part.matches_everything() => {}
        part => all.push(part),
    }
}

/// The columns that a filter names.
pub(super) fn columns_of<'f>(filter: &'f Filter, names: &mut Vec<&'f str>) {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().for_each(|part| columns_of(part, names)),
        Filter::Not(inner) => columns_of(inner, names),
        Filter::Column(name, _) => names.push(name),
    }
}

/// The value that a filter says an attribute equals.
fn equal_to<'f>(filter: &'f Filter, wanted: &str) -> Option<&'f Json> {
    match filter {
        Filter::Column(name, Predicate::Compare(Comparison::Equal, value)) if **name == *wanted => Some(value),
        Filter::Column(name, Predicate::In(values, true)) if **name == *wanted => match values.as_slice() {
            [value] => Some(value),
            _ => None,
        },
        _ => None,
    }
}

/// The key that a filter names, and what else it asks of the row.
pub(super) fn full_key<'f>(table: &Table, filter: &'f Filter) -> Result<Option<(Item, Vec<&'f Filter>)>, Failure> {
    let mut rest = Vec::new();
    conjuncts(filter, &mut rest);
    let mut key = Item::new();
    for name in table.key.names() {
        let Some(at) = rest.iter().position(|part| equal_to(part, name).is_some()) else {
            return Ok(None);
        };
        let Some(value) = equal_to(rest.remove(at), name) else {
            return Ok(None);
        };
        key.insert(name.to_owned(), of_key(table, name, value)?);
    }
    Ok(Some((key, rest)))
}

/// The keys that lists of values name, if a filter says nothing else; each once, and not more than can well be asked for.
fn full_keys(table: &Table, parts: &[&Filter]) -> Result<Option<Vec<Item>>, Failure> {
    let mut keys = vec![Item::new()];
    let mut rest = parts.to_vec();
    for name in table.key.names() {
        let values = rest.iter().position(|part| one_of(part, name).is_some());
        let Some(values) = values.and_then(|at| one_of(rest.remove(at), name)) else {
            return Ok(None);
        };
        if keys.len() * values.len() > MAX_KEYS {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(keys.len() * values.len());
        for value in values {
            let value = of_key(table, name, value)?;
            for key in &keys {
                let mut key = key.clone();
                key.insert(name.to_owned(), value.clone());
                if !all.contains(&key) {
                    all.push(key);
                }
            }
        }
        keys = all;
    }
    Ok(rest.is_empty().then_some(keys))
}

/// The values of which a filter says that an attribute is one.
fn one_of<'f>(filter: &'f Filter, wanted: &str) -> Option<&'f [Json]> {
    match filter {
        Filter::Column(name, Predicate::In(values, true)) if **name == *wanted => Some(values),
        Filter::Column(name, Predicate::Compare(Comparison::Equal, value)) if **name == *wanted => {
            Some(std::slice::from_ref(value))
        }
        _ => None,
    }
}

/// The best way to the rows of a filter in an order. An index is taken only if it has what is `needed`.
pub(super) fn choose<'t, 'f>(
    table: &'t Table,
    filter: &'f Filter,
    order: &[Order],
    needed: Needed<'_>,
) -> Result<Access<'t, 'f>, Failure> {
    if filter.matches_nothing() {
        return Ok(Access::Nothing);
    }
    let mut parts = Vec::new();
    conjuncts(filter, &mut parts);
    let mut best: Option<Query<'t, 'f>> = None;
    let places = [None].into_iter().chain(table.indexes.iter().map(Some));
    for index in places {
        if index.is_some_and(|index| !holds(table, index, &parts, needed)) {
            continue;
        }
        let query = match query(table, index, &parts)? {
            Found::No => continue,
            Found::Nothing => return Ok(Access::Nothing),
            Found::Query(query) => query,
        };
        let Some(descending) = direction(&query, table, order) else {
            continue;
        };
        let query = Query { descending, ..query };
        if best.as_ref().is_none_or(|best| rank(&query) > rank(best)) {
            best = Some(query);
        }
    }
    match best {
        Some(query) if query.rest.is_empty() && query.index.is_none() => match full_key(table, filter)? {
            Some((key, rest)) if rest.is_empty() => Ok(Access::Get(key)),
            _ => Ok(Access::Query(query)),
        },
        Some(query) => Ok(Access::Query(query)),
        None if order.is_empty() => Ok(match full_keys(table, &parts)? {
            Some(keys) => Access::GetMany(keys),
            None => Access::Scan,
        }),
        None => Err(Failure::invalid(
            "input.orderBy: DynamoDB orders rows by the sort key alone, of a table or an index whose hash key the filter gives by equality; order them in the program",
        )),
    }
}

/// The narrower the better; then the table, which is up to date; then an index that is.
fn rank(query: &Query<'_, '_>) -> (bool, bool, bool, bool) {
    let is_equal = matches!(&query.sort, Some((_, Range::Is("=", _))));
    let is_global = query.index.is_some_and(|index| index.global);
    (
        query.finds_one() || is_equal,
        query.sort.is_some(),
        query.index.is_none(),
        !is_global,
    )
}

/// Whether an index has all that is needed.
fn holds(table: &Table, index: &Index, parts: &[&Filter], needed: Needed<'_>) -> bool {
    let Some(held) = &index.holds else { return true };
    let has = |name: &str| {
        let first = name.split('.').next().unwrap_or(name);
        let is_held = |name: &str| held.iter().any(|known| **known == *name);
        index.key.has(name) || table.key.has(name) || is_held(name) || is_held(first)
    };
    let mut tested = Vec::new();
    parts.iter().for_each(|part| columns_of(part, &mut tested));
    let returned = match needed {
        Needed::All => false,
        Needed::These(names) => names.iter().all(|name| has(name)),
    };
    returned && tested.into_iter().all(has)
}

/// Whether an order is that of a query, and then its direction.
fn direction(query: &Query<'_, '_>, table: &Table, order: &[Order]) -> Option<bool> {
    if query.finds_one() || (query.index.is_none() && table.key.sort.is_none()) {
        return Some(false);
    }
    let key = query.key(table);
    // All rows have the same hash key.
    let mut order = order.iter().filter(|part| part.column != key.hash);
    match (order.next(), order.next()) {
        (None, _) => Some(false),
        (Some(only), None) if Some(&only.column) == key.sort.as_ref() => Some(only.descending),
        _ => None,
    }
}

enum Found<'t, 'f> {
    No,
    Nothing,
    Query(Query<'t, 'f>),
}

fn query<'t, 'f>(table: &'t Table, index: Option<&'t Index>, parts: &[&'f Filter]) -> Result<Found<'t, 'f>, Failure> {
    let key = index.map_or(&table.key, |index| &index.key);
    let (mut hash, mut sorts, mut rest) = (None, Vec::new(), Vec::new());
    for part in parts {
        if hash.is_none()
            && let Some(value) = equal_to(part, &key.hash)
        {
            hash = Some(of_key(table, &key.hash, value)?);
            continue;
        }
        match (part, &key.sort) {
            (Filter::Column(name, predicate), Some(sort)) if name == sort => sorts.push(predicate),
            _ => {
                let mut names = Vec::new();
                columns_of(part, &mut names);
                if names.into_iter().any(|name| key.has(name)) {
                    return Ok(Found::No);
                }
                rest.push(*part);
            }
        }
    }
    let Some(hash) = hash else { return Ok(Found::No) };
    let (sort, excluded) = match &key.sort {
        Some(name) if !sorts.is_empty() => match range(table, name, &sorts)? {
            Ranges::No => return Ok(Found::No),
            Ranges::Nothing => return Ok(Found::Nothing),
            Ranges::Range(range) => (Some((&**name, range)), Vec::new()),
            Ranges::Open(range, excluded) => (Some((&**name, range)), excluded),
        },
        _ => (None, Vec::new()),
    };
    Ok(Found::Query(Query {
        index,
        hash: (&key.hash, hash),
        sort,
        excluded,
        rest,
        descending: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::events;
    use super::*;
    use crate::connector::databases::dialect::Dialect;
    use crate::connector::databases::filter::read;
    use serde_json::json;

    /// The way in words: `get`, `query [index] condition | rest`, `scan`, `nothing`, or what is refused.
    fn chosen(json: &str, order: &[(&str, bool)], needed: Needed<'_>) -> String {
        let table = events();
        let filter = read(&Json::read(json).unwrap(), Dialect::Dynamo).unwrap();
        let order: Vec<Order> = order
            .iter()
            .map(|(column, descending)| Order {
                column: (*column).into(),
                descending: *descending,
            })
            .collect();
        match choose(&table, &filter, &order, needed) {
            Ok(Access::Nothing) => "nothing".to_owned(),
            Ok(Access::Get(key)) => format!("get {}", Value::Object(key)),
            Ok(Access::GetMany(keys)) => format!("get {}", keys.len()),
            Ok(Access::Scan) => "scan".to_owned(),
            Ok(Access::Query(query)) => {
                let mut expressions = Expressions::of(&table);
                let condition = query.key_condition(&mut expressions);
                format!(
                    "query {}{}: {condition} | {}{}",
                    query.index.map_or("table", |index| &index.name),
                    if query.descending { " down" } else { "" },
                    query.rest.len(),
                    if query.excluding().is_some() { " but ends" } else { "" },
                )
            }
            Err(failure) => failure.message,
        }
    }

    #[test]
    fn keys_and_indexes_choose_how_rows_are_found() {
        for (filter, expected) in [
            (r#"{"user":"a","at":1}"#, r#"get {"at":{"N":"1"},"user":{"S":"a"}}"#),
            (
                r#"{"user":"a","at":{"$in":["1"]}}"#,
                r#"get {"at":{"N":"1"},"user":{"S":"a"}}"#,
            ),
            (
                r#"{"user":"a","at":1,"n":2}"#,
                "query table: #n0 = :v0 AND #n1 = :v1 | 1",
            ),
            (r#"{"user":"a"}"#, "query table: #n0 = :v0 | 0"),
            (
                r#"{"user":"a","at":{"$lte":5}}"#,
                "query table: #n0 = :v0 AND #n1 <= :v1 | 0",
            ),
            (
                r#"{"user":"a","at":{"$between":[1,5]}}"#,
                "query table: #n0 = :v0 AND #n1 BETWEEN :v1 AND :v2 | 0",
            ),
            (
                r#"{"user":"a","at":{"$gte":1,"$lt":5}}"#,
                "query table: #n0 = :v0 AND #n1 BETWEEN :v1 AND :v2 | 0 but ends",
            ),
            (r#"{"user":"a","at":{"$gt":5,"$lt":1}}"#, "nothing"),
            (r#"{"user":"a","at":{"$gt":10,"$lt":9}}"#, "nothing"),
            (
                r#"{"user":"a","at":{"$gte":9,"$lte":9.0}}"#,
                "query table: #n0 = :v0 AND #n1 = :v1 | 0",
            ),
            (r#"{"user":"a","n":{"$gt":1},"m":2}"#, "query table: #n0 = :v0 | 2"),
            // Attributes of the key must not be in the rest.
            (r#"{"user":"a","at":{"$ne":1}}"#, "scan"),
            (r#"{"user":"a","$or":{"at":1,"n":2}}"#, "scan"),
            (r#"{"user":{"$in":["a","b"]}}"#, "scan"),
            (r#"{"user":"a","at":{"$in":[1,2,1.0]}}"#, "get 2"),
            (r#"{"user":{"$in":["a","b"]},"at":{"$in":[1,2]}}"#, "get 4"),
            (r#"{"user":{"$in":["a","b"]},"at":{"$in":[1,2]},"n":1}"#, "scan"),
            (r#"{"user":{"$gt":"a"}}"#, "scan"),
            ("{}", "scan"),
            (r#"{"n":{"$in":[]}}"#, "nothing"),
            (r#"{"status":"open"}"#, "query by_status: #n0 = :v0 | 0"),
            (
                r#"{"status":"open","at":{"$gt":1},"user":"a"}"#,
                "query table: #n0 = :v0 AND #n1 > :v1 | 1",
            ),
            (
                r#"{"status":"open","at":{"$gt":1},"user":{"$gt":"a"}}"#,
                "query by_status: #n0 = :v0 AND #n1 > :v1 | 1",
            ),
            // It lacks attributes that are to be returned.
            (r#"{"kind":"k"}"#, "scan"),
        ] {
            assert_eq!(chosen(filter, &[], Needed::All), expected, "{filter}");
        }
        let sizes = ["size".into(), "user".into()];
        let held = chosen(r#"{"kind":"k","size":1}"#, &[], Needed::These(&sizes));
        assert_eq!(held, "query by_kind: #n0 = :v0 | 1");
        assert_eq!(chosen(r#"{"kind":"k","n":1}"#, &[], Needed::These(&sizes)), "scan");
    }

    #[test]
    fn only_the_sort_key_of_a_query_orders() {
        for (filter, order, expected) in [
            (
                r#"{"user":"a"}"#,
                &[("at", true)][..],
                "query table down: #n0 = :v0 | 0",
            ),
            (
                r#"{"user":"a"}"#,
                &[("user", true), ("at", false)],
                "query table: #n0 = :v0 | 0",
            ),
            (
                r#"{"status":"o"}"#,
                &[("at", true)],
                "query by_status down: #n0 = :v0 | 0",
            ),
            (
                r#"{"user":"a","at":1}"#,
                &[("n", true)],
                r#"get {"at":{"N":"1"},"user":{"S":"a"}}"#,
            ),
        ] {
            assert_eq!(chosen(filter, order, Needed::All), expected, "{filter} {order:?}");
        }
        for (filter, order) in [
            (r#"{"user":"a"}"#, &[("n", false)][..]),
            (r#"{"user":"a"}"#, &[("at", false), ("n", false)]),
            ("{}", &[("at", false)]),
        ] {
            assert!(chosen(filter, order, Needed::All).contains("orderBy"), "{filter}");
        }
    }

    #[test]
    fn exclusive_ends_are_left_out() {
        let table = events();
        let filter = read(
            &Json::read(r#"{"user":"a","at":{"$gt":1,"$lt":"2.50"}}"#).unwrap(),
            Dialect::Dynamo,
        )
        .unwrap();
        let Ok(Access::Query(query)) = choose(&table, &filter, &[], Needed::All) else {
            panic!("no query")
        };
        for (at, expected) in [("1", true), ("1.5", false), ("2.5", true), ("2.50", true)] {
            let item: Item = [("at".to_owned(), json!({ "N": at }))].into_iter().collect();
            assert_eq!(query.excludes(&item), expected, "{at}");
        }
    }
}
