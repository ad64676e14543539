//! Filters: which rows an operation affects, read from JSON into a tree that knows no query language.
//!
//! Invariants: only listed operators are accepted; depth and number of conditions are bounded; a value that a job filled
//! into a template or gave as a literal stays a value, even if it looks like an operator.

use super::dialect::Dialect;
use super::json::Json;
use super::name::column;
use crate::connector::Failure;
use crate::connector::limits::{MAX_CONDITIONS, MAX_FILTER_DEPTH, MAX_IN_VALUES};
use crate::text::spelling::{suggestion, truncated};

/// A condition on rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// All of these; empty: every row.
    All(Vec<Filter>),
    /// At least one of these.
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Column(Box<str>, Predicate),
}

/// A condition on one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Predicate {
    Compare(Comparison, Json),
    /// In a list; `false`: not in it.
    In(Vec<Json>, bool),
    Between(Json, Json),
    IsNull(bool),
    /// There is such a field. Columns always are, so that in SQL it means a value other than null.
    Exists(bool),
    Like(Pattern),
    Regex(Json),
    /// A list that has all of these values.
    ContainsAll(Vec<Json>),
    /// A list that has at least one of these values.
    ContainsAny(Vec<Json>),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connector) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A `LIKE` pattern, in which `escape` escapes `%`, `_` and itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) text: Json,
    pub(super) escape: char,
    pub(super) ignore_case: bool,
}

/// All operators, as documented.
const OPERATORS: [&str; 28] = [
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$notIn",
    "$between",
    "$notBetween",
    "$like",
    "$notLike",
    "$ilike",
    "$contains",
    "$startsWith",
    "$endsWith",
    "$containsAll",
    "$containsAny",
    "$regex",
    "$isNull",
    "$isNotNull",
    "$null",
    "$exists",
    "$not",
    "$and",
    "$or",
    "$nor",
];
/// Operators in the position of column names.
const GROUP_OPERATORS: [&str; 4] = ["$and", "$or", "$nor", "$not"];

/// Reads filters and counts their conditions.
struct Reader {
    dialect: Dialect,
    conditions: usize,
}

/// Reads a filter.
pub(super) fn read(json: &Json, dialect: Dialect) -> Result<Filter, Failure> {
    let mut reader = Reader { dialect, conditions: 0 };
    reader.filter(json, 0)
}

impl Filter {
    /// Whether it matches every row, however it is written.
    pub(super) fn matches_everything(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(Self::matches_everything),
            Self::Any(parts) => parts.iter().any(Self::matches_everything),
            Self::Not(inner) => inner.matches_nothing(),
            Self::Column(_, Predicate::In(values, wanted)) => values.is_empty() && !wanted,
            Self::Column(..) => false,
        }
    }

    /// Whether it can match no row.
    pub(super) fn matches_nothing(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(Self::matches_nothing),
            Self::Any(parts) => parts.iter().all(Self::matches_nothing),
            Self::Not(inner) => inner.matches_everything(),
            Self::Column(_, Predicate::In(values, wanted)) => values.is_empty() && *wanted,
            Self::Column(..) => false,
        }
    }
}

impl Reader {
    fn filter(&mut self, json: &Json, depth: usize) -> Result<Filter, Failure> {
        check_depth(depth)?;
        let Json::Map(entries) = json.value() else {
            return Err(Failure::invalid(format!(
                "a filter must be an object of columns, as in {{ status: 'open' }}, got {}",
                json.kind()
            )));
        };
        let mut parts = Vec::with_capacity(entries.len());
        let is_data = matches!(json, Json::Literal(_));
        for (key, value) in entries {
            parts.push(if is_data {
                let name = column(key, self.dialect)?;
                self.compare(&name, Comparison::Equal, &value.marked())?
            } else {
                self.entry(key, value, depth)?
            });
        }
        Ok(single_or_all(parts))
    }

    /// One key of a filter.
    fn entry(&mut self, key: &str, value: &Json, depth: usize) -> Result<Filter, Failure> {
        if key.starts_with('$') {
            return self.group(key, value, depth);
        }
        let name = column(key, self.dialect)?;
        self.column(&name, value, depth)
    }

    /// `$and`, `$or`, `$nor` and `$not` around filters.
    fn group(&mut self, key: &str, value: &Json, depth: usize) -> Result<Filter, Failure> {
        match &*normalize_operator(key) {
            "and" => Ok(single_or_all(self.filters(key, value, depth)?)),
            "or" => Ok(Filter::Any(self.filters(key, value, depth)?)),
            "nor" => {
                let parts = self.filters(key, value, depth)?;
                Ok(Filter::Not(Box::new(Filter::Any(parts))))
            }
            "not" => {
                let inner = self.filter(value, depth + 1)?;
                if inner.matches_everything() {
                    return Err(Failure::invalid("$not must hold a condition"));
                }
                Ok(Filter::Not(Box::new(inner)))
            }
            known if OPERATORS.iter().any(|name| normalize_operator(name) == known) => Err(Failure::invalid(format!(
                "{} belongs to a column, as in {{ column: {{ {}: … }} }}",
                truncated(key),
                truncated(key)
            ))),
            _ => Err(Failure::invalid(format!(
                "{} is no operator of filters; {}",
                truncated(key),
                suggestion(key, &GROUP_OPERATORS)
            ))),
        }
    }

    /// The branches of a group: a list of filters, or an object, each key of which is one.
    fn filters(&mut self, key: &str, value: &Json, depth: usize) -> Result<Vec<Filter>, Failure> {
        check_depth(depth)?;
        match value {
            Json::List(list) if !list.is_empty() => list.iter().map(|part| self.filter(part, depth + 1)).collect(),
            Json::Map(entries) if !entries.is_empty() => entries
                .iter()
                .map(|(key, value)| self.entry(key, value, depth + 1))
                .collect(),
            _ => Err(Failure::invalid(format!(
                "{} must be a list of at least one filter, or an object of columns",
                truncated(key)
            ))),
        }
    }

    fn column(&mut self, name: &str, value: &Json, depth: usize) -> Result<Filter, Failure> {
        check_depth(depth)?;
        let is_operators = |entries: &[(Box<str>, Json)]| entries.iter().any(|(key, _)| key.starts_with('$'));
        match value {
            Json::Map(entries) if !value.is_special(self.dialect) && (entries.is_empty() || is_operators(entries)) => {
                if entries.is_empty() {
                    return Err(Failure::invalid(format!(
                        "the filter of '{}' is an empty object; give a value or an operator, as in {{ $gt: 5 }}",
                        truncated(name)
                    )));
                }
                let parts = entries.iter().map(|(key, value)| self.test(name, key, value, depth));
                Ok(single_or_all(parts.collect::<Result<_, _>>()?))
            }
            _ => self.compare(name, Comparison::Equal, value),
        }
    }

    fn count(&mut self) -> Result<(), Failure> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(Failure::invalid(format!(
                "a filter may have at most {MAX_CONDITIONS} conditions"
            )));
        }
        Ok(())
    }

    fn compare(&mut self, name: &str, how: Comparison, value: &Json) -> Result<Filter, Failure> {
        self.count()?;
        let test = match (value.value(), how) {
            (Json::Null, Comparison::Equal) => Predicate::IsNull(true),
            (Json::Null, Comparison::NotEqual) => Predicate::IsNull(false),
            (Json::Null, _) => {
                return Err(Failure::invalid(format!(
                    "nothing compares with null; '{}' needs a value, or $isNull",
                    truncated(name)
                )));
            }
            _ => Predicate::Compare(how, value.clone()),
        };
        Ok(Filter::Column(name.into(), test))
    }

    /// One operator of a column.
    fn test(&mut self, name: &str, key: &str, value: &Json, depth: usize) -> Result<Filter, Failure> {
        let is = |filter: &mut Self, test| {
            filter.count()?;
            Ok(Filter::Column(name.into(), test))
        };
        let not = |filter: Filter| Filter::Not(Box::new(filter));
        if !key.starts_with('$') {
            return Err(Failure::invalid(format!(
                "the filter of '{}' mixes operators and other keys; quote a value that is an object as {{ $eq: … }}",
                truncated(name)
            )));
        }
        match &*normalize_operator(key) {
            "eq" => self.compare(name, Comparison::Equal, value),
            "ne" => self.compare(name, Comparison::NotEqual, value),
            "gt" => self.compare(name, Comparison::Greater, value),
            "gte" => self.compare(name, Comparison::GreaterOrEqual, value),
            "lt" => self.compare(name, Comparison::Less, value),
            "lte" => self.compare(name, Comparison::LessOrEqual, value),
            "in" => self.membership(name, key, value, true),
            "nin" | "notin" => self.membership(name, key, value, false),
            "between" => {
                let test = between(key, value)?;
                is(self, test)
            }
            "notbetween" => {
                let test = between(key, value)?;
                is(self, test).map(not)
            }
            "isnull" | "null" => {
                let wanted = read_flag(key, value)?;
                is(self, Predicate::IsNull(wanted))
            }
            "isnotnull" => {
                let wanted = read_flag(key, value)?;
                is(self, Predicate::IsNull(!wanted))
            }
            "exists" => {
                let wanted = read_flag(key, value)?;
                is(self, Predicate::Exists(wanted))
            }
            "containsall" => {
                let values = self.values(key, value)?;
                is(self, Predicate::ContainsAll(values))
            }
            "containsany" => {
                let values = self.values(key, value)?;
                is(self, Predicate::ContainsAny(values))
            }
            "regex" => {
                text(key, value)?;
                is(self, Predicate::Regex(value.clone()))
            }
            "not" => match value {
                Json::Map(_) => Ok(not(self.column(name, value, depth + 1)?)),
                _ => self.compare(name, Comparison::NotEqual, value),
            },
            "and" | "or" | "nor" => Err(Failure::invalid(format!(
                "the filter of '{}': {} goes around filters, as in {{ $or: [{{ a: 1 }}, {{ b: {{ $gt: 2 }} }}] }}; for one of several values there is $in",
                truncated(name),
                truncated(key)
            ))),
            _ => {
                let (test, negative) = pattern(key, value)?;
                let filter = is(self, test)?;
                Ok(if negative { not(filter) } else { filter })
            }
        }
    }

    fn list<'v>(key: &str, value: &'v Json) -> Result<&'v [Json], Failure> {
        let values = match value.value() {
            Json::List(values) => values.as_slice(),
            // Not an empty list, which says something of its own.
            Json::Any => std::slice::from_ref(value),
            _ => return Err(Failure::invalid(format!("{key} must be a list, got {}", value.kind()))),
        };
        if values.len() > MAX_IN_VALUES {
            return Err(Failure::invalid(format!(
                "{key} may have at most {MAX_IN_VALUES} values, got {}",
                values.len()
            )));
        }
        Ok(values)
    }

    /// Values that a list has, each of which counts as a condition.
    fn values(&mut self, key: &str, value: &Json) -> Result<Vec<Json>, Failure> {
        let values = Self::list(key, value)?;
        if values.is_empty() {
            return Err(Failure::invalid(format!("{key} must have at least one value")));
        }
        for _ in values.iter().skip(1) {
            self.count()?;
        }
        Ok(values.to_vec())
    }

    fn membership(&mut self, name: &str, key: &str, value: &Json, wanted: bool) -> Result<Filter, Failure> {
        self.count()?;
        let values = Self::list(key, value)?;
        // As a value of a job in the place of one value: no row would have it, and every row lack it.
        if values.iter().any(|value| matches!(value.value(), Json::List(_))) {
            return Err(Failure::invalid(format!(
                "{key} must be a list of single values, and one of '{}' is a list; give the list itself, as in {key}: '{{{{list}}}}'",
                truncated(name)
            )));
        }
        let some: Vec<Json> = values
            .iter()
            .filter(|value| *value.value() != Json::Null)
            .cloned()
            .collect();
        let has_null = some.len() < values.len();
        let among = Filter::Column(name.into(), Predicate::In(some, wanted));
        if !has_null {
            return Ok(among);
        }
        // SQL's IN never matches NULL, and NOT IN with a NULL in the list matches nothing.
        let null = Filter::Column(name.into(), Predicate::IsNull(wanted));
        Ok(if wanted {
            Filter::Any(vec![among, null])
        } else {
            Filter::All(vec![among, null])
        })
    }
}

/// The operator in lower case, without `$` and underscores.
fn normalize_operator(key: &str) -> String {
    let name = key.strip_prefix('$').unwrap_or(key);
    name.chars()
        .filter(|character| *character != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

fn check_depth(depth: usize) -> Result<(), Failure> {
    if depth > MAX_FILTER_DEPTH {
        return Err(Failure::invalid(format!(
            "a filter may be nested {MAX_FILTER_DEPTH} levels deep"
        )));
    }
    Ok(())
}

fn single_or_all(mut parts: Vec<Filter>) -> Filter {
    match parts.pop() {
        Some(part) if parts.is_empty() => part,
        Some(part) => {
            parts.push(part);
            Filter::All(parts)
        }
        None => Filter::All(parts),
    }
}

fn between(key: &str, value: &Json) -> Result<Predicate, Failure> {
    match value.value() {
        Json::List(ends) => match ends.as_slice() {
            [low, high] if *low.value() != Json::Null && *high.value() != Json::Null => {
                Ok(Predicate::Between(low.clone(), high.clone()))
            }
            _ => Err(Failure::invalid(format!("{key} must be a list of two values"))),
        },
        Json::Any => Ok(Predicate::Between(Json::Any, Json::Any)),
        _ => Err(Failure::invalid(format!(
            "{key} must be a list of two values, got {}",
            value.kind()
        ))),
    }
}

fn read_flag(key: &str, value: &Json) -> Result<bool, Failure> {
    match value.value() {
        Json::Bool(flag) => Ok(*flag),
        Json::Any => Ok(true),
        _ => Err(Failure::invalid(format!(
            "{key} must be true or false, got {}",
            value.kind()
        ))),
    }
}

fn text<'a>(key: &str, value: &'a Json) -> Result<&'a str, Failure> {
    value
        .as_text()
        .ok_or_else(|| Failure::invalid(format!("{key} must be a string, got {}", value.kind())))
}

/// Reads an operator that is based on `LIKE`, and whether it is negated.
fn pattern(key: &str, value: &Json) -> Result<(Predicate, bool), Failure> {
    // Not the backslash, which is special in the literals of some dialects.
    const ESCAPE: char = '!';
    let literal = |before: &str, after: &str| {
        let mut pattern = String::from(before);
        for character in text(key, value)?.chars() {
            if matches!(character, '%' | '_' | ESCAPE) {
                pattern.push(ESCAPE);
            }
            pattern.push(character);
        }
        pattern.push_str(after);
        Ok::<_, Failure>(Pattern {
            text: Json::Text(pattern.into()),
            escape: ESCAPE,
            ignore_case: false,
        })
    };
    let (pattern, negative) = match &*normalize_operator(key) {
        kind @ ("like" | "notlike" | "ilike" | "notilike") => {
            text(key, value)?;
            let pattern = Pattern {
                text: value.clone(),
                escape: '\\',
                ignore_case: kind.ends_with("ilike"),
            };
            (pattern, kind.starts_with("not"))
        }
        "contains" => (literal("%", "%")?, false),
        "startswith" => (literal("", "%")?, false),
        "endswith" => (literal("%", "")?, false),
        _ => {
            return Err(Failure::invalid(format!(
                "{} is no operator of filters; {}",
                truncated(key),
                suggestion(key, &OPERATORS)
            )));
        }
    };
    Ok((Predicate::Like(pattern), negative))
}
