//! Expressions: conditions with a placeholder for every name and every value.
//!
//! Pure. Invariant: nothing of an input is ever part of the text of an expression.

use super::moment;
use super::schema::Table;
use super::value::{Item, number, of_attribute, stored};
use crate::connector::Failure;
use crate::connector::databases::filter::{Comparison, Filter, Pattern, Predicate};
use crate::connector::databases::json::Json;
use crate::text::spelling::truncated;
use serde_json::{Value, json};

/// Longest expression that DynamoDB takes.
const MAX_EXPRESSION_BYTES: usize = 4_096;
/// Operands of one `IN`.
const MAX_IN_OPERANDS: usize = 100;

/// The names and values of the expressions of one request.
pub(super) struct Expressions<'t> {
    table: &'t Table,
    names: Vec<Box<str>>,
    values: Vec<Value>,
}

impl<'t> Expressions<'t> {
    pub(super) fn of(table: &'t Table) -> Self {
        Self {
            table,
            names: Vec::new(),
            values: Vec::new(),
        }
    }

    fn name(&mut self, name: &str) -> String {
        let known = self.names.iter().position(|known| **known == *name);
        let at = known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        format!("#n{at}")
    }

    /// The placeholders of a path such as `address.city`.
    pub(super) fn path(&mut self, path: &str) -> String {
        if self.table.kind(path).is_some() {
            return self.name(path);
        }
        let parts: Vec<String> = path.split('.').map(|part| self.name(part)).collect();
        parts.join(".")
    }

    pub(super) fn value(&mut self, value: Value) -> String {
        let known = self.values.iter().position(|known| *known == value);
        let at = known.unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        format!(":v{at}")
    }

    /// Puts names and values into a request.
    pub(super) fn put_into(self, request: &mut Item) {
        let numbered = |letter: &'static str| move |at: usize| format!("{letter}{at}");
        if !self.names.is_empty() {
            let names: Item = (0..)
                .map(numbered("#n"))
                .zip(self.names.into_iter().map(|name| json!(&*name)))
                .collect();
            request.insert("ExpressionAttributeNames".into(), Value::Object(names));
        }
        if !self.values.is_empty() {
            let values: Item = (0..).map(numbered(":v")).zip(self.values).collect();
            request.insert("ExpressionAttributeValues".into(), Value::Object(values));
        }
    }

    /// The attributes to read.
    pub(super) fn projection<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> Result<String, Failure> {
        let paths: Vec<String> = names.into_iter().map(|name| self.path(name)).collect();
        bounded("the list of columns", paths.join(","))
    }

    /// The condition that all of these filters are; `None`: every row.
    pub(super) fn condition<'f>(
        &mut self,
        filters: impl IntoIterator<Item = &'f Filter>,
    ) -> Result<Option<String>, Failure> {
        let mut parts = Vec::new();
        for filter in filters {
            if !filter.matches_everything() {
                parts.push(self.filter(filter)?);
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        bounded("the filter", parts.join(" AND ")).map(Some)
    }

    /// That the row is there.
    pub(super) fn exists(&mut self) -> String {
        let table = self.table;
        format!("attribute_exists({})", self.name(&table.key.hash))
    }

    /// That the row is not there.
    pub(super) fn is_absent(&mut self) -> String {
        let table = self.table;
        format!("attribute_not_exists({})", self.name(&table.key.hash))
    }

    fn filter(&mut self, filter: &Filter) -> Result<String, Failure> {
        Ok(match filter {
            Filter::All(parts) => self.group(parts, " AND ")?.unwrap_or_else(|| self.exists()),
            Filter::Any(parts) => self.group(parts, " OR ")?.unwrap_or_else(|| self.is_absent()),
            Filter::Not(inner) => format!("(NOT {})", self.filter(inner)?),
            Filter::Column(name, predicate) => self.predicate(name, predicate).map_err(of_attribute(name))?,
        })
    }

    fn group(&mut self, parts: &[Filter], joint: &str) -> Result<Option<String>, Failure> {
        let parts: Vec<String> = parts.iter().map(|part| self.filter(part)).collect::<Result<_, _>>()?;
        Ok((!parts.is_empty()).then(|| format!("({})", parts.join(joint))))
    }

    /// The values that an attribute is compared with, in the attribute's type if that is known.
    fn operands(&mut self, name: &str, json: &Json) -> Result<Vec<String>, Failure> {
        let (value, text) = match self.table.kind(name) {
            Some(kind) => (moment::of_key(json, name, kind)?, None),
            None => moment::forms(json)?,
        };
        Ok([Some(value), text]
            .into_iter()
            .flatten()
            .map(|value| self.value(value))
            .collect())
    }

    fn predicate(&mut self, name: &str, predicate: &Predicate) -> Result<String, Failure> {
        // No name must be left that no expression uses.
        match predicate {
            Predicate::In(values, true) if values.is_empty() => return Ok(self.is_absent()),
            Predicate::In(values, false) if values.is_empty() => return Ok(self.exists()),
            _ => {}
        }
        let path = self.path(name);
        Ok(match predicate {
            Predicate::Compare(how, json) => {
                let operator = match how {
                    Comparison::Equal | Comparison::NotEqual => "=",
                    Comparison::Less => "<",
                    Comparison::LessOrEqual => "<=",
                    Comparison::Greater => ">",
                    Comparison::GreaterOrEqual => ">=",
                };
                let operands = self.operands(name, json)?;
                let mut tests = Vec::with_capacity(operands.len());
                for (form, operand) in operands.iter().enumerate() {
                    let test = format!("{path} {operator} {operand}");
                    let is_order = !matches!(how, Comparison::Equal | Comparison::NotEqual);
                    tests.push(self.of_form(&path, (form, operands.len()), is_order, test));
                }
                let test = any_of(tests);
                match how {
                    // Also for rows without the attribute, whatever `<>` says of them.
                    Comparison::NotEqual => format!("(NOT {test})"),
                    _ => test,
                }
            }
            Predicate::In(values, true) => self.among(name, &path, values)?,
            Predicate::In(values, false) => format!("(NOT {})", self.among(name, &path, values)?),
            // Not `BETWEEN`, which is refused when its ends are the wrong way round.
            Predicate::Between(low, high) => {
                let (lows, highs) = (self.operands(name, low)?, self.operands(name, high)?);
                // Both ends of one type.
                let last = lows.last().into_iter().zip(highs.last());
                let first = lows.first().into_iter().zip(highs.first());
                let mut pairs: Vec<(&String, &String)> = first.chain(last).collect();
                pairs.dedup();
                let forms = pairs.len();
                let mut tests = Vec::with_capacity(forms);
                for (form, (low, high)) in pairs.into_iter().enumerate() {
                    let test = format!("({path} >= {low} AND {path} <= {high})");
                    tests.push(self.of_form(&path, (form, forms), true, test));
                }
                any_of(tests)
            }
            Predicate::IsNull(true) => {
                let null = self.value(json!({ "S": "NULL" }));
                format!("(attribute_not_exists({path}) OR attribute_type({path}, {null}))")
            }
            Predicate::IsNull(false) => {
                let null = self.value(json!({ "S": "NULL" }));
                format!("(attribute_exists({path}) AND (NOT attribute_type({path}, {null})))")
            }
            Predicate::Exists(true) => format!("attribute_exists({path})"),
            Predicate::Exists(false) => format!("attribute_not_exists({path})"),
            Predicate::Like(pattern) => self.like(&path, pattern)?,
            Predicate::Regex(_) => return Err(not_possible("$regex")),
            Predicate::ContainsAll(values) => self.contains(&path, values, " AND ")?,
            Predicate::ContainsAny(values) => self.contains(&path, values, " OR ")?,
        })
    }

    /// A test of an order, for one of the forms of a point in time only where the attribute has that form: comparing a number with a
    /// text is false, and not every server that speaks the protocol knows that.
    fn of_form(&mut self, path: &str, (form, forms): (usize, usize), is_order: bool, test: String) -> String {
        if forms < 2 || !is_order {
            return test;
        }
        let kind = self.value(json!({ "S": if form == 0 { "N" } else { "S" } }));
        format!("(attribute_type({path}, {kind}) AND {test})")
    }

    fn among(&mut self, name: &str, path: &str, values: &[Json]) -> Result<String, Failure> {
        let mut lists = Vec::new();
        let mut operands = Vec::with_capacity(values.len());
        for value in values {
            operands.extend(self.operands(name, value)?);
        }
        for chunk in operands.chunks(MAX_IN_OPERANDS) {
            lists.push(format!("{path} IN ({})", chunk.join(",")));
        }
        Ok(format!("({})", lists.join(" OR ")))
    }

    /// Of lists and sets; `contains` alone is of texts, too.
    fn contains(&mut self, path: &str, values: &[Json], joint: &str) -> Result<String, Failure> {
        let text = self.value(json!({ "S": "S" }));
        let mut tests = Vec::with_capacity(values.len());
        for value in values {
            let operand = self.value(stored(value)?);
            tests.push(format!("contains({path}, {operand})"));
        }
        Ok(format!(
            "((NOT attribute_type({path}, {text})) AND ({}))",
            tests.join(joint)
        ))
    }

    fn like(&mut self, path: &str, pattern: &Pattern) -> Result<String, Failure> {
        if pattern.ignore_case {
            return Err(not_possible("$ilike"));
        }
        let literal = |text: String| json!({ "S": text });
        Ok(match plain_pattern(pattern)? {
            Plain::Whole(text) => {
                let operand = self.value(literal(text));
                format!("{path} = {operand}")
            }
            Plain::Start(text) if text.is_empty() => {
                let kind = self.value(json!({ "S": "S" }));
                format!("attribute_type({path}, {kind})")
            }
            Plain::Start(text) => {
                let operand = self.value(literal(text));
                format!("begins_with({path}, {operand})")
            }
            Plain::Within(text) => {
                let (kind, operand) = (self.value(json!({ "S": "S" })), self.value(literal(text)));
                format!("(attribute_type({path}, {kind}) AND contains({path}, {operand}))")
            }
        })
    }
}

/// One of these tests.
fn any_of(tests: Vec<String>) -> String {
    match tests.as_slice() {
        [test] => test.clone(),
        tests => format!("({})", tests.join(" OR ")),
    }
}

/// A pattern that DynamoDB can do.
pub(super) enum Plain {
    Whole(String),
    Start(String),
    Within(String),
}

/// Reads a pattern: text, `text%` or `%text%`.
pub(super) fn plain_pattern(pattern: &Pattern) -> Result<Plain, Failure> {
    let refused = || {
        Failure::invalid(
            "DynamoDB takes the patterns 'text', 'text%' and '%text%' ($startsWith, $contains) alone; others ($endsWith, '_') are to be tested by the program",
        )
    };
    let mut text = String::new();
    let (mut open_start, mut open_end) = (false, false);
    let mut characters = pattern.text.as_text().unwrap_or_default().chars();
    let mut first = true;
    while let Some(character) = characters.next() {
        match character {
            escape if escape == pattern.escape => {
                if open_end {
                    return Err(refused());
                }
                text.push(characters.next().unwrap_or(escape));
            }
            '%' if first => open_start = true,
            '%' => open_end = true,
            '_' => return Err(refused()),
            _ if open_end => return Err(refused()),
            other => text.push(other),
        }
        first = false;
    }
    match (open_start, open_end) {
        (false, false) => Ok(Plain::Whole(text)),
        (false, true) => Ok(Plain::Start(text)),
        (true, _) if text.is_empty() => Ok(Plain::Start(text)),
        (true, true) => Ok(Plain::Within(text)),
        (true, false) => Err(refused()),
    }
}

fn not_possible(operator: &str) -> Failure {
    Failure::invalid(format!(
        "DynamoDB cannot do {operator}; read the rows by other conditions and test them in the program"
    ))
}

/// An expression, unless it is longer than DynamoDB takes.
pub(super) fn bounded(what: &str, expression: String) -> Result<String, Failure> {
    if expression.len() > MAX_EXPRESSION_BYTES {
        return Err(Failure::invalid(format!(
            "{what} makes an expression of {} bytes, and DynamoDB takes {MAX_EXPRESSION_BYTES}; give fewer conditions or columns, in several jobs",
            expression.len()
        )));
    }
    Ok(expression)
}

/// The number that a change adds.
pub(super) fn operand_number(name: &str, json: &Json, negative: bool) -> Result<Value, Failure> {
    let read = super::value::numeric(json).unwrap_or_else(|| Err(Failure::invalid("must be a number")));
    let text = read.map_err(of_attribute(name))?;
    let text = match (negative, text.strip_prefix('-')) {
        (false, _) => text,
        (true, Some(unsigned)) => unsigned.to_owned(),
        (true, None) => number(&format!("-{text}"))?,
    };
    Ok(json!({ "N": text }))
}

/// A name in a message.
pub(super) fn quoted(name: &str) -> String {
    format!("'{}'", truncated(name))
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::events;
    use super::*;
    use crate::connector::databases::dialect::Dialect;
    use crate::connector::databases::filter::read;

    fn condition(json: &str) -> Result<(Option<String>, Value), Failure> {
        let table = events();
        let filter = read(&Json::read_marked(json)?, Dialect::Dynamo)?;
        let mut expressions = Expressions::of(&table);
        let text = expressions.condition([&filter])?;
        let mut request = Item::new();
        expressions.put_into(&mut request);
        Ok((text, Value::Object(request)))
    }

    #[test]
    fn filters_become_expressions_of_placeholders() {
        for (json, expected, values) in [
            (r#"{"a":1}"#, "#n0 = :v0", r#"{":v0":{"N":"1"}}"#),
            (
                r#"{"a":{"$gte":1,"$lt":2}}"#,
                "(#n0 >= :v0 AND #n0 < :v1)",
                r#"{":v0":{"N":"1"},":v1":{"N":"2"}}"#,
            ),
            (r#"{"a":{"$ne":"x"}}"#, "(NOT #n0 = :v0)", r#"{":v0":{"S":"x"}}"#),
            (
                r#"{"a.b":{"$in":["x","y"]}}"#,
                "(#n0.#n1 IN (:v0,:v1))",
                r#"{":v0":{"S":"x"},":v1":{"S":"y"}}"#,
            ),
            (r#"{"a":{"$in":[]}}"#, "attribute_not_exists(#n0)", "null"),
            (
                r#"{"a":{"$between":[2,1]}}"#,
                "(#n0 >= :v0 AND #n0 <= :v1)",
                r#"{":v0":{"N":"2"},":v1":{"N":"1"}}"#,
            ),
            (
                r#"{"a":null}"#,
                "(attribute_not_exists(#n0) OR attribute_type(#n0, :v0))",
                r#"{":v0":{"S":"NULL"}}"#,
            ),
            (r#"{"a":{"$exists":false}}"#, "attribute_not_exists(#n0)", "null"),
            (
                r#"{"a":{"$like":"50\\%%"}}"#,
                "begins_with(#n0, :v0)",
                r#"{":v0":{"S":"50%"}}"#,
            ),
            (
                r#"{"a":{"$contains":"x_%"}}"#,
                "(attribute_type(#n0, :v0) AND contains(#n0, :v1))",
                r#"{":v0":{"S":"S"},":v1":{"S":"x_%"}}"#,
            ),
            (
                r#"{"a":{"$containsAny":[1,2]}}"#,
                "((NOT attribute_type(#n0, :v0)) AND (contains(#n0, :v1) OR contains(#n0, :v2)))",
                r#"{":v0":{"S":"S"},":v1":{"N":"1"},":v2":{"N":"2"}}"#,
            ),
            (
                r#"{"$or":{"a":1,"b":{"$not":{"$gt":1}}}}"#,
                "(#n0 = :v0 OR (NOT #n1 > :v0))",
                r#"{":v0":{"N":"1"}}"#,
            ),
            // Milliseconds, and the text of the same moment.
            (
                r#"{"a":{"$lt":1769850000123}}"#,
                "((attribute_type(#n0, :v2) AND #n0 < :v0) OR (attribute_type(#n0, :v3) AND #n0 < :v1))",
                r#"{":v0":{"N":"1769850000123"},":v1":{"S":"2026-01-31T09:00:00.123Z"},":v2":{"S":"N"},":v3":{"S":"S"}}"#,
            ),
            (
                r#"{"a":{"$between":["2026-01-31",1769850000123]}}"#,
                "((attribute_type(#n0, :v3) AND (#n0 >= :v0 AND #n0 <= :v1)) OR (attribute_type(#n0, :v4) AND (#n0 >= :v0 AND #n0 <= :v2)))",
                r#"{":v0":{"S":"2026-01-31"},":v1":{"N":"1769850000123"},":v2":{"S":"2026-01-31T09:00:00.123Z"},":v3":{"S":"N"},":v4":{"S":"S"}}"#,
            ),
            // The type of a key's attribute is known.
            (r#"{"at":{"$gt":"5"}}"#, "#n0 > :v0", r#"{":v0":{"N":"5"}}"#),
            (
                r#"{"a":{"$literal":{"$ne":""}}}"#,
                "#n0 = :v0",
                r#"{":v0":{"M":{"$ne":{"S":""}}}}"#,
            ),
        ] {
            let (text, request) = condition(json).unwrap();
            assert_eq!(text.as_deref(), Some(expected), "{json}");
            assert_eq!(request["ExpressionAttributeValues"].to_string(), values, "{json}");
        }
        assert_eq!(condition("{}").unwrap().0, None);
    }

    #[test]
    fn names_and_values_are_never_part_of_an_expression() {
        for text in [
            "a = b",
            ":v0",
            "#n0",
            "size",
            "a) OR (attribute_exists(b)",
            "x\"y",
            "contains(a, b)",
        ] {
            let mut quoted = String::new();
            crate::connector::databases::json::push_string(&mut quoted, text);
            let (expression, request) = condition(&format!(r#"{{{quoted}:{quoted}}}"#)).unwrap();
            let expected = text.split('.').enumerate().map(|(at, _)| format!("#n{at}"));
            let expected = expected.collect::<Vec<_>>().join(".");
            assert_eq!(expression.unwrap(), format!("{expected} = :v0"));
            assert_eq!(request["ExpressionAttributeValues"][":v0"]["S"], *text);
            assert_eq!(request["ExpressionAttributeNames"]["#n0"], *text);
        }
    }

    #[test]
    fn what_dynamodb_cannot_do_is_refused_by_name() {
        for (json, named) in [
            (r#"{"a":{"$regex":"^a"}}"#, "$regex"),
            (r#"{"a":{"$ilike":"a%"}}"#, "$ilike"),
            (r#"{"a":{"$like":"%a"}}"#, "$endsWith"),
            (r#"{"a":{"$like":"a_b"}}"#, "'_'"),
            (r#"{"a":{"$like":"a%b"}}"#, "'text%'"),
            (r#"{"at":true}"#, "'at'"),
            (r#"{"user":1}"#, "a string"),
        ] {
            let failure = condition(json).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(failure.message.contains(named), "{json}: {}", failure.message);
        }
        let many: Vec<String> = (0..900).map(|at| format!(r#"{{"a{at}":{at}}}"#)).collect();
        let failure = condition(&format!(r#"{{"$or":[{}]}}"#, many.join(","))).unwrap_err();
        assert!(failure.message.contains("4096"), "{}", failure.message);
    }
}
