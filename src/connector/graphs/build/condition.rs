//! The condition of a filter.

use super::Builder;
use crate::connector::Failure;
use crate::connector::databases::filter::Comparison;
use crate::connector::databases::json::Json;
use crate::connector::graphs::bolt::Value;
use crate::connector::graphs::filter::{Filter, Predicate};
use crate::connector::graphs::name::Name;
use crate::connector::graphs::value::{self, Term};

impl Builder {
    /// The condition on a variable; empty: everything.
    pub(super) fn condition(&mut self, variable: &str, filter: &Filter) -> Result<String, Failure> {
        if matches!(filter, Filter::All(parts) if parts.is_empty()) {
            return Ok(String::new());
        }
        self.filter(variable, filter, false)
    }

    /// `negated`: whether it stands within a negation.
    fn filter(&mut self, variable: &str, filter: &Filter, negated: bool) -> Result<String, Failure> {
        match filter {
            Filter::All(parts) => self.joined(variable, parts, (" AND ", "true"), negated),
            Filter::Any(parts) => self.joined(variable, parts, (" OR ", "false"), negated),
            Filter::Not(inner) => Ok(format!("NOT ({})", self.filter(variable, inner, true)?)),
            Filter::Property(name, predicate) => self.predicate(variable, name, predicate, negated),
        }
    }

    fn joined(
        &mut self,
        variable: &str,
        parts: &[Filter],
        (word, none): (&str, &str),
        negated: bool,
    ) -> Result<String, Failure> {
        let parts = parts.iter().map(|part| self.filter(variable, part, negated));
        let parts: Vec<String> = parts.collect::<Result<_, _>>()?;
        Ok(match parts.as_slice() {
            [] => none.to_owned(),
            [only] => only.clone(),
            _ => format!("({})", parts.join(word)),
        })
    }

    fn predicate(
        &mut self,
        variable: &str,
        name: &Name,
        predicate: &Predicate,
        negated: bool,
    ) -> Result<String, Failure> {
        let of = format!("{variable}.{name}");
        Ok(match predicate {
            Predicate::Exists => format!("{of} IS NOT NULL"),
            Predicate::Compare(how, json) => self.comparison((&of, name), *how, json, negated)?,
            Predicate::In(values) => self.membership(&of, name, values)?,
            Predicate::Contains(json) => format!("{of} CONTAINS {}", self.value(name, json)?),
            Predicate::StartsWith(json) => format!("{of} STARTS WITH {}", self.value(name, json)?),
            Predicate::EndsWith(json) => format!("{of} ENDS WITH {}", self.value(name, json)?),
            Predicate::Pattern(pattern) => format!("{of} =~ {}", self.param(Value::text(pattern))),
            Predicate::Regex(json) => {
                let pattern = format!("(?s).*(?:{}).*", json.as_text().unwrap_or_default());
                format!("{of} =~ {}", self.param(Value::Text(pattern.into())))
            }
            Predicate::ContainsAll(values) => self.contains("all", &of, name, values)?,
            Predicate::ContainsAny(values) => self.contains("any", &of, name, values)?,
        })
    }

    /// Equal is what equals one of the forms that the value may have; not equal is what equals none.
    fn comparison(
        &mut self,
        (of, name): (&str, &Name),
        how: Comparison,
        json: &Json,
        negated: bool,
    ) -> Result<String, Failure> {
        let (operator, word) = match how {
            Comparison::Equal => ("=", " OR "),
            Comparison::NotEqual => ("<>", " AND "),
            Comparison::Less => ("<", " OR "),
            Comparison::LessOrEqual => ("<=", " OR "),
            Comparison::Greater => (">", " OR "),
            Comparison::GreaterOrEqual => (">=", " OR "),
        };
        let in_order = !matches!(how, Comparison::Equal | Comparison::NotEqual);
        let terms = value::comparable(name.as_str(), json, in_order, self.kind)?;
        let tests = terms.into_iter().map(|term| {
            let is_instant = term.is_instant();
            let value = self.term(term);
            match how {
                Comparison::Equal if is_instant => is_same_instant(of, &value),
                Comparison::NotEqual if is_instant => {
                    format!("coalesce(NOT ({}), {of} IS NOT NULL)", is_same_instant(of, &value))
                }
                _ => format!("{of} {operator} {value}"),
            }
        });
        let tests: Vec<String> = tests.collect();
        Ok(match tests.as_slice() {
            [only] => only.clone(),
            // A comparison of different types yields null, of which the negation is null too: the one that yields something
            // counts. Where nothing is negated, indexes are used for `OR` and not for this.
            _ if in_order && negated => format!("coalesce({})", tests.join(", ")),
            _ => format!("({})", tests.join(word)),
        })
    }

    fn membership(&mut self, of: &str, name: &Name, values: &[Json]) -> Result<String, Failure> {
        let mut all = Vec::with_capacity(values.len());
        for json in values {
            all.extend(value::comparable(name.as_str(), json, false, self.kind)?);
        }
        let (instants, others): (Vec<Term>, Vec<Term>) = all.into_iter().partition(Term::is_instant);
        let among = format!("{of} IN {}", self.list(others));
        if instants.is_empty() {
            return Ok(among);
        }
        let instants = self.term(Term::List(instants));
        let same = is_same_instant(of, "instant");
        Ok(format!("({among} OR any(instant IN {instants} WHERE {same}))"))
    }

    /// One parameter, if there are values only.
    fn list(&mut self, terms: Vec<Term>) -> String {
        let plain = |term: &Term| match term {
            Term::Value(value) => Some(value.clone()),
            _ => None,
        };
        match terms.iter().map(plain).collect::<Option<Vec<Value>>>() {
            Some(values) => self.param(Value::List(values)),
            None => self.term(Term::List(terms)),
        }
    }

    fn contains(&mut self, word: &str, of: &str, name: &Name, values: &[Json]) -> Result<String, Failure> {
        let terms = values.iter().map(|json| value::property(name.as_str(), json));
        let terms = terms.collect::<Result<_, _>>()?;
        let list = self.list(terms);
        // Servers take a single value for a list of itself.
        Ok(format!(
            "({of} = [entry IN {of} | entry] AND {word}(value IN {list} WHERE value IN {of}))"
        ))
    }
}

/// Whether a property is this point in time: servers take those of different offsets for different ones, even if they are the
/// same.
fn is_same_instant(of: &str, instant: &str) -> String {
    let moment = "duration({nanoseconds: 1})";
    format!("({of} > {instant} - {moment} AND {of} < {instant} + {moment})")
}
