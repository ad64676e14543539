//! Filters: which nodes or relationships are meant, read from JSON into a tree that knows no Cypher.
//!
//! Invariants: only listed operators are accepted; depth and number of conditions are bounded; a value that a job filled
//! into a template or gave as a literal stays a value, even if it looks like an operator.

use super::name::Name;
use super::value;
use crate::connector::Failure;
use crate::connector::databases::filter::Comparison;
use crate::connector::databases::json::Json;
use crate::connector::limits::{MAX_CONDITIONS, MAX_FILTER_DEPTH, MAX_IN_VALUES};
use crate::resources::{GRAPH_FILTER_OPERATORS, GRAPH_GROUP_OPERATORS};
use crate::text::spelling::{simplified, suggestion, truncated};

/// A condition on a node or a relationship.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    /// All of these; empty: everything.
    All(Vec<Filter>),
    /// At least one of these.
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Property(Name, Predicate),
}

impl Default for Filter {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// A condition on one property.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Predicate {
    Compare(Comparison, Json),
    In(Vec<Json>),
    Exists,
    Contains(Json),
    StartsWith(Json),
    EndsWith(Json),
    /// A regular expression that is found anywhere in a text.
    Regex(Json),
    /// A regular expression that a whole text matches.
    Pattern(String),
    /// A list that has all of these.
    ContainsAll(Vec<Json>),
    /// A list that has one of these.
    ContainsAny(Vec<Json>),
}

/// Reads filters and counts their conditions.
#[derive(Default)]
struct Reader {
    conditions: usize,
}

/// Reads a filter.
pub(super) fn read(json: &Json) -> Result<Filter, Failure> {
    Reader::default().filter(json, 0)
}

impl Filter {
    /// Whether it matches everything, however it is written.
    pub(super) fn matches_everything(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(Self::matches_everything),
            Self::Any(parts) => parts.iter().any(Self::matches_everything),
            Self::Not(inner) => inner.matches_nothing(),
            Self::Property(..) => false,
        }
    }

    /// Whether it can match nothing.
    fn matches_nothing(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(Self::matches_nothing),
            Self::Any(parts) => parts.iter().all(Self::matches_nothing),
            Self::Not(inner) => inner.matches_everything(),
            Self::Property(_, Predicate::In(values)) => values.is_empty(),
            Self::Property(..) => false,
        }
    }
}

impl Reader {
    fn filter(&mut self, json: &Json, depth: usize) -> Result<Filter, Failure> {
        bounded(depth)?;
        if *json.value() == Json::Any {
            return self.is(&Name::read("property", "value")?, Predicate::Exists);
        }
        let Json::Map(entries) = json.value() else {
            return Err(Failure::invalid(format!(
                "a filter must be an object of properties, as in {{ expired: true }}, got {}",
                json.kind()
            )));
        };
        let is_data = matches!(json, Json::Literal(_));
        let mut parts = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            parts.push(if !is_data && key.starts_with('$') {
                self.group(key, value, depth)?
            } else {
                let name = Name::read("property", key)?;
                if is_data {
                    self.compare(&name, Comparison::Equal, value)?
                } else {
                    self.property(&name, value, depth)?
                }
            });
        }
        Ok(Filter::All(parts))
    }

    /// `$and`, `$or`, `$nor` and `$not` around filters.
    fn group(&mut self, key: &str, value: &Json, depth: usize) -> Result<Filter, Failure> {
        match &*simplified(key) {
            "and" => Ok(Filter::All(self.filters(key, value, depth)?)),
            "or" => Ok(Filter::Any(self.filters(key, value, depth)?)),
            "nor" => Ok(not(Filter::Any(self.filters(key, value, depth)?))),
            "not" => match self.filter(value, depth + 1)? {
                inner if inner.matches_everything() => Err(Failure::invalid("$not must hold a condition")),
                inner => Ok(not(inner)),
            },
            known if GRAPH_FILTER_OPERATORS.iter().any(|name| simplified(name) == known) => {
                Err(Failure::invalid(format!(
                    "{0} belongs to a property, as in {{ property: {{ {0}: … }} }}",
                    truncated(key)
                )))
            }
            _ => Err(Failure::invalid(format!(
                "{} is no operator of filters; {}",
                truncated(key),
                suggestion(key, &GRAPH_GROUP_OPERATORS)
            ))),
        }
    }

    /// A list of filters, or an object each member of which is one.
    fn filters(&mut self, key: &str, value: &Json, depth: usize) -> Result<Vec<Filter>, Failure> {
        match value {
            Json::List(list) if !list.is_empty() => list.iter().map(|part| self.filter(part, depth + 1)).collect(),
            Json::Map(entries) if !entries.is_empty() => {
                let branches = entries.iter().map(|entry| Json::Map(vec![entry.clone()]));
                branches.map(|branch| self.filter(&branch, depth + 1)).collect()
            }
            _ => Err(Failure::invalid(format!(
                "{} must be a list of at least one filter, or an object of them",
                truncated(key)
            ))),
        }
    }

    fn property(&mut self, name: &Name, value: &Json, depth: usize) -> Result<Filter, Failure> {
        bounded(depth)?;
        match value {
            Json::Map(entries) if !value::is_typed(value) => {
                if entries.is_empty() {
                    return Err(Failure::invalid(format!(
                        "the filter of '{}' is an empty object; give a value or an operator, as in {{ $gt: 5 }}",
                        truncated(name.as_str())
                    )));
                }
                let parts = entries.iter().map(|(key, value)| self.test(name, key, value, depth));
                Ok(Filter::All(parts.collect::<Result<_, _>>()?))
            }
            _ => self.compare(name, Comparison::Equal, value),
        }
    }

    fn is(&mut self, name: &Name, predicate: Predicate) -> Result<Filter, Failure> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(Failure::invalid(format!(
                "a filter may have at most {MAX_CONDITIONS} conditions"
            )));
        }
        Ok(Filter::Property(name.clone(), predicate))
    }

    fn compare(&mut self, name: &Name, how: Comparison, value: &Json) -> Result<Filter, Failure> {
        match (value.value(), how) {
            (Json::Null, Comparison::Equal) => self.is(name, Predicate::Exists).map(not),
            (Json::Null, Comparison::NotEqual) => self.is(name, Predicate::Exists),
            (Json::Null, _) => Err(Failure::invalid(format!(
                "nothing compares with null; '{}' needs a value, or $isNull",
                truncated(name.as_str())
            ))),
            _ => self.is(name, Predicate::Compare(how, value.clone())),
        }
    }

    /// One operator of a property.
    fn test(&mut self, name: &Name, key: &str, value: &Json, depth: usize) -> Result<Filter, Failure> {
        if !key.starts_with('$') {
            return Err(Failure::invalid(format!(
                "the filter of '{}' has the key '{}', which is no operator; a property holds no object",
                truncated(name.as_str()),
                truncated(key)
            )));
        }
        let text = || match value.value() {
            Json::Text(_) | Json::Any => Ok(value.clone()),
            _ => Err(Failure::invalid(format!(
                "{} must be a string, got {}",
                truncated(key),
                value.kind()
            ))),
        };
        let like = |flags: &str| match value.as_text() {
            Some(pattern) => Ok(Predicate::Pattern(like_pattern(flags, pattern))),
            None => Err(Failure::invalid(format!(
                "{} must be a string, got {}",
                truncated(key),
                value.kind()
            ))),
        };
        match &*simplified(key) {
            "eq" => self.compare(name, Comparison::Equal, value),
            "ne" => self.compare(name, Comparison::NotEqual, value),
            "gt" => self.compare(name, Comparison::Greater, value),
            "gte" => self.compare(name, Comparison::GreaterOrEqual, value),
            "lt" => self.compare(name, Comparison::Less, value),
            "lte" => self.compare(name, Comparison::LessOrEqual, value),
            "in" => self.membership(name, key, value),
            "nin" | "notin" => self.membership(name, key, value).map(not),
            "between" => self.between(name, key, value),
            "notbetween" => self.between(name, key, value).map(not),
            "like" => self.is(name, like("(?s)")?),
            "ilike" => self.is(name, like("(?sui)")?),
            "notlike" => self.is(name, like("(?s)")?).map(not),
            "contains" => self.is(name, Predicate::Contains(text()?)),
            "startswith" => self.is(name, Predicate::StartsWith(text()?)),
            "endswith" => self.is(name, Predicate::EndsWith(text()?)),
            "regex" => self.is(name, Predicate::Regex(text()?)),
            "containsall" => self.is(name, Predicate::ContainsAll(some_values(key, value)?)),
            "containsany" => self.is(name, Predicate::ContainsAny(some_values(key, value)?)),
            "isnull" | "null" => self.existence(name, key, value, false),
            "isnotnull" | "exists" => self.existence(name, key, value, true),
            "not" => match value {
                Json::Map(entries) if !entries.is_empty() && !value::is_typed(value) => {
                    self.property(name, value, depth + 1).map(not)
                }
                _ => self.compare(name, Comparison::NotEqual, value),
            },
            _ => Err(Failure::invalid(format!(
                "{} is no operator of filters; {}",
                truncated(key),
                suggestion(key, &GRAPH_FILTER_OPERATORS)
            ))),
        }
    }

    fn existence(&mut self, name: &Name, key: &str, value: &Json, wanted: bool) -> Result<Filter, Failure> {
        if *value.value() == Json::Any {
            return self.is(name, Predicate::Exists);
        }
        let Json::Bool(flag) = value.value() else {
            return Err(Failure::invalid(format!(
                "{} must be true or false, got {}",
                truncated(key),
                value.kind()
            )));
        };
        let exists = self.is(name, Predicate::Exists)?;
        Ok(if *flag == wanted { exists } else { not(exists) })
    }

    fn between(&mut self, name: &Name, key: &str, value: &Json) -> Result<Filter, Failure> {
        let ends = match value.value() {
            Json::Any => vec![Json::Any, Json::Any],
            _ => values(key, value)?,
        };
        let [low, high] = ends.as_slice() else {
            return Err(Failure::invalid(format!(
                "{} must be a list of two values",
                truncated(key)
            )));
        };
        let low = self.compare(name, Comparison::GreaterOrEqual, low)?;
        Ok(Filter::All(vec![
            low,
            self.compare(name, Comparison::LessOrEqual, high)?,
        ]))
    }

    fn membership(&mut self, name: &Name, key: &str, value: &Json) -> Result<Filter, Failure> {
        let all = values(key, value)?;
        // As a value of a job in the place of one value: no property would equal it, and every one differ.
        if all.iter().any(|value| matches!(value.value(), Json::List(_))) {
            return Err(Failure::invalid(format!(
                "{} must be a list of single values, and one of '{}' is a list; give the list itself",
                truncated(key),
                truncated(name.as_str())
            )));
        }
        let given = all.len();
        let some: Vec<Json> = all.into_iter().filter(|value| *value.value() != Json::Null).collect();
        let has_null = some.len() < given;
        let among = self.is(name, Predicate::In(some))?;
        // Nothing is found by a comparison with null.
        Ok(if has_null {
            Filter::Any(vec![among, not(self.is(name, Predicate::Exists)?)])
        } else {
            among
        })
    }
}

fn bounded(depth: usize) -> Result<(), Failure> {
    if depth > MAX_FILTER_DEPTH {
        return Err(Failure::invalid(format!(
            "a filter may be nested {MAX_FILTER_DEPTH} levels deep"
        )));
    }
    Ok(())
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn values(key: &str, value: &Json) -> Result<Vec<Json>, Failure> {
    if *value.value() == Json::Any {
        return Ok(vec![Json::Any]);
    }
    let Json::List(values) = value.value() else {
        return Err(Failure::invalid(format!(
            "{} must be a list, got {}",
            truncated(key),
            value.kind()
        )));
    };
    if values.len() > MAX_IN_VALUES {
        return Err(Failure::invalid(format!(
            "{} may have at most {MAX_IN_VALUES} values, got {}",
            truncated(key),
            values.len()
        )));
    }
    Ok(values.clone())
}

/// As [`values`]; an empty list would say nothing, or everything.
fn some_values(key: &str, value: &Json) -> Result<Vec<Json>, Failure> {
    let values = values(key, value)?;
    if values.is_empty() {
        return Err(Failure::invalid(format!(
            "{} must have at least one value",
            truncated(key)
        )));
    }
    Ok(values)
}

/// The regular expression for a pattern with `%` and `_`, which `\` escapes.
fn like_pattern(flags: &str, pattern: &str) -> String {
    let mut out = String::from(flags);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '%' => {
                out.push_str(".*");
                continue;
            }
            '_' => {
                out.push('.');
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if literal.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(literal);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Filter, Failure> {
        read(&Json::read(text).unwrap())
    }

    #[test]
    fn patterns_become_regular_expressions_that_quote_everything_else() {
        assert_eq!(like_pattern("(?s)", "100\\% of a_b.c%"), "(?s)100\\% of a.b\\.c.*");
        assert_eq!(like_pattern("", "(a|b)\\"), "\\(a\\|b\\)\\\\");
    }

    #[test]
    fn filters_that_match_everything_are_known_as_such() {
        for text in [
            "{}",
            r#"{"$and":[{}]}"#,
            r#"{"$or":[{"a":1},{}]}"#,
            r#"{"a":{"$nin":[]}}"#,
            r#"{"a":{"$not":{"$in":[]}}}"#,
            r#"{"$nor":[{"a":{"$in":[]}}]}"#,
        ] {
            assert!(read_text(text).unwrap().matches_everything(), "{text}");
        }
        for text in [
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            r#"{"$or":{"a":1,"b":2}}"#,
            r#"{"a":{"$in":[]}}"#,
        ] {
            assert!(!read_text(text).unwrap().matches_everything(), "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_by_name() {
        for (text, expected) in [
            ("[]", "object of properties"),
            (r#"{"$gt":1}"#, "belongs to a property"),
            (r#"{"$where":"1"}"#, "no operator"),
            (r#"{"a":{"$gtt":1}}"#, "`$gt`"),
            (r#"{"a":{"b":1}}"#, "holds no object"),
            (r#"{"a":{}}"#, "empty object"),
            (r#"{"a":{"$gt":null}}"#, "null"),
            (r#"{"a":{"$in":1}}"#, "must be a list"),
            (r#"{"a":{"$nin":[[1,2]]}}"#, "list of single values"),
            (r#"{"a":{"$between":[1]}}"#, "two values"),
            (r#"{"a":{"$contains":1}}"#, "string"),
            (r#"{"a":{"$exists":1}}"#, "true or false"),
            (r#"{"$or":[]}"#, "at least one"),
            (r#"{"$not":{}}"#, "condition"),
            (r#"{"a\\u0060":1}"#, "backslash"),
        ] {
            let failure = read_text(text).unwrap_err();
            assert!(failure.message.contains(expected), "{text}: {}", failure.message);
        }
        let deep = format!("{}{{\"a\":1}}{}", r#"{"$not":"#.repeat(20), "}".repeat(20));
        assert!(read_text(&deep).unwrap_err().message.contains("levels"));
        let wide: Vec<_> = (0..1_001).map(|at| format!(r#"{{"a":{at}}}"#)).collect();
        assert!(read_text(&format!(r#"{{"$or":[{}]}}"#, wide.join(","))).is_err());
    }

    #[test]
    fn a_literal_is_never_an_operator() {
        let marked = Json::read_marked(r#"{"a":{"$literal":{"$gt":1}}}"#).unwrap();
        let Filter::All(parts) = read(&marked).unwrap() else {
            panic!()
        };
        assert!(matches!(
            &parts[0],
            Filter::Property(_, Predicate::Compare(Comparison::Equal, _))
        ));
    }
}
