//! Filters as MongoDB has them.
//!
//! Invariant: a value is always the operand of an operator from here, never an operator itself.

use super::value::{Forms, of_field, regex};
use crate::connector::Failure;
use crate::connector::databases::filter::{Comparison, Filter, Pattern, Predicate};
use crate::connector::databases::json::Json;
use mongodb::bson::{Bson, Document, doc};

/// The name of a field where a filter is applied.
pub(super) type Field<'a> = &'a (dyn Fn(&str) -> Result<String, Failure> + Sync);

/// A filter of documents.
pub(super) fn of_documents(filter: &Filter) -> Result<Document, Failure> {
    translate(filter, &|name| Ok(name.to_owned()))
}

/// A filter of fields that may have other names.
pub(super) fn translate(filter: &Filter, field: Field<'_>) -> Result<Document, Failure> {
    let list = |parts: &[Filter]| {
        parts
            .iter()
            .map(|part| translate(part, field).map(Bson::Document))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match filter {
        Filter::All(parts) => match parts.as_slice() {
            [] => Document::new(),
            [part] => translate(part, field)?,
            parts => doc! { "$and": list(parts)? },
        },
        Filter::Any(parts) => doc! { "$or": list(parts)? },
        Filter::Not(inner) => doc! { "$nor": [translate(inner, field)?] },
        Filter::Column(name, predicate) => condition(&field(name)?, predicate).map_err(of_field(name))?,
    })
}

fn condition(field: &str, predicate: &Predicate) -> Result<Document, Failure> {
    let is = |operators: Document| {
        let mut document = Document::new();
        document.insert(field, operators);
        document
    };
    Ok(match predicate {
        Predicate::Compare(how, value) => compare(&is, *how, value)?,
        Predicate::In(values, true) => is(doc! { "$in": all_forms(values)? }),
        Predicate::In(values, false) => is(doc! { "$nin": all_forms(values)? }),
        Predicate::Between(low, high) => between(&is, low, high)?,
        Predicate::IsNull(true) => is(doc! { "$eq": Bson::Null }),
        Predicate::IsNull(false) => is(doc! { "$ne": Bson::Null }),
        Predicate::Exists(wanted) => is(doc! { "$exists": *wanted }),
        Predicate::Like(pattern) => {
            let options = if pattern.ignore_case { "is" } else { "s" };
            is(doc! { "$regex": regex(&like(pattern), options)? })
        }
        Predicate::Regex(value) => is(doc! { "$regex": regex(value.as_text().unwrap_or_default(), "")? }),
        Predicate::ContainsAll(values) => {
            let each = values.iter().map(|value| {
                let forms = Forms::read(value)?.all();
                Ok(Bson::Document(is(with_element(forms))))
            });
            doc! { "$and": each.collect::<Result<Vec<_>, Failure>>()? }
        }
        Predicate::ContainsAny(values) => is(with_element(all_forms(values)?)),
    })
}

/// A list that has one of these. `$in` alone would find a single value, too.
fn with_element(forms: Vec<Bson>) -> Document {
    doc! { "$elemMatch": { "$in": forms } }
}

/// Adds the fields that are compared with regular expressions.
pub(super) fn fields_with_regex<'f>(filter: &'f Filter, fields: &mut Vec<&'f str>) {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().for_each(|part| fields_with_regex(part, fields)),
        Filter::Not(inner) => fields_with_regex(inner, fields),
        Filter::Column(name, Predicate::Regex(_)) => fields.push(name),
        Filter::Column(..) => {}
    }
}

fn all_forms(values: &[Json]) -> Result<Vec<Bson>, Failure> {
    let mut all = Vec::with_capacity(values.len());
    for value in values {
        all.extend(Forms::read(value)?.all());
    }
    Ok(all)
}

fn compare(is: &dyn Fn(Document) -> Document, how: Comparison, value: &Json) -> Result<Document, Failure> {
    let mut forms = Forms::read(value)?.all();
    let operator = match how {
        Comparison::Equal if forms.len() > 1 => return Ok(is(doc! { "$in": forms })),
        Comparison::NotEqual if forms.len() > 1 => return Ok(is(doc! { "$nin": forms })),
        Comparison::Equal => "$eq",
        Comparison::NotEqual => "$ne",
        Comparison::Less => "$lt",
        Comparison::LessOrEqual => "$lte",
        Comparison::Greater => "$gt",
        Comparison::GreaterOrEqual => "$gte",
    };
    let one = |form: Bson| {
        let mut operators = Document::new();
        operators.insert(operator, form);
        is(operators)
    };
    Ok(match (forms.len(), forms.pop()) {
        (1, Some(form)) => one(form),
        (_, last) => {
            let branches = forms.into_iter().chain(last).map(|form| Bson::Document(one(form)));
            doc! { "$or": branches.collect::<Vec<_>>() }
        }
    })
}

/// Both ends of the same type.
fn between(is: &dyn Fn(Document) -> Document, low: &Json, high: &Json) -> Result<Document, Failure> {
    let (low, high) = (Forms::read(low)?, Forms::read(high)?);
    let range = |low: Bson, high: Bson| Bson::Document(is(doc! { "$gte": low, "$lte": high }));
    let mut ranges = vec![range(low.plain, high.plain)];
    ranges.extend(low.date.zip(high.date).map(|(low, high)| range(low, high)));
    ranges.extend(low.id.zip(high.id).map(|(low, high)| range(low, high)));
    Ok(doc! { "$or": ranges })
}

/// A pattern of `LIKE` as a regular expression, which is anchored unless it begins or ends with `%`.
fn like(pattern: &Pattern) -> String {
    let mut text = String::from("^");
    let mut open_end = false;
    let mut characters = pattern.text.as_text().unwrap_or_default().chars();
    while let Some(character) = characters.next() {
        open_end = false;
        match character {
            escape if escape == pattern.escape => {
                push_literal(&mut text, characters.next().unwrap_or(escape));
            }
            '%' => {
                text.push_str(".*");
                open_end = true;
            }
            '_' => text.push('.'),
            other => push_literal(&mut text, other),
        }
    }
    if open_end {
        text.truncate(text.len() - 2);
    } else {
        // Not before a line break at the end, as `$` alone.
        text.push_str("$(?!\\n)");
    }
    match text.strip_prefix("^.*") {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

fn push_literal(text: &mut String, character: char) {
    if character.is_ascii_punctuation() {
        text.push('\\');
    }
    text.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::databases::dialect::Dialect;
    use crate::connector::databases::filter::read;

    fn translated(json: &str) -> String {
        let filter = read(&Json::read_marked(json).unwrap(), Dialect::Mongo).unwrap();
        let mut text = String::new();
        super::super::value::write_document(&mut text, &of_documents(&filter).unwrap());
        text
    }

    #[test]
    fn values_are_operands_in_the_types_that_fields_may_have() {
        for (json, expected) in [
            (r#"{"a":1}"#, r#"{"a":{"$eq":1}}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"$eq":{"b":1}}}"#),
            (r#"{"a":{"$literal":{"$ne":""}}}"#, r#"{"a":{"$eq":{"$ne":""}}}"#),
            (
                r#"{"a":{"$lt":1769850000123}}"#,
                r#"{"$or":[{"a":{"$lt":1769850000123}},{"a":{"$lt":{"$date":"2026-01-31T09:00:00.123Z"}}}]}"#,
            ),
            (
                r#"{"a":"2026-01-31"}"#,
                r#"{"a":{"$in":["2026-01-31",{"$date":"2026-01-31T00:00:00.000Z"}]}}"#,
            ),
            (
                r#"{"_id":{"$ne":"65f0a1b2c3d4e5f6a7b8c9d0"}}"#,
                r#"{"_id":{"$nin":["65f0a1b2c3d4e5f6a7b8c9d0",{"$oid":"65f0a1b2c3d4e5f6a7b8c9d0"}]}}"#,
            ),
            (
                r#"{"_id":{"$oid":"65f0a1b2c3d4e5f6a7b8c9d0"}}"#,
                r#"{"_id":{"$eq":{"$oid":"65f0a1b2c3d4e5f6a7b8c9d0"}}}"#,
            ),
            (r#"{"a":{"$between":[1,2]}}"#, r#"{"$or":[{"a":{"$gte":1,"$lte":2}}]}"#),
            (r#"{"a":null}"#, r#"{"a":{"$eq":null}}"#),
            (
                r#"{"$or":{"a":1,"b":{"$not":{"$gt":2}}}}"#,
                r#"{"$or":[{"a":{"$eq":1}},{"$nor":[{"b":{"$gt":2}}]}]}"#,
            ),
        ] {
            assert_eq!(translated(json), expected, "{json}");
        }
    }

    #[test]
    fn patterns_are_anchored_and_quoted() {
        for (text, expected) in [
            ("a%", "^a"),
            ("%a.b%", "a\\.b"),
            ("a_c", "^a.c$(?!\\n)"),
            ("100\\%", "^100\\%$(?!\\n)"),
            ("%", "^"),
            ("", "^$(?!\\n)"),
        ] {
            let pattern = Pattern {
                text: Json::Text(text.into()),
                escape: '\\',
                ignore_case: false,
            };
            assert_eq!(like(&pattern), expected, "{text}");
        }
    }
}
